// Every experiment that comes with flexbert loads, validates, and says at its top how it is run and what it gave.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { groupTrials, listTrials, stepsOf } from "../../src/experiment/plan";
import { readExperiment } from "../../src/experiment/read";
import { methodOf, methods } from "../../src/recipes/methods/methods";
import { recipes } from "../../src/recipes/recipes";

const folder = path.join(__dirname, "../../experiments");
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

describe.each(files)("%s", (name) => {
  const file = path.join(folder, name);

  test("loads, and has trials in every step", async () => {
    const experiment = await readExperiment(file, recipes);
    const { trials, notes } = listTrials(experiment, experiment.base.includes("MiniLM") ? 6 : 12);
    expect(notes).toEqual([]);
    expect(trials.map(({ index }) => index)).toEqual(trials.map((_, i) => i));
    // Students of one teacher are a group, those that full fine-tuning teaches another.
    const students = trials.filter(({ recipe }) => recipe.makes === "students");
    const teachers = new Set(students.map(({ fullTeacher }) => fullTeacher)).size;
    expect(groupTrials(trials)).toHaveLength((1 + teachers) * experiment.tasks.length);
    const joint = experiment.joint ? ["joint"] : [];
    expect(stepsOf(experiment)).toEqual(["finetune", "distill", ...joint, "select", "merge", "report"]);
  });

  test.each(["command", "device", "minutes", "score"])("says its %s at the top", (key) => {
    const [top = ""] = readFileSync(file, "utf8").split(/^[^#]/m);
    expect(top).toMatch(new RegExp(`^# ${key}:\\s+\\S`, "m"));
  });
});

test("the paper's experiment has 840 fine-tuning trials, from the largest k to the smallest", async () => {
  const { trials } = listTrials(await readExperiment(path.join(folder, "glue.yaml"), recipes), 12);
  const finetuning = trials.filter(({ recipe }) => recipe.method === "finetune");
  expect(finetuning).toHaveLength(840);
  expect(trials.slice(0, 840)).toEqual(finetuning);
  const first = finetuning.slice(0, 105);
  expect(new Set(first.map(({ task }) => task.name))).toEqual(new Set(["qnli"]));
  expect(first.map(({ place }) => place.layers)).toEqual([10, 9, 8, 7, 6, 5, 4].flatMap((k) => Array(15).fill(k)));
  expect(first.slice(0, 6).map(({ training, seed }) => [training.epochs, seed])).toEqual([
    [3, 1],
    [3, 2],
    [3, 3],
    [3, 4],
    [3, 5],
    [4, 1],
  ]);
  for (const { training } of finetuning) {
    expect(training).toMatchObject({ learningRate: 2e-5, batchSize: 32, maxLength: 128, weightDecay: 0.01 });
  }
});

test("Table 2's experiment has every method of whole students, taught by full fine-tuning, and three seeds of small tasks", async () => {
  const experiment = await readExperiment(path.join(folder, "table2.yaml"), recipes);
  const { trials } = listTrials(experiment, 6);
  for (const { name } of experiment.tasks) {
    const own = trials.filter(({ task, options }) => task.name === name && methodOf(options));
    const seeds = ["rte", "mrpc", "cola"].includes(name) ? 3 : 1;
    expect(own.map(({ options, seed }) => `${options["method"]} ${seed}`).sort()).toEqual(
      [...methods.keys()].flatMap((method) => [1, 2, 3].slice(0, seeds).map((seed) => `${method} ${seed}`)).sort(),
    );
    expect(own.every(({ place, fullTeacher }) => place.fork === null && place.layers === 3 && fullTeacher)).toBe(true);
  }
  expect(experiment.joint).toMatchObject({ leave_one_out: true });
  expect(experiment.report).toEqual({ measure: true });
});

test("MiniLM's experiment limits CoLA and SST-2, and has three seeds of both beginnings for the box plots", async () => {
  const experiment = await readExperiment(path.join(folder, "glue-minilm.yaml"), recipes);
  const limits = experiment.tasks.map((task) => [task.name, experiment.samples(task).maxTrainSamples]);
  expect(Object.fromEntries(limits)).toEqual({
    rte: undefined,
    mrpc: undefined,
    stsb: undefined,
    cola: 4000,
    sst2: 4000,
  });
  const { trials } = listTrials(experiment, 6);
  const students = trials.filter(({ recipe }) => recipe.method === "distill");
  expect(trials.length - students.length).toBe(30);
  const of = (name: string, init: string) =>
    students.filter(({ task, init: begins }) => task.name === name && begins === init).length;
  expect(["rte", "mrpc", "stsb", "cola", "sst2"].map((name) => of(name, "teacher"))).toEqual([6, 6, 2, 2, 2]);
  expect(["rte", "mrpc", "stsb", "cola", "sst2"].map((name) => of(name, "pretrained"))).toEqual([6, 6, 0, 0, 0]);
});
