// A merged model in the format of another runtime.

import type { OpenModelFile } from "../engines/model-file";
import type { CheckTools } from "../export/check/model-check";
import type { Exported, ExportPlan, ExportRequest } from "../export/export";
import { type ExportFormatName, exportFormatNames } from "../export/format";
import { type Given, readGiven } from "../options/given";
import { option, optional, toggle, type Values } from "../options/option";
import { choice, list, text } from "../options/readers";
import { engineOptions, exportPrecisions } from "../settings/engine";
import { modelFolder, versionOption } from "../settings/model";
import { taskOptions } from "../settings/tasks";
import { type Call, type Caller, callOf } from "./caller";
import { checkTools, openerOrWarning } from "./model-check";
import { openSession, type Session, userTasks } from "./session";

export const exportOptions = {
  model: option(text, {
    ...modelFolder("--model"),
    help: "the merged folder",
    fallback: "merged",
  }),
  ...versionOption,
  task: optional(list, {
    flag: "--task",
    short: "-t",
    value: "<names>",
    help: "these of its tasks, without the layers of the others (default all)",
  }),
  out: optional(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "the folder to make; TensorFlow Serving wants NAME/VERSION (default the format's name; saved-model/1)",
  }),
  precision: option(choice(exportPrecisions), {
    flag: "--precision",
    value: "<form>",
    help: "how onnx has its weights: float32, float16 (computed in float32), or int8, of a folder that flexbert quantize made so",
    fallback: "float32",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "replace an export of the same format that is there" }),
  python: option(text, {
    flag: "--python",
    value: "<program>",
    help: "the Python that has transformers, with which transformers' folders are checked",
    fallback: "python3",
  }),
  tasks: taskOptions.tasks,
  glueData: taskOptions.glueData,
  ...engineOptions,
};

type ExportValues = Values<typeof exportOptions>;

export interface ExportOptions extends Given<typeof exportOptions> {
  readonly format: ExportFormatName;
}

const readFormat = choice(exportFormatNames);

function requestOf(
  format: ExportFormatName,
  { model, version, out, force, task, precision }: ExportValues,
): ExportRequest {
  const place = out ?? (format === "saved-model" ? "saved-model/1" : format);
  return { format: readFormat(format), model, version, precision, out: place, force, ...(task ? { tasks: task } : {}) };
}

/** What an export would write: bytes of the weights, tasks, contents. Throws as {@link exportModel} does. */
export async function planExport({ format, ...options }: ExportOptions): Promise<ExportPlan> {
  const exporting = await import("../export/export.js");
  return exporting.planExport(requestOf(format, readGiven(exportOptions, options)));
}

/**
 * Writes a merged model, or some of its tasks, in another format, checked against its branches in the runtime of that
 * format where it is here; else a warning says so, and `check` is null.
 * Throws UserError (2) where something lies there, (4) for no merged model or one that the format cannot hold, (5) where
 * a logit differs by too much.
 */
export async function exportModel({ format, ...options }: ExportOptions, caller: Caller = {}): Promise<Exported> {
  const call = callOf(caller);
  const values = readGiven(exportOptions, options);
  const request = requestOf(format, values);
  const exporting = await import("../export/export.js");
  await exporting.requireExportable(request); // before an engine is opened for it
  const opened = await openCheck(format, values, call);
  try {
    return await exporting.exportModel(request, opened?.tools ?? null);
  } finally {
    opened?.close();
  }
}

/** A format's own runtime; open models are closed by who opened them. */
interface Runtime {
  readonly open: OpenModelFile;
  close?(): void;
}

async function openOnnxFiles({ threads }: ExportValues): Promise<Runtime> {
  const { onnxFileOpener } = await import("../engines/onnx/model-file.js");
  return { open: onnxFileOpener(threads === undefined ? {} : { threads }) };
}

const runtimes: Readonly<
  Record<
    ExportFormatName,
    {
      readonly name: string;
      /** The engine whose absence explains itself; null for what is no engine. */
      readonly engine: "onnx" | "tensorflow" | "wasm" | null;
      start(values: ExportValues, call: Call): Promise<Runtime>;
    }
  >
> = {
  onnx: {
    name: "model.onnx",
    engine: "onnx",
    start: openOnnxFiles,
  },
  "onnx-stages": {
    name: "each stage",
    engine: "onnx",
    start: openOnnxFiles,
  },
  "saved-model": {
    name: "the SavedModel",
    engine: "tensorflow",
    async start({ threads }, { verbose = false }) {
      const { savedModelOpener } = await import("../engines/tensorflow/saved-model-file.js");
      return { open: await savedModelOpener({ verbose, ...(threads === undefined ? {} : { threads }) }) };
    },
  },
  tfjs: {
    name: "the tfjs model",
    engine: "wasm",
    async start() {
      const { graphModelOpener } = await import("../engines/wasm/graph-model-file.js");
      return { open: await graphModelOpener() };
    },
  },
  transformers: {
    name: "the export",
    engine: null,
    async start({ python }) {
      const { startTransformers } = await import("../engines/transformers/transformers-file.js");
      return startTransformers(python);
    },
  },
  safetensors: {
    name: "the export",
    engine: null,
    // It opens its file itself, on the engine that runs the branches.
    start: async () => ({ open: () => Promise.reject(new Error("safetensors has no runtime of its own")) }),
  },
};

/** null, with a warning, where the runtime is absent. */
async function openCheck(
  format: ExportFormatName,
  values: ExportValues,
  call: Call,
): Promise<{ readonly tools: CheckTools; close(): void } | null> {
  const { name, engine, start } = runtimes[format];
  const runtime = await openerOrWarning({ name, engine, open: () => start(values, call) }, call.reporter);
  if (!runtime) return null;
  let session: Session | undefined;
  const close = () => {
    runtime.close?.();
    session?.close();
  };
  try {
    const { knownTasks } = await import("../tasks/registry.js");
    const tasks = knownTasks(await userTasks(values));
    session = await openSession({ engine: values.engine, device: values.device, threads: values.threads }, call);
    return { tools: checkTools(runtime.open, session, tasks, values.glueData), close };
  } catch (error) {
    close();
    throw error;
  }
}
