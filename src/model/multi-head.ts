// Several branches over one trunk as one function: embeddings and shared layers once, and off them at each fork the
// task's own layers, pooler and head. Serving runs it, and model.onnx is traced from it.

import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { masking } from "./attention";
import type { EncoderConfig } from "./config";
import { embed, encoderLayers } from "./encoder";
import type { HeadForward } from "./heads";
import { unscoped } from "./parameters";
import type { Place } from "./place";

type Named = Readonly<Record<string, Tensor>>;

/** A task's branch among those of others. */
export interface TaskBranch extends Place {
  readonly name: string;
}

export interface TaskHead extends TaskBranch {
  readonly head: HeadForward;
}

/** Token ids and what belongs to them, all [batch, length] int32. */
export interface TokenInputs {
  readonly input_ids: Tensor2D;
  /** Absent in families without token types. */
  readonly token_type_ids?: Tensor2D;
  readonly attention_mask: Tensor2D;
}

/**
 * Logits [batch, outputs] by task. No layer runs that none of the tasks needs.
 * @param tensors embeddings and shared layers under their own names, branches scoped by task
 */
export function multiHeadLogits(
  tensors: Named,
  inputs: TokenInputs,
  tasks: readonly TaskHead[],
  config: EncoderConfig,
): Record<string, Tensor2D> {
  const masked = masking(inputs.attention_mask);
  const { input_ids: ids, token_type_ids: types, attention_mask: mask } = inputs;
  const embedded = (own: Named) => embed(own, ids, types, config, undefined, mask);
  const outputs: Record<string, Tensor2D> = {};
  const branch = ({ name, layers, head }: TaskHead, own: Named, fork: number, from: Tensor3D) => {
    const top = encoderLayers(own, from, masked, config, [fork, fork + layers], undefined, head.positions);
    outputs[name] = head.logits(own, top, undefined, undefined, inputs.attention_mask);
  };
  const sharing = tasks.filter(({ fork }) => fork !== null).sort((a, b) => (a.fork as number) - (b.fork as number));
  if (sharing.length > 0) {
    let trunk = embedded(tensors);
    let depth = 0;
    for (const task of sharing) {
      const fork = task.fork as number;
      trunk = encoderLayers(tensors, trunk, masked, config, [depth, fork]);
      depth = fork;
      branch(task, unscoped(task.name, tensors), depth, trunk);
    }
  }
  for (const task of tasks.filter(({ fork }) => fork === null)) {
    const own = unscoped(task.name, tensors);
    branch(task, own, 0, embedded(own));
  }
  return outputs;
}
