// The library's functions on what flexbert 0.1.0 left on disk: plain options in, plain results out, errors with their codes.

import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { silent } from "../../src/api/caller";
import {
  checkData,
  distill,
  ExitCode,
  evaluate,
  finetune,
  type InputRow,
  Interrupted,
  listTasks,
  merge,
  type OpenModel,
  openEngine,
  openModel,
  openTokenizer,
  type PredictedRow,
  planDistill,
  planExperiment,
  planFinetune,
  planMerge,
  type Reporter,
  removeTasks,
  run,
  select,
  status,
  UserError,
} from "../../src/api/index";
import { temporaryFolder } from "../tiny";

const cwd = temporaryFolder();
const at = (file: string) => path.join(cwd, file);
const expected = (file: string) => readFileSync(at(`expected/${file}`), "utf8");
const shared = { tasks: at("tasks.yaml"), engine: "wasm" as const };
const ownTasks = { tasks: at("tasks.yaml") };
const model = { ...shared, model: at("merged") };
const stored = { ...shared, base: "tiny", checkpoints: at("checkpoints") };

beforeAll(() => {
  cpSync(path.join(__dirname, "../fixtures/v0.1.0"), cwd, { recursive: true });
  process.env["FLEXBERT_CACHE"] = at("cache");
});

/** A reporter that keeps what it hears. */
function listener() {
  const lines: string[] = [];
  let done = 0;
  const reporter: Reporter = {
    log: (line) => void lines.push(line),
    warn: (line) => void lines.push(line),
    progress: () => ({
      advance(amount) {
        done += amount;
      },
      end: () => undefined,
    }),
  };
  return { reporter, lines, done: () => done };
}

/** The exit code and message of the error that a call throws. */
async function errorOf(call: () => Promise<unknown>): Promise<[number, string]> {
  try {
    await call();
  } catch (error) {
    if (error instanceof UserError) return [error.exitCode, error.message];
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("an open model", () => {
  const predicted: PredictedRow[] = [];
  beforeAll(() => {
    for (const line of expected("predictions.jsonl").trim().split("\n")) predicted.push(JSON.parse(line));
  });

  /** To the digits that engines have in common. */
  function expectClose(rows: readonly PredictedRow[], wanted: readonly PredictedRow[]): void {
    expect(rows.map(({ text, pair }) => [text, pair])).toEqual(wanted.map(({ text, pair }) => [text, pair]));
    for (const [i, { predictions }] of wanted.entries()) {
      for (const [task, prediction] of Object.entries(predictions)) {
        const found = rows[i]?.predictions[task] as typeof prediction;
        if ("value" in prediction) expect(found).toEqual({ value: expect.closeTo(prediction.value, 4) });
        else if ("label" in prediction)
          expect(found).toMatchObject({ label: prediction.label, score: expect.closeTo(prediction.score, 4) });
        else throw new Error(`${task} predicts ${JSON.stringify(prediction)}`);
      }
    }
  }

  const rowsOf = async (opened: OpenModel, file: string) => {
    const rows: InputRow[] = [];
    for await (const row of (await opened.rowsOf(at(file))).rows) rows.push(row);
    return rows;
  };

  test("predicts texts, and rows with a pair and an id, as 0.1.0 did", async () => {
    const { reporter, lines, done } = listener();
    const opened = await openModel(model, { reporter });
    expect(opened.tasks.map(({ name }) => name).sort()).toEqual(["closeness", "mood"]);
    const texts = (await rowsOf(opened, "data/unseen.tsv")).map(({ text }) => text);
    expectClose(await opened.predict(texts), predicted.slice(0, texts.length));
    const pairs = (await rowsOf(opened, "data/unseen-pairs.tsv")).map((row, id) => ({ ...row, id }));
    const rows = await opened.predict(pairs);
    expectClose(rows, predicted.slice(texts.length));
    expect(rows.map(({ id }) => id)).toEqual(pairs.map(({ id }) => id));
    opened.close();
    expect(done()).toBe(texts.length + pairs.length);
    expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/^engine: wasm/)]));
  });

  test("predicts any number of rows one after the other, the tasks that are named", async () => {
    const opened = await openModel(model);
    const count = 9000; // more than are held at a time
    let asked = 0;
    async function* rows() {
      for (; asked < count; asked++) yield { text: "she saw the songs. very bad!", pair: "dull", id: asked };
    }
    let seen = 0;
    for await (const { id, predictions } of opened.predictEach(rows(), { task: "closeness" })) {
      expect([id, Object.keys(predictions)]).toEqual([seen, ["closeness"]]);
      if (seen === 0) expect(asked).toBeLessThan(count);
      seen++;
    }
    expect(seen).toBe(count);
    expect(await errorOf(() => opened.predict(["a text"], { task: ["closeness"] }))).toEqual([
      ExitCode.usage,
      expect.stringMatching(/^closeness takes pairs/),
    ]);
    expect(await errorOf(() => opened.predict(["a text"], { task: "rte" }))).toEqual([
      ExitCode.usage,
      expect.stringMatching(/open without the task rte.*closeness, mood/),
    ]);
    expect(await errorOf(() => opened.predict(["a", { text: "b", pair: "c" }]))).toEqual([
      ExitCode.data,
      "1 of 2 rows are pairs: predict pairs and single texts apart",
    ]);
    opened.close();
  });

  test("stops at the next batch when its signal is aborted", async () => {
    const stop = new AbortController();
    const opened = await openModel(model, { signal: stop.signal });
    const texts = Array.from({ length: 1000 }, () => "the play was most good.");
    const onRows = () => stop.abort();
    await expect(opened.predict(texts, { onRows })).rejects.toThrow(Interrupted);
    opened.close();
  });

  test("is scored as eval scores it, alone and opened by evaluate", async () => {
    const scores: { task: string; score: number }[] = JSON.parse(expected("scores.json"));
    const wanted = scores.map(({ task, score }) => ({ task, score: expect.closeTo(score, 4) }));
    const opened = await openModel(model);
    const { tasks, tokens, engine } = await opened.evaluate();
    expect(tasks.map(({ task, score }) => ({ task, score }))).toEqual(wanted);
    expect([tokens > 0, engine]).toEqual([true, opened.engine]);
    opened.close();
    const alone = await evaluate({ ...model, task: ["mood"], predictions: at("rows.jsonl") });
    expect(alone.tasks).toEqual(tasks.filter(({ task }) => task === "mood"));
    const rows = readFileSync(at("rows.jsonl"), "utf8").trim().split("\n");
    expect(rows).toHaveLength(alone.tasks[0]?.rows ?? 0);
  });
});

describe("choosing and merging", () => {
  test("select writes what merge reads, and one engine serves several calls", async () => {
    const out = at("choice.json");
    const chosen = await select({ ...stored, task: "mood,closeness", threshold: 1, out });
    expect(chosen).toMatchObject({ rule: "threshold 1", unit: "fractions", overhead: expect.any(Number) });
    expect(JSON.parse(readFileSync(out, "utf8")).tasks).toHaveLength(2);
    const engine = await openEngine({ engine: "wasm" });
    const caller = { ...listener(), engine };
    const request = { ...stored, select: out, out: at("made") };
    const plan = await planMerge(request, caller);
    expect(plan.map(({ task, folder }) => ({ task, folder }))).toEqual(
      chosen.tasks.map(({ task, run }) => ({ task, folder: run })),
    );
    expect(existsSync(at("made"))).toBe(false);
    const merged = await merge(request, caller);
    expect(merged).toMatchObject({ out: at("made"), baseLayers: 4, saved: { parameters: expect.any(Number) } });
    expect(merged.onnx?.check?.engine ?? engine.summary).toBe(engine.summary);
    expect(caller.lines.filter((line) => line.startsWith("engine:"))).toEqual([]);
    const left = await removeTasks({ ...shared, out: at("made"), remove: ["mood"] }, caller);
    expect(left.tasks.map(({ name }) => name)).toEqual(["closeness"]);
    expect(engine.tensorCount()).toBe(0);
    engine.dispose();
  });

  test("errors are the command line's, with its exit codes", async () => {
    expect(await errorOf(() => merge({ ...stored, base: "nothing-here" }))).toEqual([
      ExitCode.model,
      expect.stringMatching(/nothing-here is not in the cache.*flexbert pull/),
    ]);
    expect(await errorOf(() => openModel({ model: at("data") }))).toEqual([
      ExitCode.model,
      expect.stringMatching(/neither a merged model nor a run folder/),
    ]);
  });
});

describe("training", () => {
  const size = { maxLength: 32, batchSize: 8, learningRate: 3e-3, epochs: 1 };
  const mood = { ...shared, ...size, base: "tiny", task: "mood", checkpoints: at("own") };
  const sweep = { ...mood, k: [1, 2] };

  test("finetune stops at its signal with the state saved, goes on, and distill learns from what it chose", async () => {
    const plan = await planFinetune(sweep);
    expect(plan.trials.map(({ layers, finished }) => [layers, finished])).toEqual([
      [2, false],
      [1, false],
    ]);
    expect(plan.totalSeconds).toBeGreaterThan(0);
    const stop = new AbortController();
    const abort = (label: string) => (/k=2/.test(label) ? stop.abort() : undefined);
    const progress: Reporter["progress"] = (label) => ({ advance: () => abort(label), end: () => undefined });
    const reporter = { ...silent, progress };
    const stopped = finetune(sweep, { reporter, signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({ name: "Interrupted", folder: expect.stringMatching(/k02-seed1/) });
    const { engine, tasks } = await finetune(sweep);
    expect([engine, tasks.map(({ task }) => task)]).toEqual([expect.stringMatching(/^wasm/), ["mood"]]);
    const [{ runs = [], teacher = null, search = null } = {}] = tasks;
    expect(runs.map(({ layers, state, method }) => [layers, state, method])).toEqual([
      [2, "finished", "finetune"],
      [1, "finished", "finetune"],
    ]);
    expect(runs.map(({ folder }) => folder)).toContain(teacher);
    expect(search).toBeNull();
    const again = await finetune({ ...sweep, k: "1-2" });
    expect(again.tasks).toEqual(tasks);
    const students = await distill({ ...mood, studentLayers: 1 });
    expect(students.tasks).toMatchObject([{ task: "mood", teacher }]);
    expect((await planDistill({ ...mood, studentLayers: 2 })).trials).toEqual([]);
    expect(await status({ checkpoints: at("own") })).toMatchObject([{ base: "tiny", task: "mood", teacher }]);
  });

  test("several tasks are read before the first is trained: a broken one is told at once", async () => {
    cpSync(at("data"), at("broken/data"), { recursive: true });
    cpSync(at("tasks.yaml"), at("broken/tasks.yaml"));
    writeFileSync(at("broken/data/verdict/train.csv"), "first,second,says\na,b,neither\n");
    const request = { ...sweep, tasks: at("broken/tasks.yaml"), task: "mood,verdict", checkpoints: at("none") };
    expect(await errorOf(() => finetune(request))).toEqual([
      ExitCode.data,
      expect.stringMatching(/verdict.train\.csv/),
    ]);
    expect(existsSync(at("none"))).toBe(false);
    expect(await errorOf(() => finetune({ ...sweep, k: 9 }))).toEqual([
      ExitCode.usage,
      expect.stringMatching(/--k 9: the base has 4 layers/),
    ]);
  });

  test("an experiment is planned, and what is done is skipped", async () => {
    const { reporter, lines } = listener();
    const place = { out: at("results/small") };
    const plan = await planExperiment(at("small.yaml"), place);
    expect(plan.trials).toHaveLength(6);
    expect(new Set(plan.trials.map(({ state }) => state))).toEqual(new Set(["finished", "unneeded"]));
    const outcome = await run(at("small.yaml"), { ...place, engine: "wasm" }, { reporter });
    expect(outcome).toMatchObject({ trials: 6, finished: 6, results: at("results/small/trials.csv") });
    expect(outcome.steps).toEqual({ select: "skipped", merge: "skipped", report: "skipped" });
    expect(lines).toContain("merge: nothing has changed, skipped");
  });
});

describe("options", () => {
  test("an unknown name and a wrong value are told at once, by the names of the options", async () => {
    const options = { threshhold: 1, maxLayers: 0, unknown: undefined } as object;
    expect(await errorOf(() => select(options))).toEqual([
      ExitCode.usage,
      'unknown option threshhold (did you mean "threshold"?)\nunknown option unknown\n' +
        "maxLayers 0: it takes a whole number of at least 1",
    ]);
  });
});

test("tasks, data and token ids", async () => {
  const named = (await listTasks(ownTasks)).map(({ name }) => name);
  expect(named).toEqual(expect.arrayContaining(["rte", "mood", "closeness"]));
  const [report] = await checkData({ ...ownTasks, task: "mood" });
  expect(report).toMatchObject({ task: "mood", splits: [{ split: "train", broken: [] }, { split: "dev" }] });
  const tokenizer = await openTokenizer();
  expect(Array.from(tokenizer.encode("A film.", "bad", 16).ids)).toEqual([101, 1037, 2143, 1012, 102, 2919, 102]);
  writeFileSync(at("empty.yaml"), "tasks: []\n");
  expect(await errorOf(() => listTasks({ tasks: at("empty.yaml") }))).toEqual([ExitCode.usage, expect.any(String)]);
});
