// What flexbert bench times on an engine: one train step of the top k layers, the frozen layers' forward pass included
// and nothing cached, and one forward pass of the whole model. Entry points are those of training and of inference.

import type { Tensor1D } from "@tensorflow/tfjs-core";
import { unpaddedInputs } from "../batches/token-inputs";
import type { Compilation, Engine } from "../engines/engine";
import { failure } from "../errors/errors";
import { branchAxes } from "../model/branch";
import type { EncoderConfig } from "../model/config";
import { crossEntropy } from "../model/losses";
import { branchTensors, embeddingTensors, layerTensors, sharedTensors } from "../model/parameters";
import { ownLayers, placeOf } from "../model/place";
import { float32, type HostTensors, int32 } from "../model/tensors";
import { trunkEntry } from "../model/trunk";
import { foldIn, seedKey, words } from "../random/threefry";
import { withMoments } from "../training/step/adamw";
import { initialLossScale } from "../training/step/loss-scale";
import { withFrozen } from "../training/step/state";
import { logitsStep, rowWeights, stepAxes, trainStep } from "../training/step/step";
import { dropoutInputs, scalarInputs } from "../training/step/step-inputs";

/** Outputs of the classifier. */
export const BENCHMARK_OUTPUTS = 2;

/** The defaults of finetune; they do not change the time. */
const LEARNING_RATE = 2e-5;
const WEIGHT_DECAY = 0.01;
const CLIP_NORM = 1;

export interface StepBenchmark {
  /** Its dropout rates are used as they are. */
  readonly config: EncoderConfig;
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

/** Something that can be run again and again, at any length. The engine has what it needs of the tensors: none is kept. */
export interface Workload {
  run(length: number): Promise<RunTime>;
  compiled(): Compilation | null;
  dispose(): void;
}

export interface TrainWorkload extends Workload {
  run(length: number): Promise<RunTime & { readonly loss: number }>;
  /** What the trained layers compiled, without the frozen ones. */
  compiledStep(): Compilation | null;
}

/**
 * The train step: frozen forward, forward and backward of the top layers, clipping, AdamW. Rows are full, no padding.
 * Where dropout is on, drawing its masks is part of the time, as in training.
 */
export async function openTrainStep(engine: Engine, benchmark: StepBenchmark): Promise<TrainWorkload> {
  const { config, tensors, layers, batchSize, seed } = benchmark;
  const place = placeOf(config.numHiddenLayers, layers);
  const [fork] = ownLayers(place);
  const frozen = await engine.load(
    { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, fork) },
    { forward: trunkEntry(config, fork) },
    { forward: branchAxes },
  );
  const state = {
    ...withMoments(branchTensors(tensors, place)),
    ...(engine.precision === "float16" ? initialLossScale() : {}),
  };
  const branch = await engine.load(
    withFrozen(state, place.fork === null ? {} : sharedTensors(tensors)),
    {
      train: trainStep({
        place,
        config,
        clipNorm: CLIP_NORM,
        loss: ({ logits }, inputs) => crossEntropy(logits, inputs["labels"] as Tensor1D, rowWeights(inputs)),
      }),
    },
    { train: stepAxes(config, place) },
  );
  let step = 0;
  return {
    async run(length) {
      const texts = textInputs(config, batchSize, length, seed);
      const targets = targetInputs(batchSize);
      step += 1;
      const started = performance.now();
      const { hidden } = await frozen.run("forward", texts, ["hidden"]);
      const frozenMs = performance.now() - started;
      const outputs = await branch.run("train", {
        ...targets,
        hidden: hidden as HostTensors[string],
        attention_mask: texts["attention_mask"] as HostTensors[string],
        ...scalarInputs(LEARNING_RATE, WEIGHT_DECAY, step),
        ...dropoutInputs({ config, place, seed }, batchSize, length, step),
      });
      const ms = performance.now() - started;
      const loss = finite(outputs["loss"]?.data[0], `the loss of train step ${step}`);
      return { ms, frozenMs, loss };
    },
    compiled: () => sum(frozen.compiled(), branch.compiled()),
    compiledStep: () => branch.compiled(),
    dispose() {
      frozen.dispose();
      branch.dispose();
    },
  };
}

/** The whole model forward, from ids to logits, without dropout. */
export async function openInference(engine: Engine, benchmark: StepBenchmark): Promise<Workload> {
  const { config, tensors, batchSize, seed } = benchmark;
  const whole = placeOf(config.numHiddenLayers, "full");
  const program = await engine.load(
    branchTensors(tensors, whole),
    { logits: logitsStep(whole, config) },
    { logits: branchAxes },
  );
  return {
    async run(length) {
      const texts = textInputs(config, batchSize, length, seed);
      const started = performance.now();
      const { logits } = await program.run("logits", texts);
      const ms = performance.now() - started;
      finite(logits?.data[0], "a logit");
      return { ms, frozenMs: 0 };
    },
    compiled: () => program.compiled(),
    dispose: () => program.dispose(),
  };
}

/** [batch, length] ids of any words, without padding. */
function textInputs(config: EncoderConfig, batch: number, length: number, seed: number): HostTensors {
  const drawn = words(foldIn(seedKey(seed), length), batch * length);
  const ids = Int32Array.from(drawn, (word) => word % config.vocabSize);
  return unpaddedInputs([batch, length], ids, config);
}

const targetInputs = (batch: number): HostTensors => ({
  labels: int32(
    [batch],
    Int32Array.from({ length: batch }, (_, row) => row % BENCHMARK_OUTPUTS),
  ),
  row_weights: float32([batch], new Float32Array(batch).fill(1)),
});

function sum(a: Compilation | null, b: Compilation | null): Compilation | null {
  if (!a || !b) return a ?? b;
  return { graphs: a.graphs + b.graphs, seconds: a.seconds + b.seconds };
}

/** The time of a computation that went wrong says nothing. */
function finite(value: number | undefined, what: string): number {
  if (Number.isFinite(value)) return value as number;
  throw failure(`${what} is ${value}: the base's weights are damaged`);
}
