// Ramps (Xin et al. 2020, DeeBERT, section 3.1): a pooler and a head at the first position of what leaves an encoder layer, so
// that a text of which one is sure need not go on. Those of one way are trained together, as one head whose outputs are those
// of all (the second of the paper's two stages); each is served alone.

import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { type BranchInputs, branchOutputs } from "./branch";
import type { EncoderConfig } from "./config";
import type { EntryPoint } from "./entry-point";
import type { Head, HeadForward } from "./heads";
import { sideBySide } from "./ops";
import { rampTensors } from "./ramp-names";

/**
 * All ramps of a way as one head: it reads their states side by side, [batch, 1, ramps x hidden], and gives their logits
 * side by side, [batch, ramps x outputs]. Its loss is the sum of theirs (DeeBERT, section 3.2: the second stage minimises the sum
 * over all ramps but the last).
 * @param head of the task's kind
 * @param layers that they stand on, ascending
 */
export function rampsHead(head: Head, layers: readonly number[]): Head {
  const summed = (losses: readonly Scalar[]): Scalar => losses.reduce((sum, loss) => tf.add(sum, loss) as Scalar);
  return {
    // Whatever there is: one position a row, which is sliced here, so that a compiled step holds for every length.
    positions: "all",
    logits: (tensors, states, dropout) =>
      sideBySide(
        columns(tf.slice(states, [0, 0, 0], [-1, 1, -1]), layers.length).map((state, i) =>
          head.logits(rampTensors(tensors, layers[i] as number), state, dropout, undefined, alone(state)),
        ),
      ),
    loss: (logits, labels, weights: Tensor1D) =>
      summed(columns(logits, layers.length).map((own) => head.loss(own, labels, weights))),
    distillationLoss: (logits, teacher, weights, temperature, labels) => {
      const [own, teachers] = [columns(logits, layers.length), columns(teacher, layers.length)];
      return summed(
        own.map((part, i) => head.distillationLoss(part, teachers[i] as Tensor2D, weights, temperature, labels)),
      );
    },
  };
}

/** One ramp over packed states [rows, hidden]: logits [rows, outputs]. */
export function rampLogits(
  tensors: Readonly<Record<string, Tensor>>,
  states: Tensor2D,
  layer: number,
  head: HeadForward,
): Tensor2D {
  const state = tf.reshape(states, [-1, 1, states.shape[1]]) as Tensor3D;
  return head.logits(rampTensors(tensors, layer), state, undefined, undefined, alone(state));
}

/** A head that takes the mean over positions is given one, which is its own mean. @returns [batch, 1], 1 */
const alone = (state: Tensor3D): Tensor2D =>
  tf.cast(tf.onesLike(tf.reshape(tf.slice(state, [0, 0, 0], [-1, 1, 1]), [-1, 1])), "int32") as Tensor2D;

/** Equal parts of the last axis. */
function columns<T extends Tensor>(x: T, count: number): T[] {
  if (count === 1) return [x];
  const width = (x.shape.at(-1) as number) / count;
  const lead = x.shape.slice(1);
  return Array.from({ length: count }, (_, i) =>
    tf.slice(x, [...lead.map(() => 0), i * width], [...lead.map(() => -1), width]),
  );
}

/**
 * What ramps read of the whole model, embeddings and all layers, and what that says at its end: states [batch, 1, ramps x hidden]
 * and logits [batch, outputs].
 * @param top encoder layers of the way
 * @param layers under the top that ramps stand on, ascending
 */
export const rampStatesEntry =
  (config: EncoderConfig, top: number, head: HeadForward, layers: readonly number[]): EntryPoint =>
  (tensors, inputs) => {
    const reads = { hidden: Object.fromEntries(layers.map((layer) => [layer, "first" as const])) };
    const whole = { fork: null, layers: top };
    const out = branchOutputs(tensors, inputs as unknown as BranchInputs, whole, config, reads, undefined, head);
    return { outputs: { states: sideBySide(layers.map((layer) => out.hidden(layer))), logits: out.logits } };
  };
