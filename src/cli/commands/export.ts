// flexbert export: a merged model in the format of another runtime.

import { exportOptions, exportSavedModel, planSavedModel } from "../../api/export";
import { usageError } from "../../errors/errors";
import { formatBytes } from "../../files/atomic";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { describeCheck } from "../model-check";

export const exportCommand = defineCommand({
  description:
    "Writes the merged model for TensorFlow Serving and others that load SavedModels: one graph with the shared layers in " +
    "it once, weights beside it. Inputs are input_ids, attention_mask and token_type_ids, int32 [batch, length]. The " +
    "signature serving_default gives the logits of every task under its name; a signature of a task's own name gives " +
    "that task alone and runs only the layers that it needs. The folder's assets.extra/ has labels, lengths, vocabulary and the base's licence. " +
    "Where TensorFlow is installed (flexbert engine install tensorflow), every output is compared with the branch run alone " +
    "before the folder appears. model.onnx needs no export: merge writes it.",
  arguments: [{ name: "<format>", help: "saved-model" }],
  options: { ...exportOptions, ...dryRun },
  examples: ["export saved-model --model merged/ --out serving/flexbert/1", "export saved-model --dry-run --json"],
  async run(values, terminal, [format]) {
    if (format !== "saved-model") {
      const hint = format === "onnx" ? ". Merge writes model.onnx into the merged folder" : "";
      throw usageError(`export takes saved-model, not ${format}${hint}. Run: flexbert export --help`);
    }
    const options = settingsOf(exportOptions, values);
    const { out } = values;
    if (values.dryRun) {
      const plan = await planSavedModel(options);
      if (terminal.json) terminal.printJson({ dryRun: true, ...plan });
      else
        terminal.print(
          `would write ${out}: about ${formatBytes(plan.bytes)}, signatures ${plan.signatures.join(", ")}`,
        );
      return;
    }
    const exported = await exportSavedModel(options, terminal);
    if (terminal.json) terminal.printJson(exported);
    else {
      const { bytes, signatures, check } = exported;
      terminal.print(`${out}: ${formatBytes(bytes)}, signatures ${signatures.join(", ")}; ${describeCheck(check)}`);
    }
  },
});
