// What BERT-of-Theseus trains: the teacher with some of its blocks of layers replaced by the student's. One forward pass has both, and
// numbers of 0 and 1, drawn for each step and block, say which of the two goes on: a graph cannot leave one of them out.

import type { Scalar, Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { masking } from "../../model/attention";
import { type BranchInputs, embedInputs } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import { encoderLayers } from "../../model/encoder";
import type { Tensors } from "../../model/entry-point";
import type { Head } from "../../model/heads";
import { unscoped } from "../../model/parameters";
import { firstPosition, type Outputs } from "../../model/recorder";
import { Purpose, streamKey, words } from "../../random/threefry";
import { type BatchInput, perStep } from "../../training/loop/batch-inputs";
import { dropoutFrom, type Loss } from "../../training/step/step";
import { labelLoss } from "../losses";
import { type LayerCounts, layerAtHeight, layersFrom } from "./method";
import { replacingRate } from "./theseus";

/** The step's input that is 1 where a block of the teacher's is replaced. */
const replaced = (block: number) => `replaced_${block}`;

/** Of each of the student's layers whether it stands in for the teacher's at a step: by (seed, step, layer) alone. */
export const replacements = (
  layers: number,
  seed: number,
  schedule: Parameters<typeof replacingRate>[2],
): Record<string, BatchInput> =>
  Object.fromEntries(
    layersFrom(0, layers).map((layer) => {
      const drawn = (step: number) =>
        (words(streamKey(seed, Purpose.replacing, step, layer), 1)[0] as number) / 2 ** 32;
      return [replaced(layer), perStep((step, total) => Number(drawn(step) < replacingRate(step, total, schedule)))];
    }),
  );

export interface Replacement {
  readonly counts: LayerCounts;
  readonly config: EncoderConfig;
  /** Of the task's kind, with the teacher's weights. */
  readonly head: Head;
  /** Scope of the teacher's tensors beside the student's. */
  readonly teacher: string;
}

/** The labels' loss of the mixed model: it depends on the student's layers and on nothing else that is trained. */
export function replacingLoss({ counts, config, head, teacher }: Replacement): Loss {
  const ofLabels = labelLoss(head);
  return (_, inputs, beside) => {
    const student = beside.branch;
    if (!student) throw new Error("the step gave its loss no branch");
    const kept = unscoped(teacher, beside.frozen) as Readonly<Record<string, Tensor>>;
    const logits = mixedLogits(student, kept, inputs, { counts, config, head });
    return ofLabels({ logits } as Outputs, inputs, beside);
  };
}

function mixedLogits(
  student: Tensors,
  teacher: Tensors,
  inputs: Tensors,
  { counts, config, head }: Omit<Replacement, "teacher">,
): Tensor2D {
  const read = inputs as unknown as BranchInputs;
  const masked = masking(read.attention_mask);
  const dropout = dropoutFrom(inputs);
  let hidden = embedInputs(teacher, read, config);
  for (const layer of layersFrom(0, counts.student)) {
    const positions = layer === counts.student - 1 ? head.positions : "all";
    const block = [layerAtHeight(layer, counts), layerAtHeight(layer + 1, counts)] as const;
    const own = encoderLayers(student, hidden, masked, config, [layer, layer + 1], dropout, positions);
    const others = encoderLayers(teacher, hidden, masked, config, block, undefined, positions);
    const stands = inputs[replaced(layer)] as Scalar;
    hidden = tf.add(tf.mul(own, stands), tf.mul(others, tf.sub(1, stands))) as Tensor3D;
  }
  const top = head.positions === "first" ? firstPosition(hidden) : hidden;
  return head.logits(teacher, top, dropout, undefined, read.attention_mask);
}
