// What trials record of their batches and frozen layers: a sweep's trials add up to what the sweep computed.

import path from "node:path";
import { expect, test } from "@jest/globals";
import type { StoredRun } from "../../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../../src/engines/open";
import { placesOf } from "../../../src/model/place";
import { glueTasks } from "../../../src/tasks/glue";
import { distill, finetune } from "../../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../../tiny";

const folder = temporaryFolder();
writeTinyGlue(path.join(folder, "glue"));

test("each frozen layer is counted once in a sweep, and with the first trial that needed it", async () => {
  const { engine } = await openEngine("wasm", {});
  const { context } = quietContext(engine);
  const request = {
    task: glueTasks.rte,
    base: tinyBase(),
    seeds: [1, 2],
    training: tinyTraining,
    run: tinyRun(folder),
  };
  const runs = await finetune({ ...request, places: placesOf(4, [1, 2, 4]) }, context);
  const trunk = (run: StoredRun | undefined) => run?.record.cost?.trunk;
  const costs = runs.map((run) => [run.record.layers, run.record.seed, trunk(run)?.layerTokens ?? -1]);
  const perLayer = (costs[2]?.[2] as number) / 2;
  // k = 4 forks at 0; k = 2 runs layers 1 and 2; k = 1 layer 3 on top of them.
  expect(costs).toEqual([
    [4, 1, 0],
    [4, 2, 0],
    [2, 1, 2 * perLayer],
    [2, 2, 0],
    [1, 1, perLayer],
    [1, 2, 0],
  ]);
  const { cost } = (runs[0] as StoredRun).record;
  // 40 train and 12 dev rows in batches of 32 for the trunk, each as long as its longest row.
  expect(perLayer).toBeGreaterThanOrEqual((cost?.trainTokens.own ?? 0) + (cost?.devTokens ?? 0));
  const { own, bucketed, longest, maxLength } = cost?.trainTokens ?? { own: 0, bucketed: 0, longest: 0, maxLength: 0 };
  expect(own).toBeLessThanOrEqual(bucketed);
  expect(bucketed).toBeLessThanOrEqual(longest);
  expect(longest).toBeLessThanOrEqual(maxLength);
  expect(maxLength).toBe(40 * tinyTraining.maxLength);
  expect(cost?.buckets.length).toBeGreaterThan(0);
  expect((trunk(runs[2]) as { seconds: number }).seconds).toBeGreaterThan(0);

  const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
  const teacher = runs[2] as StoredRun;
  const students = await distill({ ...request, teacher, studentLayers: [1], distillation }, context);
  expect(students.map((run) => trunk(run)?.layerTokens)).toEqual([2 * perLayer, 0]);

  const [full] = await finetune({ ...request, seeds: [1], places: placesOf(4, ["full"]) }, context);
  expect(trunk(full)).toBeNull();
});
