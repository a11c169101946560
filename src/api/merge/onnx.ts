// What merge asks of model.onnx: whether it is written, what checks it, and what is said of it.

import type { OpenModelFile } from "../../engines/model-file";
import type { OnnxReport, OnnxRequest } from "../../export/onnx/onnx";
import { formatBytes } from "../../files/atomic";
import type { Reporter } from "../../messages/reporter";
import type { EngineName } from "../../settings/engine";
import type { Call } from "../caller";
import { checkTools, describeCheck, openerOrWarning } from "../model-check";
import { openSession, userTasks } from "../session";

export interface OnnxValues {
  readonly noOnnx: boolean;
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly engine: EngineName | "auto";
  readonly threads: number | undefined;
}

/** Runs `work` with the request, and with the engine open that checks the file: none where onnxruntime-node is absent. */
export async function withOnnx<T>(
  values: OnnxValues,
  call: Call,
  work: (request: OnnxRequest | null) => Promise<T>,
): Promise<T> {
  if (values.noOnnx) return work(null);
  const open = await onnxOpenerOrWarning(values.threads, call.reporter);
  if (!open) return work({ check: null });
  const { knownTasks } = await import("../../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  const context = await openSession(values, call);
  try {
    return await work({ check: checkTools(open, context, tasks, values.glueData) });
  } finally {
    context.engine.dispose();
  }
}

/** What opens the file; null, with a warning, where onnxruntime-node is absent. */
export function onnxOpenerOrWarning(threads: number | undefined, reporter: Reporter): Promise<OpenModelFile | null> {
  const open = async () => {
    const { onnxFileOpener } = await import("../../engines/onnx/model-file.js");
    return onnxFileOpener(threads === undefined ? {} : { threads });
  };
  return openerOrWarning({ name: "model.onnx", engine: "onnx", open }, reporter);
}

/** One line: size, tasks, what the check found. */
export function describeOnnx({ file, bytes, weights, check }: OnnxReport, tasks: readonly { name: string }[]): string {
  const outputs = tasks.map(({ name }) => name).join(", ");
  const size = `${formatBytes(bytes)}${weights === "blobs" ? " (its weights stay in blobs/)" : ""}`;
  return `${file}: ${size}, outputs ${outputs}; ${describeCheck(check)}`;
}
