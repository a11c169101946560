// Ramps of a finished run: on every layer under the top, the trunk's too, over a model that stays as it is; stopped and resumed to the
// same bytes; and the rule that is decided of them, from the command too.

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { modelFile, readRecord, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { families, type ModelType } from "../../src/model/families/families";
import { planRamps, trainRamps } from "../../src/recipes/exits";
import { decisionFile } from "../../src/recipes/ramps/decision";
import { findRamps } from "../../src/recipes/ramps/find";
import { rampOutputs } from "../../src/recipes/ramps/outputs";
import { glueTasks } from "../../src/tasks/glue";
import { inProcess } from "../cli/in-process";
import { describeEachEngine } from "../engines/engines";
import { quietContext, temporaryFolder, tinyBase, tinyFamilyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { trainTiny } from "../trained";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const at = (name: string) => path.join(folder, name);
const base = tinyBase("tiny-exits", { dropout: 0.1 });

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = at("cache");
  writeTinyGlue(at("glue"), 40, 24);
  await writeBase(base, cachedFolder(base.name));
});

const request = (model: StoredRun, seeds = [1], cacheBudget = 1e9) => ({
  ...{ model, task: glueTasks.sst2, base, seeds, training: { ...tinyTraining, epochs: 3 } },
  run: { ...tinyRun(folder), cacheBudget },
});
/** The same run elsewhere: its ramps are beside it. */
function copyTo(checkpoints: string, { folder: from, record }: StoredRun): StoredRun {
  const to = path.join(at(checkpoints), path.relative(at("checkpoints"), from));
  cpSync(from, to, { recursive: true });
  return { folder: to, record };
}
const nothing = async () => undefined;
const bytesOf = (ramps: StoredRun | undefined) => readFileSync(modelFile((ramps as StoredRun).folder));

describeEachEngine("ramps", (open, name) => {
  test("are one on each layer, stopped and resumed to the same bytes, from memory or disk", async () => {
    const model = await trainTiny(folder, base, glueTasks.sst2, 2);
    const engine = await open();
    const before = engine.tensorCount();
    const frozen = readFileSync(modelFile(model.folder));
    const { context, lines } = quietContext(engine);
    const plan = await planRamps(request(copyTo(`alone-${name}`, model), [1, 2]));
    const [alone, second] = await trainRamps(plan, context, nothing);
    expect(engine.tensorCount()).toBe(before);
    expect(alone?.record).toMatchObject({
      ...{ state: "finished", method: "exits", task: "sst2", fork: 2, layers: 2, steps: 15 },
      teacher: { id: model.record.id, sha256: model.record.sha256 },
    });
    expect(path.relative(at(`alone-${name}`), alone?.folder as string)).toMatch(
      new RegExp(`^tiny-exits/sst2/exits/of-${model.record.id}-seed1-[0-9a-f]{8}$`),
    );
    const { tensors } = await readSafetensors(modelFile((alone as StoredRun).folder));
    const head = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];
    expect(Object.keys(tensors).sort()).toEqual([1, 2, 3].flatMap((i) => head.map((own) => `ramp/${i}/${own}`)).sort());
    const began = (await readSafetensors(modelFile(model.folder))).tensors;
    for (const layer of plan.layers) {
      for (const own of head) expect(tensors[`ramp/${layer}/${own}`]).not.toEqual(began[own]);
    }
    expect(bytesOf(second)).not.toEqual(bytesOf(alone));
    expect(readFileSync(modelFile(model.folder))).toEqual(frozen);

    const abort = new AbortController();
    const stopping = { ...context, signal: abort.signal, reporter: stopAt(7, /ramps of finetune/, abort) };
    const resumable = await planRamps(request(copyTo(`resumed-${name}`, model), [1], 0));
    await expect(trainRamps(resumable, stopping, nothing)).rejects.toMatchObject({
      message: expect.stringMatching(/the state is saved in .*exits/),
    });
    const [resumed] = await trainRamps(resumable, context, nothing);
    expect(bytesOf(resumed)).toEqual(bytesOf(alone));
    expect(lines.filter((line) => /epoch 3/.test(line)).length).toBeGreaterThan(0);
  });
});

describe("every family", () => {
  test.each(Object.keys(families) as ModelType[])("%s", async (family) => {
    const own = tinyFamilyBase(family, `tiny-exits-${family}`);
    const { engine } = await openEngine("onnx", {});
    await writeBase(own, cachedFolder(own.name));
    const model = await trainTiny(folder, own, glueTasks.sst2, 1);
    const plan = await planRamps({ ...request(model), base: own });
    const { context } = quietContext(engine);
    let seen = 0;
    const [ramps] = await trainRamps(plan, context, async (stored, rows) => {
      const outputs = await rampOutputs(stored, glueTasks.sst2, plan.layers, rows, context);
      expect([...outputs.dev.ramps.keys()]).toEqual([1, 2, 3]);
      // What is stored is what is read again, and the model's own outputs are those that scored it.
      const again = await rampOutputs(stored, glueTasks.sst2, plan.layers, { ...rows, states: fails }, context);
      expect(again.dev.data).toEqual(outputs.dev.data);
      const right = Array.from(plan.data.dev.labels, (label, row) => {
        const [no, yes] = outputs.dev.full(row) as unknown as [number, number];
        return Number(yes > no) === label;
      });
      expect(right.filter(Boolean).length / right.length).toBeCloseTo(model.record.score as number, 12);
      seen++;
    });
    expect([ramps?.record.state, seen]).toEqual(["finished", 1]);
    engine.dispose();
  });
  const fails = () => Promise.reject(new Error("computed what was stored"));
});

const { flexbert } = inProcess();

describe("the command", () => {
  const shared = [
    "--base",
    base.name,
    "--glue-data",
    at("glue"),
    "--checkpoints",
    at("by-command"),
    "--engine",
    "onnx",
  ];
  const line = ["exits", "--task", "sst2", ...shared, "--epochs", "4", "--keep", "80", "--confidence", "60"];

  test("trains the ramps of the teacher once, and decides again without training", async () => {
    expect(await flexbert(line)).toMatchObject({ code: 4, stderr: expect.stringMatching(/flexbert finetune/) });
    const training = ["--epochs", "4", "--learning-rate", "1e-3", "--max-length", "32", "--batch-size", "8"];
    const trained = await flexbert(["finetune", "--task", "sst2", "--k", "2", ...shared, ...training]);
    expect(trained.code).toBe(0);
    const dry = await flexbert([...line, "--dry-run", "--json"]);
    expect(JSON.parse(dry.stdout)).toMatchObject([{ task: "sst2", seed: 1, layers: [1, 2, 3], finished: false }]);
    const { code, stdout } = await flexbert([...line, "--json"]);
    expect(code).toBe(0);
    const [decided] = JSON.parse(stdout).tasks;
    expect(decided).toMatchObject({
      task: "sst2",
      ramps: { method: "exits", state: "finished" },
      bytes: 4 * 3 * (16 * 16 + 16 + 2 * 16 + 2),
      scores: [{ layer: 1 }, { layer: 2 }, { layer: 3 }],
      exits: { criterion: "entropy", promise: { keep: 0.8, confidence: 0.6 }, measured: { rows: 24, top: 4 } },
    });
    expect(decided.curve[0]).toEqual({ threshold: 0, layers: 4, score: decided.model.score });
    expect(decided.curve.at(-1).layers).toBeLessThan(4);
    expect(decided).toMatchObject({ stored: true, passedOver: [], kept: expect.stringMatching(/answers rightly/) });
    expect(decided.curve.map(({ threshold }: { threshold: number }) => threshold)).toContain(decided.exits.threshold);
    const model = { folder: decided.model.folder, record: (await readRecord(decided.model.folder)) as never };
    const file = decisionFile(model);
    expect(path.relative(at("by-command"), file)).toBe(
      `tiny-exits/sst2/exits/of-${decided.model.folder.slice(-8)}.json`,
    );
    const { asked, exits, scores, curve } = JSON.parse(readFileSync(file, "utf8"));
    expect(asked).toEqual({ criterion: "entropy", promise: { keep: 0.8, confidence: 0.6 } });
    expect({ exits, scores, curve }).toEqual({ exits: decided.exits, scores: decided.scores, curve: decided.curve });
    const found = () => findRamps(model, glueTasks.sst2);
    expect(await found()).toMatchObject({ rule: decided.exits, why: null, run: { folder: decided.ramps.folder } });

    const free = line.slice(0, -4);
    const again = await flexbert([...free, "--budget", "2", "--json"]);
    const [within] = JSON.parse(again.stdout).tasks;
    expect(within.ramps.finishedAt).toBe(decided.ramps.finishedAt);
    expect(within.exits).toMatchObject({ budget: 2, measured: { layers: expect.any(Number) } });
    expect(within.exits.measured.layers).toBeLessThanOrEqual(2);
    expect(await flexbert([...line, "--budget", "2"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--budget 2 beside --keep 80 and --confidence 60/),
    });

    // Of two seeds one is decided on, and it is the one that is found.
    const seeds = await flexbert([...line, "--seeds", "2", "--json"]);
    const [ofTwo] = JSON.parse(seeds.stdout).tasks;
    expect(ofTwo.passedOver).toHaveLength(1);
    const folders = [ofTwo.ramps, ...ofTwo.passedOver].map(({ folder }) => folder);
    expect(new Set(folders).size).toBe(2);
    expect(await found()).toMatchObject({ rule: ofTwo.exits, run: { folder: ofTwo.ramps.folder } });

    // By what merge would take: the teacher here.
    const [selected] = JSON.parse((await flexbert([...line, "--select", "best", "--json"])).stdout).tasks;
    expect(selected).toMatchObject({ model: decided.model, exits: decided.exits });

    // What is decided next counts, "no exits" too, whatever seed had a rule before.
    const none = await flexbert(free);
    expect(none.stdout).toMatch(/sst2: no exits: \d+ dev rows count .* takes 299 of which none is lost/);
    expect(JSON.parse(readFileSync(file, "utf8")).exits).toBeNull();
    expect(await found()).toMatchObject({
      ...{ rule: null, why: expect.stringMatching(/takes 299 of which none is lost/) },
      run: { folder: decided.ramps.folder },
    });

    // A look at some of the dev rows takes no other's place.
    const look = await flexbert([...line, "--max-eval-samples", "12"]);
    expect(look.stdout).toMatch(/sst2: a look at some of the dev rows. What was decided before stays/);
    expect(await found()).toMatchObject({ rule: null });
    // Nor does a rule hold for weights or thresholds that it was not decided for.
    const { stdout: last } = await flexbert([...line, "--json"]);
    expect((await found())?.rule).toEqual(JSON.parse(last).tasks[0].exits);
    expect(await findRamps(model, { ...glueTasks.sst2, threshold: 0.4 })).toMatchObject({
      ...{ rule: null, why: expect.stringMatching(/rests on the threshold null, which is another now/) },
    });
    rmSync(file);
    expect(await found()).toMatchObject({ rule: null, why: expect.stringMatching(/nothing was decided/) });

    const config = path.join(decided.ramps.folder, "config.yaml");
    const repeated = await flexbert(["exits", "--config", config, ...shared.slice(2), "--json"]);
    expect(repeated.code).toBe(0);
    expect(JSON.parse(repeated.stdout).tasks[0].ramps.folder).toBe(decided.ramps.folder);
    // Runs of training are looked for where recipes have theirs: ramps are none of them.
    const status = await flexbert(["status", "--checkpoints", at("by-command"), "--json"]);
    expect(JSON.parse(status.stdout)[0].runs).toHaveLength(1);
  });

  test("refuses what can have none, by name", async () => {
    const [folderOf] = JSON.parse((await flexbert(["status", "--checkpoints", at("by-command"), "--json"])).stdout)[0]
      .runs;
    const ofRun = ["exits", "--run", folderOf.folder, ...shared.slice(2)];
    expect(await flexbert([...ofRun, "--task", "rte"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is a run of sst2, and --task says rte/),
    });
    expect(await flexbert([...ofRun, "--max-length", "16"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--max-length 16: .* cuts rows to 32 tokens/),
    });
    expect(await flexbert([...ofRun, "--budget", "0.5"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--budget "0\.5": it takes a number of at least 1/),
    });
    expect(await flexbert([...ofRun, "--criterion", "spread"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /--criterion spread: sst2 is a task of classification, which has entropy and probability/,
      ),
    });
    // Before anything is trained: another criterion is a usage error like these.
    expect((await flexbert([...ofRun, "--criterion", "spread"])).stderr).not.toMatch(/epoch/);
    expect(await flexbert(["exits", "--run", at("glue"), ...shared.slice(2)])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/is no run folder/),
    });
    expect(await flexbert([...ofRun, "--keep", "100"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--keep/),
    });
  });

  test("finds damaged ramps", async () => {
    const [{ ramps }] = JSON.parse((await flexbert([...line, "--json"])).stdout).tasks;
    rmSync(path.join(ramps.folder, "exit-logits.safetensors"));
    writeFileSync(path.join(ramps.folder, "model.safetensors"), "none");
    expect(await flexbert(line)).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/model.safetensors has sha256/),
    });
  });
});
