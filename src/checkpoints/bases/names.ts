// Tensor names of the checkpoints that exist, spelled as ours, which are those of transformers' class for sequence
// classification of the family. Every name gets a spelling; whether the family has such a parameter (position_ids, pre-training
// heads and optimizer slots are none) is for parameterShapes to say.

import type { TensorNames } from "../../model/families/family";

const normLeaves: Readonly<Record<string, string>> = { gamma: "weight", beta: "bias" };

/** What wrappers put before a model's own names: DataParallel, a class around the model, torch.compile. */
const WRAPPERS = /^(?:module\.|model\.|_orig_mod\.)+/;

/**
 * Hugging Face files: with or without the family's prefix, such as `bert.`, and with what a wrapper put before it;
 * LayerNorm.gamma and .beta in those converted before 2019.
 */
export function nameFromHuggingFace(stored: string, { prefix, bare, head }: TensorNames): string {
  const unwrapped = stored.replace(WRAPPERS, "");
  const isOwn = [...bare, ...head, rootOf(prefix)].includes(rootOf(unwrapped));
  const spelled = (isOwn ? unwrapped : stored).replace(
    /(?<=LayerNorm\.)(gamma|beta)$/,
    (leaf) => normLeaves[leaf] as string,
  );
  return bare.includes(rootOf(spelled)) ? prefix + spelled : spelled;
}

/** The first part of a name. */
const rootOf = (name: string) => name.split(".", 1)[0] as string;

export interface TensorFlowName {
  readonly name: string;
  /** TensorFlow's kernels are [in, out], ours [out, in]. */
  readonly transposed: boolean;
}

/** Variables of google-research/bert, such as bert/encoder/layer_0/attention/self/query/kernel. */
export function nameFromTensorFlow(variable: string): TensorFlowName {
  // run_classifier.py keeps the head of a fine-tuned BERT so, its weights as [labels, hidden].
  if (variable === "output_weights") return { name: "classifier.weight", transposed: false };
  if (variable === "output_bias") return { name: "classifier.bias", transposed: false };
  const spelled = variable.replace(/(?<=encoder\/)layer_/, "layer/").replaceAll("/", ".");
  if (spelled.endsWith("_embeddings")) return { name: `${spelled}.weight`, transposed: false };
  const name = spelled.replace(/(?<=LayerNorm\.)(gamma|beta)$/, (leaf) => normLeaves[leaf] as string);
  return { name: name.replace(/\.kernel$/, ".weight"), transposed: name.endsWith(".kernel") };
}
