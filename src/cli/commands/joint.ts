// flexbert joint: one model that several tasks train together, and a head for each of them.

import { type JointModel, joint, jointOptions, type PlannedModel, planJoint } from "../../api/joint";
import { formatBytes } from "../../files/atomic";
import { formatCount, formatScore, formatSeconds } from "../../messages/quantities";
import { settingsOf } from "../../options/settings";
import { configOption, dryRun } from "../../settings/call";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const jointCommand = defineCommand({
  description:
    "Trains every layer and the embeddings on all of the tasks together, a batch of one task a step, with one output layer a task " +
    "(MT-DNN).\nWhat is left is a base, which --base takes, and for each task a run of k = 0 on it: merge --base MODEL makes one model " +
    "of them. A task that was not known then gets a head alone over the frozen model, as --leave-out tries it: finetune --base MODEL " +
    "--task NAME --k 0.",
  options: { ...jointOptions, ...configOption, ...dryRun },
  examples: [
    "joint --task rte,mrpc,stsb --epochs 5 --learning-rate 5e-5",
    "joint --task all --mixing sqrt --dry-run",
    "joint --task rte,mrpc,stsb --leave-out each --head-learning-rate 1e-3",
    "joint --config checkpoints/joint-rte+mrpc-seed1-0a1b2c3d/config.yaml",
  ],
  async run(values, terminal) {
    const options = settingsOf(jointOptions, values);
    if (values.dryRun) {
      const planned = await planJoint(options, terminal);
      if (terminal.json) terminal.printJson(planned);
      else printPlanned(planned, terminal);
      return;
    }
    const result = await joint(options, terminal, (model) => {
      if (!terminal.json) printModel(model, terminal);
    });
    if (terminal.json) terminal.printJson(result);
    else terminal.print(`engine ${result.engine}`);
  },
});

export function printModel(model: JointModel, terminal: Terminal): void {
  const { folder, seed, tasks, score, metrics, steps, seconds, heads } = model;
  const rows = Object.entries(metrics)
    .filter(([name]) => name.includes("/"))
    .map(([name, value]) => {
      const [task = "", metric = ""] = name.split("/");
      return [task, metric, formatScore(value), ""];
    });
  const alone = heads.map((run) => [
    ...[run.task, Object.keys(run.metrics)[0] ?? "", formatScore(run.score), "a head alone, not trained on"],
  ]);
  terminal.print(`${tasks.join(", ")} together, seed ${seed}: dev scores in points, average ${formatScore(score)}`);
  terminal.print(table(["task", "metric", "score", ""], [...rows, ...alone]));
  terminal.print(`${steps} steps in ${formatSeconds(seconds)}. Next: flexbert merge --base ${folder} --out merged\n`);
}

function printPlanned(planned: readonly PlannedModel[], terminal: Terminal): void {
  const rows = planned.map(({ seed, tasks, leftOut, trainable, steps, memoryBytes, seconds, finished }) => [
    ...[tasks.join(", "), leftOut.join(", "), seed, formatCount(trainable), steps, formatBytes(memoryBytes)],
    ...(finished ? ["", "finished"] : [`about ${formatSeconds(seconds)}`, "to train"]),
  ]);
  terminal.print(table(["tasks", "left out", "seed", "trained", "steps", "memory", "time", ""], rows));
}
