// The device code in a CUDA library: section .nv_fatbin is containers back to back, each with one translation unit's entries,
// one entry a GPU architecture (a cubin) or PTX to compile for later ones. NVIDIA documents none of it; the layout
// is read off CUDA 13's libraries, where every container parses to its last byte. What does not parse is refused.

export const PTX = 1;
export const CUBIN = 2;

const CONTAINER_MAGIC = 0xba55ed50;
/** magic u32, version u16, header's bytes u16, bytes of all entries u64 */
const CONTAINER_HEADER = 16;
/**
 * 0 kind u16 · 2 version u16 · 4 header's bytes u32 · 8 payload's bytes u64, padding included · 16 compressed bytes u32, 0 where
 * it is not compressed · 28 architecture u32 (90 for sm_90 and sm_90a) · 40 flags u64 · 56 bytes when unpacked u64, 0 likewise
 */
const ENTRY_HEADER = 64;

const sizeAt = (bytes, at, what) => {
  const size = Number(bytes.readBigUInt64LE(at));
  if (!Number.isSafeInteger(size)) throw new Error(`${what} at byte ${at} claims ${size} bytes`);
  return size;
};

/** Where .nv_fatbin lies in a 64-bit little-endian ELF file: { start, end }, bytes. */
export function fatbinSection(file) {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new Error("it is no 64-bit little-endian ELF file");
  }
  const table = sizeAt(file, 0x28, "the section table");
  const [stride, count, names] = [0x3a, 0x3c, 0x3e].map((at) => file.readUInt16LE(at));
  const header = (index) => table + index * stride;
  const strings = sizeAt(file, header(names) + 0x18, "the section names");
  for (let i = 0; i < count; i++) {
    const name = strings + file.readUInt32LE(header(i));
    if (file.toString("latin1", name, file.indexOf(0, name)) !== ".nv_fatbin") continue;
    const start = sizeAt(file, header(i) + 0x18, ".nv_fatbin");
    const end = start + sizeAt(file, header(i) + 0x20, ".nv_fatbin");
    if (end > file.length) throw new Error(`.nv_fatbin ends at byte ${end} of ${file.length}`);
    return { start, end };
  }
  throw new Error("it has no section .nv_fatbin: there is no device code in it");
}

/** Every container { start, end, entries }; offsets are the file's. Throws where a container or an entry does not end where it says. */
export function readContainers(file, { start, end }) {
  const containers = [];
  for (let at = start; at < end; ) {
    if (at + CONTAINER_HEADER > end || file.readUInt32LE(at) !== CONTAINER_MAGIC) {
      throw new Error(`there is no fatbin container at byte ${at}`);
    }
    const [version, headerBytes] = [file.readUInt16LE(at + 4), file.readUInt16LE(at + 6)];
    if (version !== 1 || headerBytes !== CONTAINER_HEADER) {
      throw new Error(`the container at byte ${at} has version ${version} and a header of ${headerBytes} bytes`);
    }
    const last = at + headerBytes + sizeAt(file, at + 8, "a container");
    if (last > end) throw new Error(`the container at byte ${at} ends at ${last}, past its section`);
    containers.push({ start: at, end: last, entries: readEntries(file, at + headerBytes, last) });
    at = last;
  }
  return containers;
}

function readEntries(file, start, end) {
  const entries = [];
  for (let at = start; at < end; ) {
    if (at + ENTRY_HEADER > end) throw new Error(`the entry at byte ${at} has no whole header`);
    const kind = file.readUInt16LE(at);
    const headerBytes = file.readUInt32LE(at + 4);
    const bytes = sizeAt(file, at + 8, "an entry");
    const payload = at + headerBytes;
    const compressed = file.readUInt32LE(at + 16);
    const unpacked = sizeAt(file, at + 56, "an unpacked entry");
    if ((kind !== PTX && kind !== CUBIN) || headerBytes < ENTRY_HEADER || payload + bytes > end || compressed > bytes) {
      throw new Error(`the entry at byte ${at} (kind ${kind}, ${headerBytes} + ${bytes} bytes) is none that is known`);
    }
    entries.push({ kind, arch: file.readUInt32LE(at + 28), start: at, payload, bytes, compressed, unpacked });
    at = payload + bytes;
  }
  return entries;
}

/**
 * What a GPU of the architecture runs of one container: its own cubins; without one, the nearest earlier cubins of
 * the same major version, which it runs too, and all PTX, of which the driver compiles what it needs.
 */
export function entriesFor(entries, arch) {
  const own = entries.filter((entry) => entry.kind === CUBIN && entry.arch === arch);
  if (own.length > 0) return own;
  const earlier = entries.filter(
    (entry) => entry.kind === CUBIN && entry.arch < arch && Math.floor(entry.arch / 10) === Math.floor(arch / 10),
  );
  const nearest = Math.max(...earlier.map((entry) => entry.arch));
  return [...earlier.filter((entry) => entry.arch === nearest), ...entries.filter(({ kind }) => kind === PTX)];
}

/**
 * Leaves in each container, in place, what a GPU of the architecture runs: these entries move to its front, its size says
 * where they end, and zeroes follow. The library finds containers by address, so none moves. One with nothing for
 * the architecture stays whole: an empty one would be new to a driver, and these are small.
 * Returns the entries that stay, with their new places, and rows { name, kept, keptBytes, dropped, droppedBytes }.
 */
export function prune(file, arch) {
  const rows = new Map();
  const stay = [];
  for (const { start, end, entries } of readContainers(file, fatbinSection(file))) {
    const chosen = new Set(entriesFor(entries, arch));
    const kept = new Set(entries.filter((entry) => chosen.has(entry)));
    for (const entry of entries) count(rows, entry, kept.size === 0 || kept.has(entry) ? "kept" : "dropped");
    if (kept.size === 0) continue;
    let at = start + CONTAINER_HEADER;
    for (const entry of kept) {
      const after = entry.payload + entry.bytes;
      file.copyWithin(at, entry.start, after);
      stay.push({ ...entry, start: at, payload: at + entry.payload - entry.start });
      at += after - entry.start;
    }
    file.fill(0, at, end);
    file.writeBigUInt64LE(BigInt(at - start - CONTAINER_HEADER), start + 8);
  }
  return { stay, rows: [...rows.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })) };
}

function count(rows, { kind, arch, bytes }, which) {
  const name = `${kind === PTX ? "PTX" : "cubin"} ${arch}`;
  const row = rows.get(name) ?? { name, kept: 0, keptBytes: 0, dropped: 0, droppedBytes: 0 };
  rows.set(name, row);
  row[which]++;
  row[`${which}Bytes`] += bytes;
}
