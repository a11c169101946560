// What merge asks of model.onnx: whether it is written, and what checks it.

import type { OpenModelFile } from "../../engines/model-file";
import type { OnnxRequest } from "../../export/onnx/onnx";
import type { Reporter } from "../../messages/reporter";
import type { DeviceChoice, EngineName } from "../../settings/engine";
import type { Call } from "../caller";
import { checkTools, openerOrWarning } from "../model-check";
import { openSession, userTasks } from "../session";

export interface OnnxValues {
  readonly noOnnx: boolean;
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly engine: EngineName | "auto";
  readonly device: DeviceChoice;
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
  const session = await openSession(values, call);
  try {
    return await work({ check: checkTools(open, session, tasks, values.glueData) });
  } finally {
    session.close();
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
