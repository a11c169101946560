// Ten steps of one encoder on two tasks in turn, against PyTorch's with the same rows and order (bench/peers/reference_methods.py),
// on every engine; and the order in which tasks have their turns.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Batch } from "../../src/batches/batches";
import { heads } from "../../src/model/heads";
import { scoped } from "../../src/model/parameters";
import { float32, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { type JointBatch, jointBatches, jointHead, jointScalars, turnsOf } from "../../src/training/loop/train-joint";
import { stepScalars } from "../../src/training/step/adamw";
import { initialState } from "../../src/training/step/state";
import { trainStep } from "../../src/training/step/step";
import { loadTinyBert, ownReference } from "../reference";
import { expectCurve, matrix } from "./curves";
import { describeEachEngine } from "./engines";
import { tensor } from "./worked-examples";

const { joint } = JSON.parse(readFileSync(path.join(ownReference, "methods.json"), "utf8"));

describeEachEngine("ten steps of two tasks together", (open) => {
  test("PyTorch's losses and gradient norms within 1e-3", async () => {
    const engine = await open();
    const { expected, config, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
    const place = { fork: null, layers: config.numHiddenLayers };
    const isOutput = (name: string) => name.startsWith("classifier.");
    const pick = (keep: (name: string) => boolean) =>
      Object.fromEntries(Object.entries(tensors).filter(([name]) => keep(name)));
    const initial: HostTensors = {
      ...pick((name) => !isOutput(name)),
      ...scoped("kinds", pick(isOutput)),
      ...scoped("scores", {
        "classifier.weight": tensor(joint.layer.weight),
        "classifier.bias": tensor(joint.layer.bias),
      }),
    };
    const entry = (task: string, kind: "classification" | "regression") => {
      const head = jointHead(heads[kind], task);
      return trainStep({ place, config, loss: labelLoss(head), head, clipNorm: 1, scalarsOf: jointScalars });
    };
    const before = engine.tensorCount();
    const program = await engine.load(initialState(initial, {}, false), {
      train0: entry("kinds", "classification"),
      train1: entry("scores", "regression"),
    });
    const turn = (step: number): number => joint.turns[step - 1];
    const rowsOf = (task: number): HostTensors => {
      const [first, past] = joint.rows[task];
      const count = past - first;
      return {
        input_ids: matrix(expected.input_ids.slice(first, past)),
        token_type_ids: matrix(expected.token_type_ids.slice(first, past)),
        attention_mask: matrix(expected.attention_mask.slice(first, past)),
        labels:
          task === 0
            ? int32([count], Int32Array.from(expected.class_ids.slice(first, past)))
            : float32([count], Float32Array.from(joint.scores.slice(first, past))),
        row_weights: float32([count], new Float32Array(count).fill(1)),
      };
    };
    const ofStep = (step: number): HostTensors => {
      const own = joint.turns.slice(0, step).filter((of: number) => of === turn(step)).length;
      const { step_size, second_correction } = stepScalars(1e-3, 0.01, own) as Record<string, number>;
      return {
        ...rowsOf(turn(step)),
        head_step_size: tensor(step_size as number),
        head_second_correction: tensor(second_correction as number),
      };
    };
    let step = 0;
    const inTurn = {
      ...program,
      run: (_: "train", inputs: HostTensors) => program.run(turn(++step) === 0 ? "train0" : "train1", inputs),
    };
    expect(joint.losses).toHaveLength(10);
    await expectCurve({ ...inTurn, dispose: () => program.dispose() }, {}, joint, ofStep);
    expect(engine.tensorCount()).toBe(before);
  });
});

describe("turns", () => {
  test("by size are every batch once an epoch; by its root small tasks have more of as many steps", () => {
    expect(turnsOf([100, 25, 4], "size")).toEqual([100, 25, 4]);
    // 129 steps in the shares 10, 5 and 2 of 17.
    expect(turnsOf([100, 25, 4], "sqrt")).toEqual([76, 38, 15]);
    expect(turnsOf([10000, 1], "sqrt")[1]).toBeGreaterThanOrEqual(1);
  });

  /** A task of so many batches, each pass in an order of its own: what a batch holds says which it is. */
  const taskOf = (perEpoch: number) => ({
    perEpoch,
    batches: (pass: number): Batch[] => Array.from({ length: perEpoch }, (_, i) => ({ rows: [pass, i], length: 1 })),
  });
  const told = (batches: readonly JointBatch[], of: number) =>
    batches.filter((batch) => batch.of === of).map(({ rows, own }) => [...rows, own]);

  test("each task goes on through its passes, counting its own steps, in an order of seed and epoch alone", () => {
    const tasks = [taskOf(4), taskOf(2)];
    const epoch = (seed: number, at: number) => jointBatches(tasks, [3, 3], seed, at);
    const [first, second] = [epoch(1, 0), epoch(1, 1)];
    expect(told(first, 0)).toEqual([
      [0, 0, 1],
      [0, 1, 2],
      [0, 2, 3],
    ]);
    expect(told(second, 0)).toEqual([
      [0, 3, 4],
      [1, 0, 5],
      [1, 1, 6],
    ]);
    expect(told(second, 1)).toEqual([
      [1, 1, 4],
      [2, 0, 5],
      [2, 1, 6],
    ]);
    expect(epoch(1, 1)).toEqual(second);
    const orders = [1, 2, 3, 4].map((seed) =>
      epoch(seed, 0)
        .map(({ of }) => of)
        .join(""),
    );
    expect(new Set(orders).size).toBeGreaterThan(1);
  });
});
