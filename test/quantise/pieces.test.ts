// A model in int8 pieces: a row's answer is its own, whatever runs beside it; the processor that saturates has other codes.

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type TokenRows, tokenRows } from "../../src/batches/rows";
import { parted } from "../../src/compile/onnx/stored";
import type { Engine } from "../../src/engines/engine";
import { isSaturated } from "../../src/engines/onnx/saturation";
import { openEngine } from "../../src/engines/open";
import { embeddingTensors, layerTensors, scoped } from "../../src/model/parameters";
import { float32, type HostTensors, sizeOf } from "../../src/model/tensors";
import { loweredPieces } from "../../src/predict/segments/lowered";
import type { PieceSource } from "../../src/predict/segments/pieces";
import { openSegments } from "../../src/predict/segments/segments";
import { packBranch, packTrunk } from "../../src/quantise/pack-model";
import { plainPlan } from "../../src/quantise/packing";
import { plannedPieces } from "../../src/quantise/pieces";
import { normals } from "../../src/random/draws";
import { foldIn, seedKey } from "../../src/random/threefry";
import { kinds } from "../../src/tasks/kinds";
import { tinyBase } from "../tiny";

const HIDDEN = 64;
const { config, tensors } = tinyBase("tiny-int8", { layers: 3, hidden: HIDDEN });
const kind = kinds.classification;
const tasks = [
  { name: "low", fork: 1, layers: 1, kind },
  { name: "top", fork: 2, layers: 1, kind },
];
/** Of a word that no text has but the one with the outlier. */
const OUTLIER = config.vocabSize - 1;

function headOf(seed: number): HostTensors {
  const shapes = {
    ...{ "bert.pooler.dense.weight": [HIDDEN, HIDDEN], "bert.pooler.dense.bias": [HIDDEN] },
    ...{ "classifier.weight": [3, HIDDEN], "classifier.bias": [3] },
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [
      name,
      float32(shape, normals(foldIn(seedKey(seed), i), sizeOf(shape), 0.3)),
    ]),
  );
}

const all: HostTensors = {
  ...embeddingTensors(tensors),
  ...layerTensors(tensors, 0, 2),
  ...scoped("low", { ...layerTensors(tensors, 1, 2), ...headOf(1) }),
  ...scoped("top", { ...layerTensors(tensors, 2, 3), ...headOf(2) }),
};
const words = all["bert.embeddings.word_embeddings.weight"] as HostTensors[string];
for (let i = 0; i < HIDDEN; i++) words.data[OUTLIER * HIDDEN + i] = i === 5 ? 3000 : 1;

const textOf = (row: number, length: number, last?: number) => {
  const ids = Int32Array.from({ length }, (_, i) => 1 + ((row * 13 + i * 7) % (config.vocabSize - 2)));
  if (last !== undefined) ids[length - 1] = last;
  return { ids, typeIds: new Int32Array(length), truncated: 0 };
};
const rowsOf = (texts: readonly ReturnType<typeof textOf>[]): TokenRows => tokenRows([...texts], 0);

let engine: Engine;
beforeAll(async () => {
  engine = (await openEngine("onnx", { threads: 1 })).engine;
});
afterAll(() => engine.dispose());

/** [task][row] logits. */
async function run(source: PieceSource, rows: TokenRows): Promise<Record<string, number[][]>> {
  const segments = openSegments(config, tasks, source);
  const found: Record<string, number[][]> = { low: [], top: [] };
  const wants = Array.from({ length: rows.ids.length }, () => ["low", "top"]);
  for await (const { task, rows: at, logits } of segments.run(rows, wants)) {
    const width = logits.shape[1] as number;
    for (const [i, row] of at.entries())
      (found[task] as number[][])[row] = [...logits.data.slice(i * width, (i + 1) * width)];
  }
  segments.dispose();
  return found;
}

const model = () => ({ engine, config, tasks, tensors: all });
const int8 = () => plannedPieces(model(), plainPlan);
const rowAt = (found: Record<string, number[][]>, row: number) =>
  [found["low"]?.[row], found["top"]?.[row]].flat() as number[];
const largest = (a: readonly number[], b: readonly number[]) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);

describe("in int8", () => {
  const texts = [7, 7, 7, 7].map((length, row) => textOf(row, length));

  test("answers are near to float32's, and not the same", async () => {
    const [found, exact] = [await run(int8(), rowsOf(texts)), await run(plannedPieces(model(), null), rowsOf(texts))];
    for (const row of texts.keys()) {
      const difference = largest(rowAt(found, row), rowAt(exact, row));
      expect(difference).toBeGreaterThan(0);
      expect(difference).toBeLessThan(0.1);
    }
  });

  test("a row has the same bits alone and among others of its length", async () => {
    const found = await run(int8(), rowsOf(texts));
    for (const [row, text] of texts.entries()) {
      expect(rowAt(await run(int8(), rowsOf([text])), 0)).toEqual(rowAt(found, row));
    }
  });

  test("a row has the same bits beside longer ones", async () => {
    const alone = await run(int8(), rowsOf(texts));
    const among = await run(int8(), rowsOf([...texts, ...[8, 9, 12, 33].map((length, i) => textOf(9 + i, length))]));
    for (const row of texts.keys()) expect(rowAt(among, row)).toEqual(rowAt(alone, row));
  });

  test("an outlier in another row changes nothing", async () => {
    const alone = await run(int8(), rowsOf(texts));
    const beside = await run(int8(), rowsOf([...texts, textOf(4, 7, OUTLIER)]));
    for (const row of texts.keys()) expect(rowAt(beside, row)).toEqual(rowAt(alone, row));
  });

  test("packed parts give what the plan gives, and 7 bits something else that is near", async () => {
    const trunk = packTrunk(config, all, plainPlan, [0, 2]);
    const packed = Object.assign({}, trunk.embeddings, ...trunk.layers);
    for (const task of tasks) Object.assign(packed, scoped(task.name, await packBranch(config, task, all, plainPlan)));
    const weights = { config, tasks, tensors: parted(packed) };
    const wanted = await run(int8(), rowsOf(texts));
    const saturates = (await engine.saturates?.()) ?? false;
    expect(await run(loweredPieces(engine, weights, saturates), rowsOf(texts))).toEqual(wanted);
    const other = await run(loweredPieces(engine, weights, !saturates), rowsOf(texts));
    for (const row of texts.keys()) {
      expect(rowAt(other, row)).not.toEqual(rowAt(wanted, row));
      // Where it saturates, what 8 bits give is near to nothing.
      if (!saturates) expect(largest(rowAt(other, row), rowAt(wanted, row))).toBeLessThan(0.2);
    }
  });
});

test("a processor saturates where one product of 255 and 127 is not what it should be", async () => {
  const right = new Int32Array(8).fill(64 * 255 * 127);
  expect(isSaturated(right)).toBe(false);
  expect(isSaturated(Int32Array.from(right, (value, i) => (i === 7 ? 32 * 32767 : value)))).toBe(true);
  expect(typeof (await engine.saturates?.())).toBe("boolean");
});
