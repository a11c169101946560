// Students on several forks in one sweep, stopped at any step and repeated.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { metricsFile, modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { Interrupted } from "../../src/messages/reporter";
import { type PlaceRequest, placeOf } from "../../src/model/place";
import type { Variant } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { runSweep, type Sweep } from "../../src/recipes/sweep";
import { glueTasks } from "../../src/tasks/glue";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("tiny-forks", { dropout: 0.1 });
beforeAll(() => writeTinyGlue(path.join(folder, "glue")));

const wasm = async () => (await openEngine("wasm", {})).engine;
const student = (fork: PlaceRequest["fork"], layers: number): Variant => ({
  ...{ place: { fork, layers }, init: "teacher", options: { temperature: 2, alpha: 0.5 } },
});
const common = (checkpoints: string) => ({
  ...{ task: glueTasks.rte, base, seeds: [1], training: { ...tinyTraining, epochs: 1 } },
  run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) },
});

test("they end with the same bytes", async () => {
  const { context: first } = quietContext(await wasm());
  const [teacher] = await finetune({ ...common("teacher"), places: [placeOf(4, 2)] }, first);
  const sweep = (checkpoints: string): Sweep => ({
    ...{ ...common(checkpoints), recipe: recipes.distill, teacher: teacher as StoredRun },
    variants: [student("teacher", 1), student(3, 1), student(1, 2)],
  });
  const expected = await runSweep(sweep("undisturbed"), quietContext(await wasm()).context);
  let stops = 0;
  for (;;) {
    let left = 9 + (stops % 5);
    const { context } = quietContext(await wasm(), (abort) => void (--left === 0 && abort()));
    try {
      const runs = await runSweep(sweep("stopped"), context);
      const bytes = (some: readonly StoredRun[]) =>
        some.map(({ folder: own }) => [readFileSync(modelFile(own)), readFileSync(metricsFile(own), "utf8")]);
      expect(bytes(runs)).toEqual(bytes(expected));
      break;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      if (++stops > 40) throw new Error("no progress between stops");
    }
  }
  expect(stops).toBeGreaterThan(1);
});
