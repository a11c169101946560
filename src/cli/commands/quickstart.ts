// flexbert quickstart: the whole pipeline on the sample tasks, to see it work and what it saves.

import {
  type QuickstartResult,
  quickstart,
  quickstartLayers,
  quickstartOptions,
  quickstartRows,
} from "../../api/quickstart";
import { formatBytes } from "../../files/atomic";
import { formatCount, formatLayers, formatScore, formatSeconds } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";
import { describeOnnx } from "../model-check";
import { type Terminal, table } from "../terminal";

export const quickstartCommand = defineCommand({
  description:
    "Pulls MiniLM (6 layers), or says that it cannot and uses a small random base; fine-tunes three sample tasks at " +
    "k = 1 to 3, distils each teacher to 1 layer, merges them, compares the merged model with the separate ones and " +
    "predicts. The sample tasks are made up by a script: their scores mean nothing beyond that the pipeline works.",
  options: quickstartOptions,
  examples: ["quickstart", "quickstart --engine wasm --out my-merged"],
  async run(values, terminal) {
    const result = await quickstart(settingsOf(quickstartOptions, values), terminal);
    if (terminal.json) terminal.printJson(result);
    else print(result, values.out, terminal);
  },
});

function print(result: QuickstartResult, out: string, terminal: Terminal): void {
  const { engine, base, baseLayers, seconds, overhead: cost, saved, difference, onnx, predictions, tasks } = result;
  const whole = tasks.length * baseLayers;
  const scores = result.scores.map(({ task, byK, teacher, student }) => [
    ...[task, ...byK.map((score) => formatScore(score)), `k=${teacher}`, formatScore(student)],
  ]);
  terminal.print(`dev scores in points, on made-up tasks and the base ${base}`);
  terminal.print(
    `${table(["task", ...quickstartLayers.map((k) => `k=${k}`), "teacher", "student, 1 layer"], scores)}\n`,
  );
  terminal.print(
    `merged and separate models agree on ${quickstartRows} dev rows a task: largest difference of a logit ${difference.toExponential(1)}`,
  );
  if (onnx) terminal.print(`${describeOnnx(onnx, tasks)}\n`);
  terminal.print(`${table(["text", "task", "label", "score"], predictions)}\n`);
  terminal.print(
    `layers      ${cost.layers} of ${whole} (${formatLayers(cost)})\n` +
      `parameters  ${formatCount(saved.parameters)} of ${formatCount(saved.separateParameters)}\n` +
      `bytes       ${formatBytes(4 * saved.parameters)} of ${formatBytes(4 * saved.separateParameters)}\n` +
      `time        ${formatSeconds(seconds)} on ${engine}`,
  );
  terminal.print(`\nnext: flexbert predict --model ${out} "your own text"`);
}
