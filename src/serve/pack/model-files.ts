// One version of a merged folder as a folder of its own: its weights in one form, the graphs of its pieces, tokenizer and
// config. It is read as every merged folder is, and has no history.

import { existsSync } from "node:fs";
import path from "node:path";
import { modelError, usageError } from "../../errors/errors";
import { stamped } from "../../files/format";
import { sha256File } from "../../files/hash";
import { blobsOf, readShared, requireHash } from "../../merge/folder/blobs";
import { int8BlobsOf } from "../../merge/folder/int8";
import { readInt8 } from "../../merge/folder/int8-blobs";
import { type Blob, MANIFESTS, type Manifest, type MergedTask } from "../../merge/folder/manifest";
import { piecesOf } from "../../merge/folder/pieces";
import { POINTER, readState, tagsOf } from "../../merge/folder/pointer";
import { type FoundVersion, versionFile } from "../../merge/folder/version";
import type { Stretch } from "../../model/stretches";
import { trunkStretches } from "../../predict/segments/pieces";
import type { WeightForm } from "../../settings/engine";
import { copied, type PackedFile, written } from "./contents";
import { SEVEN_BITS, stretchName } from "./seven-bits";

export interface ModelRequest {
  readonly folder: string;
  /** Names of tasks; all without them. */
  readonly tasks?: readonly string[] | undefined;
  /** By default int8 where the version has it. */
  readonly weights?: WeightForm | undefined;
  /** Whether processors that saturate products of bytes may run it: x86 without VNNI. Then int8 comes in 7 bits too. */
  readonly maySaturate: boolean;
}

export interface PackedModel {
  readonly version: string;
  readonly weights: WeightForm;
  readonly tasks: readonly string[];
  readonly files: readonly PackedFile[];
}

/** Tokenizer and config of a merged folder, as far as there are such. */
const sidecars = [
  "config.json",
  "vocab.txt",
  "tokenizer_config.json",
  "tokenizer.json",
  "added_tokens.json",
  "LICENSE",
];

/**
 * Throws usageError (2) for int8 that the version has not, modelError (4) for a task that it has not or none at all, for a version without graphs,
 * and for files that are missing or others than were merged.
 */
export async function modelFiles(
  { id, manifest }: FoundVersion,
  { folder, tasks: names, weights: asked, maySaturate }: ModelRequest,
  under: string,
): Promise<PackedModel> {
  const tasks = chosenTasks(folder, manifest, names);
  if (asked === "int8" && !manifest.int8) {
    throw usageError(`${folder} has no int8 weights. Run: flexbert quantize --merged ${folder}`);
  }
  const weights = asked ?? (manifest.int8 ? "int8" : "float32");
  const blobs = [...weightBlobs(manifest, tasks, weights), ...graphs(folder, manifest, tasks, weights)];
  const sourceOf = (file: string) => {
    const source = path.join(folder, file);
    if (!existsSync(source)) throw modelError(`${source} is missing, which the folder's manifest names. Merge again`);
    return source;
  };
  const copy = (file: string) => copied(`${under}${file}`, sourceOf(file), "model");
  await readShared(folder, manifest); // held to what was merged, as every file is
  for (const { file, sha256 } of blobs) requireHash(sourceOf(file), await sha256File(sourceOf(file)), sha256);
  const files = [
    written(`${under}${POINTER}`, await pointerOf(folder, id), "model"),
    copied(`${under}${MANIFESTS}/${id}.json`, versionFile(folder, id, ".json"), "model"),
    ...sidecars.filter((name) => existsSync(path.join(folder, name))).map(copy),
    ...blobs.map(({ file }) => copy(file)),
  ];
  if (weights === "int8" && maySaturate) files.push(...(await sevenBits(folder, manifest, tasks, under)));
  return { version: id, weights, tasks: tasks.map(({ name }) => name), files };
}

function chosenTasks(folder: string, { tasks }: Manifest, names: readonly string[] | undefined): readonly MergedTask[] {
  if (tasks.length === 0) throw modelError(`${folder} has no task. Run: flexbert add --merged ${folder} --task NAME`);
  const missing = names?.find((name) => !tasks.some((task) => task.name === name));
  if (missing === undefined) return tasks.filter(({ name }) => names?.includes(name) ?? true);
  throw modelError(`${folder} has no task ${missing}. It has ${tasks.map(({ name }) => name).join(", ")}`);
}

function weightBlobs(manifest: Manifest, tasks: readonly MergedTask[], weights: WeightForm) {
  if (weights === "int8" && manifest.int8) return int8BlobsOf(manifest.int8, tasks);
  const { shared, own } = blobsOf(manifest, tasks);
  return [...shared, ...own];
}

const stretchesFor = (manifest: Manifest, tasks: readonly MergedTask[]): Stretch[] =>
  trunkStretches(
    tasks,
    manifest.tasks.flatMap(({ fork }) => fork ?? []),
  );

function graphs(folder: string, manifest: Manifest, tasks: readonly MergedTask[], weights: WeightForm): Blob[] {
  const pieces = piecesOf(manifest.pieces, weights);
  if (!pieces) {
    throw modelError(
      `${folder} has no graphs of its pieces: an early flexbert merged it, and to trace them takes TensorFlow.js, which a ` +
        "pack has not. Merge again, or change it once (flexbert update, flexbert quantize)",
    );
  }
  const stretches = stretchesFor(manifest, tasks).map(({ from, to, bottom }) => {
    const found = pieces.stretches.find((one) => one.from === from && one.to === to && one.bottom === bottom);
    if (!found) throw modelError(`${folder} has no graph of layers ${from}-${to}. Merge again`);
    return found;
  });
  return [...stretches, ...tasks.map(({ name }) => pieces.branches[name] as Blob)];
}

async function pointerOf(folder: string, id: string): Promise<string> {
  const { pointer } = await readState(folder);
  const entry = pointer.log.findLast(({ version }) => version === id);
  const log = [entry ?? { version: id, time: new Date(0).toISOString(), command: "pack", note: null }];
  const tags = Object.fromEntries(tagsOf(pointer, id).map((tag) => [tag, id]));
  return `${JSON.stringify(stamped({ format: 2, current: id, tags, log }), null, 2)}\n`;
}

/** Graphs for processors on which products of 8 bits are wrong. To make them takes TensorFlow.js: now, and not there. */
async function sevenBits(
  folder: string,
  manifest: Manifest,
  tasks: readonly MergedTask[],
  under: string,
): Promise<PackedFile[]> {
  if (!manifest.int8) return [];
  const { loweredGraphs } = await import("../../predict/segments/lowered.js");
  const { config } = await readShared(folder, manifest);
  const tensors = await readInt8(folder, manifest.int8, tasks);
  const graphs = loweredGraphs({ config, tasks, tensors }, true);
  const files: PackedFile[] = [];
  for (const stretch of stretchesFor(manifest, tasks)) {
    const name = `${under}${SEVEN_BITS}/${stretchName(stretch)}`;
    files.push(written(name, await graphs.stretch(stretch), "model"));
  }
  for (const { name } of tasks) {
    files.push(written(`${under}${SEVEN_BITS}/${name}.onnx`, await graphs.branch(name), "model"));
  }
  return files;
}
