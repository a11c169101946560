// What merge asks of model.onnx: whether it is written, what checks it, and what is said of it.

import type { Engine, EngineName } from "../engines/engine";
import type { OpenOnnxFile } from "../engines/onnx-file";
import { formatBytes } from "../files/atomic";
import type { OnnxReport, OnnxRequest } from "../merge/onnx";
import type { Task } from "../tasks/task";
import type { Reporter, RunContext } from "../training/reporter";
import { openSession, userTasks } from "./session";
import type { Terminal } from "./terminal";

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
  terminal: Terminal,
  work: (request: OnnxRequest | null) => Promise<T>,
): Promise<T> {
  if (values.noOnnx) return work(null);
  const open = await openerOrWarning(values.threads, terminal.reporter);
  if (!open) return work({ check: null });
  const { knownTasks } = await import("../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  const context = await openSession(values, terminal);
  try {
    return await work(checkedOnnx(open, context, tasks, values.glueData));
  } finally {
    context.engine.dispose();
  }
}

/** The request for a file that is checked. */
export function checkedOnnx(
  open: OpenOnnxFile,
  { engine, signal, reporter }: RunContext<Engine>,
  tasks: readonly Task[],
  glueData: string,
): OnnxRequest {
  const taskOf = (name: string) => tasks.find((task) => task.name === name);
  return { check: { engine, open, signal, glueData, taskOf, warn: reporter.warn } };
}

/** What opens the file; null, with a warning that says so, where onnxruntime-node is absent. */
export async function openerOrWarning(threads: number | undefined, reporter: Reporter): Promise<OpenOnnxFile | null> {
  const { onnxFileOpener } = await import("../engines/onnx-file.js");
  try {
    return onnxFileOpener(threads === undefined ? {} : { threads });
  } catch (error) {
    const { explainAbsence } = await import("../engines/open.js");
    const { reason, remedy } = explainAbsence("onnx", error);
    reporter.warn(`model.onnx is written but NOT CHECKED: ${reason}. ${remedy}`);
    return null;
  }
}

/** One line: size, tasks, what the check found. */
export function describeOnnx({ file, bytes, weights, check }: OnnxReport, tasks: readonly { name: string }[]): string {
  const outputs = tasks.map(({ name }) => name).join(", ");
  const size = `${formatBytes(bytes)}${weights === "blobs" ? " (its weights stay in blobs/)" : ""}`;
  if (!check) return `${file}: ${size}, outputs ${outputs}; not checked`;
  const rows = check.batches.reduce((sum, batch) => sum + batch.rows, 0);
  const sources = new Set(check.tasks.map((task) => (task.rows === "sample texts" ? task.rows : "dev rows")));
  const difference = check.largestDifference.toExponential(1);
  return `${file}: ${size}, outputs ${outputs}; largest difference from the branches alone ${difference} on ${rows} ${[...sources].join(" and ")}`;
}
