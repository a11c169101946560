// A merged folder, all of it or some of its tasks, in the format of another runtime.

import { stat } from "node:fs/promises";
import { modelError, usageError } from "../errors/errors";
import { blobsOf, readShared, requireShapes } from "../merge/folder/blobs";
import { type Int8Parts, int8BlobsOf } from "../merge/folder/int8";
import { readInt8 } from "../merge/folder/int8-blobs";
import type { Blob, Manifest, MergedTask } from "../merge/folder/manifest";
import { type OpenVersion, openVersion } from "../merge/folder/version";
import type { ExportPrecision } from "../settings/engine";
import type { Kinds } from "../tasks/kinds/kind";
import type { CheckTools, ModelCheck } from "./check/model-check";
import type { ExportFormat, ExportFormatName, ExportSource } from "./format";
import { folderBytes, requireRoom, stageFolder, type Target } from "./target";

export interface ExportRequest extends Target {
  readonly format: ExportFormatName;
  /** The merged folder. */
  readonly model: string;
  /** Hash or tag; the current one by default. */
  readonly version?: string | undefined;
  /** Of its tasks; all of them where it is left out. */
  readonly tasks?: readonly string[];
  /** How it has its weights; float32 by default. */
  readonly precision?: ExportPrecision;
  /** The kinds that tasks of the folder may have; flexbert's by default. */
  readonly kinds?: Kinds;
}

interface About {
  readonly format: ExportFormatName;
  readonly out: string;
  readonly bytes: number;
  readonly tasks: readonly string[];
  /** What is in it beside the tasks: signatures of a SavedModel, folders of tasks. */
  readonly contents: Readonly<Record<string, readonly string[]>>;
}

/** Its bytes are those of the weights, which are nearly all of it. */
export type ExportPlan = About;

export interface Exported extends About {
  /** null where the runtime that would check it is absent. */
  readonly check: ModelCheck | null;
}

/** Formats by name, each loaded when it is asked for. */
const formats: Readonly<Record<ExportFormatName, () => Promise<ExportFormat>>> = {
  onnx: async () => (await import("./onnx/onnx-folder.js")).onnxFolder,
  "onnx-stages": async () => (await import("./onnx-stages/stages-folder.js")).onnxStages,
  "saved-model": async () => (await import("./saved-model/saved-model.js")).savedModel,
  tfjs: async () => (await import("./tfjs/tfjs.js")).tfjs,
  transformers: async () => (await import("./transformers/transformers.js")).transformers,
  safetensors: async () => (await import("./safetensors/safetensors-folder.js")).safetensorsFolder,
};

interface Opened {
  readonly format: ExportFormat;
  readonly source: ExportSource;
  readonly about: About;
  /** The version's files are the source's until then, whatever gc removes. */
  close(): Promise<void>;
}

/**
 * Whether the model can be exported to that place.
 * Throws usageError (2) where something lies there already, modelError (4) for a folder that is no merged model, a version or a
 * task that it has not, or a model that the format cannot hold.
 */
export async function requireExportable(request: ExportRequest): Promise<void> {
  await (await openSource(request)).close();
}

/** What an export would write. Throws as {@link requireExportable} does. */
export async function planExport(request: ExportRequest): Promise<ExportPlan> {
  const { about, close } = await openSource(request);
  await close();
  return about;
}

/**
 * Writes the folder, which appears complete and checked or not at all.
 * Throws as {@link requireExportable} does, toleranceError (5) where a task's logits differ from its branch's, failure (1).
 * @param tools null where the runtime of the format is absent: the model is written all the same
 */
export async function exportModel(request: ExportRequest, tools: CheckTools | null): Promise<Exported> {
  const { format, source: stored, about, close } = await openSource(request);
  const { out } = request;
  try {
    const source = stored.precision === "int8" ? await asItRunsHere(stored, tools) : stored;
    return await stageFolder(out, about.bytes, async (folder) => {
      await format.write(folder, source);
      const bytes = await folderBytes(folder);
      const check = tools && (await format.check(folder, out, source, tools));
      return { ...about, bytes, check };
    });
  } finally {
    await close();
  }
}

/** On a processor that saturates products of bytes int8 is what predict runs there: other weights than the file's would be checked. */
async function asItRunsHere(source: ExportSource, tools: CheckTools | null): Promise<ExportSource> {
  if (!(await tools?.engine.saturates?.())) return source;
  tools?.warn(
    "this processor saturates int8 products of 8 bits (x86 without VNNI): the file has weights of 7 bits, which are right on every " +
      "processor. Export on one with VNNI for all 8",
  );
  const { forSaturating } = await import("../compile/onnx/packed.js");
  return {
    ...source,
    async readInt8(tasks) {
      const weights = Object.entries(await source.readInt8(tasks));
      return Object.fromEntries(weights.map(([name, own]) => [name, "codes" in own ? forSaturating(own) : own]));
    },
  };
}

async function openSource(request: ExportRequest): Promise<Opened> {
  const format = await formats[request.format]();
  requireRoom(request, format);
  const { model, version, kinds, tasks: names } = request;
  const blobs = ({ tasks, ...shared }: Manifest) => {
    const wanted = chosen(tasks, names);
    const { shared: under, own } = blobsOf(shared, wanted);
    const ramps = format.ramps ? wanted.flatMap(({ exits }) => exits?.ramps ?? []) : [];
    return [...under, ...own, ...ramps].map(({ file }) => file);
  };
  const opened = await openVersion(model, { version, kinds }, blobs);
  try {
    const { precision = "float32" } = request;
    requirePrecision(opened, format, precision);
    const source = await sourceOf(opened, names, precision);
    const tasks = source.manifest.tasks.map(({ name }) => name);
    const about = { format: request.format, out: request.out, tasks, contents: format.contents(source) };
    return { format, source, about: { ...about, bytes: source.bytes }, close: opened.close };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

const chosen = (tasks: readonly MergedTask[], names: readonly string[] | undefined) =>
  tasks.filter(({ name }) => !names || names.includes(name));

/** Throws usageError (2) for what the format does not hold, modelError (4) for int8 that the version has not. */
function requirePrecision({ folder, manifest }: OpenVersion, format: ExportFormat, precision: ExportPrecision): void {
  if (precision === "float32") return;
  if (!format.precisions.includes(precision)) {
    const takes = ["float32", ...format.precisions].join(", ");
    throw usageError(`--precision ${precision}: export ${format.name} writes ${takes}`);
  }
  if (precision === "int8" && !manifest.int8) {
    throw modelError(`${folder} has no int8 weights. Run: flexbert quantize --merged ${folder}`);
  }
}

async function sourceOf(
  opened: OpenVersion,
  names: readonly string[] | undefined,
  precision: ExportPrecision,
): Promise<ExportSource> {
  const { folder, manifest, pathOf, readTensors, readRamps, readBytes } = opened;
  const all = manifest.tasks.map(({ name }) => name);
  if (all.length === 0) throw modelError(`${folder} has no task. Run: flexbert merge --out ${folder}`);
  const missing = names?.find((name) => !all.includes(name));
  if (missing !== undefined) throw modelError(`${folder} has no task ${missing}. It has ${all.join(", ")}`);
  const tasks = chosen(manifest.tasks, names);
  const texts = await readShared(folder, manifest);
  const { int8 } = manifest;
  let bytes = 0;
  for (const blob of precision === "int8" && int8 ? int8BlobsOf(int8, tasks) : float32Blobs(manifest, tasks)) {
    bytes += (await stat(pathOf(blob))).size;
  }
  if (precision === "float16") bytes /= 2;
  const readPacked = (wanted: readonly MergedTask[]) => readInt8(folder, int8 as Int8Parts, wanted);
  const alone = names !== undefined && tasks.length === 1;
  return {
    manifest: { ...manifest, tasks },
    ...texts,
    precision,
    bytes,
    readTensors: async (chosen) => requireShapes(folder, await readTensors(chosen), texts.config),
    readInt8: readPacked,
    readRamps: (task) => readRamps([task]),
    readBytes,
    alone,
  };
}

function float32Blobs(manifest: Manifest, tasks: readonly MergedTask[]): Blob[] {
  const { shared, own } = blobsOf(manifest, tasks);
  return [...shared, ...own];
}
