// Tensor names of the checkpoints that exist, spelled as ours, which are those of transformers'
// BertForSequenceClassification. Every name gets a spelling; whether BERT has such a parameter (position_ids, pre-training
// heads and optimizer slots are none) is for parameterShapes to say.

const normLeaves: Readonly<Record<string, string>> = { gamma: "weight", beta: "bias" };

/** What wrappers put before a model's own names: DataParallel, a class around the model, torch.compile. */
const wrappers = /^(?:module\.|model\.|_orig_mod\.)+(?=(?:bert|embeddings|encoder|pooler|classifier)\.)/;

/**
 * Hugging Face files: with or without `bert.`, and with what a wrapper put before it; LayerNorm.gamma and .beta in those
 * converted before 2019.
 */
export function nameFromHuggingFace(stored: string): string {
  const name = stored.replace(wrappers, "");
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
