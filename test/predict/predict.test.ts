// Which batches a model is asked for, and what becomes of its logits: over a model that says what it was given.

import { describe, expect, test } from "@jest/globals";
import { type RowLogits, rowLogits } from "../../src/batches/row-logits";
import type { TokenRows } from "../../src/batches/rows";
import { Interrupted } from "../../src/messages/reporter";
import { float32 } from "../../src/model/tensors";
import type { Row } from "../../src/predict/encode";
import type { ServedModel, ServedTask } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { fittingTasks, type InputRow, predictRows } from "../../src/predict/rows";
import { kinds } from "../../src/tasks/kinds";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { tinyBase } from "../tiny";

const base = tinyBase();
const { signal } = new AbortController();
const task = (name: string, maxLength: number, inputs: "single" | "pair" = "single"): ServedTask => ({
  ...{ name, maxLength, inputs, kind: kinds.classification, labels: ["no", "yes"], range: null, fork: 1, layers: 1 },
});
const single = (text: string): Row => ({ text, pair: null });
const words = (count: number) => single("good ".repeat(count).trim());

/** Gives each row the number of its tokens, and minus that, as logits. */
function countingModel() {
  const calls: { readonly wants: readonly (readonly string[])[]; readonly lengths: readonly number[] }[] = [];
  const model: ServedModel = {
    ...{ folder: "m", config: base.config, tokenizer: createTokenizer(base.tokenizer), tasks: [] },
    async *run({ lengths }: TokenRows, wants) {
      calls.push({ wants, lengths: Array.from(lengths) });
      for (const task of new Set(wants.flat())) {
        const rows = [...wants.keys()].filter((row) => wants[row]?.includes(task));
        const logits = Float32Array.from(rows.flatMap((row) => [lengths[row] as number, -(lengths[row] as number)]));
        yield { task, rows, logits: float32([rows.length, 2], logits) };
      }
    },
    open: async () => undefined,
    replace: async () => undefined,
    dispose: () => undefined,
  };
  return { model, calls };
}

const counts = (logits: RowLogits | undefined) => Array.from(logits?.data ?? []).filter((_, i) => i % 2 === 0);

describe("computeLogits", () => {
  test("gives them in the order of the rows, in batches of at most 512 that are sorted by length", async () => {
    const { model, calls } = countingModel();
    const lengths = Array.from({ length: 600 }, (_, i) => 1 + ((i * 3) % 5));
    const read: [number, number][] = [];
    const onRows = (rows: number, tokens: number) => void read.push([rows, tokens]);
    const { a } = await computeLogits(model, lengths.map(words), [task("a", 64)], { signal, onRows });
    expect(counts(a)).toEqual(lengths.map((count) => count + 2)); // with [CLS] and [SEP]
    expect(calls.map(({ lengths }) => lengths.length)).toEqual([512, 88]);
    expect(read.map(([rows]) => rows)).toEqual([512, 88]);
    expect(read.reduce((sum, [, tokens]) => sum + tokens, 0)).toBe(lengths.reduce((sum, one) => sum + one + 2, 0));
  });

  test("asks for all tasks in one pass, and puts what one of them cuts shorter into the same batch", async () => {
    const { model, calls } = countingModel();
    const rows = [words(2), words(9)];
    const logits = await computeLogits(model, rows, [task("short", 6), task("long", 64)], { signal });
    expect([counts(logits["short"]), counts(logits["long"])]).toEqual([
      [4, 6],
      [4, 11],
    ]);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.wants.map((names, i) => [[...names].sort().join(), calls[0]?.lengths[i]])).toEqual([
      ["long,short", 4],
      ["short", 6],
      ["long", 11],
    ]);
  });

  test("stops before the next batch", async () => {
    const { model, calls } = countingModel();
    const controller = new AbortController();
    const onRows = () => controller.abort();
    const rows = Array.from({ length: 1030 }, () => words(1));
    const stopped = computeLogits(model, rows, [task("a", 64)], { signal: controller.signal, onRows });
    await expect(stopped).rejects.toThrow(Interrupted);
    expect(calls).toHaveLength(1);
  });
});

test("a prediction is of the row's own logits", () => {
  const logits = rowLogits(Float32Array.of(3, -3, -3, 3), 2);
  expect([0, 1].map((row) => toPrediction(task("a", 64), logits.of(row), words(1)))).toMatchObject([
    { label: "no" },
    { label: "yes" },
  ]);
});

describe("predictRows", () => {
  test("hands rows back in their order with their ids, and holds a bounded number of them", async () => {
    const { model } = countingModel();
    let given = 0;
    async function* rows(): AsyncGenerator<InputRow> {
      for (; given < 5000; given++) yield { ...words(1 + (given % 3)), id: given };
    }
    const ids: unknown[] = [];
    let ahead = 0;
    for await (const { id, predictions } of predictRows(model, rows(), () => [task("a", 64)], { signal })) {
      ids.push(id);
      ahead = Math.max(ahead, given - ids.length);
      expect(predictions["a"]).toMatchObject({ label: "no" });
    }
    expect(ids).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    expect(ahead).toBeLessThan(4096);
  });
});

describe("fittingTasks", () => {
  const tasks = [task("mood", 64), task("rte", 64, "pair")];

  test("takes those of the rows' inputs, and says which are left out", () => {
    const { tasks: fitting, note } = fittingTasks(tasks, [words(1)], false);
    expect([fitting.map(({ name }) => name), note]).toEqual([["mood"], "left out, because they take pairs: rte"]);
  });

  test("refuses a named task that takes others (2), rows of both sorts (3) and no rows (3)", () => {
    expect(() => fittingTasks(tasks, [words(1)], true)).toThrow(expect.objectContaining({ exitCode: 2 }));
    const both = [words(1), { text: "a", pair: "b" }];
    expect(() => fittingTasks(tasks, both, false)).toThrow(expect.objectContaining({ exitCode: 3 }));
    expect(() => fittingTasks(tasks, [], false)).toThrow(expect.objectContaining({ exitCode: 3 }));
    const none = { exitCode: 4, message: expect.stringMatching(/^the model has no tasks/) };
    for (const row of [words(1), ...both]) {
      expect(() => fittingTasks([], [row], false)).toThrow(expect.objectContaining(none));
    }
  });
});
