// flexbert export: a merged model in the format of another runtime.

import { checkTools, describeCheck, openerOrWarning } from "../../api/model-check";
import { type EngineValues, openSession, userTasks } from "../../api/session";
import { usageError } from "../../errors/errors";
import type { CheckTools } from "../../export/check/model-check";
import { formatBytes } from "../../files/atomic";
import { option, toggle } from "../../options/option";
import { text } from "../../options/readers";
import { dryRun } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { taskOptions } from "../../settings/tasks";
import { defineCommand } from "../command";
import type { Terminal } from "../terminal";

export const exportCommand = defineCommand({
  summary: "a merged model as a TensorFlow SavedModel",
  description:
    "Writes the merged model for TensorFlow Serving and others that load SavedModels: one graph with the shared layers in " +
    "it once, weights beside it. Inputs are input_ids, attention_mask and token_type_ids, int32 [batch, length]. The " +
    "signature serving_default gives the logits of every task under its name; a signature of a task's own name gives " +
    "that task alone and runs only the layers that it needs. The folder's assets.extra/ has labels, lengths and vocabulary. " +
    "Where TensorFlow is installed (flexbert engine install tensorflow), every output is compared with the branch run alone " +
    "before the folder appears. model.onnx needs no export: merge writes it.",
  arguments: [{ name: "<format>", help: "saved-model" }],
  options: {
    model: option(text, {
      flag: "--model",
      short: "-m",
      value: "<folder>",
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
    ...dryRun,
  },
  examples: ["export saved-model --model merged/ --out serving/flexbert/1", "export saved-model --dry-run --json"],
  async run(values, terminal, [format]) {
    if (format !== "saved-model") {
      const hint = format === "onnx" ? ". Merge writes model.onnx into the merged folder" : "";
      throw usageError(`export takes saved-model, not ${format}${hint}. Run: flexbert export --help`);
    }
    const { exportSavedModel, planExport, requireExportable } = await import("../../export/saved-model/saved-model.js");
    const { model, out, force, dryRun } = values;
    if (dryRun) {
      const plan = await planExport({ model, out, force });
      if (terminal.json) terminal.printJson({ dryRun, ...plan });
      else
        terminal.print(
          `would write ${out}: about ${formatBytes(plan.bytes)}, signatures ${plan.signatures.join(", ")}`,
        );
      return;
    }
    await requireExportable({ model, out, force }); // before an engine is opened for it
    const check = await openCheck(values, terminal);
    try {
      const exported = await exportSavedModel({ model, out, force, check });
      if (terminal.json) terminal.printJson(exported);
      else {
        const { bytes, signatures } = exported;
        const found = describeCheck(exported.check);
        terminal.print(`${out}: ${formatBytes(bytes)}, signatures ${signatures.join(", ")}; ${found}`);
      }
    } finally {
      check?.engine.dispose();
    }
  },
});

interface CheckValues extends EngineValues {
  readonly tasks: string | undefined;
  readonly glueData: string;
}

/** null, with a warning, where TensorFlow is absent. */
async function openCheck(values: CheckValues, terminal: Terminal): Promise<CheckTools | null> {
  const { threads } = values;
  const open = async () => {
    const { savedModelOpener } = await import("../../engines/tensorflow/saved-model-file.js");
    return savedModelOpener({ verbose: terminal.verbose, ...(threads === undefined ? {} : { threads }) });
  };
  const opener = await openerOrWarning({ name: "the SavedModel", engine: "tensorflow", open }, terminal.reporter);
  if (!opener) return null;
  const { knownTasks } = await import("../../tasks/registry.js");
  const tasks = knownTasks(await userTasks(values));
  return checkTools(opener, await openSession(values, terminal), tasks, values.glueData);
}
