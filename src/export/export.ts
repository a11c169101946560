// A merged folder, all of it or some of its tasks, in the format of another runtime.

import { stat } from "node:fs/promises";
import { modelError } from "../errors/errors";
import { blobsOf, checkBlob, readShared } from "../merge/folder/blobs";
import { readManifest } from "../merge/folder/version";
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
  "saved-model": async () => (await import("./saved-model/saved-model.js")).savedModel,
  tfjs: async () => (await import("./tfjs/tfjs.js")).tfjs,
  transformers: async () => (await import("./transformers/transformers.js")).transformers,
  safetensors: async () => (await import("./safetensors/safetensors-folder.js")).safetensorsFolder,
};

interface Ready {
  readonly format: ExportFormat;
  readonly source: ExportSource;
  readonly about: About;
}

/**
 * The model, where it can be exported to that place.
 * Throws usageError (2) where something lies there already, modelError (4) for a folder that is no merged model, a task that
 * it has not, or a model that the format cannot hold.
 */
export async function requireExportable(request: ExportRequest): Promise<Ready> {
  const format = await formats[request.format]();
  requireRoom(request, format);
  const source = await readSource(request);
  const { model, manifest } = source;
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  let bytes = 0;
  for (const blob of [...shared, ...own]) bytes += (await stat(await checkBlob(model, blob))).size;
  const tasks = manifest.tasks.map(({ name }) => name);
  const about = { format: request.format, out: request.out, bytes, tasks, contents: format.contents(source) };
  return { format, source, about };
}

/** What an export would write. Throws as {@link requireExportable} does. */
export const planExport = async (request: ExportRequest): Promise<ExportPlan> =>
  (await requireExportable(request)).about;

/**
 * Writes the folder, which appears complete and checked or not at all.
 * Throws as {@link requireExportable} does, toleranceError (5) where a task's logits differ from its branch's, failure (1).
 * @param tools null where the runtime of the format is absent: the model is written all the same
 */
export async function exportModel(request: ExportRequest, tools: CheckTools | null): Promise<Exported> {
  const { format, source, about } = await requireExportable(request);
  const { out } = request;
  return stageFolder(out, about.bytes, async (folder) => {
    await format.write(folder, source);
    const bytes = await folderBytes(folder);
    const check = tools && (await format.check(folder, out, source, tools));
    return { ...about, bytes, check };
  });
}

async function readSource({ model, kinds, tasks: names }: ExportRequest): Promise<ExportSource> {
  const manifest = await readManifest(model, kinds);
  const all = manifest.tasks.map(({ name }) => name);
  if (all.length === 0) throw modelError(`${model} has no task. Run: flexbert merge --out ${model}`);
  const missing = names?.find((name) => !all.includes(name));
  if (missing !== undefined) throw modelError(`${model} has no task ${missing}. It has ${all.join(", ")}`);
  const tasks = manifest.tasks.filter(({ name }) => !names || names.includes(name));
  const shared = await readShared(model, manifest);
  return { model, manifest: { ...manifest, tasks }, ...shared, alone: names !== undefined && tasks.length === 1 };
}
