// A program's state is one, whatever the sizes of its calls: train steps of two batch sizes in turn, where the larger
// batch has rows of weight 0 beside those of the smaller, are the steps of the smaller batch alone.

import { expect, test } from "@jest/globals";
import type { Engine } from "../../src/engines/engine";
import { branchAxes } from "../../src/model/branch";
import { pooledParameters } from "../../src/model/head-parameters";
import { heads } from "../../src/model/heads";
import { float32, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { withMoments } from "../../src/training/step/adamw";
import { logitsStep, stepAxes, trainStep } from "../../src/training/step/step";
import { scalarInputs } from "../../src/training/step/step-inputs";
import { tinyBase } from "../tiny";
import { describeEachEngine } from "./engines";

const place = { fork: 1, layers: 1 };
const [length, rows] = [6, 4];
const base = tinyBase("tiny-batch-sizes", { layers: 2, hidden: 32 });
const { config } = base;

/** The same rows first; rows of weight 0 fill the rest. */
function batchOf(size: number): HostTensors {
  const hidden = Float32Array.from({ length: size * length * config.hiddenSize }, (_, i) => Math.sin(i));
  return {
    hidden: float32([size, length, config.hiddenSize], hidden),
    attention_mask: int32([size, length], new Int32Array(size * length).fill(1)),
  };
}

const labelsOf = (size: number): HostTensors => ({
  labels: int32(
    [size],
    Int32Array.from({ length: size }, (_, row) => row % 2),
  ),
  row_weights: float32(
    [size],
    Float32Array.from({ length: size }, (_, row) => Number(row < rows)),
  ),
});

/** Losses of steps with these batch sizes, and the logits and the state after them. */
async function train(engine: Engine, sizes: readonly number[]) {
  const program = await engine.load(
    withMoments(branchOfBase(base, place, pooledParameters(config.hiddenSize, 2), 1)),
    {
      train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
      logits: logitsStep(place, config),
    },
    { train: stepAxes(config, place), logits: branchAxes },
  );
  const losses: number[] = [];
  for (const [i, size] of sizes.entries()) {
    const inputs = { ...batchOf(size), ...labelsOf(size), ...scalarInputs(1e-2, 0.01, i + 1) };
    losses.push((await program.run("train", inputs))["loss"]?.data[0] as number);
  }
  const { logits } = await program.run("logits", batchOf(rows));
  const state = await program.state();
  program.dispose();
  return { losses, logits: [...(logits?.data ?? [])], state };
}

describeEachEngine("batch sizes in turn", (open) => {
  test("train one state", async () => {
    const engine = await open();
    const alike = await train(engine, [rows, rows, rows, rows, rows]);
    const inTurn = await train(engine, [rows, 7, rows, rows, 7]);
    expect(new Set(alike.losses.map((loss) => loss.toFixed(4))).size).toBe(5); // each step moves it
    for (const [i, loss] of inTurn.losses.entries()) expect(loss).toBeCloseTo(alike.losses[i] as number, 4);
    for (const [i, logit] of inTurn.logits.entries()) expect(logit).toBeCloseTo(alike.logits[i] as number, 3);
    for (const [name, { data }] of Object.entries(alike.state)) {
      const apart = Math.max(...data.map((value, i) => Math.abs(value - (inTurn.state[name]?.data[i] as number))));
      expect({ name, apart: apart < 1e-3 }).toEqual({ name, apart: true });
    }
  });
});
