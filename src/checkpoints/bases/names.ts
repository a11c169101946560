// Tensor names of the checkpoints that exist, spelled as ours, which are those of transformers'
// BertForSequenceClassification. Every name gets a spelling; whether BERT has such a parameter (position_ids, pre-training
// heads and optimizer slots are none) is for parameterShapes to say.

const normLeaves: Readonly<Record<string, string>> = { gamma: "weight", beta: "bias" };

/** Hugging Face files: with or without `bert.`; LayerNorm.gamma and .beta in those converted before 2019. */
export function nameFromHuggingFace(name: string): string {
  const spelled = name.replace(/(?<=LayerNorm\.)(gamma|beta)$/, (leaf) => normLeaves[leaf] as string);
  return /^(embeddings|encoder|pooler)\./.test(spelled) ? `bert.${spelled}` : spelled;
}

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
