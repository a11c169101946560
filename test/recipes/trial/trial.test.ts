// What a trial is called. Ids and folders are those that flexbert 0.1.0 gave the same settings: a changed one would train
// again what is trained.

import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { placeOf } from "../../../src/model/place";
import type { Recipe, Variant } from "../../../src/recipes/recipe";
import { recipes } from "../../../src/recipes/recipes";
import type { TaskData } from "../../../src/recipes/trial/task-data";
import { isNeeded, type SweepSettings, sweepTrial } from "../../../src/recipes/trial/variants";
import { glueTasks } from "../../../src/tasks/glue";
import { tinyBase, tinyTraining } from "../../tiny";

const data = {
  trainData: { sha256: "a".repeat(64), rows: 3, skipped: 0 },
  devData: { sha256: "b".repeat(64), rows: 2, skipped: 0 },
} as TaskData;

const settings = (recipe: Recipe, more: Partial<SweepSettings> = {}): SweepSettings => ({
  ...{ recipe, task: glueTasks.rte, base: tinyBase(), teacher: null, data, training: tinyTraining },
  ...more,
});

const nameOf = (sweep: SweepSettings, variant: Variant) => {
  const { folder, record } = sweepTrial(sweep, variant, 7, "c").trial;
  expect(folder.endsWith(`-${record.id}`)).toBe(true);
  return folder.split(path.sep).join("/");
};

const teacher = {
  folder: "t",
  record: { id: "12345678", sha256: "c".repeat(64), score: 0.5, fork: 1, layers: 3 },
} as SweepSettings["teacher"];
const student = { place: { fork: "teacher", layers: 2 }, options: { temperature: 2, alpha: 0.5 } } as const;

describe("ids and folders of 0.1.0", () => {
  const k3 = { place: placeOf(4, 3), options: {} };
  test.each<[string, SweepSettings, Variant, string]>([
    ["k = 3", settings(recipes.finetune), k3, "rte/finetune/k03-seed7-366cb9ae"],
    [
      "k = full, of a regression",
      settings(recipes.finetune, { task: glueTasks.stsb }),
      { place: placeOf(4, "full"), options: {} },
      "stsb/finetune/kfull-seed7-40fc290d",
    ],
    [
      "another precision",
      settings(recipes.finetune, { training: { ...tinyTraining, precision: "bf16" } }),
      k3,
      "rte/finetune/k03-seed7-c151597e",
    ],
    [
      "a student that begins as the base",
      settings(recipes.distill, { teacher }),
      { ...student, init: "pretrained" },
      "rte/distill/l2-pretrained-seed7-5983991a",
    ],
  ])("%s", (_, sweep, variant, name) => {
    expect(nameOf(sweep, variant)).toBe(`c/tiny/${name}`);
  });
});

test("whatever can change a student's weights changes its id, where its teacher lies does not", () => {
  const of = (variant: Partial<Variant>, more: Partial<SweepSettings> = {}) =>
    nameOf(settings(recipes.distill, { teacher, ...more }), { ...student, init: "teacher", ...variant });
  const first = of({});
  const otherTeacher = {
    ...teacher,
    record: { ...teacher?.record, sha256: "d".repeat(64) },
  } as SweepSettings["teacher"];
  const deeper = { ...teacher, record: { ...teacher?.record, fork: 0 } } as SweepSettings["teacher"];
  const changed = [
    of({ init: "pretrained" }),
    of({ options: { temperature: 3, alpha: 0.5 } }),
    of({ place: { fork: "teacher", layers: 1 } }),
    of({}, { teacher: otherTeacher }),
    of({}, { teacher: deeper }),
    of({}, { training: { ...tinyTraining, warmup: 0.2 } }),
  ];
  expect(new Set([first, ...changed]).size).toBe(changed.length + 1);
  expect(of({}, { teacher: { ...teacher, folder: "elsewhere" } as SweepSettings["teacher"] })).toBe(first);
});

test("a student stands on its teacher's fork, names its teacher, and is needed while it is smaller", () => {
  const { settings: own, trial } = sweepTrial(
    settings(recipes.distill, { teacher }),
    { ...student, init: "teacher" },
    1,
    "c",
  );
  expect(own.place).toEqual({ fork: 1, layers: 2 });
  expect(trial.record).toMatchObject({
    method: "distill",
    fork: 1,
    full: false,
    teacher: { id: "12345678", folder: "t" },
  });
  const sizes = [1, 2, 3, 4].filter((layers) => isNeeded({ ...student, place: { fork: "teacher", layers } }, teacher));
  expect(sizes).toEqual([1, 2]);
  expect(isNeeded({ place: placeOf(4, 4), options: {} }, null)).toBe(true);
});
