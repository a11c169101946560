// flexbert export: a merged model in the format of another runtime.

import { type ExportOptions, exportModel, exportOptions, planExport } from "../../api/export";
import { usageError } from "../../errors/errors";
import type { Exported, ExportPlan } from "../../export/export";
import { type ExportFormatName, exportFormatNames } from "../../export/format";
import { formatBytes } from "../../files/atomic";
import { didYouMean } from "../../messages/nearest";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { describeCheck } from "../model-check";

export const exportCommand = defineCommand({
  description:
    "Writes the merged model, or with --task some of its tasks, for other runtimes. Every output is compared with the " +
    "branch run alone, in the runtime of the format where it is installed, before the folder appears: a logit that is " +
    "off ends with exit code 5, and nothing is left.\n\n" +
    "onnx: one graph with readable node names, weights inside; inputs are int64 [batch, length]. " +
    "onnx-stages: of tasks whose texts may leave early the layers between stops, each an ONNX file, and the rule in stages.json. " +
    "saved-model: for TensorFlow Serving; serving_default gives every task, a signature of a task's own name runs only " +
    "what that task needs. " +
    "tfjs: a GraphModel in shards of 4 MB for browsers and Node. " +
    "transformers: a BertForSequenceClassification a task, which pipeline() loads; checked with --python. " +
    "safetensors: a task's weights in one file with a README, for any other server. onnx-stages and the last two make a folder a task; " +
    "one task asked for is the folder itself.",
  arguments: [{ name: "<format>", help: exportFormatNames.join(", ") }],
  options: { ...exportOptions, ...dryRun },
  examples: [
    "export onnx --model merged/ --out onnx/",
    "export saved-model --model merged/ --out serving/flexbert/1",
    "export onnx-stages --task sst2 --out stages/",
    "export transformers --task rte --out rte-bert/ --python .venv/bin/python",
    "export tfjs --task sst2 --dry-run --json",
  ],
  async run(values, terminal, [given = ""]) {
    const format = exportFormatNames.find((name) => name === given);
    if (!format) {
      throw usageError(
        `export takes ${exportFormatNames.join(", ")}, not ${given}${didYouMean(given, exportFormatNames)}. Run: flexbert export --help`,
      );
    }
    const options: ExportOptions = { format, ...settingsOf(exportOptions, values) };
    if (values.dryRun) {
      const plan = await planExport(options);
      if (terminal.json) terminal.printJson({ dryRun: true, ...printed(plan) });
      else terminal.print(`would write ${plan.out}: about ${formatBytes(plan.bytes)}, ${contents(plan)}`);
      return;
    }
    const exported = await exportModel(options, terminal);
    if (terminal.json) terminal.printJson(printed(exported));
    else {
      const { out, bytes, check } = exported;
      terminal.print(`${out}: ${formatBytes(bytes)}, ${contents(exported)}; ${describeCheck(check)}`);
    }
  },
});

/** What the format holds stands beside the rest: `signatures`, `outputs` or `folders`. */
const printed = <T extends ExportPlan | Exported>({ contents: held, ...rest }: T) => ({ ...rest, ...held });

const contents = ({ contents: held }: { readonly format: ExportFormatName } & ExportPlan): string =>
  Object.entries(held)
    .map(([what, names]) => (names[0] === "." ? "the task's own folder" : `${what} ${names.join(", ")}`))
    .join("; ");
