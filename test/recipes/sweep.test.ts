// The runner of trials: what it asks of a recipe, when, and what it leaves alone. An experiment's groups train by it too.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { openGroup } from "../../src/experiment/group";
import { groupTrials, listTrials } from "../../src/experiment/plan";
import { readExperiment } from "../../src/experiment/read";
import { createResolver } from "../../src/experiment/resolve";
import { tryLockFolder } from "../../src/files/lock";
import { placesOf } from "../../src/model/place";
import type { Recipe } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { plannedTrials, runSweep, type Sweep } from "../../src/recipes/sweep";
import { planSweep } from "../../src/recipes/sweep-plan";
import { glueTasks } from "../../src/tasks/glue";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("tiny-sweep");
const training = { ...tinyTraining, epochs: 1 };
beforeAll(() => writeTinyGlue(path.join(folder, "glue")));

const common = (checkpoints: string) => ({
  ...{ task: glueTasks.rte, base, seeds: [1, 2], training },
  run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) },
});

/** AlephBERT#5: a table of one token type has no row for the second text. */
test("pairs on a base that tells one text alone are refused, by plans too", async () => {
  const single = { ...base, config: { ...base.config, typeVocabSize: 1 } };
  const sweep = { ...common("types"), recipe: recipes.finetune as Recipe, base: single, variants: [] };
  await expect(plannedTrials(sweep)).rejects.toMatchObject({
    exitCode: 4,
    message: "tiny-sweep tells one text alone (its type_vocab_size is 1), and rte has pairs. Give another --base",
  });
  await expect(plannedTrials({ ...sweep, task: glueTasks.sst2 })).resolves.toMatchObject({ trials: [] });
});

/** rust-bert#351 */
test("a base without a pooler gets a new one, and that is said once", async () => {
  const { engine } = await openEngine("wasm", {});
  const { context, lines } = quietContext(engine);
  const tensors = Object.fromEntries(Object.entries(base.tensors).filter(([name]) => !name.startsWith("bert.pooler")));
  const request = { ...common("no-pooler"), base: { ...base, tensors }, places: placesOf(4, [1]) };
  const runs = await finetune(request, context);
  expect(runs.map(({ record }) => record.state)).toEqual(["finished", "finished"]);
  expect(lines.filter((line) => line.includes("no pooler"))).toEqual([
    "tiny-sweep has no pooler, which the head of rte reads: a new one begins at random",
  ]);
});

/** Distillation that takes note of what is asked of it. */
function noted(asked: string[]): Recipe {
  const { distill } = recipes;
  return {
    ...distill,
    prepare(preparation) {
      asked.push(`prepare with ${preparation.teacher?.record.layers} layers`);
      return distill.prepare(preparation);
    },
    work(trial, prepared) {
      asked.push(`work ${trial.place.layers} on ${trial.place.fork} seed ${trial.seed}`);
      return distill.work(trial, prepared);
    },
  };
}

const students = [2, 1].map((layers) => ({
  ...{ place: { fork: "teacher", layers } as const, init: "teacher" as const },
  options: { temperature: 2, alpha: 0.5 },
}));

async function teacherIn(checkpoints: string, k = 3) {
  const { engine } = await openEngine("wasm", {});
  const { context, lines } = quietContext(engine);
  const request = { ...common(checkpoints), seeds: [1], places: placesOf(4, [k]) };
  const [teacher] = await finetune(request, context);
  return { teacher: teacher as StoredRun, context, lines };
}

test("prepares once, before the first trial that is not finished, and asks for nothing where all are", async () => {
  const { teacher, context } = await teacherIn("once");
  const asked: string[] = [];
  const sweep: Sweep = { ...common("once"), recipe: noted(asked), teacher, variants: students };
  const runs = await runSweep(sweep, context);
  const order = ["work 2 on 1 seed 1", "work 2 on 1 seed 2", "work 1 on 1 seed 1", "work 1 on 1 seed 2"];
  expect(asked).toEqual(["prepare with 3 layers", ...order]);
  asked.length = 0;
  expect((await runSweep(sweep, context)).map(({ folder: own }) => own)).toEqual(runs.map(({ folder: own }) => own));
  expect(asked).toEqual([]);
  const plan = await planSweep(sweep);
  expect(plan.trials.map(({ layers, seed, finished }) => [layers, seed, finished])).toEqual([
    [2, 1, true],
    [2, 2, true],
    [1, 1, true],
    [1, 2, true],
  ]);
  expect([plan.trunkFlops, plan.cacheBytes]).toEqual([0, 0]);
});

test("a task keeps a teacher that is no larger, and is told so; one that cannot teach is refused", async () => {
  const { teacher, context, lines } = await teacherIn("kept", 1);
  const asked: string[] = [];
  const sweep: Sweep = { ...common("kept"), recipe: noted(asked), teacher, variants: students };
  expect(await runSweep(sweep, context)).toEqual([]);
  expect(lines.filter((line) => /it keeps its teacher/.test(line))).toHaveLength(2);
  expect(asked).toEqual([]);
  const refused = (record: object) =>
    runSweep({ ...sweep, teacher: { ...teacher, record: { ...teacher.record, ...record } } }, context);
  await expect(refused({ fork: null })).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/shares no trunk/),
  });
  await expect(refused({ labels: ["a", "b"] })).rejects.toThrow(/has labels a, b; rte has/);
  await expect(refused({ base: { name: "x", sha256: "0".repeat(64), layers: 4 } })).rejects.toThrow(/Give --base x/);
});

test("a group leaves alone what another process has or has finished, and ends with a sweep's bytes", async () => {
  const file = path.join(folder, "group.yaml");
  writeFileSync(
    file,
    "tasks: rte\nmax_length: 32\nbatch_size: 8\nepochs: 1\nlearning_rate: 1e-3\nfinetune: { k: 2, seeds: 2 }\n",
  );
  const experiment = await readExperiment(file, recipes);
  const { trials } = listTrials(experiment, 4);
  const work = { ...common("group").run, force: undefined };
  const resolver = createResolver(experiment, base, trials, work);
  const { engine } = await openEngine("wasm", {});
  const { context, lines } = quietContext(engine);
  const [group] = groupTrials(trials);
  const [first, second] = trials;
  if (!group || !first || !second) throw new Error("two trials of one group were expected");
  const found = await resolver.resolve(first);
  if (found.kind !== "trial") throw new Error(found.kind);

  const held = await tryLockFolder(found.trial.folder, "somebody else");
  const opened = openGroup(group, resolver, context);
  expect(await opened.train(first)).toEqual({ heldBy: expect.stringMatching(/somebody else/) });
  expect(lines).toEqual([]);
  if ("unlock" in held) await held.unlock();
  expect([await opened.train(first), await opened.train(second)]).toEqual(["done", "done"]);
  const before = lines.length;
  expect(await opened.train(first)).toBe("done");
  expect(lines).toHaveLength(before);
  await opened.dispose();

  const [alone] = await finetune({ ...common("alone"), places: placesOf(4, [2]) }, context);
  const bytes = (run: StoredRun) => readFileSync(modelFile(run.folder));
  expect(bytes(found.trial)).toEqual(bytes(alone as StoredRun));
});
