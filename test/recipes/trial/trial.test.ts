// What a trial is called. Ids and folders are those that flexbert 0.1.0 gave the same settings: a changed one would train
// again what is trained.

import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { placeOf } from "../../../src/model/place";
import type { Recipe, Variant } from "../../../src/recipes/recipe";
import { recipes } from "../../../src/recipes/recipes";
import type { TaskData } from "../../../src/recipes/trial/task-data";
import { isNeeded, type SweepSettings, sweepTrial, whyNot } from "../../../src/recipes/trial/variants";
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

describe("on any fork", () => {
  const of = (variant: Partial<Variant>, more: Partial<SweepSettings> = {}) =>
    nameOf(settings(recipes.distill, { teacher, ...more }), { ...student, init: "teacher", ...variant }).replace(
      "c/tiny/rte/distill/",
      "",
    );
  const same = of({});

  test("folders name fork and start where they are not the paper's, and every place and start has an id of its own", () => {
    expect(same).toMatch(/^l2-teacher-seed7-[0-9a-f]{8}$/);
    const others = [
      of({ place: { fork: 2, layers: 2 } }),
      of({ place: { fork: 2, layers: 1 } }),
      of({ place: { fork: 0, layers: 2 } }),
      of({ place: { fork: 2, layers: 2 }, init: "pretrained" }),
      of({ place: { fork: 2, layers: 2 }, initLayers: "top" }),
      of({ place: { fork: 2, layers: 2 }, initLayers: "bottom" }),
      of({ initLayers: "spread" }),
    ];
    expect(others.map((name) => name.slice(0, -8))).toEqual([
      "l2-f2-teacher-seed7-",
      "l1-f2-teacher-seed7-",
      "l2-f0-teacher-seed7-",
      "l2-f2-pretrained-seed7-",
      "l2-f2-teacher-top-seed7-",
      "l2-f2-teacher-bottom-seed7-",
      "l2-teacher-spread-seed7-",
    ]);
    expect(new Set([same, ...others].map((name) => name.slice(-8))).size).toBe(others.length + 1);
  });

  test("a fork that is the teacher's is the paper's place, however it was asked for, and so is its bottom start", () => {
    expect(of({ place: { fork: 1, layers: 2 } })).toBe(same);
    expect(of({ initLayers: "bottom" })).toBe(same);
    expect(of({ place: { fork: 1, layers: 2 }, initLayers: "bottom" })).toBe(same);
  });

  test("is made while it is smaller than its teacher, and its teacher has the layers that it begins as", () => {
    const reason = (fork: number | "teacher", layers: number, initLayers?: Variant["initLayers"]) =>
      whyNot({ ...student, place: { fork, layers }, ...(initLayers ? { initLayers } : {}) }, teacher);
    expect([reason(2, 2), reason(3, 1), reason(0, 3), reason("teacher", 2)]).toEqual([null, null, null, null]);
    expect(reason("teacher", 3)).toBe("its teacher has 3 layers, no more than a student of 3: it keeps its teacher");
    expect(reason(1, 3)).toBe(reason("teacher", 3));
    expect(reason(0, 4)).toBe(
      "its teacher has 3 layers above fork 1, no more than a student of 4 above fork 0: it keeps its teacher",
    );
    const small = { folder: "t", record: { ...teacher?.record, fork: 3, layers: 1 } } as SweepSettings["teacher"];
    const two = { ...student, place: { fork: 1, layers: 2 } };
    expect(whyNot(two, small)).toBeNull();
    expect(whyNot({ ...two, initLayers: "top" }, small)).toBe(
      "its teacher has 1 layer, too few for a student of 2 to begin as its top: none is made",
    );
  });

  test("a full teacher has no fork to stand on, and teaches students elsewhere", () => {
    const full = { folder: "t", record: { ...teacher?.record, fork: null, layers: 4 } } as SweepSettings["teacher"];
    expect(of({ place: { fork: 1, layers: 2 } }, { teacher: full })).toMatch(/^l2-f1-teacher-seed7-/);
    expect(() => of({}, { teacher: full })).toThrow(
      /k = full\): it shares no trunk, and no student stands on its fork/,
    );
  });

  test("config.yaml of the paper's place says nothing of forks", () => {
    const config = (variant: Variant) => recipes.distill.describe(variant as never).config;
    const own = { ...student, init: "teacher" } as const;
    expect(config(own)).toEqual({ studentLayers: 2, init: "teacher" });
    expect(config({ ...own, place: { fork: 3, layers: 1 }, initLayers: "top" })).toEqual({
      ...{ studentLayers: 1, studentForks: 3, init: "teacher", initLayers: "top" },
    });
  });
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
