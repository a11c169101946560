// A model's file as its users run it: opened by a runtime, with nothing known but names. What flexbert writes for others
// is checked through this; its own programs go another way.

import type { HostTensors } from "../model/tensors";

export interface ModelFile {
  /** Runs the model on ids (int32), or on states (float32); outputs must be float32. */
  run(inputs: HostTensors): Promise<HostTensors>;
  close(): Promise<void>;
}

/** Opens a model, and files beside it to which it refers. Throws the runtime's error for what it cannot run. */
export type OpenModelFile = (path: string) => Promise<ModelFile>;
