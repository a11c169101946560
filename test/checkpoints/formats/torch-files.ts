// Files of PyTorch's for tests: fixtures that it wrote itself, and pickles of any content in a zip or a legacy file.

import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import type { OpenWeightFile } from "../../../src/checkpoints/formats/weight-file";
import type { HostTensors } from "../../../src/model/tensors";

export const torchFixtures = path.join(__dirname, "../../fixtures/checkpoints");
export const fixture = (name: string) => path.join(torchFixtures, name);

/** Pickles that must be refused, by what is wrong with them. */
export const maliciousPickles: ReadonlyMap<string, Buffer> = new Map(
  Object.entries(JSON.parse(readFileSync(fixture("malicious.json"), "utf8")) as Record<string, string>).map(
    ([name, base64]) => [name, Buffer.from(base64, "base64")],
  ),
);

export interface ZipContent {
  readonly pickle: Uint8Array;
  readonly storages?: Readonly<Record<string, Uint8Array>>;
  readonly others?: Readonly<Record<string, string>>;
  readonly compress?: boolean;
}

/** A zip as torch.save writes one. */
export async function writeTorchZip(file: string, { pickle, storages, others, compress = false }: ZipContent) {
  const zip = new ZipFile();
  const add = (name: string, bytes: Uint8Array) => zip.addBuffer(Buffer.from(bytes), `archive/${name}`, { compress });
  add("data.pkl", pickle);
  for (const [key, bytes] of Object.entries(storages ?? {})) add(`data/${key}`, bytes);
  for (const [name, text] of Object.entries(others ?? {})) add(name, Buffer.from(text));
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
}

/** The first three pickles of a legacy file. */
const legacyHead = Buffer.concat([
  Buffer.from("80028a0a6cfc9c46f9206aa850192e", "hex"), // the magic number
  Buffer.from("80024de9032e", "hex"), // 1001
  Buffer.from("80027d2e", "hex"), // the machine's formats: {}
]);

/** A legacy file with a value and nothing behind it. */
export const writeLegacy = (file: string, pickle: Uint8Array) =>
  writeFileSync(file, Buffer.concat([legacyHead, pickle]));

/** Every tensor of a file that `select` picks. */
export async function readAll(open: OpenWeightFile, file: string, select: (name: string) => boolean = () => true) {
  const weights = await open(file);
  try {
    const tensors: HostTensors = {};
    for (const name of weights.dtypes.keys()) if (select(name)) tensors[name] = await weights.read(name);
    return { tensors, dtypes: weights.dtypes };
  } finally {
    await weights.close();
  }
}
