// A run that lies where its record says that it cannot be is no candidate by accident.

import { renameSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "@jest/globals";
import { runsOf } from "../../src/api/stored-runs";
import type { BaseDescription } from "../../src/checkpoints/bases/base";
import type { RunRecord } from "../../src/checkpoints/runs/run-folder";
import { recipes } from "../../src/recipes/recipes";
import { taskRuns } from "../../src/recipes/stored-runs";
import { glueTasks } from "../../src/tasks/glue";
import { temporaryFolder } from "../files/temporary-folder";
import { base, makeRun } from "../report/stored-runs";

let checkpoints: string;
let made: RunRecord;
beforeEach(async () => {
  checkpoints = temporaryFolder();
  made = await makeRun(checkpoints, { layers: 2, score: 0.5 });
});

const folderOf = (...names: string[]) => path.join(checkpoints, "owner--tiny", ...names);

test("runs are those of their task and of what trained them", async () => {
  const { teachers, students } = await taskRuns(recipes, checkpoints, base.name, "rte");
  expect([teachers.map(({ record }) => record.id), students]).toEqual([[made.id], []]);
});

test.each([
  [
    "task",
    () => renameSync(folderOf("rte"), folderOf("mrpc")),
    "mrpc",
    "of mrpc, and its run.json says that it is of rte",
  ],
  [
    "recipe",
    () => renameSync(folderOf("rte", "finetune"), folderOf("rte", "distill")),
    "rte",
    "of distill, and its run.json says that it is of finetune",
  ],
])("a run among those of another %s is named", async (_, move, task, message) => {
  move();
  await expect(taskRuns(recipes, checkpoints, base.name, task)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringContaining(`lies among the runs ${message}`),
  });
});

test("a record that has another number of layers for the same base is damaged; one of another base is left out", async () => {
  const of = (sha256: string, numHiddenLayers: number) =>
    runsOf({ name: base.name, sha256, config: { numHiddenLayers } } as BaseDescription, glueTasks.rte, checkpoints, {
      recipes,
    } as unknown as Parameters<typeof runsOf>[3]);
  expect((await of(base.sha256, base.layers)).teachers).toHaveLength(1);
  expect((await of("0".repeat(64), 4)).teachers).toHaveLength(0);
  await expect(of(base.sha256, 4)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/run\.json is damaged \(it says that owner\/tiny has 6 layers, which has 4\)/),
  });
});
