// What flexbert bench times on an engine: one train step of the top k layers, the frozen layers' forward pass included
// and nothing cached, and one forward pass of the whole model. Entry points are those of training and of inference.

import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { Compilation, Engine, EntryPoint } from "../engines/engine";
import { failure } from "../errors/errors";
import { branchAxes } from "../model/branch";
import type { BertConfig } from "../model/config";
import { dropoutSites } from "../model/dropout";
import { attentionBias, embed, encoderLayer } from "../model/encoder";
import {
  type BranchShape,
  branchTensors,
  embeddingParameters,
  embeddingTensors,
  layerParameters,
  layerTensors,
} from "../model/parameters";
import { float32, type HostTensors, int32, sizeOf } from "../model/tensors";
import { dropoutMask } from "../random/draws";
import { foldIn, Purpose, seedKey, streamKey, words } from "../random/threefry";
import { stepScalars, withMoments } from "./adamw";
import { initialLossScale } from "./loss-scale";
import { crossEntropy } from "./losses";
import { logitsStep, maskInput, rowWeights, stepAxes, trainStep } from "./step";

/** Outputs of the classifier. */
export const BENCHMARK_OUTPUTS = 2;

/** The defaults of finetune; they do not change the time. */
const LEARNING_RATE = 2e-5;
const WEIGHT_DECAY = 0.01;
const CLIP_NORM = 1;

export interface StepBenchmark {
  /** Its dropout rates are used as they are. */
  readonly config: BertConfig;
  /** Embeddings, every layer, pooler and classifier of {@link BENCHMARK_OUTPUTS} rows. */
  readonly tensors: HostTensors;
  /** Top layers that are trained. */
  readonly layers: number;
  readonly batchSize: number;
  /** Of token ids and dropout masks. */
  readonly seed: number;
}

export interface RunTime {
  readonly ms: number;
  /** The part of a train step that ran the embeddings and the layers under the fork; 0 for inference. */
  readonly frozenMs: number;
}

/** Something that can be run again and again, at any length. */
export interface Workload {
  run(length: number): Promise<RunTime>;
  compiled(): Compilation | null;
  dispose(): void;
}

/**
 * The train step: frozen forward, forward and backward of the top layers, clipping, AdamW. Rows are full, no padding.
 * Where dropout is on, drawing its masks is part of the time, as in training.
 */
export async function openTrainStep(engine: Engine, benchmark: StepBenchmark): Promise<Workload> {
  const { config, tensors, layers, batchSize, seed } = benchmark;
  const shape: BranchShape = { fork: config.numHiddenLayers - layers, layers, full: false };
  const frozen = await engine.load(
    { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, shape.fork) },
    { forward: frozenForward(config, shape.fork) },
    { forward: branchAxes },
  );
  const branch = await engine.load(
    {
      ...withMoments(branchTensors(tensors, shape)),
      ...(engine.precision === "float16" ? initialLossScale() : {}),
    },
    {
      train: trainStep({
        shape,
        config,
        clipNorm: CLIP_NORM,
        loss: (logits, inputs) => crossEntropy(logits, inputs["labels"] as Tensor1D, rowWeights(inputs)),
      }),
    },
    { train: stepAxes(config, shape) },
  );
  let step = 0;
  return {
    async run(length) {
      const texts = textInputs(benchmark, length);
      const targets = targetInputs(batchSize);
      step += 1;
      const started = performance.now();
      const { hidden } = await frozen.run("forward", texts);
      const frozenMs = performance.now() - started;
      const { loss } = await branch.run("train", {
        ...targets,
        hidden: hidden as HostTensors[string],
        attention_mask: texts["attention_mask"] as HostTensors[string],
        ...scalarInputs(step),
        ...dropoutInputs(config, shape, batchSize, length, seed, step),
      });
      const ms = performance.now() - started;
      requireFinite(loss?.data[0], `the loss of train step ${step}`);
      return { ms, frozenMs };
    },
    compiled: () => sum(frozen.compiled(), branch.compiled()),
    dispose() {
      frozen.dispose();
      branch.dispose();
    },
  };
}

/** The whole model forward, from ids to logits, without dropout. */
export async function openInference(engine: Engine, benchmark: StepBenchmark): Promise<Workload> {
  const { config, tensors } = benchmark;
  const whole: BranchShape = { fork: 0, layers: config.numHiddenLayers, full: true };
  const program = await engine.load(
    branchTensors(tensors, whole),
    { logits: logitsStep(whole, config) },
    { logits: branchAxes },
  );
  return {
    async run(length) {
      const texts = textInputs(benchmark, length);
      const started = performance.now();
      const { logits } = await program.run("logits", texts);
      const ms = performance.now() - started;
      requireFinite(logits?.data[0], "a logit");
      return { ms, frozenMs: 0 };
    },
    compiled: () => program.compiled(),
    dispose: () => program.dispose(),
  };
}

const frozenForward = (config: BertConfig, fork: number): EntryPoint => {
  return (state, inputs) => {
    const bias = attentionBias(inputs["attention_mask"] as Tensor2D);
    const [ids, types] = [inputs["input_ids"] as Tensor2D, inputs["token_type_ids"] as Tensor2D];
    let hidden = embed(embeddingParameters(state), ids, types, config);
    for (let layer = 0; layer < fork; layer++) {
      hidden = encoderLayer(layerParameters(state, layer), hidden, bias, config, layer);
    }
    return { outputs: { hidden } };
  };
};

/** [batch, length] ids of any words, without padding. */
function textInputs({ config, batchSize, seed }: StepBenchmark, length: number): HostTensors {
  const shape = [batchSize, length];
  const ids = Int32Array.from(words(foldIn(seedKey(seed), length), sizeOf(shape)), (word) => word % config.vocabSize);
  return {
    input_ids: int32(shape, ids),
    token_type_ids: int32(shape, new Int32Array(ids.length)),
    attention_mask: int32(shape, new Int32Array(ids.length).fill(1)),
  };
}

const targetInputs = (batch: number): HostTensors => ({
  labels: int32(
    [batch],
    Int32Array.from({ length: batch }, (_, row) => row % BENCHMARK_OUTPUTS),
  ),
  row_weights: float32([batch], new Float32Array(batch).fill(1)),
});

const scalarInputs = (step: number): HostTensors =>
  Object.fromEntries(
    Object.entries(stepScalars(LEARNING_RATE, WEIGHT_DECAY, step)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]),
  );

function dropoutInputs(
  config: BertConfig,
  shape: BranchShape,
  batch: number,
  length: number,
  seed: number,
  step: number,
): HostTensors {
  const masks = dropoutSites(config, shape, batch, length).map((site) => {
    const key = streamKey(seed, Purpose.dropout, step, site.id);
    return [maskInput(site.name), float32(site.shape, dropoutMask(key, sizeOf(site.shape), site.rate))];
  });
  return Object.fromEntries(masks);
}

function sum(a: Compilation | null, b: Compilation | null): Compilation | null {
  if (!a || !b) return a ?? b;
  return { graphs: a.graphs + b.graphs, seconds: a.seconds + b.seconds };
}

/** The time of a computation that went wrong says nothing. */
function requireFinite(value: number | undefined, what: string): void {
  if (Number.isFinite(value)) return;
  throw failure(`${what} is ${value}: the base's weights are damaged. Run: flexbert bench without --base`);
}
