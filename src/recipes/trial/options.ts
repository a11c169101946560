// The options that change what training does, resolved: what a run folder's config.yaml holds and its id hashes.

import type { Precision } from "../../engines/engine";
import type { HyperParameters } from "../../training/loop/train-branch";

export interface TrainingOptions extends HyperParameters {
  /** null takes the base's config; a number replaces both its dropout rates. */
  readonly dropout: number | null;
  /** Of matrix products; absent is float32. */
  readonly precision?: Exclude<Precision, "float32">;
}

/** Options of distillation beside the training options. */
export interface DistillationOptions {
  readonly temperature: number;
  /** Weight of the soft targets, 0 to 1. */
  readonly alpha: number;
  readonly init: "teacher" | "pretrained";
}

/** Options that say where things lie and how the work is done, and cannot change the weights. */
export interface RunOptions {
  readonly checkpoints: string;
  readonly glueData: string;
  readonly maxTrainSamples?: number;
  readonly maxEvalSamples?: number;
  readonly skipBrokenRows: boolean;
  /** Seconds between saved states inside an epoch. */
  readonly saveEvery: number;
  /** Bytes of memory for trunk activations. */
  readonly cacheBudget: number;
  /** Trains again what is finished. */
  readonly force: boolean;
}
