// flexbert quantize: int8 weights of a merged folder.

import { planQuantize, type QuantizeOptions, quantize, quantizeOptions } from "../../api/quantize";
import { ruleInWords } from "../../exits/words";
import { formatBytes } from "../../files/atomic";
import { formatScore } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import type { FittedExits, FittedTask } from "../../quantise/fit";
import type { Quantised } from "../../quantise/quantise-folder";
import { configOption, dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { table } from "../terminal";

export const quantizeCommand = defineCommand({
  description:
    "Makes a version of a merged folder with int8 weights beside those of float32: a quarter of the bytes, and on " +
    "processors with int8 products three to five times as fast. The onnx engine runs them from then on in predict and eval " +
    "(--weights float32 runs the others); other engines run float32. Every row has a scale of its own, so no answer depends " +
    "on the batch that its text falls into. Each task's dev score is measured before and after. One that loses more than " +
    "--max-drop gets outliers moved from its rows into its weights, then its worst weights in float32, until it holds. Tasks " +
    "without dev rows are compared on --file or on sample texts, without a score. flexbert update and add make new branches " +
    "int8 in the same version. Texts that leave early do so in int8 by a threshold of its own, decided on its dev rows. flexbert " +
    "rollback goes back.",
  options: { ...quantizeOptions, ...configOption, ...dryRun },
  examples: [
    "quantize --merged merged/",
    "quantize --merged merged/ --max-drop 0.5 --max-eval-samples 2000",
    "quantize --merged merged/ --file texts.txt --json",
  ],
  async run(values, terminal) {
    const options: QuantizeOptions = settingsOf(quantizeOptions, values);
    const { merged } = values;
    if (values.dryRun) {
      const plan = await planQuantize(options);
      if (terminal.json) return terminal.printJson({ dryRun: true, ...plan });
      for (const { task, source, scored } of plan.tasks) {
        terminal.print(`would measure ${task} on ${source}${scored ? "" : ", without a score"}`);
      }
      return terminal.print(`would make a version of ${merged} from ${plan.version}`);
    }
    const quantised = await quantize(options, terminal);
    if (terminal.json) return terminal.printJson(quantised);
    terminal.print(
      table(["task", "rows", "float32", "int8", "largest difference", "equal labels"], quantised.tasks.map(line)),
    );
    for (const text of summary(merged, quantised)) terminal.print(text);
  },
});

const line = ({ task, rows, before, after, largest, equalLabels }: FittedTask): string[] => [
  task,
  String(rows),
  formatScore(before, "score not measured"),
  formatScore(after),
  largest.toPrecision(2),
  equalLabels === null ? "-" : `${(100 * equalLabels).toFixed(1)} %`,
];

const describeExits = (task: string, { rule, why, float32 }: FittedExits): string =>
  rule
    ? `${task} in int8: ${ruleInWords(rule)}; in float32 ${float32.measured.layers.toFixed(2)}`
    : `${task}: texts do not leave early in int8 (${why}); --weights float32 has its exits`;

function summary(merged: string, { tasks, float32, moved, version, isNew, bytes }: Quantised): string[] {
  const unscored = tasks.filter(({ before }) => before === null);
  const share = Math.round((100 * bytes.int8) / bytes.float32);
  return [
    ...tasks.flatMap(({ task, exits }) => (exits ? [describeExits(task, exits)] : [])),
    ...unscored.map(({ task, source }) => `${task}: score not measured, logits compared on ${source}`),
    ...(moved.length > 0 ? [`outliers moved into: ${moved.join(", ")}`] : []),
    ...(float32.length > 0 ? [`in float32: ${float32.join(", ")}`] : []),
    `${merged}: version ${version}${isNew ? "" : " as before"}, int8 weights ${formatBytes(bytes.int8)} (${share} % of float32's ${formatBytes(bytes.float32)})`,
  ];
}
