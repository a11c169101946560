// Fine-tuning and distillation on a tiny base: what they leave behind, what they skip, and that a stopped run ends
// with the bytes of one left alone.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { modelFile, readDevScores, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { Interrupted } from "../../src/messages/reporter";
import { placesOf } from "../../src/model/place";
import { float32 } from "../../src/model/tensors";
import { chooseTeacher } from "../../src/selection/teacher";
import { glueTasks } from "../../src/tasks/glue";
import { compareScores } from "../../src/tasks/metrics";
import { describeEachEngine } from "../engines/engines";
import { distill, finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "../tiny";

const bytes = (run: StoredRun) => readFileSync(modelFile(run.folder));

describeEachEngine("finetune and distill", (open) => {
  const folder = temporaryFolder();
  writeTinyGlue(path.join(folder, "glue"));
  const request = (task = glueTasks.rte, run = tinyRun(folder)) => ({
    task,
    base: tinyBase(),
    places: placesOf(4, [1, 3]),
    seeds: [1],
    training: tinyTraining,
    run,
  });

  test.each(tinyTasks)("train $name at each k and store the branch alone", async (task) => {
    const engine = await open();
    const before = engine.tensorCount();
    const runs = await finetune(request(task), quietContext(engine).context);
    expect(runs.map(({ record }) => [record.layers, record.fork, record.state])).toEqual([
      [3, 1, "finished"],
      [1, 3, "finished"],
    ]);
    const { tensors } = await readSafetensors(modelFile((runs[0] as StoredRun).folder));
    const layers = new Set(Object.keys(tensors).map((name) => name.match(/layer\.(\d+)\./)?.[1]));
    expect(layers).toEqual(new Set([undefined, "1", "2", "3"]));
    expect(Object.keys(tensors)).toHaveLength(3 * 16 + 4);
    expect(engine.tensorCount()).toBe(before);

    const teacher = chooseTeacher(runs, "max") as StoredRun;
    const { context, lines } = quietContext(engine);
    const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
    const students = await distill(
      { ...request(task), teacher: runs[0] as StoredRun, studentLayers: [2, 3], distillation },
      context,
    );
    expect(students.map(({ record }) => [record.layers, record.fork])).toEqual([[2, 1]]);
    expect(lines.join("\n")).toMatch(/teacher has 3 layers, no more than a student of 3: it keeps its teacher/);
    expect(students[0]?.record.teacher?.sha256).toBe((runs[0] as StoredRun).record.sha256);
    const scores = await readDevScores(teacher.folder, task.metric);
    const best = scores.reduce((one, other) => (compareScores(other, one) > 0 ? other : one));
    expect([teacher.record.score, teacher.record.bestEpoch]).toEqual([best, scores.indexOf(best)]);
    expect(runs.every(({ record }) => compareScores(teacher.record.score, record.score) >= 0)).toBe(true);
    expect(engine.tensorCount()).toBe(before);
  });

  test("learn: the loss falls, and a word that decides the label is found", async () => {
    const run = { ...tinyRun(folder), checkpoints: path.join(folder, "learn") };
    const training = { ...tinyTraining, epochs: 20, learningRate: 1e-2 };
    const [trained] = await finetune(
      { ...request(glueTasks.sst2, run), places: placesOf(4, [2]), training },
      quietContext(await open()).context,
    );
    const lines = readFileSync(path.join((trained as StoredRun).folder, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n");
    const losses = lines.map((line) => JSON.parse(line).loss).filter((loss) => loss !== undefined);
    expect(losses.length).toBeGreaterThan(3);
    expect(losses.at(-1)).toBeLessThan(losses[0] / 3);
    expect((trained as StoredRun).record.score).toBe(1);
  });

  test("blame the weights for a NaN before the first update, and the rate for a later one", async () => {
    const engine = await open();
    const base = tinyBase("tiny-nan");
    const damaged = { ...base.tensors, "bert.pooler.dense.bias": float32([16], new Float32Array(16).fill(Number.NaN)) };
    const run = { ...tinyRun(folder), checkpoints: path.join(folder, "nan") };
    const { context } = quietContext(engine);
    await expect(finetune({ ...request(), run, base: { ...base, tensors: damaged } }, context)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/at step 1 .*those of the base, or of the teacher, are damaged/),
    });
    const training = { ...tinyTraining, learningRate: 1e30 };
    await expect(finetune({ ...request(), run, training, places: placesOf(4, [1]) }, context)).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/at step [2-9] .*a lower --learning-rate/),
    });
  });

  test("skip what is finished, and repeat it bit for bit when forced", async () => {
    const engine = await open();
    const [first] = await finetune(request(), quietContext(engine).context);
    let steps = 0;
    const [again] = await finetune(request(), quietContext(engine, () => void steps++).context);
    expect(steps).toBe(0);
    expect(again).toEqual(first);
    const before = bytes(first as StoredRun);
    const [forced] = await finetune(
      request(glueTasks.rte, { ...tinyRun(folder), force: true }),
      quietContext(engine, () => void steps++).context,
    );
    expect(steps).toBeGreaterThan(0);
    expect(bytes(forced as StoredRun).equals(before)).toBe(true);
  });

  test("stopped at any step and resumed, with dropout, ends with the bytes of an undisturbed run", async () => {
    const engine = await open();
    const base = tinyBase("drop", { dropout: 0.1 });
    const work = (checkpoints: string) => ({
      ...request(glueTasks.rte, { ...tinyRun(folder), checkpoints }),
      base,
      places: placesOf(4, [2]),
    });
    const [alone] = await finetune(work(path.join(folder, "alone")), quietContext(engine).context);
    const disturbed = work(path.join(folder, "disturbed"));
    let stops = 0;
    for (;;) {
      // The trunk takes 9 batches, so the first stops fall into it, and later ones all over the epochs.
      let left = stops < 2 ? 3 + stops : 10 + (stops % 3);
      const { context } = quietContext(engine, (abort) => void (--left === 0 && abort()));
      try {
        const [resumed] = await finetune(disturbed, context);
        expect(bytes(resumed as StoredRun).equals(bytes(alone as StoredRun))).toBe(true);
        expect((resumed as StoredRun).record.score).toBe((alone as StoredRun).record.score);
        const metrics = (run: StoredRun) => readFileSync(path.join(run.folder, "metrics.jsonl"), "utf8");
        expect(metrics(resumed as StoredRun)).toBe(metrics(alone as StoredRun));
        break;
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        stops++;
        if (stops > 60) throw new Error("the run makes no progress between stops");
      }
    }
    expect(stops).toBeGreaterThan(2);
  });

  test("train the embeddings too with k = full", async () => {
    const engine = await open();
    const [full] = await finetune({ ...request(), places: placesOf(4, ["full"]) }, quietContext(engine).context);
    expect((full as StoredRun).record.fork).toBeNull();
    const { tensors } = await readSafetensors(modelFile((full as StoredRun).folder));
    const before = tinyBase().tensors;
    const name = "bert.embeddings.word_embeddings.weight";
    expect(tensors[name]?.data).not.toEqual(before[name]?.data);
    expect(chooseTeacher([full as StoredRun], "max")).toBeNull();
  });
});
