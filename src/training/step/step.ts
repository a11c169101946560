// The train step, pure: (branch and moments, batch, scalars, masks) -> (branch and moments, loss, gradient norm).
// The layers under the fork are not here at all; what else is frozen (state.ts) has no moments, no decay and no part in
// the clip norm.

import type { Scalar, Tensor, Tensor1D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type BranchInputs, branchAxes, branchLogits, branchOutputs } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import { type Dropout, dropoutSites } from "../../model/dropout";
import type { DynamicAxes, EntryPoint, Tensors } from "../../model/entry-point";
import { type HeadForward, pooledHeadOf } from "../../model/heads";
import type { Place } from "../../model/place";
import { type Outputs, type Reads, topPositions } from "../../model/recorder";
import { clipByGlobalNorm, update } from "./adamw";
import { keepFinite, lossScale } from "./loss-scale";
import { type Beside, besideIn, branchIn, trainedNames } from "./state";

/**
 * Reads the branch's outputs; labels, row_weights and whatever else it needs from the step's inputs; and what the state
 * has beside the branch. A plain function reads the logits alone: see {@link reading}.
 */
export type Loss = ((outputs: Outputs, inputs: Tensors, beside: BesideOutputs) => Scalar) & { readonly reads?: Reads };

/** What a loss reads of the state beside the branch's outputs. */
export interface BesideOutputs extends Beside<Tensor> {
  /** The branch itself, for a loss that runs it otherwise than the step does. */
  readonly branch?: Tensors;
}

/** A loss that reads more of the branch than its logits. */
export const reading = (reads: Reads, loss: Loss): Loss =>
  Object.assign<Loss, { reads: Reads }>((...given) => loss(...given), { reads });

export interface StepSettings {
  readonly place: Place;
  readonly config: EncoderConfig;
  readonly loss: Loss;
  /** Of the task's kind; absent: the pooled one. */
  readonly head?: HeadForward | undefined;
  /** Global norm to clip to; 0 switches clipping off. */
  readonly clipNorm: number;
  /** AdamW's scalars of a tensor among the inputs, where some tensors have taken fewer steps; absent: the step's for all. */
  readonly scalarsOf?: (name: string, inputs: Tensors) => Tensors;
}

/** Name of the input that holds a site's mask. */
export const maskInput = (site: string) => `dropout/${site}`;

export const rowWeights = (inputs: Tensors) => inputs["row_weights"] as Tensor1D;

/**
 * State: the branch's tensors and their moments, what state.ts has beside them (what layers read of the
 * trunk is frozen there), and with float16 the scale of the loss.
 * Inputs: those of a branch, labels, row_weights, step_size, second_correction, decay, what else the loss reads, and
 * dropout/<site> where dropout is on. Outputs: loss and grad_norm, both scalars. A tensor that the loss does not depend
 * on stays as it is, without decay, as in PyTorch.
 */
export function trainStep({
  place,
  config,
  loss,
  head,
  clipNorm,
  scalarsOf = (_, inputs) => inputs,
}: StepSettings): EntryPoint {
  return (state, inputs) => {
    const names = trainedNames(state);
    const dropout = dropoutFrom(inputs);
    const scale = lossScale(state);
    const beside = { ...besideIn(state), branch: branchIn(state) };
    const objective = () => {
      const read = inputs as unknown as BranchInputs;
      const outputs = branchOutputs(readable(state), read, place, config, loss.reads ?? {}, dropout, head);
      const value = loss(outputs, inputs, beside);
      return scale ? (tf.mul(value, scale) as Scalar) : value;
    };
    const { value, gradients: scaled } = valueAndGradients(objective, state, names);
    const trained = Object.keys(scaled);
    const grads = Object.values(scaled).map((gradient) => (scale ? tf.div(gradient, scale) : gradient));
    const { norm, factor } = clipByGlobalNorm(grads, clipNorm);
    const next: Tensors = {};
    for (const [i, name] of trained.entries()) {
      Object.assign(next, update(state, name, grads[i] as Tensor, factor, scalarsOf(name, inputs)));
    }
    if (!scale) return { state: next, outputs: { loss: value, grad_norm: norm } };
    const kept = keepFinite(state, next, norm);
    return { state: kept.state, outputs: { loss: tf.div(value, scale), grad_norm: kept.norm } };
  };
}

/** What a branch is run with: its own tensors, and what of it is frozen (what layers read of the trunk, or layers themselves). */
const readable = (state: Tensors): Tensors => ({ ...besideIn(state).frozen, ...state });

/** A value and its gradients by those of the named tensors that it depends on, in the order of `names`. */
function valueAndGradients(objective: () => Scalar, state: Tensors, names: readonly string[]) {
  const tensors = names.map((name) => state[name] as Tensor);
  // tf.valueAndGrads refuses a function that does not depend on each of its arguments.
  const { value, grads } = tf.engine().gradients(objective, tensors, undefined, true);
  const reached = names.flatMap((name, i) => (grads[i] ? [[name, grads[i]] as const] : []));
  if (reached.length === 0) throw new Error("the loss depends on no tensor that is trained");
  return { value, gradients: Object.fromEntries(reached) };
}

/** Evaluation of the same state: inputs of a branch to logits [batch, outputs]. No dropout. */
export function logitsStep(place: Place, config: EncoderConfig, head?: HeadForward): EntryPoint {
  return (state, inputs) => ({
    outputs: {
      logits: branchLogits(readable(state), inputs as unknown as BranchInputs, place, config, head),
    },
  });
}

/**
 * Sizes of a train step that differ between batches: the length.
 * @param carried axes of the inputs that the loss reads beside labels and weights
 */
export function stepAxes(
  config: EncoderConfig,
  place: Place,
  reads: Reads = {},
  carried: DynamicAxes = {},
  head: HeadForward = pooledHeadOf(config),
): DynamicAxes {
  const length = -1;
  const sites = dropoutSites(config, place, 1, length, topPositions(place, reads, head), head.perToken).map((site) => [
    maskInput(site.name),
    site.shape.map((size) => (size === length ? "length" : null)),
  ]);
  return { ...withoutBatch(branchAxes), ...carried, ...Object.fromEntries(sites) };
}

const withoutBatch = (axes: DynamicAxes): DynamicAxes =>
  Object.fromEntries(
    Object.entries(axes).map(([name, names]) => [name, names.map((axis) => (axis === "batch" ? null : axis))]),
  );

/** Drops out by the masks among a step's inputs, and at no site that has none. */
export function dropoutFrom(inputs: Tensors): Dropout {
  return (site, x) => {
    const mask = inputs[maskInput(site)];
    return mask ? tf.mul(x, mask) : x;
  };
}
