// Ways of teaching a student, as trials: each trains and goes on where it was stopped to the bytes of one left alone, wherever
// the teacher's states are kept; at their defaults they are no part of an id.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { placesOf } from "../../src/model/place";
import { layerRange } from "../../src/options/layers";
import { settingsFrom } from "../../src/options/settings";
import { distill } from "../../src/recipes/distill";
import type { Variant } from "../../src/recipes/recipe";
import { runSweep } from "../../src/recipes/sweep";
import { seedsOf } from "../../src/selection/teacher";
import { glueTasks } from "../../src/tasks/glue";
import { describeEachEngine } from "../engines/engines";
import { finetune, layersOf } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const base = tinyBase("tiny-taught", { dropout: 0.1 });
beforeAll(() => writeTinyGlue(path.join(folder, "glue"), 30, 8));

const common = (checkpoints: string, cacheBudget = 1e9) => ({
  ...{ task: glueTasks.rte, base, seeds: [1], training: tinyTraining },
  run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints), cacheBudget },
});

/** Variants of students as the command's options ask for them, by config key. */
const variants = (given: Readonly<Record<string, unknown>>): Variant[] =>
  distill.settings(
    settingsFrom(distill.options, { student_layers: layerRange({ full: false })("1"), ...given }) as Values,
    layersOf(4),
  );
type Values = Parameters<typeof distill.settings>[0];

/** Three seeds of one teacher; the first of them, and the others. */
async function teachersIn(checkpoints: string, engine: Engine) {
  const request = { ...common(checkpoints), seeds: [1, 2, 3], places: placesOf(4, [3]) };
  const runs = await finetune(request, quietContext(engine).context);
  const [teacher] = runs as [StoredRun];
  return { teacher, seedsOfTeacher: seedsOf(teacher, runs) };
}

const bytesOf = (run: StoredRun | undefined) => readFileSync(modelFile((run as StoredRun).folder));

const everything = { match: "tokens", match_weight: 0.3, teachers: 3, alpha: 0.9, alpha_end: 0.1 };

describeEachEngine("students", (open, name) => {
  test("taught by the mean of seeds, towards every token's state: stopped, resumed, from memory or disk", async () => {
    const engine = await open();
    const teachers = await teachersIn(`teachers-${name}`, engine);
    const sweepIn = (checkpoints: string, budget?: number) => ({
      ...{ ...common(`${checkpoints}-${name}`, budget), ...teachers, recipe: distill },
      variants: variants(everything),
    });
    const [alone] = await runSweep(sweepIn("alone"), quietContext(engine).context);
    expect(alone?.record).toMatchObject({
      ...{ state: "finished", teacher: { sha256: teachers.teacher.record.sha256 } },
      options: { match: "tokens", matchWeight: 0.3, teachers: 3, alpha: 0.9, alphaEnd: 0.1 },
    });
    expect(alone?.record.taughtBy?.map(({ sha256 }) => sha256)).toEqual(
      [teachers.teacher, ...teachers.seedsOfTeacher].map(({ record }) => record.sha256),
    );
    const abort = new AbortController();
    const stopping = { ...quietContext(engine).context, signal: abort.signal, reporter: stopAt(3, /l=1/, abort) };
    await expect(runSweep(sweepIn("resumed", 0), stopping)).rejects.toMatchObject({
      message: expect.stringMatching(/the state is saved in .*l1-teacher/),
    });
    const [resumed] = await runSweep(sweepIn("resumed", 0), quietContext(engine).context);
    expect(bytesOf(resumed)).toEqual(bytesOf(alone));
  });

  test.each(["pooled", "cls"])("drawn to its teacher's %s state", async (match) => {
    const engine = await open();
    const teachers = await teachersIn(`teachers-${name}`, engine);
    const before = engine.tensorCount();
    const train = async (given: Readonly<Record<string, unknown>>) =>
      (
        await runSweep(
          { ...common(`teachers-${name}`), ...teachers, recipe: distill, variants: variants(given) },
          quietContext(engine).context,
        )
      )[0];
    const [plain, drawn] = [await train({}), await train({ match })];
    expect(engine.tensorCount()).toBe(before);
    expect(drawn?.record.options).toMatchObject({ match });
    expect(drawn?.record.id).not.toBe(plain?.record.id);
    expect(bytesOf(drawn)).not.toEqual(bytesOf(plain));
  });
});

test("what is left at its default is in no option of a trial", () => {
  const [plain] = variants({});
  expect(plain).toEqual({
    place: { fork: "teacher", layers: 1 },
    init: "teacher",
    options: { temperature: 2, alpha: 0.5 },
  });
  expect(variants({ match: "none", match_weight: 3, teachers: 1 })).toEqual([plain]);
  expect(variants({ match: "cls", match_weight: 3, teachers: 2 })[0]).toMatchObject({
    teachers: 2,
    options: { match: "cls", matchWeight: 3, teachers: 2 },
  });
});

test("fewer seeds than teachers are an error that says how to make them", async () => {
  const { engine } = await openEngine("wasm", {});
  const teachers = await teachersIn("few", engine);
  const sweep = { ...common("few"), ...teachers, recipe: distill, variants: variants({ teachers: 4 }) };
  await expect(runSweep(sweep, quietContext(engine).context)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(
      /^--teachers 4: rte has 3 seeds of its teacher .*Run: flexbert finetune --task rte --k 3 --seeds 4/,
    ),
  });
});
