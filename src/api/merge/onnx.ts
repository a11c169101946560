// What merge asks of what it writes for onnxruntime: whether model.onnx is written, and what checks it and the stored pieces.

import type { Engine } from "../../engines/engine";
import type { OpenModelFile } from "../../engines/model-file";
import type { PieceTools } from "../../export/pieces/pieces-check";
import type { CheckRequest } from "../../merge/checks";
import type { Reporter } from "../../messages/reporter";
import type { DeviceChoice, EngineName } from "../../settings/engine";
import type { Task } from "../../tasks/task";
import type { Call } from "../caller";
import { branchTools, checkTools, openerOrWarning } from "../model-check";
import { openSession, type Session, userTasks } from "../session";

export interface OnnxValues {
  readonly noOnnx: boolean;
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly engine: EngineName | "auto";
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
}

/** Runs `work` with what is asked, and with the engines open that check it: none where onnxruntime-node is absent. */
export async function withChecks<T>(
  values: OnnxValues,
  call: Call,
  work: (checks: CheckRequest) => Promise<T>,
): Promise<T> {
  const { noOnnx, threads, glueData } = values;
  const open = await onnxOpenerOrWarning(threads, call.reporter, noOnnx ? "each stored piece" : "model.onnx");
  if (!open) return work({ onnx: noOnnx ? null : { check: null }, pieces: null });
  const { knownTasks } = await import("../../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  const session = await openSession(values, call);
  try {
    return await withPieces(session, threads, { tasks, glueData }, (pieces) =>
      work({ onnx: noOnnx ? null : { check: checkTools(open, session, tasks, glueData) }, pieces }),
    );
  } finally {
    session.close();
  }
}

/** Runs `work` with what checks stored pieces: on the engine that is open where it runs them, as predict does. */
export async function withPieces<T>(
  session: Pick<Session, "engine" | "reporter" | "signal">,
  threads: number | undefined,
  { tasks, glueData }: { readonly tasks: readonly Task[]; readonly glueData: string },
  work: (pieces: PieceTools) => Promise<T>,
): Promise<T> {
  const { storedRunner } = await import("../../predict/segments/run-stored.js");
  const own = session.engine.openGraph && session.engine.device === "cpu" ? null : await openOnnx(threads);
  try {
    return await work({
      ...branchTools(session, tasks, glueData),
      runStored: storedRunner(own ?? session.engine),
    });
  } finally {
    own?.dispose();
  }
}

async function openOnnx(threads: number | undefined): Promise<Engine> {
  const { openEngine } = await import("../../engines/open.js");
  return (await openEngine("onnx", threads === undefined ? {} : { threads })).engine;
}

/** What opens the file; null, with a warning, where onnxruntime-node is absent. */
export function onnxOpenerOrWarning(
  threads: number | undefined,
  reporter: Reporter,
  name = "model.onnx",
): Promise<OpenModelFile | null> {
  const open = async () => {
    const { onnxFileOpener } = await import("../../engines/onnx/model-file.js");
    return onnxFileOpener(threads === undefined ? {} : { threads });
  };
  return openerOrWarning({ name, engine: "onnx", open }, reporter);
}
