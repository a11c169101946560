// The train step, pure: (branch and moments, batch, scalars, masks) -> (branch and moments, loss, gradient norm).
// Frozen layers are not here at all: they have no moments, no decay and no part in the clip norm.

import type { Scalar, Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type BranchInputs, branchAxes, branchLogits } from "../../model/branch";
import type { BertConfig } from "../../model/config";
import { type Dropout, dropoutSites } from "../../model/dropout";
import type { DynamicAxes, EntryPoint, Tensors } from "../../model/entry-point";
import type { BranchShape } from "../../model/parameters";
import { clipByGlobalNorm, update, withoutMoments } from "./adamw";
import { keepFinite, lossScale } from "./loss-scale";

/** Reads labels, row_weights and whatever else it needs from the step's inputs. */
export type Loss = (logits: Tensor2D, inputs: Tensors) => Scalar;

export interface StepSettings {
  readonly shape: BranchShape;
  readonly config: BertConfig;
  readonly loss: Loss;
  /** Global norm to clip to; 0 switches clipping off. */
  readonly clipNorm: number;
}

/** Name of the input that holds a site's mask. */
export const maskInput = (site: string) => `dropout/${site}`;

export const rowWeights = (inputs: Tensors) => inputs["row_weights"] as Tensor1D;

/**
 * State: the branch's tensors and their moments, and with float16 the scale of the loss. Inputs: those of a branch, labels, row_weights, step_size,
 * second_correction, decay, and dropout/<site> where dropout is on. Outputs: loss and grad_norm, both scalars.
 */
export function trainStep({ shape, config, loss, clipNorm }: StepSettings): EntryPoint {
  return (state, inputs) => {
    // Sorted: a restored state lists its tensors in another order, and the norm's sum would round differently.
    const names = Object.keys(withoutMoments(state)).sort();
    const dropout = dropoutFrom(inputs);
    const scale = lossScale(state);
    const objective = (...values: Tensor[]) => {
      const branch = Object.fromEntries(names.map((name, i) => [name, values[i] as Tensor]));
      const logits = branchLogits(branch, inputs as unknown as BranchInputs, shape, config, dropout);
      return scale ? (tf.mul(loss(logits, inputs), scale) as Scalar) : loss(logits, inputs);
    };
    const { value, grads: scaled } = tf.valueAndGrads(objective)(names.map((name) => state[name] as Tensor));
    const grads = scale ? scaled.map((gradient) => tf.div(gradient, scale)) : scaled;
    const { norm, factor } = clipByGlobalNorm(grads, clipNorm);
    const next: Tensors = {};
    for (const [i, name] of names.entries()) {
      Object.assign(next, update(state, name, grads[i] as Tensor, factor, inputs));
    }
    if (!scale) return { state: next, outputs: { loss: value, grad_norm: norm } };
    const kept = keepFinite(state, next, norm);
    return { state: kept.state, outputs: { loss: tf.div(value, scale), grad_norm: kept.norm } };
  };
}

/** Evaluation of the same state: inputs of a branch to logits [batch, outputs]. No dropout. */
export function logitsStep(shape: BranchShape, config: BertConfig): EntryPoint {
  return (state, inputs) => ({
    outputs: { logits: branchLogits(state, inputs as unknown as BranchInputs, shape, config) },
  });
}

/** Sizes of a train step that differ between batches: the length. */
export function stepAxes(config: BertConfig, shape: BranchShape): DynamicAxes {
  const length = -1;
  const sites = dropoutSites(config, shape, 1, length).map((site) => [
    maskInput(site.name),
    site.shape.map((size) => (size === length ? "length" : null)),
  ]);
  return { ...withoutBatch(branchAxes), ...Object.fromEntries(sites) };
}

const withoutBatch = (axes: DynamicAxes): DynamicAxes =>
  Object.fromEntries(
    Object.entries(axes).map(([name, names]) => [name, names.map((axis) => (axis === "batch" ? null : axis))]),
  );

function dropoutFrom(inputs: Tensors): Dropout {
  return (site, x) => {
    const mask = inputs[maskInput(site)];
    return mask ? tf.mul(x, mask) : x;
  };
}
