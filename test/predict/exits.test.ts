// Rows that leave early: each gets what it gets alone, at the same layer; the others go on without them, the trunk as far as some task
// has not left; and which layers run for which rows.

import { describe, expect, test } from "@jest/globals";
import { type TokenRows, tokenRows } from "../../src/batches/rows";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { embeddingTensors, layerTensors, scoped } from "../../src/model/parameters";
import { rampName } from "../../src/model/ramp-names";
import { float32, type HostTensors, sizeOf } from "../../src/model/tensors";
import { callExits, exitRules, rowExits, stayingExits } from "../../src/predict/exits";
import type { ServedTask } from "../../src/predict/model";
import type { CallExits, PieceRun, SegmentedTask, TaskLogits } from "../../src/predict/segments/pieces";
import { openSegments } from "../../src/predict/segments/segments";
import { tracedPieces } from "../../src/predict/segments/traced";
import { normals } from "../../src/random/draws";
import { foldIn, seedKey } from "../../src/random/threefry";
import { kinds } from "../../src/tasks/kinds";
import { softmaxEntropy } from "../../src/tasks/kinds/leaving";
import { describeEachEngine } from "../engines/engines";
import { tinyBase } from "../tiny";

const { config, tensors } = tinyBase("tiny", { layers: 5, hidden: 32 });
const labels = 3;
const place = (name: string, fork: number | null, layers: number) => ({
  name,
  fork,
  layers,
  kind: kinds.classification,
});
const tasks = [place("low", 1, 3), place("high", 4, 1), place("own", null, 4), place("plain", 2, 1)];
/** Where each may leave: in the trunk and in its own layers. */
const stops: Readonly<Record<string, number[]>> = { low: [1, 2, 3], high: [1, 3], own: [2] };

const random = (shapes: Readonly<Record<string, readonly number[]>>, seed: number): HostTensors =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [
      name,
      float32(shape, normals(foldIn(seedKey(seed), i), sizeOf(shape), 0.3)),
    ]),
  );
const head = {
  ...{ "bert.pooler.dense.weight": [32, 32], "bert.pooler.dense.bias": [32] },
  ...{ "classifier.weight": [labels, 32], "classifier.bias": [labels] },
};

/** A branch over the base's own layers, with ramps. */
function branchOf({ name, fork, layers }: SegmentedTask, seed: number): HostTensors {
  const ramps = (stops[name] ?? []).map((layer) =>
    random(
      Object.fromEntries(Object.entries(head).map(([own, shape]) => [rampName(layer, own), shape])),
      50 + layer + seed,
    ),
  );
  return scoped(
    name,
    Object.assign(
      {},
      fork === null ? embeddingTensors(tensors) : {},
      layerTensors(tensors, fork ?? 0, (fork ?? 0) + layers),
      random(head, seed),
      ...ramps,
    ),
  );
}

const shared = { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, 4) };
const all = Object.assign({}, shared, ...tasks.map((task, i) => branchOf(task, 10 * (i + 1))));
const open = (engine: Engine) => openSegments(config, tasks, tracedPieces(engine, config, tasks, all));

const rowsOf = (lengths: readonly number[]): TokenRows =>
  tokenRows(
    lengths.map((length, row) => ({
      ids: Int32Array.from({ length }, (_, i) => 1 + ((row * 13 + i * 7) % (config.vocabSize - 1))),
      typeIds: Int32Array.from({ length }, (_, i) => Number(i > length / 2)),
      truncated: 0,
    })),
    0,
  );
const oneOf = ({ ids, typeIds, padId }: TokenRows, row: number): TokenRows =>
  tokenRows([{ ids: ids.at(row) as Int32Array, typeIds: typeIds.at(row) as Int32Array, truncated: 0 }], padId);

/** Leaves where the entropy of the latest ramp is at most this. */
const within = (threshold: number, names = Object.keys(stops)): Record<string, CallExits> =>
  Object.fromEntries(
    names.map((name) => [
      name,
      {
        stops: stops[name] as number[],
        leaves: (outputs) => softmaxEntropy(outputs.at(-1) as Float32Array) <= threshold,
      },
    ]),
  );

interface Answer {
  readonly logits: number[];
  readonly layer: number | undefined;
}

type Segments = ReturnType<typeof open>;

async function answers(
  segments: Segments,
  rows: TokenRows,
  wants: readonly (readonly string[])[],
  exits?: Record<string, CallExits>,
  runs?: PieceRun[],
) {
  const found = wants.map((): Record<string, Answer> => ({}));
  const take = ({ task, rows: own, logits, layer }: TaskLogits) => {
    for (const [i, row] of own.entries()) {
      const answered = found[row] as Record<string, Answer>;
      expect(answered[task]).toBeUndefined(); // once a row and task
      answered[task] = { logits: Array.from(logits.data.subarray(i * labels, (i + 1) * labels)), layer };
    }
  };
  for await (const part of segments.run(rows, wants, (run) => runs?.push(run), exits)) take(part);
  return found;
}
const names = tasks.map(({ name }) => name);
const forAll = (rows: TokenRows) => Array.from(rows.lengths, () => names);
const farthest = (a: Answer | undefined, b: Answer | undefined) =>
  Math.max(...(a?.logits ?? []).map((value, i) => Math.abs(value - (b?.logits[i] as number))));

/** Each task leaves where half of these rows would leave at its first stop. */
async function halfLeave(segments: Segments, rows: TokenRows): Promise<Record<string, CallExits>> {
  const first = await answers(segments, rows, forAll(rows), within(9));
  const exits = Object.keys(stops).map((name) => {
    const doubts = first.map((row) => softmaxEntropy(Float32Array.from(row[name]?.logits ?? [])));
    const middle = doubts.sort((a, b) => a - b)[Math.floor(doubts.length / 2)] as number;
    return [name, within(middle, [name])[name] as CallExits] as const;
  });
  return Object.fromEntries(exits);
}

describeEachEngine("rows that leave", (openEach, engineName) => {
  test("get what they get alone, and leave where they leave alone: bit for bit beside rows of their length", async () => {
    const segments = open(await openEach());
    for (const [lengths, most] of [
      [Array(12).fill(9), engineName === "onnx" ? 0 : 1e-6],
      [[9, 40, 17, 3, 33, 9, 12, 5], 1e-5],
    ] as const) {
      const rows = rowsOf(lengths);
      const exits = await halfLeave(segments, rows);
      const together = await answers(segments, rows, forAll(rows), exits);
      for (const name of Object.keys(stops)) {
        expect(new Set(together.map((row) => row[name]?.layer)).size).toBeGreaterThan(1);
      }
      for (const row of lengths.keys()) {
        const [alone] = await answers(segments, oneOf(rows, row), [names], exits);
        for (const name of names) {
          expect(farthest(alone?.[name], together[row]?.[name])).toBeLessThanOrEqual(most);
          expect(alone?.[name]?.layer).toBe(together[row]?.[name]?.layer);
        }
      }
    }
    segments.dispose();
  });

  test("answer as all of their way does where none is ever sure, and as the ramp where all are", async () => {
    const engine = await openEach();
    const segments = open(engine);
    const rows = rowsOf([6, 9, 6, 14]);
    const [off, never, always] = [
      await answers(segments, rows, forAll(rows)),
      await answers(segments, rows, forAll(rows), within(-1)),
      await answers(segments, rows, forAll(rows), within(9)),
    ];
    const tops: Readonly<Record<string, number>> = { low: 4, high: 5, own: 4 };
    for (const row of rows.lengths.keys()) {
      for (const name of names) {
        expect(farthest(off[row]?.[name], never[row]?.[name])).toBeLessThan(1e-5);
        expect([off[row]?.[name]?.layer, never[row]?.[name]?.layer]).toEqual([undefined, tops[name]]);
        expect(always[row]?.[name]?.layer).toBe(stops[name]?.[0]);
      }
      expect(farthest(always[row]?.["plain"], off[row]?.["plain"])).toBeLessThan(1e-5);
      expect(farthest(always[row]?.["low"], off[row]?.["low"])).toBeGreaterThan(1e-3);
    }
    segments.dispose();
    expect(engine.tensorCount()).toBe(0);
  });
});

describe("layers", () => {
  const openHere = async () => (await openEngine("wasm", {})).engine;
  const ran = (runs: readonly PieceRun[]) => runs.map(({ piece, rows }) => `${piece}: ${rows}`);

  /** Rows of four sorts: of the first two high leaves at once; of the third low leaves at layer 2; the last asks for neither. */
  async function runSorts(each: number, length: number) {
    const segments = open(await openHere());
    const sortOf = (row: number) => Math.floor(row / each);
    const rows = rowsOf(Array(4 * each).fill(length));
    const exits: Record<string, CallExits> = {
      high: { stops: [1, 3], leaves: (_, row) => sortOf(row) < 2 },
      low: { stops: [1, 2, 3], leaves: (outputs, row) => sortOf(row) === 2 && outputs.length === 2 },
    };
    const asked = [["high"], ["high", "low"], ["high", "low"], ["plain"]];
    const wants = Array.from({ length: 4 * each }, (_, row) => asked[sortOf(row)] as string[]);
    const runs: PieceRun[] = [];
    const found = await answers(segments, rows, wants, exits, runs);
    segments.dispose();
    return { runs: runs.map(({ piece, rows }) => `${piece}: ${rows}`), found, sortOf };
  }

  test("run for the rows that have not left, and the trunk for the tasks that have not", async () => {
    const { runs, found, sortOf } = await runSorts(8, 60);
    const layers = [["high 1"], ["high 1", "low 4"], ["high 5", "low 2"], ["plain undefined"]];
    for (const [row, answered] of found.entries()) {
      expect(
        Object.entries(answered)
          .map(([name, { layer }]) => `${name} ${layer}`)
          .sort(),
      ).toEqual(layers[sortOf(row)]);
    }
    expect(runs).toEqual([
      ...["layers 0-1: 32", "low ramp 1: 16", "high ramp 1: 24"],
      ...["low 1-2: 16", "low ramp 2: 16", "low 2-3: 8", "low ramp 3: 8", "low 3-4: 8"],
      ...["layers 1-2: 16", "plain: 8"],
      ...["layers 2-3: 8", "high ramp 3: 8", "layers 3-4: 8", "high: 8"],
    ]);
  });

  test("run for a few tokens that have left, where to pack the others anew would take longer", async () => {
    const { runs } = await runSorts(1, 6);
    expect(runs).toEqual([
      ...["layers 0-1: 4", "low ramp 1: 2", "high ramp 1: 3"],
      ...["low 1-2: 2", "low ramp 2: 2", "low 2-3: 2", "low ramp 3: 1", "low 3-4: 1"],
      ...["layers 1-2: 4", "plain: 1"],
      ...["layers 2-3: 4", "high ramp 3: 1", "layers 3-4: 4", "high: 1"],
    ]);
  });

  test("above do not run where all have left, and no piece of a branch is opened for nothing", async () => {
    const segments = open(await openHere());
    const rows = rowsOf([5, 7]);
    const runs: PieceRun[] = [];
    await answers(segments, rows, [["high"], ["own"]], within(9), runs);
    expect(ran(runs)).toEqual(["own 0-2: 1", "own ramp 2: 1", "layers 0-1: 1", "high ramp 1: 1"]);
    segments.dispose();
  });
});

describe("a choice", () => {
  const served = (
    name: string,
    exits?: ServedTask["exits"],
    kind: ServedTask["kind"] = kinds.classification,
  ): ServedTask => ({
    ...{ name, kind, inputs: "single", labels: ["a", "b"], range: null, maxLength: 8, fork: 1, layers: 3 },
    ...(exits ? { exits } : {}),
  });
  const measured = { rows: 1, counted: 1, lost: 0, layers: 2, top: 4, left: [1] };
  const rule = { criterion: "probability", threshold: 0.1, stops: [2], measured };
  const decided = served("decided", { layers: [1, 2, 3], rule });
  const undecided = served("undecided", { layers: [1, 2, 3], rule: null });
  const without = served("without");
  const all = [decided, undecided, without, served("tags", undefined, kinds.tagging)];
  const rules = (choice: Parameters<typeof exitRules>[1], tasks = all, named = false) =>
    exitRules(tasks, choice, { folder: "m", named });

  test("is the decided rule by default, and a threshold through its stops", () => {
    expect(rules(undefined)).toEqual({ decided: rule });
    expect(rules("on")).toEqual({ decided: rule });
    expect(rules("off")).toEqual({});
    expect(rules(0.3)).toEqual({
      decided: { criterion: "probability", threshold: 0.3, stops: [2] },
      undecided: { criterion: "entropy", threshold: 0.3, stops: [1, 2, 3] },
    });
    const leaves = callExits(all, rules("on"))["decided"]?.leaves;
    expect([leaves?.([Float32Array.of(3, 0)], 0), leaves?.([Float32Array.of(1, 0)], 0)]).toEqual([true, false]);
  });

  test("of a batch is one for the tasks that a row asks and may leave: of others nobody pays for ramps", () => {
    const all = { decided: rule, other: { ...rule, stops: [3] } };
    const both = [decided, served("other", { layers: [1, 2, 3], rule: all.other }), without];
    const names = (wants: string[][], bounds: number[]) => Object.keys(rowExits(both, all, wants, bounds));
    const any = Number.POSITIVE_INFINITY;
    expect(names([["without"], ["decided", "without"]], [any, any])).toEqual(["decided"]);
    expect(names([["without"], ["without"]], [any, any])).toEqual([]);
    expect(names([["decided"], ["other"]], [-1, 0.1])).toEqual(["other"]);
    expect(names([["decided"], ["other"]], [-1, -1])).toEqual([]);
    expect(rowExits(both, {}, [["decided"]], [any])).toEqual({});
    const { leaves } = rowExits(both, all, [["decided"], ["decided"]], [any, 0.01])["decided"] as CallExits;
    expect([0, 1].map((row) => leaves([Float32Array.of(3, 0)], row))).toEqual([true, false]);
  });

  test("below what pays asks no ramp, of a caller's threshold and of a row's bound, whatever its neighbours may do", () => {
    const paying = { ...rule, pays: 0.05 };
    const tasks = [served("decided", { layers: [1, 2, 3], rule: paying })];
    expect(rules(0.05, tasks)["decided"]).toMatchObject({ threshold: 0.05, stops: [2] });
    const none = rules(0.04, tasks);
    expect(none["decided"]).toMatchObject({ threshold: 0.04, stops: [] });
    expect(callExits(tasks, none)).toMatchObject({ decided: { stops: [] } });
    const all = rules("on", tasks);
    const of = (bounds: number[]) =>
      rowExits(
        tasks,
        all,
        bounds.map(() => ["decided"]),
        bounds,
      )["decided"];
    expect(of([0.04, -1])).toBeUndefined();
    const sure = [Float32Array.of(9, 0)]; // 0.0001 is left
    expect([0, 1, 2].map((row) => of([0.04, 0.05, 0.2])?.leaves(sure, row))).toEqual([false, true, true]);
    const staying = stayingExits(tasks, all)["decided"];
    expect([staying?.stops, staying?.leaves(sure, 0)]).toEqual([[2], false]);
  });

  test("that a task cannot follow is an error that names it", () => {
    expect(() => rules("on", [without])).toThrow(/--exit on: m: without has no ramps \(flexbert exits trains them\)/);
    expect(() => rules("on", [decided, undecided], true)).toThrow(/undecided has ramps, and no rule/);
    expect(() => rules(0.1, [all[3] as ServedTask])).toThrow(/tags is a task of tagging, which has no early exits/);
  });
});
