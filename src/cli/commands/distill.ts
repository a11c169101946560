// flexbert distill: students of 1 to 3 layers from each task's teacher.

import { existsSync } from "node:fs";
import { describeRun } from "../../api/runs";
import { chosenTasks, openBaseOf, openSession, seedsOf } from "../../api/session";
import { findTeacher } from "../../api/stored-runs";
import { openTrackers, trackerOptions } from "../../api/trackers";
import { methodFolder } from "../../checkpoints/runs/run-folder";
import { modelError } from "../../errors/errors";
import { formatScore, formatSeconds } from "../../messages/quantities";
import { fitLayers } from "../../options/layers";
import { settingsOf } from "../../options/settings";
import type { DistillRequest } from "../../recipes/distill";
import { distillationSettings, studentLayersOption } from "../../settings/distillation";
import { runSettings, trainingCommandOptions, trainingSettings } from "../../settings/training";
import type { Task } from "../../tasks/task";
import { defineCommand } from "../command";
import { formatRates, printPlans, printSummary } from "../run-tables";
import { table } from "../terminal";

export const distillCommand = defineCommand({
  description:
    "Trains small students on the teacher's fork, initialised from its bottommost layers, on its softened outputs and " +
    "the labels.\nWithout --task, every task with a teacher.",
  options: {
    ...studentLayersOption,
    ...distillationSettings,
    ...trainingCommandOptions,
    ...trackerOptions,
  },
  examples: [
    "distill --student-layers 2",
    "distill --task rte --student-layers 1-3 --temperature 2 --alpha 0.5",
    "distill --task mrpc --student-layers 1 --init pretrained --seeds 3",
  ],
  async run(values, terminal) {
    const trackers = await openTrackers(values, terminal);
    const run = settingsOf(runSettings, values);
    const base = await openBaseOf(values, terminal);
    const teachers = (task: Task) => methodFolder(run.checkpoints, base.name, task.name, "finetune");
    const tasks = await chosenTasks(values, (task) => existsSync(teachers(task)));
    if (tasks.length === 0) {
      throw modelError(
        `no teacher in ${run.checkpoints} for the base ${base.name}. Run: flexbert finetune --task NAME`,
      );
    }
    const { values: layers, note } = fitLayers("student-layers", values.studentLayers, base.config.numHiddenLayers);
    if (note) terminal.reporter.log(note);
    const { temperature, alpha, init } = values;
    const requests: DistillRequest[] = [];
    for (const task of tasks) {
      const teacher = await findTeacher(base, task, values, terminal);
      const k = teacher.record.layers;
      terminal.reporter.log(
        `${task.name}: the teacher is k=${k} seed ${teacher.record.seed}, ${formatScore(teacher.record.score)} points`,
      );
      requests.push({
        task,
        base,
        teacher,
        studentLayers: layers as number[],
        seeds: seedsOf(values),
        training: settingsOf(trainingSettings, values),
        distillation: { temperature, alpha, init },
        run,
      });
    }
    if (values.dryRun) {
      const { planDistill } = await import("../../recipes/trial/estimate.js");
      const plans = await Promise.all(requests.map(planDistill));
      const idle = requests.filter((_, i) => plans[i]?.trials.length === 0);
      if (!terminal.json) for (const request of idle) terminal.print(`${headOf(request)}\n${keepsTeacher}`);
      // A table of no trials says nothing; --json has its empty list.
      if (terminal.json || idle.length < requests.length) await printPlans(plans, values, terminal);
      return;
    }
    const context = { ...(await openSession(values, terminal)), trackers };
    const started = new Date().toISOString();
    const { distill } = await import("../../recipes/distill.js");
    const results = [];
    for (const request of requests) {
      const runs = await distill(request, context);
      results.push({ task: request.task.name, teacher: request.teacher.folder, runs: runs.map(describeRun) });
      if (terminal.json) continue;
      const rows = runs.map(({ record }) => [
        record.layers,
        record.seed,
        formatScore(record.score),
        formatSeconds(record.seconds),
        formatRates([record.tokensPerSecond]),
      ]);
      terminal.print(headOf(request));
      terminal.print(
        rows.length > 0 ? `${table(["layers", "seed", "score", "time", "tokens/s"], rows)}\n` : keepsTeacher,
      );
    }
    printSummary(results, started, context.engine, terminal);
  },
});

/** The line above a task's students. */
function headOf({ task, teacher: { record } }: DistillRequest): string {
  const counted = `${record.layers} ${record.layers === 1 ? "layer" : "layers"}`;
  return `${task.name}: students of a teacher of ${counted} with ${formatScore(record.score)} points`;
}

/** What stands there in place of students. */
const keepsTeacher = "  its teacher is no larger: it keeps its teacher";
