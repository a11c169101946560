// What bench times, on every engine: real steps of a tiny model, at more than one length, with no tensor left.

import { describe, expect, test } from "@jest/globals";
import { benchmarkSizes, benchmarkWeights } from "../../src/benchmark/benchmark-weights";
import {
  BENCHMARK_OUTPUTS,
  openInference,
  openTrainStep,
  type StepBenchmark,
} from "../../src/benchmark/step-benchmark";
import { parameterShapes } from "../../src/checkpoints/bases/parameter-shapes";
import type { Engine } from "../../src/engines/engine";
import type { EntryPoint } from "../../src/model/entry-point";
import { pooledParameters } from "../../src/model/head-parameters";
import { float32, type HostTensors } from "../../src/model/tensors";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { describeEachEngine } from "../engines/engines";
import { tinyBase } from "../tiny";

const base = tinyBase("tiny", { layers: 3 });
const branch = branchOfBase(
  base,
  { fork: 0, layers: 3 },
  pooledParameters(base.config.hiddenSize, BENCHMARK_OUTPUTS),
  1,
);
const benchmark: StepBenchmark = {
  config: base.config,
  tensors: { ...base.tensors, ...branch },
  layers: 2,
  batchSize: 4,
  seed: 1,
};

/** The engine, and what the programs that it loads were called with and gave. */
function recorded(engine: Engine) {
  const calls: { entry: string; inputs: HostTensors; outputs: HostTensors }[] = [];
  const recording: Engine = {
    ...engine,
    async load<E extends string>(
      state: HostTensors,
      entries: Readonly<Record<E, EntryPoint>>,
      axes?: Parameters<Engine["load"]>[2],
    ) {
      const program = await engine.load<E>(state, entries, axes as never);
      return {
        ...program,
        async run(entry: E, inputs: HostTensors) {
          const outputs = await program.run(entry, inputs);
          calls.push({ entry, inputs, outputs });
          return outputs;
        },
      };
    },
  };
  return { engine: recording, calls };
}

describeEachEngine("a benchmark", (open, name) => {
  test("steps train: the loss of the same batch falls, and the frozen part is timed within the step", async () => {
    const { engine, calls } = recorded(await open());
    const before = engine.tensorCount();
    const workload = await openTrainStep(engine, benchmark);
    for (let step = 0; step < 30; step++) {
      const { ms, frozenMs } = await workload.run(8);
      expect(frozenMs).toBeGreaterThan(0);
      expect(ms).toBeGreaterThan(frozenMs);
    }
    const { loss } = await workload.run(5);
    const compiled = workload.compiled();
    if (name === "onnx") expect(compiled).not.toBeNull();
    if (compiled !== null) {
      expect(compiled.graphs).toBe(2); // frozen and trained, each for every length
      expect(compiled.seconds).toBeGreaterThan(0);
      expect(workload.compiledStep()?.graphs).toBe(1); // the trained one
    }
    workload.dispose();
    const losses = calls.flatMap(({ entry, outputs }) =>
      entry === "train" ? [outputs["loss"]?.data[0] as number] : [],
    );
    expect(losses).toHaveLength(31);
    expect(loss).toBe(losses[30]);
    expect(losses[29]).toBeLessThan(losses[0] as number);
    const [first, last] = [calls[0], calls.at(-2)];
    expect([first?.inputs["input_ids"]?.shape, last?.inputs["input_ids"]?.shape]).toEqual([
      [4, 8],
      [4, 5],
    ]);
    expect(engine.tensorCount()).toBe(before);
  });

  test("dropout draws other masks at each step, and is off otherwise", async () => {
    const { engine, calls } = recorded(await open());
    const dropped = { ...base.config, hiddenDropoutProb: 0.5, attentionProbsDropoutProb: 0.5 };
    for (const config of [base.config, dropped]) {
      const workload = await openTrainStep(engine, { ...benchmark, config });
      for (let step = 0; step < 2; step++) await workload.run(8);
      workload.dispose();
    }
    const masks = calls
      .filter(({ entry }) => entry === "train")
      .map(({ inputs }) => Object.entries(inputs).filter(([name]) => name.startsWith("dropout/")));
    // three sites a trained layer and the pooled output
    expect(masks.map((all) => all.length)).toEqual([0, 0, 7, 7]);
    expect(masks[2]?.[1]?.[1].data).not.toEqual(masks[3]?.[1]?.[1].data);
  });

  test("inference gives logits of the whole model", async () => {
    const { engine, calls } = recorded(await open());
    const before = engine.tensorCount();
    const workload = await openInference(engine, benchmark);
    for (const length of [8, 5, 1]) expect((await workload.run(length)).ms).toBeGreaterThan(0);
    const compiled = workload.compiled();
    if (name === "onnx") expect(compiled).not.toBeNull();
    if (compiled !== null) expect(compiled.graphs).toBe(1);
    workload.dispose();
    for (const { outputs } of calls) expect(outputs["logits"]?.shape).toEqual([4, BENCHMARK_OUTPUTS]);
    expect(engine.tensorCount()).toBe(before);
  });

  test("weights that are damaged are no benchmark", async () => {
    const engine = await open();
    const tensors = { ...benchmark.tensors, "classifier.bias": float32([2], Float32Array.of(Number.NaN, 0)) };
    const workloads = [openTrainStep, openInference];
    for (const openWorkload of workloads) {
      const workload = await openWorkload(engine, { ...benchmark, tensors });
      await expect(workload.run(8)).rejects.toMatchObject({ exitCode: 1, message: expect.stringMatching(/is NaN/) });
      workload.dispose();
    }
  });
});

describe("random weights", () => {
  test("have every parameter in its shape, by the seed alone, and no two layers share an array", () => {
    const config = { ...benchmarkSizes.minilm, vocabSize: 50, hiddenSize: 24, intermediateSize: 48 };
    const [one, again, other] = [1, 1, 2].map((seed) => benchmarkWeights(config, seed)) as [
      HostTensors,
      HostTensors,
      HostTensors,
    ];
    const shapes = Object.entries(one).map(([name, { shape }]) => [name, shape]);
    expect(Object.fromEntries(shapes)).toEqual(Object.fromEntries(parameterShapes(config)));
    expect(again).toEqual(one);
    const name = "bert.encoder.layer.5.output.dense.weight";
    expect(other[name]?.data).not.toEqual(one[name]?.data);
    expect(new Set(Object.values(one).map(({ data }) => data.buffer)).size).toBe(Object.keys(one).length);
  });
});
