// A file of weights that lies open, whatever its format: names first, then one tensor after the other.

import type { HostTensor } from "../../model/tensors";

export interface WeightFile {
  readonly path: string;
  /** Names of its tensors and their formats, under safetensors' names where they are read. */
  readonly dtypes: ReadonlyMap<string, string>;
  /** Throws modelError (4) naming file, tensor and cause. */
  readonly read: (name: string) => Promise<HostTensor>;
  readonly close: () => Promise<void>;
}

export type OpenWeightFile = (path: string) => Promise<WeightFile>;
