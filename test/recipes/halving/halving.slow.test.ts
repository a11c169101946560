// A sweep by halving on a tiny base: what it stops and leaves behind, that a stopped trial goes on to the bytes of one
// left alone, that kills and stops of the process change nothing, and what the report says.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { metricsFile, modelFile, readRecord, type StoredRun } from "../../../src/checkpoints/runs/run-folder";
import { Interrupted } from "../../../src/messages/reporter";
import { placesOf } from "../../../src/model/place";
import { reportSearch } from "../../../src/recipes/halving/rule";
import { chooseTeacher, comparableRuns } from "../../../src/selection/teacher";
import { glueTasks } from "../../../src/tasks/glue";
import { describeEachEngine } from "../../engines/engines";
import { finetune } from "../../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../../tiny";

const bytes = (run: StoredRun) => readFileSync(modelFile(run.folder));
const metrics = (run: StoredRun) => readFileSync(metricsFile(run.folder), "utf8");
const stateFile = (run: StoredRun) => path.join(run.folder, "state.safetensors");
const layersOf = (runs: readonly StoredRun[], state: string) =>
  runs.filter(({ record }) => record.state === state).map(({ record }) => record.layers);

describeEachEngine("halving", (open) => {
  const folder = temporaryFolder();
  writeTinyGlue(path.join(folder, "glue"), 40, 60);
  // STS-B's Pearson tells every k apart; accuracies of a few rows would tie.
  const task = glueTasks.stsb;
  const training = { ...tinyTraining, epochs: 4 };
  const request = (checkpoints: string, search: "full" | "halving", more = {}) => ({
    task,
    base: tinyBase("tiny", { dropout: 0.1 }),
    places: placesOf(4, [1, 2, 3, 4]),
    seeds: [1],
    training,
    run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) },
    ...(search === "halving" ? { halving: "max" as const } : {}),
    ...more,
  });

  // An undisturbed sweep, once for the tests that compare with one.
  let undisturbed: Promise<StoredRun[]> | null = null;
  const alone = async () => {
    undisturbed ??= finetune(request("alone", "halving"), quietContext(await open()).context);
    return undisturbed;
  };

  test("stops the worse half after epochs 1 and 2, and the full search goes on from there to the same bytes", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const whole = await finetune(request("whole", "full"), quietContext(engine).context);
    const { context, lines } = quietContext(engine);
    const halved = await finetune(request("halved", "halving"), context);
    expect(engine.tensorCount()).toBe(before);
    expect(halved.map(({ record }) => [record.layers, record.id])).toEqual(
      whole.map(({ record }) => [record.layers, record.id]),
    );
    expect(layersOf(halved, "finished")).toHaveLength(1);
    expect(layersOf(halved, "stopped")).toHaveLength(3);
    expect(lines.join("\n")).toMatch(/stsb: halving after epoch 1: k \d, \d \(.*\) on; stopped: k \d, \d \(/);

    const stopped = halved.filter(({ record }) => record.state === "stopped");
    expect(stopped.map(({ record }) => record.stopped?.epoch).sort()).toEqual([1, 1, 2]);
    for (const run of stopped) {
      expect(run.record).toEqual(await readRecord(run.folder));
      expect(run.record).toMatchObject({ score: null, steps: 5 * (run.record.stopped?.epoch as number) });
      expect(existsSync(modelFile(run.folder))).toBe(false);
      expect(existsSync(stateFile(run))).toBe(true);
    }
    const finished = halved.find(({ record }) => record.state === "finished") as StoredRun;
    expect(chooseTeacher(halved, "max")).toBe(finished);
    expect(comparableRuns(halved)).toEqual([[finished]]);

    const partial = await reportSearch(halved, task.metric, "max");
    const foreseen = await reportSearch(whole, task.metric, "max");
    expect(partial).toMatchObject({
      halving: { layers: finished.record.layers, score: finished.record.score },
      full: null,
      // 16 epochs of 5 steps; 3 + 3 + 2 of them did not run
      saved: { epochs: 8, steps: 40 },
      of: { epochs: 16, steps: 80 },
    });
    expect(partial?.saved.seconds).toBeLessThan(partial?.of.seconds as number);
    expect(foreseen).toMatchObject({
      halving: partial?.halving,
      stopped: partial?.stopped,
      full: { layers: chooseTeacher(whole, "max")?.record.layers },
      saved: { epochs: 8, steps: 40 },
    });

    let steps = 0;
    const label = quietContext(engine, () => void steps++);
    const resumed = await finetune(request("halved", "full"), label.context);
    expect(layersOf(resumed, "finished")).toEqual([4, 3, 2, 1]);
    for (const [i, run] of resumed.entries()) {
      expect(bytes(run).equals(bytes(whole[i] as StoredRun))).toBe(true);
      expect(metrics(run)).toBe(metrics(whole[i] as StoredRun));
      expect(run.record.score).toBe(whole[i]?.record.score);
    }
    const after = await reportSearch(resumed, task.metric, "max");
    expect(after?.full).toEqual(foreseen?.full);
    expect(after?.halving).toEqual(foreseen?.halving);
    // 40 steps were left, and at most 5 trunk passes (embeddings and 3 layers, train and dev) stand beside them
    expect(steps).toBeLessThan(40 + 4 * 9);
  });

  test("repeated, trains nothing; forced, everything anew to the same choice", async () => {
    const engine = await open();
    let steps = 0;
    const counting = () => quietContext(engine, () => void steps++).context;
    const first = await alone();
    const again = await finetune(request("alone", "halving"), counting());
    expect(steps).toBe(0);
    expect(again.map(({ record }) => record.state)).toEqual(first.map(({ record }) => record.state));
    const run = { ...tinyRun(folder), checkpoints: path.join(folder, "alone"), force: true };
    const forced = await finetune(request("alone", "halving", { run }), counting());
    expect(steps).toBeGreaterThanOrEqual(40);
    expect(forced.map(({ record }) => [record.state, record.steps, record.sha256])).toEqual(
      first.map(({ record }) => [record.state, record.steps, record.sha256]),
    );
  });

  test("gives the same without room to keep activations under every fork", async () => {
    const engine = await open();
    const run = { ...tinyRun(folder), checkpoints: path.join(folder, "tight"), cacheBudget: 0 };
    const { context, lines } = quietContext(engine);
    const tight = await finetune(request("tight", "halving", { run }), context);
    expect(lines.join("\n")).toMatch(/on disk/);
    const described = (runs: readonly StoredRun[]) => runs.map(({ record }) => [record.state, record.sha256]);
    expect(described(tight)).toEqual(described(await alone()));
  });

  test("stopped at any step and repeated, ends with the same choice, stops and bytes", async () => {
    const engine = await open();
    const expected = await alone();
    let stops = 0;
    for (;;) {
      let left = 14 + (stops % 4);
      const { context } = quietContext(engine, (abort) => void (--left === 0 && abort()));
      try {
        const runs = await finetune(request("disturbed", "halving"), context);
        for (const [i, run] of runs.entries()) {
          const { state, steps, stopped, sha256 } = (expected[i] as StoredRun).record;
          expect(run.record).toMatchObject({ state, steps, ...(stopped ? { stopped } : { sha256 }) });
          expect(metrics(run)).toBe(metrics(expected[i] as StoredRun));
        }
        break;
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        if (++stops > 60) throw new Error("the search makes no progress between stops");
      }
    }
    expect(stops).toBeGreaterThan(3);
  });

  test("stops and keeps all seeds of a k together, and lets a full branch run to its end", async () => {
    const engine = await open();
    const more = { places: placesOf(4, [1, 2, "full"]), seeds: [1, 2] };
    const runs = await finetune(request("seeds", "halving", more), quietContext(engine).context);
    const states = runs.map(({ record }) => [record.full, record.layers, record.state]);
    expect(states.slice(0, 2)).toEqual([
      [true, 4, "finished"],
      [true, 4, "finished"],
    ]);
    expect(runs[2]?.record.state).toBe(runs[3]?.record.state);
    expect(runs[4]?.record.state).toBe(runs[5]?.record.state);
    expect(new Set(runs.slice(2).map(({ record }) => record.state))).toEqual(new Set(["finished", "stopped"]));
  });

  test("counts what a full search had finished, and says what is missing when its scores are gone", async () => {
    const engine = await open();
    const before = await finetune(
      request("mixed", "full", { places: placesOf(4, [1, 4]) }),
      quietContext(engine).context,
    );
    const fresh = await alone();
    const mixed = await finetune(request("mixed", "halving"), quietContext(engine).context);
    expect(layersOf(mixed, "stopped")).toEqual(layersOf(fresh, "stopped").filter((k) => k === 2 || k === 3));
    const report = await reportSearch(mixed, task.metric, "max");
    expect(report?.halving).toEqual((await reportSearch(fresh, task.metric, "max"))?.halving);
    const unrun = mixed.filter(({ record }) => record.state === "stopped");
    expect(report?.saved.steps).toBe(unrun.reduce((sum, { record }) => sum + 20 - record.steps, 0));
    writeFileSync(metricsFile((before[0] as StoredRun).folder), "");
    await expect(finetune(request("mixed", "halving"), quietContext(engine).context)).rejects.toThrow(
      /metrics.jsonl has dev scores of 0 epochs, and halving needs those of 1\. Run again with --search full, or with --force/,
    );
  });
});
