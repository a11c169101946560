// A thousand train steps (a share of the soak), with evaluations between them and two lengths in turn, take no more
// memory than a few hundred.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "@jest/globals";
import type { Engine, Program } from "../../src/engines/engine";
import { branchAxes } from "../../src/model/branch";
import type { EncoderConfig } from "../../src/model/config";
import { pooledParameters } from "../../src/model/head-parameters";
import { heads } from "../../src/model/heads";
import { float32, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { logitsStep, stepAxes, trainStep } from "../../src/training/step/step";
import { soakSeeds } from "../soak";
import { tinyBase } from "../tiny";
import { describeEachEngine } from "./engines";

const place = { fork: 1, layers: 1 };
const rows = 4;

function batchOf(length: number, { hiddenSize }: EncoderConfig): HostTensors {
  const hidden = Float32Array.from({ length: rows * length * hiddenSize }, (_, i) => Math.sin(i));
  return {
    hidden: float32([rows, length, hiddenSize], hidden),
    attention_mask: int32([rows, length], new Int32Array(rows * length).fill(1)),
  };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Resident memory without what the collector has still to free. */
function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage().rss;
}

async function train(program: Program<"train" | "logits">, config: EncoderConfig, steps: number): Promise<void> {
  const batches = [batchOf(8, config), batchOf(12, config)] as const;
  const labels = {
    labels: int32([rows], new Int32Array(rows)),
    row_weights: float32([rows], new Float32Array(rows).fill(1)),
  };
  for (let step = 1; step <= steps; step++) {
    const batch = batches[step % 2] as HostTensors;
    const scalars = Object.entries(stepScalars(1e-4, 0.01, step)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    await program.run("train", { ...batch, ...labels, ...Object.fromEntries(scalars) });
    if (step % 50 === 0) await program.run("logits", batch);
  }
}

describeEachEngine("memory", (open) => {
  test(`${1000 * soakSeeds.length} steps leave no tensor and no memory behind`, async () => {
    const engine: Engine = await open();
    const base = tinyBase("tiny-memory", { layers: 2, hidden: 32 });
    const { config } = base;
    const before = engine.tensorCount();
    const program = await engine.load(
      withMoments(branchOfBase(base, place, pooledParameters(config.hiddenSize, 2), 1)),
      {
        train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
        logits: logitsStep(place, config),
      },
      { train: stepAxes(config, place), logits: branchAxes },
    );
    await train(program, config, 300);
    const [held, bytes] = [engine.tensorCount(), residentBytes()];
    await train(program, config, 1000 * soakSeeds.length - 300);
    expect(engine.tensorCount()).toBe(held);
    // What a step computes is above 100 kB; the margin is for the allocators under the engines.
    expect(residentBytes() - bytes).toBeLessThan(64e6);
    program.dispose();
    expect(engine.tensorCount()).toBe(before);
  });
});
