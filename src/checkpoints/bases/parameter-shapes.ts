// Which parameters a BERT of a given config has, and their shapes: what a checkpoint is checked against.

import { modelError } from "../../errors/errors";
import type { BertConfig } from "../../model/config";
import type { HostTensor } from "../../model/tensors";

/** Shapes of the embeddings, the encoder and the pooler by our names; weights are [out, in]. */
export function parameterShapes(config: BertConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize: hidden, intermediateSize: intermediate } = config;
  const shapes = new Map<string, readonly number[]>();
  const dense = (name: string, out: number, input: number) => {
    shapes.set(`${name}.weight`, [out, input]);
    shapes.set(`${name}.bias`, [out]);
  };
  const layerNorm = (name: string) => {
    shapes.set(`${name}.weight`, [hidden]);
    shapes.set(`${name}.bias`, [hidden]);
  };
  shapes.set("bert.embeddings.word_embeddings.weight", [config.vocabSize, hidden]);
  shapes.set("bert.embeddings.position_embeddings.weight", [config.maxPositionEmbeddings, hidden]);
  shapes.set("bert.embeddings.token_type_embeddings.weight", [config.typeVocabSize, hidden]);
  layerNorm("bert.embeddings.LayerNorm");
  for (let index = 0; index < config.numHiddenLayers; index++) {
    const layer = `bert.encoder.layer.${index}`;
    for (const projection of ["query", "key", "value"]) dense(`${layer}.attention.self.${projection}`, hidden, hidden);
    dense(`${layer}.attention.output.dense`, hidden, hidden);
    layerNorm(`${layer}.attention.output.LayerNorm`);
    dense(`${layer}.intermediate.dense`, intermediate, hidden);
    dense(`${layer}.output.dense`, hidden, intermediate);
    layerNorm(`${layer}.output.LayerNorm`);
  }
  dense("bert.pooler.dense", hidden, hidden);
  return shapes;
}

/** The head of a fine-tuned BERT, whose number of outputs the config does not say. */
export const isClassifier = (name: string) => name === "classifier.weight" || name === "classifier.bias";

/** Whether a checkpoint's tensor belongs to a layer that the config does not have. */
export function isSurplusLayer(name: string, config: BertConfig): boolean {
  const index = /^bert\.encoder\.layer\.(\d+)\./.exec(name)?.[1];
  return index !== undefined && Number(index) >= config.numHiddenLayers;
}

/**
 * Checks a checkpoint's tensors, by our names, against its config. The pooler may be absent, as a whole.
 * Throws modelError (4) naming the source and the tensors that are missing or have another shape or dtype.
 */
export function checkParameters(
  tensors: Readonly<Record<string, Pick<HostTensor, "dtype" | "shape">>>,
  config: BertConfig,
  source: string,
): void {
  const shapes = parameterShapes(config);
  const isPooler = (name: string) => name.startsWith("bert.pooler.");
  const hasPooler = Object.keys(tensors).some(isPooler);
  const missing = [...shapes.keys()].filter((name) => !tensors[name] && (hasPooler || !isPooler(name)));
  if (missing.length > 0) {
    const shown = missing.slice(0, 3).join(", ");
    throw modelError(
      `${source} lacks ${missing.length} of ${shapes.size} tensors of a BERT of ${config.numHiddenLayers} layers: ${shown}${missing.length > 3 ? ", ..." : ""}. Give a whole checkpoint`,
    );
  }
  const outputs = tensors["classifier.weight"]?.shape[0] ?? tensors["classifier.bias"]?.shape[0] ?? 0;
  const heads = new Map([
    ["classifier.weight", [outputs, config.hiddenSize]],
    ["classifier.bias", [outputs]],
  ]);
  for (const [name, tensor] of Object.entries(tensors)) {
    const expected = shapes.get(name) ?? heads.get(name);
    if (!expected) throw new Error(`${name} is no parameter of a BERT`);
    if (String(tensor.shape) !== String(expected) || tensor.shape.length !== expected.length) {
      throw modelError(
        `${source}: ${name} has the shape [${tensor.shape}], its config gives [${expected}]. Config and weights belong to different models`,
      );
    }
    if (tensor.dtype !== "float32") throw modelError(`${source}: ${name} holds integers, weights are floating-point`);
  }
}
