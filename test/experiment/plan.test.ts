import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { createRun, finishRun, type RunRecord } from "../../src/checkpoints/runs/run-folder";
import { listWork } from "../../src/experiment/listing";
import { chosenOf, groupTrials, inShard, listTrials, planTrials, type TrialSpec } from "../../src/experiment/plan";
import { readExperiment } from "../../src/experiment/read";
import { createResolver } from "../../src/experiment/resolve";
import { kOf } from "../../src/model/place";
import { float32 } from "../../src/model/tensors";
import type { Recipes } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
writeTinyGlue(path.join(folder, "glue"));

const text = `tasks: [stsb, rte]
epochs: [1, 2]
max_length: 32
finetune: { k: "1,3", seeds: 2 }
distill:
  - { student_layers: 1-2, epochs: 1 }
  - { tasks: [rte], student_layers: 1, init: [teacher, pretrained], epochs: 1 }
`;

async function open(
  content = text,
  name = "e.yaml",
  glueData = path.join(folder, "glue"),
  available: Recipes = recipes,
) {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  const experiment = await readExperiment(file, available);
  const { trials } = listTrials(experiment, 4);
  const work = { checkpoints: path.join(folder, "checkpoints"), glueData, cacheBudget: 1e9, saveEvery: 60 };
  const resolver = createResolver(experiment, tinyBase("tiny"), trials, work);
  return { trials, resolver };
}

const idOf = async (resolver: Awaited<ReturnType<typeof open>>["resolver"], spec: TrialSpec) => {
  const found = await resolver.resolve(spec);
  return found.kind === "trial" ? found.trial.record.id : found.kind;
};

test("one total order: step, task, layers from the largest, training options, seed; doubles are left out", async () => {
  const { trials } = await open();
  const lines = trials.map(({ recipe, task, place, init, training, seed }) =>
    [recipe.method, task.name, kOf(place), training.epochs, seed, init].join(" ").trim(),
  );
  const finetune = (task: string) =>
    [3, 1].flatMap((k) => [1, 2].flatMap((e) => [1, 2].map((s) => `finetune ${task} ${k} ${e} ${s}`)));
  expect(lines).toEqual([
    ...finetune("stsb"),
    ...finetune("rte"),
    "distill stsb 2 1 1 teacher",
    "distill stsb 1 1 1 teacher",
    "distill rte 2 1 1 teacher",
    "distill rte 1 1 1 teacher",
    "distill rte 1 1 1 pretrained",
  ]);
  expect(trials.map(({ index }) => index)).toEqual(lines.map((_, i) => i));
  expect(groupTrials(trials).map(({ recipe, task, trials: own }) => [recipe.method, task.name, own.length])).toEqual([
    ["finetune", "stsb", 8],
    ["finetune", "rte", 8],
    ["distill", "stsb", 2],
    ["distill", "rte", 3],
  ]);
});

test("a recipe's own defaults: what a file gives wins, and runs of before go on", async () => {
  const eager = { ...recipes, finetune: { ...recipes.finetune, defaults: { learningRate: 3e-4, batchSize: 16 } } };
  const content = "tasks: rte\nmax_length: 32\nfinetune: { k: 1 }\n";
  const glue = path.join(folder, "glue");
  const trainingOf = async (written: string) => {
    const { trials } = await open(written, "defaults.yaml", glue, eager);
    const [
      {
        training: { learningRate, batchSize, epochs },
      },
    ] = trials as [TrialSpec];
    return { learningRate, batchSize, epochs };
  };
  expect(await trainingOf(content)).toEqual({ learningRate: 3e-4, batchSize: 16, epochs: 3 });
  expect(await trainingOf(`${content}learning_rate: 1e-4\n`)).toEqual({ learningRate: 1e-4, batchSize: 16, epochs: 3 });
  expect(await trainingOf(content.replace("k: 1", "k: 1, batch_size: 8"))).toMatchObject({ batchSize: 8 });

  const before = await open(content, "before.yaml");
  const fresh = await open(content, "after.yaml", glue, eager);
  const [old] = before.trials as [TrialSpec];
  const [spec] = fresh.trials as [TrialSpec];
  const oldId = await idOf(before.resolver, old);
  expect(await idOf(fresh.resolver, spec)).not.toBe(oldId);
  const found = await before.resolver.resolve(old);
  if (found.kind !== "trial") throw new Error(found.kind);
  await createRun(found.trial.folder, found.trial.record, {});
  const after = await open(content, "after.yaml", glue, eager);
  expect(await idOf(after.resolver, spec)).toBe(oldId);
});

test("shares partition the plan, whatever their number", async () => {
  const { trials } = await open();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), (count) => {
      const shares = Array.from({ length: count }, (_, index) => trials.filter((t) => inShard({ index, count }, t)));
      const indices = shares.flat().map(({ index }) => index);
      expect(indices.sort((a, b) => a - b)).toEqual(trials.map(({ index }) => index));
      const sizes = shares.map(({ length }) => length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

test("ids: one each, the same in every process and folder, another for other data, options or base", async () => {
  const { trials, resolver } = await open();
  const tuned = trials.filter(({ recipe }) => recipe.method === "finetune");
  const ids = await Promise.all(tuned.map((spec) => idOf(resolver, spec)));
  expect(new Set(ids).size).toBe(tuned.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}$/);
  const again = await open(text, "renamed.yaml");
  expect(await Promise.all(tuned.map((spec) => idOf(again.resolver, spec)))).toEqual(ids);
  const changed = async (content: string) => {
    const { trials: others, resolver: other } = await open(content, "other.yaml");
    return idOf(other, others[0] as TrialSpec);
  };
  expect(await changed(`${text}max_train_samples: 30\n`)).not.toBe(ids[0]);
  expect(await changed(`${text}warmup: 0.2\n`)).not.toBe(ids[0]);
  expect(await changed(`${text}choose_by: mean\n`)).toBe(ids[0]);
});

test("students wait with their index for the teacher, and get their ids from it", async () => {
  const { trials, resolver } = await open();
  const students = trials.filter(({ recipe, task }) => recipe.method === "distill" && task.name === "rte");
  expect(await Promise.all(students.map((spec) => idOf(resolver, spec)))).toEqual(["waiting", "waiting", "waiting"]);
  // Finished runs, made up: k = 3 wins for rte, the last to finish is not the best.
  const rte = trials.filter(({ recipe, task }) => recipe.method === "finetune" && task.name === "rte");
  for (const [i, spec] of [...rte].reverse().entries()) {
    expect(await idOf((await open()).resolver, students[0] as TrialSpec)).toBe("waiting");
    await pretendFinished(resolver, spec, spec.place.layers === 3 ? 0.6 + i / 1000 : 0.5);
  }
  const ids = await Promise.all(students.map((spec) => idOf(resolver, spec)));
  expect(new Set(ids).size).toBe(3);
  const fresh = await open();
  expect(await Promise.all(students.map((spec) => idOf(fresh.resolver, spec)))).toEqual(ids);
  const teacher = await fresh.resolver.teacher((students[0] as TrialSpec).task);
  expect(teacher?.record).toMatchObject({ layers: 3, score: 0.607 });
});

test("a student that is no smaller than its teacher needs no training", async () => {
  const { trials, resolver } = await open();
  const stsb = trials.filter(({ recipe, task }) => recipe.method === "finetune" && task.name === "stsb");
  for (const spec of stsb) await pretendFinished(resolver, spec, spec.place.layers === 1 ? 0.9 : 0.5);
  const students = trials.filter(({ recipe, task }) => recipe.method === "distill" && task.name === "stsb");
  for (const spec of students) expect(await resolver.outcome(spec)).toBe("unneeded");
});

test("whole students by several methods are trials of their own, whatever k their teacher has", async () => {
  const whole = `tasks: [rte]
max_length: 32
finetune: { k: full }
distill:
  - { method: [pkd, theseus], student_layers: 2-3, beta: 50 }
`;
  await expect(open(whole, "whole.yaml")).rejects.toThrow(/beta: theseus compares no layers/);
  const { trials, resolver } = await open(whole.replace(", beta: 50", ""), "whole.yaml");
  const students = [...trials].filter(({ recipe }) => recipe.makes === "students");
  expect(
    students.map(({ recipe, place, init, options }) => [
      recipe.describe({ place, ...(init ? { init } : {}), options }).label,
      place.fork,
    ]),
  ).toEqual([
    ["pkd l=3", null],
    ["pkd l=2", null],
    ["theseus l=3", null],
    ["theseus l=2", null],
  ]);
  const { trials: listed } = await listWork(resolver, trials);
  const [teacher, pkd] = listed;
  expect(pkd).toMatchObject({ state: "waiting", frozen: 0 });
  expect(pkd?.trainable).toBeLessThan(teacher?.trainable as number);
  await pretendFinished(resolver, [...trials][0] as TrialSpec, 0.8);
  const again = await listWork(resolver, trials);
  expect(again.trials[1]).toMatchObject({ state: "open", trainable: pkd?.trainable, flops: pkd?.flops });
  expect(new Set(again.trials.map(({ id }) => id)).size).toBe(5);
});

test("teacher: full has its students wait for full fine-tuning, and taught by it whatever k else is better", async () => {
  const both = `tasks: [rte]
max_length: 32
finetune: { k: "2,full" }
distill:
  - { method: pkd, student_layers: 2 }
  - { method: pkd, student_layers: 2, teacher: full }
  - { student_layers: 1, student_forks: "3", teacher: full }
`;
  const { trials, resolver } = await open(both, "by-full.yaml");
  const [full, second, ...students] = [...trials] as [TrialSpec, TrialSpec, ...TrialSpec[]];
  expect([full, second].map(({ place }) => place.fork)).toEqual([null, 2]);
  expect(students.map(({ fullTeacher }) => fullTeacher ?? false)).toEqual([false, true, true]);
  // What shares a teacher is trained together, and nothing else is.
  expect(groupTrials(students).map((group) => group.trials.length)).toEqual([1, 2]);
  await pretendFinished(resolver, full, 0.7);
  expect((await resolver.resolve(students[1] as TrialSpec)).kind).toBe("waiting");
  await pretendFinished(resolver, second, 0.8);
  const taughtBy = await Promise.all(
    students.map(async (spec) => {
      const found = await resolver.resolve(spec);
      return found.kind === "trial" ? [found.sweep.teacher?.record.fork, found.settings.teacher?.score] : found.kind;
    }),
  );
  expect(taughtBy).toEqual([
    [2, 0.8],
    [null, 0.7],
    [null, 0.7],
  ]);
  const text = (finetune: string, more = "") =>
    `tasks: [rte]\nfinetune: ${finetune}\n${more}distill: { method: pkd, student_layers: 2, teacher: full }\n`;
  await expect(open(text("{ k: 2 }"), "no-full.yaml")).rejects.toThrow(
    /no-full.yaml: teacher: full, and no k: full of rte is trained. Add full to the k of finetune, or leave teacher out/,
  );
  await expect(open(text('{ k: "2,full" }', "search: halving\n"), "halved.yaml")).rejects.toThrow(
    /teacher: full, and search: halving chooses among k that share a trunk/,
  );
});

async function pretendFinished(resolver: Awaited<ReturnType<typeof open>>["resolver"], spec: TrialSpec, score: number) {
  const found = await resolver.resolve(spec);
  if (found.kind !== "trial") throw new Error(`${found.kind} where a trial was expected`);
  const { folder: own, record } = found.trial;
  const metrics = { [record.metric as string]: score };
  const begun: RunRecord = { ...record, startedAt: "2026-11-21T00:00:00.000Z", metrics };
  await createRun(own, begun, {});
  await finishRun(own, { ...begun, score }, { "classifier.bias": float32([2], Float32Array.of(score, spec.seed)) });
}

test("trials that are made one by one are those of the list, as often as they are asked for", async () => {
  const blocks = [1, 2]
    .map((last) => `  - { student_layers: 1-2, seeds: [${last}, 3], learning_rate: 2e-5 }\n`)
    .join("");
  const file = path.join(folder, "blocks.yaml");
  writeFileSync(
    file,
    `tasks: [rte]\nfinetune: { k: "3", seeds: 2 }\ndistill:\n${blocks}  - { student_layers: 2, seeds: 4 }\n`,
  );
  const experiment = await readExperiment(file, recipes);
  const { trials } = listTrials(experiment, 4);
  const made = planTrials(experiment, 4).trials;
  expect([...made]).toEqual(trials);
  expect([...made]).toEqual(trials);
  expect(made).toHaveLength(trials.length);
  const students = trials.filter(({ recipe }) => recipe.method === "distill");
  const lines = students.map(({ place, seed, training }) => `${place.layers} ${seed} ${training.learningRate}`);
  // What two blocks ask for stands where the first asked for it.
  const [rate] = students.filter(({ place, seed }) => place.layers === 2 && seed === 4);
  const other = rate?.training.learningRate;
  const both = [2, 1].flatMap((layers) => [1, 3].map((seed) => `${layers} ${seed} 0.00002`));
  const later = [2, 1].map((layers) => `${layers} 2 0.00002`);
  const last = other === 0.00002 ? ["2 4 0.00002"] : [1, 2, 3, 4].map((seed) => `2 ${seed} ${other}`);
  expect(lines).toEqual([...both, ...later, ...last]);
  const shard = chosenOf(made, (spec) => inShard({ index: 1, count: 3 }, spec));
  expect([...shard]).toEqual(trials.filter(({ index }) => index % 3 === 1));
  expect(shard).toHaveLength([...shard].length);
});
