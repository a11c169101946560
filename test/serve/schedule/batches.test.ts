import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import { InferenceLost } from "../../../src/serve/inference/inference";
import { type BatchRecord, createBatches, type RowPart } from "../../../src/serve/schedule/batches";
import { createQueue } from "../../../src/serve/schedule/queue";
import { createRate } from "../../../src/serve/schedule/rate";
import { until } from "../../until";
import { fakeInference } from "../fake";

async function scheduler({ slots = 1, maxTokens = 100, maxWaitMs = 5 } = {}) {
  const inference = fakeInference(slots);
  await inference.open("11");
  await inference.open("22");
  const rate = createRate(slots);
  const queue = createQueue({ maxRows: 100, maxDelayMs: 1e9, batchTokens: maxTokens }, rate);
  const records: BatchRecord[] = [];
  const batches = createBatches(
    inference,
    queue,
    rate,
    { maxTokens, maxWaitMs },
    (record) => void records.push(record),
  );
  const ask = (lengths: readonly number[], tasks: readonly string[] = ["mood"], version = "11") => {
    const ticket = queue.admit({ version, rows: lengths.length, work: 1 });
    const parts: RowPart[] = [];
    const rows = lengths.map((length, index) => ({
      ...{ index, tasks, work: length, ids: new Int32Array(length), typeIds: new Int32Array(length) },
    }));
    const running = batches.run(ticket, rows, (part) => void parts.push(part));
    const outcome: { done?: true; error?: Error } = {};
    running.answered.then(
      () => Object.assign(outcome, { done: true }),
      (error) => Object.assign(outcome, { error }),
    );
    return { ticket, parts, outcome, ...running };
  };
  const handedOut = inference.batches;
  return { inference, queue, batches, ask, handedOut, records };
}

const rowsOf = (batch: { rows: readonly { ids: Int32Array }[] } | undefined) =>
  batch?.rows.map(({ ids }) => ids.length);

describe("batches", () => {
  test("what comes in one turn of the event loop is one batch, and nothing waits where nothing runs", async () => {
    const { ask, handedOut } = await scheduler({ maxWaitMs: 1e6 });
    ask([3]);
    ask([4, 5], ["mood", "topic"]);
    expect(handedOut.length).toBe(0);
    await turn();
    await turn();
    expect(handedOut.map(rowsOf)).toEqual([[3, 4, 5]]);
  });

  test("while others run, a row waits for its batch to be full", async () => {
    const { ask, handedOut } = await scheduler({ slots: 2, maxWaitMs: 1e6 });
    ask([3]);
    await until(() => handedOut.length === 1);
    ask([60]);
    await turn();
    await turn();
    expect(handedOut.length).toBe(1);
    ask([40]);
    await until(() => handedOut.length === 2);
    expect(handedOut.map(rowsOf)).toEqual([[3], [60, 40]]);
  });

  test("and not longer than it may", async () => {
    const { ask, handedOut } = await scheduler({ slots: 2, maxWaitMs: 5 });
    ask([3]);
    await until(() => handedOut.length === 1);
    ask([60]);
    await until(() => handedOut.length === 2);
    expect(handedOut.map(rowsOf)).toEqual([[3], [60]]);
  });

  test("no more batches than there are slots; the next begins as one ends", async () => {
    const { ask, handedOut, batches } = await scheduler({ maxTokens: 10 });
    const [a, b] = [ask([10]), ask([10])];
    await until(() => handedOut.length === 1);
    await turn();
    expect([handedOut.length, batches.running]).toEqual([1, 1]);
    handedOut[0]?.answer();
    await a.answered;
    await until(() => handedOut.length === 2);
    handedOut[1]?.answer();
    await b.answered;
    expect(batches.running).toBe(0);
  });

  test("versions do not share batches", async () => {
    const { ask, handedOut } = await scheduler({ slots: 2 });
    ask([3], ["mood"], "11");
    ask([4], ["mood"], "22");
    ask([5], ["mood"], "11");
    await until(() => handedOut.length === 2);
    expect(handedOut.map(({ version, rows }) => [version, rowsOf({ rows })])).toEqual([
      ["11", [3, 5]],
      ["22", [4]],
    ]);
  });
});

describe("answers", () => {
  test("each part goes to its request as it comes, which has its answer before its batch has ended", async () => {
    const { ask, handedOut } = await scheduler();
    const a = ask([3, 4], ["mood", "topic"]);
    const b = ask([5], ["mood"]);
    await until(() => handedOut.length === 1);
    handedOut[0]?.part("mood");
    expect(b.parts).toEqual([{ index: 0, task: "mood", logits: Float32Array.of(0.5, 0.17) }]);
    expect(a.parts.map(({ index, task }) => [index, task])).toEqual([
      [0, "mood"],
      [1, "mood"],
    ]);
    await b.answered;
    handedOut[0]?.part("topic", [1]);
    expect(a.outcome).toEqual({});
    handedOut[0]?.part("topic", [0]);
    await a.answered;
    handedOut[0]?.answer();
    expect([(await a.ended).length, (await b.ended)[0]?.pieces[0]?.piece]).toEqual([1, "layers 0-2"]);
  });

  test("a request over several batches is answered with the last, and has all of their runs", async () => {
    const { ask, handedOut } = await scheduler({ maxTokens: 10 });
    const a = ask([10, 10, 10]);
    for (let i = 0; i < 3; i++) {
      await until(() => handedOut.length === i + 1);
      expect(a.outcome).toEqual({});
      handedOut[i]?.answer();
    }
    const { queued, ran } = await a.answered;
    expect([queued >= 0, ran >= 0, (await a.ended).length]).toEqual([true, true, 3]);
  });

  test("a batch that is lost fails its requests, their waiting rows with them, and no other", async () => {
    const { ask, handedOut, queue, records } = await scheduler({ maxTokens: 10 });
    const a = ask([10, 10]);
    const b = ask([10]);
    await until(() => handedOut.length === 1);
    handedOut[0]?.lose(new InferenceLost());
    await expect(a.answered).rejects.toBeInstanceOf(InferenceLost);
    expect(await a.ended).toEqual([]);
    await until(() => handedOut.length === 2);
    expect([rowsOf(handedOut[1]), queue.rows]).toEqual([[10], 0]);
    handedOut[1]?.answer();
    await b.answered;
    expect(records.map(({ run }) => run === null)).toEqual([true, false]);
  });

  test("an engine that ends a batch without all of its logits is a defect, and nobody waits for ever", async () => {
    const { ask, handedOut, inference } = await scheduler();
    const run = inference.run;
    inference.run = (version, rows, onPart) => run(version, rows, (part) => part.task === "mood" && onPart(part));
    const a = ask([3], ["mood", "topic"]);
    await until(() => handedOut.length === 1);
    handedOut[0]?.answer();
    await expect(a.answered).rejects.toThrow("without all of its logits");
  });
});

describe("a client that goes", () => {
  test("takes its waiting rows along", async () => {
    const { ask, handedOut, batches } = await scheduler({ maxTokens: 10 });
    const a = ask([10]);
    const [b, c] = [ask([10]), ask([10])];
    await until(() => handedOut.length === 1);
    batches.cancel(b.ticket, new Error("gone"));
    await expect(b.answered).rejects.toThrow("gone");
    handedOut[0]?.answer();
    await a.answered;
    await until(() => handedOut.length === 2);
    handedOut[1]?.answer();
    await c.answered;
    await turn();
    expect(handedOut.length).toBe(2);
  });

  test("gets nothing of what runs, and its batch ends for it when it ends", async () => {
    const { ask, handedOut, batches } = await scheduler();
    const [a, b] = [ask([3]), ask([4])];
    await until(() => handedOut.length === 1);
    batches.cancel(a.ticket, new Error("gone"));
    let ended = false;
    a.ended.then(() => {
      ended = true;
    });
    await turn();
    expect(ended).toBe(false);
    handedOut[0]?.answer();
    await b.answered;
    await a.ended;
    expect([a.parts.length, b.parts.length]).toEqual([0, 1]);
    batches.cancel(a.ticket, new Error("again"));
  });
});
