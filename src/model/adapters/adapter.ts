// Small tensors that are trained beside a branch's frozen layers, as a value: one file a method of `finetune --method`. What they are
// called, their shapes and how they begin is said here without tfjs; a layer computes with those that are among its tensors
// (operations.ts, families/bottleneck.ts).

import type { EncoderConfig } from "../config";
import type { LayerNames } from "../families/family";
import type { HostTensors } from "../tensors";

/** A method's own options, by the names that records have them under; those that it has are in its `defaults`. */
export interface AdapterOptions {
  readonly rank?: number;
  readonly loraAlpha?: number;
  /** Products, by {@link loraProducts}, with commas between them. */
  readonly loraOn?: string;
  readonly adapterSize?: number;
}

/** A tensor beside those of a layer, by its name there. */
export interface SmallTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Standard deviation of the normal values that it begins as; 0: it begins as zeros. */
  readonly deviation: number;
}

export interface Adapter {
  /** What --method calls it. */
  readonly name: string;
  /** What tables call it. */
  readonly short: string;
  /** In a few words, for reports. */
  readonly meaning: string;
  readonly defaults: AdapterOptions;
  /** In the order by which random numbers are drawn: never reorder. */
  tensors(config: EncoderConfig, names: LayerNames, options: AdapterOptions): readonly SmallTensor[];
  /** Whether the layers' own norms are trained too. */
  readonly norms: boolean;
  /** What is read beside them and never trained. */
  constants?(options: AdapterOptions): HostTensors;
  /** A branch whose layers' own tensors have the small ones in them. Absent: they stay beside, and each pass computes them. */
  folded?(branch: HostTensors, options: AdapterOptions): HostTensors;
}
