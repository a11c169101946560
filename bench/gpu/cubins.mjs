// Device code lies in a CUDA library in Zstandard frames, a frame a cubin, and its kernels are much alike: unpacked, and
// compressed together by xz, they take a quarter of the room. `take` moves them out of a library, as many as the same
// Zstandard makes byte for byte again; `put` makes them again, on every core, and the library is what it was.
//
//   node bench/gpu/cubins.mjs take LIBRARY ARCH FOLDER     prunes LIBRARY in place to ARCH, moves its cubins into FOLDER
//   node bench/gpu/cubins.mjs put LIBRARY FOLDER           puts them back, and checks LIBRARY's sha256
//
// Needs a Node whose Zstandard is the one that `take` ran with: the packed one.
import { createHash } from "node:crypto";
import { mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import zlib from "node:zlib";
import { showUsage } from "../usage.mjs";
import { prune } from "./fatbin.mjs";

if (isMainThread) showUsage(import.meta.url);

/** As CUDA 13's tools compress. */
const LEVEL = 19;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** One call with room for all of the result: otherwise Zstandard works in steps, and cuts its blocks elsewhere. */
const compress = (bytes) =>
  zlib.zstdCompressSync(bytes, {
    params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL },
    pledgedSrcSize: bytes.length,
    chunkSize: bytes.length + (bytes.length >> 7) + 65536,
  });

/** Runs work(index) in as many threads as there are cores, the largest first, and hands each answer to `done`. */
async function inThreads(data, order, done) {
  const queue = [...order];
  const run = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: data });
      const next = () => (queue.length > 0 ? worker.postMessage(queue.shift()) : resolve(worker.terminate()));
      worker.on("message", ({ index, frame }) => {
        done(index, frame);
        next();
      });
      worker.on("error", reject);
      next();
    });
  await Promise.all(Array.from({ length: Math.min(os.availableParallelism(), queue.length) }, run));
}

const largestFirst = (frames) => frames.map((_, i) => i).sort((a, b) => frames[b].unpacked - frames[a].unpacked);

/** Offsets of frames in the file of all, in their order. */
function offsetsOf(frames) {
  let at = 0;
  return frames.map(({ unpacked }) => {
    const offset = at;
    at += unpacked;
    return offset;
  });
}

async function take(library, arch, folder) {
  const file = readFileSync(library);
  const { stay, rows } = prune(file, arch);
  const whole = sha256(file);
  const candidates = stay.filter(({ compressed }) => compressed > 0 && zlib.zstdCompressSync !== undefined);
  const contents = candidates.map(({ payload, compressed, unpacked }) => {
    const bytes = zlib.zstdDecompressSync(file.subarray(payload, payload + compressed));
    if (bytes.length !== unpacked) throw new Error(`the cubin at byte ${payload} unpacks to another size`);
    return bytes;
  });
  mkdirSync(folder, { recursive: true });
  const all = path.join(folder, "cubins");
  writeFileSync(all, Buffer.concat(contents));
  const same = new Set();
  await inThreads({ all, frames: candidates, offsets: offsetsOf(candidates) }, largestFirst(candidates), (i, frame) => {
    const { payload, compressed } = candidates[i];
    if (file.subarray(payload, payload + compressed).equals(frame)) same.add(i);
  });
  const taken = candidates.filter((_, i) => same.has(i));
  writeFileSync(all, Buffer.concat(contents.filter((_, i) => same.has(i))));
  for (const { payload, compressed } of taken) file.fill(0, payload, payload + compressed);
  const frames = taken.map(({ payload, compressed, unpacked }) => ({ payload, compressed, unpacked }));
  const index = { sha256: whole, zstd: process.versions.zstd, level: LEVEL, frames };
  writeFileSync(path.join(folder, "index.json"), JSON.stringify(index));
  writeFileSync(library, file);
  console.log(JSON.stringify({ rows, cubins: stay.length, taken: taken.length, sha256: whole }));
}

async function put(library, folder) {
  const file = readFileSync(library);
  const { sha256: whole, frames } = JSON.parse(readFileSync(path.join(folder, "index.json"), "utf8"));
  const data = { all: path.join(folder, "cubins"), frames, offsets: offsetsOf(frames) };
  await inThreads(data, largestFirst(frames), (i, frame) => {
    const { payload, compressed } = frames[i];
    if (frame.length === compressed) file.set(frame, payload);
  });
  const found = sha256(file);
  if (found !== whole) {
    throw new Error(`${library} has the sha256 ${found}, not ${whole}: Node's Zstandard is ${process.versions.zstd}`);
  }
  writeFileSync(library, file);
}

if (!isMainThread) {
  const all = openSync(workerData.all);
  parentPort.on("message", (index) => {
    const bytes = Buffer.alloc(workerData.frames[index].unpacked);
    readSync(all, bytes, 0, bytes.length, workerData.offsets[index]);
    parentPort.postMessage({ index, frame: compress(bytes) });
  });
} else {
  const [action, library, ...rest] = process.argv.slice(2);
  if (action === "take" && rest.length === 2) await take(library, Number(rest[0]), rest[1]);
  else if (action === "put" && rest.length === 1) await put(library, rest[0]);
  else throw new Error("cubins.mjs take LIBRARY ARCH FOLDER, or put LIBRARY FOLDER");
}
