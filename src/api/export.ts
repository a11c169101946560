// A merged model in the format of another runtime.

import type { CheckTools } from "../export/check/model-check";
import type { Exported, ExportPlan } from "../export/saved-model/saved-model";
import { type Given, readGiven } from "../options/given";
import { option, toggle, type Values } from "../options/option";
import { text } from "../options/readers";
import { engineOptions } from "../settings/engine";
import { modelFolder } from "../settings/model";
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
  out: option(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "the folder to make; TensorFlow Serving wants NAME/VERSION",
    fallback: "saved-model/1",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "replace a SavedModel that is there" }),
  tasks: taskOptions.tasks,
  glueData: taskOptions.glueData,
  ...engineOptions,
};

export type ExportOptions = Given<typeof exportOptions>;

/** What an export would write: bytes of the weights, and the signatures. Throws as {@link exportSavedModel} does. */
export async function planSavedModel(options: ExportOptions = {}): Promise<ExportPlan> {
  const { planExport } = await import("../export/saved-model/saved-model.js");
  return planExport(readGiven(exportOptions, options));
}

/**
 * Writes the merged model as a TensorFlow SavedModel, checked against its branches where TensorFlow is installed.
 * Throws UserError (2) where something lies there, (4) for no merged model, (5) where a logit differs by too much.
 */
export async function exportSavedModel(options: ExportOptions = {}, caller: Caller = {}): Promise<Exported> {
  const call = callOf(caller);
  const values = readGiven(exportOptions, options);
  const exporting = await import("../export/saved-model/saved-model.js");
  const { model, out, force } = values;
  await exporting.requireExportable({ model, out, force }); // before an engine is opened for it
  const opened = await openCheck(values, call);
  try {
    return await exporting.exportSavedModel({ model, out, force, check: opened?.tools ?? null });
  } finally {
    opened?.session.close();
  }
}

/** null, with a warning, where TensorFlow is absent. */
async function openCheck(
  values: Values<typeof exportOptions>,
  call: Call,
): Promise<{ readonly tools: CheckTools; readonly session: Session } | null> {
  const { threads } = values;
  const open = async () => {
    const { savedModelOpener } = await import("../engines/tensorflow/saved-model-file.js");
    return savedModelOpener({ verbose: call.verbose ?? false, ...(threads === undefined ? {} : { threads }) });
  };
  const opener = await openerOrWarning({ name: "the SavedModel", engine: "tensorflow", open }, call.reporter);
  if (!opener) return null;
  const { knownTasks } = await import("../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  const session = await openSession(values, call);
  return { tools: checkTools(opener, session, tasks, values.glueData), session };
}
