// A model in pieces: the same answers as the one graph over padded batches, which layers run for which rows, what a row's
// neighbours and its padding change (nothing), the order in which answers come, and one branch replaced alone.

import { describe, expect, test } from "@jest/globals";
import { type TokenRows, tokenRows } from "../../src/batches/rows";
import { tokenInputs } from "../../src/batches/token-inputs";
import type { Engine } from "../../src/engines/engine";
import type { EntryPoint } from "../../src/model/entry-point";
import { multiHeadLogits, type TokenInputs } from "../../src/model/multi-head";
import { embeddingTensors, layerTensors, scoped } from "../../src/model/parameters";
import { float32, type HostTensors, sizeOf } from "../../src/model/tensors";
import type { PieceRun, SegmentedTask } from "../../src/predict/segments/pieces";
import { openSegments } from "../../src/predict/segments/segments";
import { tracedPieces } from "../../src/predict/segments/traced";
import { normals } from "../../src/random/draws";
import { foldIn, seedKey } from "../../src/random/threefry";
import { kinds } from "../../src/tasks/kinds";
import { withHeads } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { tinyBase } from "../tiny";

const { config, tensors } = tinyBase("tiny", { layers: 4, hidden: 32 });
const labels = 3;
const place = (name: string, fork: number | null, layers: number) => ({
  name,
  fork,
  layers,
  kind: kinds.classification,
});
const tasks = [place("low", 0, 2), place("mid", 1, 1), place("also", 1, 3), place("top", 3, 1), place("own", null, 2)];

/** A branch with weights of its own. */
function branchOf({ name, fork, layers }: SegmentedTask, seed: number): HostTensors {
  const own: HostTensors = {
    ...(fork === null ? embeddingTensors(tensors) : {}),
    ...layerTensors(tensors, fork ?? 0, (fork ?? 0) + layers),
  };
  const head = { "bert.pooler.dense.weight": [32, 32], "bert.pooler.dense.bias": [32] };
  const shapes = { ...head, "classifier.weight": [labels, 32], "classifier.bias": [labels] };
  let index = seed * 1000;
  const moved = Object.entries(own).map(([tensor, { shape, data }]) => {
    const noise = normals(foldIn(seedKey(9), index++), data.length, 0.02);
    return [
      tensor,
      float32(
        shape,
        Float32Array.from(data, (value, i) => value + (noise[i] as number)),
      ),
    ] as const;
  });
  const made = Object.entries(shapes).map(([tensor, shape]) => {
    return [tensor, float32(shape, normals(foldIn(seedKey(8), index++), sizeOf(shape), 0.3))] as const;
  });
  return scoped(name, Object.fromEntries([...moved, ...made]));
}

const shared = { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, 3) };
const all = Object.assign({}, shared, ...tasks.map((task, i) => branchOf(task, i)));
const open = (engine: Engine, cuts?: readonly number[]) =>
  openSegments(config, tasks, tracedPieces(engine, config, tasks, all), cuts);

/** Rows of these lengths, each with ids of its own. */
const rowsOf = (lengths: readonly number[]): TokenRows =>
  tokenRows(
    lengths.map((length, row) => ({
      ids: Int32Array.from({ length }, (_, i) => 1 + ((row * 13 + i * 7) % (config.vocabSize - 1))),
      typeIds: Int32Array.from({ length }, (_, i) => Number(i > length / 2)),
      truncated: 0,
    })),
    0,
  );
/** Of a row, by its number: alone it has the ids that it has among others. */
const oneOf = ({ ids, typeIds, padId }: TokenRows, row: number): TokenRows => {
  const encoding = { ids: ids.at(row) as Int32Array, typeIds: typeIds.at(row) as Int32Array, truncated: 0 };
  return tokenRows([encoding], padId);
};

type Segments = ReturnType<typeof open>;
const names = tasks.map(({ name }) => name);

/** Logits of each row by task. */
async function answers(segments: Segments, rows: TokenRows, wants: readonly (readonly string[])[], runs?: PieceRun[]) {
  const found = wants.map((): Record<string, number[]> => ({}));
  for await (const { task, rows: own, logits } of segments.run(rows, wants, (run) => runs?.push(run))) {
    for (const [i, row] of own.entries()) {
      (found[row] as Record<string, number[]>)[task] = Array.from(logits.data.subarray(i * labels, (i + 1) * labels));
    }
  }
  return found;
}
const forAll = (rows: TokenRows) => Array.from(rows.lengths, () => names);

function largestDifference(a: readonly Record<string, number[]>[], b: readonly Record<string, number[]>[]): number {
  expect(a.map((row) => Object.keys(row).sort())).toEqual(b.map((row) => Object.keys(row).sort()));
  const apart = a.flatMap((row, i) =>
    Object.entries(row).flatMap(([task, logits]) => logits.map((x, j) => Math.abs(x - (b[i]?.[task]?.[j] as number)))),
  );
  return Math.max(...apart);
}

/** The one graph, over a batch that is padded to one token more than its longest row has. */
async function oneGraph(engine: Engine, rows: TokenRows) {
  const heads = await withHeads(tasks, config);
  const entry: EntryPoint = (state, inputs) => ({
    outputs: multiHeadLogits(state, inputs as unknown as TokenInputs, heads, config),
  });
  const program = await engine.load(all, { entry });
  const length = Math.max(...rows.lengths) + 1;
  const count = rows.lengths.length;
  const outputs = await program.run(
    "entry",
    tokenInputs(rows, { rows: [...Array(count).keys()], length }, count, config),
  );
  program.dispose();
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(
      Object.entries(outputs).map(([task, { data }]) => [
        task,
        Array.from(data.subarray(row * labels, (row + 1) * labels)),
      ]),
    ),
  );
}

describeEachEngine("in pieces", (openEngine, engineName) => {
  test("answers are those of the one graph, whatever the lengths", async () => {
    const engine = await openEngine();
    const segments = open(engine);
    for (const lengths of [[5], [7, 7, 7], [3, 60, 8, 8, 21, 3]]) {
      const rows = rowsOf(lengths);
      expect(largestDifference(await answers(segments, rows, forAll(rows)), await oneGraph(engine, rows))).toBeLessThan(
        1e-5,
      );
    }
    segments.dispose();
  });

  test("a row's answer is its own: bit-equal on onnx, within 1e-5 elsewhere", async () => {
    const segments = open(await openEngine());
    for (const [lengths, elsewhere] of [
      [[9, 9, 9, 9, 9, 9, 9], 1e-6],
      [[9, 40, 17, 3, 33, 9], 1e-5],
      [[5, 6, 7, 8, 9, 10, 11, 12, 13], 1e-5],
    ] as const) {
      const most = engineName === "onnx" ? 0 : elsewhere;
      const rows = rowsOf(lengths);
      const together = await answers(segments, rows, forAll(rows));
      for (const row of lengths.keys()) {
        const alone = await answers(segments, oneOf(rows, row), [names]);
        expect(largestDifference(alone, [together[row] as Record<string, number[]>])).toBeLessThanOrEqual(most);
      }
    }
    segments.dispose();
  });

  test("rows that ask for different tasks share a batch, and none runs a layer that its tasks do not need", async () => {
    const segments = open(await openEngine());
    const rows = rowsOf([6, 6, 6, 6]);
    const wants = [["low"], ["mid", "top"], ["own"], []];
    const runs: PieceRun[] = [];
    const found = await answers(segments, rows, wants, runs);
    expect(found.map((row) => Object.keys(row).sort())).toEqual(wants);
    expect(runs.map(({ piece, rows: count, tokens, layers }) => [piece, count, tokens, layers])).toEqual([
      ["own", 1, 6, 2],
      ["layers 0-0", 2, 12, 0],
      ["low", 1, 6, 2],
      ["layers 0-1", 1, 6, 1],
      ["mid", 1, 6, 1],
      ["layers 1-3", 1, 6, 2],
      ["top", 1, 6, 1],
    ]);
    const whole = await answers(segments, rows, forAll(rows));
    const same = found.map((row, i) =>
      Object.fromEntries(Object.keys(row).map((task) => [task, whole[i]?.[task] as number[]])),
    );
    expect(largestDifference(found, same)).toBeLessThan(1e-5);
    segments.dispose();
  });

  test("a shallow fork's answers are there before deeper layers run", async () => {
    const segments = open(await openEngine());
    const runs: string[] = [];
    const rows = rowsOf([4, 5]);
    for await (const { task } of segments.run(rows, forAll(rows), ({ piece }) => runs.push(piece))) {
      if (task === "mid") break; // who has what he wanted runs no more
    }
    expect(runs).not.toContain("layers 1-3");
    segments.dispose();
  });

  test("one branch is replaced, and every other piece stays", async () => {
    const engine = await openEngine();
    const segments = open(engine);
    const rows = rowsOf([6, 9]);
    const before = await answers(segments, rows, forAll(rows));
    const held = engine.tensorCount();
    const next = { ...place("mid", 3, 1) };
    const source = tracedPieces(engine, config, [next], branchOf(next, 77));
    await segments.replace(next, () => source.branch("mid"));
    const after = await answers(segments, rows, forAll(rows));
    for (const [i, row] of after.entries()) {
      const { mid, ...others } = row;
      const { mid: old, ...same } = before[i] as Record<string, number[]>;
      expect(others).toEqual(same);
      expect(mid).not.toEqual(old);
    }
    expect(engine.tensorCount()).toBe(held);
    await expect(segments.replace(place("mid", 2, 1), () => source.branch("mid"))).rejects.toThrow(/not cut/);
    segments.dispose();
  });
});

describe("cut points", () => {
  test("any layer under the deepest fork may be one", async () => {
    const opened: string[] = [];
    const never = { run: async () => ({}), inputs: [], dispose: () => undefined };
    const source = {
      stretch: async ({ from, to, bottom }: { from: number; to: number; bottom: boolean }) => {
        opened.push(`${bottom ? "embeddings, " : ""}${from}-${to}`);
        return never;
      },
      branch: async (task: string) => {
        opened.push(task);
        return never;
      },
    };
    await openSegments(config, [place("a", 3, 1)], source, [2, 1, 2, 4]).open();
    expect(opened).toEqual(["embeddings, 0-1", "1-2", "2-3", "a"]);
    opened.length = 0;
    await openSegments(config, [place("a", null, 4)], source).open();
    expect(opened).toEqual(["a"]);
    await openSegments(config, tasks, source).open(["mid"]);
    expect(opened).toEqual(["a", "embeddings, 0-0", "0-1", "mid"]);
  });

  test("a task that the model was opened without is an error", async () => {
    const rows = rowsOf([4]);
    const run = openSegments(config, [], { stretch: () => Promise.reject(), branch: () => Promise.reject() }).run;
    await expect(run(rows, [["x"]]).next()).rejects.toThrow(/without the task x/);
  });
});
