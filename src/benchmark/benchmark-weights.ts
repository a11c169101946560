// Random weights of a published BERT's sizes, where speed is measured without a base: made in a second or two, because
// all layers have the same values. What the values are does not change the time; that they are neither zero nor huge does.

import { bertDefaults, type EncoderConfig } from "../model/config";
import { familyOf, inLayer } from "../model/families/families";
import { baseParameters } from "../model/parameters";
import { float32, type HostTensors, sizeOf } from "../model/tensors";
import { normals } from "../random/draws";
import { Purpose, streamKey } from "../random/threefry";

const published = { ...bertDefaults, vocabSize: 30522, maxPositionEmbeddings: 512, typeVocabSize: 2 };

/** BERT-base, and MiniLM-L6, by the names of --size. */
export const benchmarkSizes = {
  base: { ...published, hiddenSize: 768, numHiddenLayers: 12, numAttentionHeads: 12, intermediateSize: 3072 },
  minilm: { ...published, hiddenSize: 384, numHiddenLayers: 6, numAttentionHeads: 12, intermediateSize: 1536 },
} satisfies Record<string, EncoderConfig>;

export type BenchmarkSize = keyof typeof benchmarkSizes;

/** Embeddings, encoder and pooler; a pure function of config and seed. Every layer has an array of its own. */
export function benchmarkWeights(config: EncoderConfig, seed: number): HostTensors {
  const deviation = config.initializerRange;
  const drawn = baseParameters({ ...config, numHiddenLayers: 1 }).map(({ name, shape, begins }, site) => {
    const size = sizeOf(shape);
    if (begins === "zero") return [name, float32(shape, new Float32Array(size))] as const;
    if (begins === "one") return [name, float32(shape, new Float32Array(size).fill(1))] as const;
    return [name, float32(shape, normals(streamKey(seed, Purpose.initialisation, 0, site), size, deviation))] as const;
  });
  const tensors: HostTensors = Object.fromEntries(drawn);
  for (let layer = 1; layer < config.numHiddenLayers; layer++) {
    for (const { name, shape, begins } of familyOf(config).layerParameters(config, layer)) {
      const bottom = tensors[inLayer(name, 0)]?.data as Float32Array | undefined;
      // A norm that the bottom layer has not, as ModernBERT's.
      const fresh = () => new Float32Array(sizeOf(shape)).fill(begins === "one" ? 1 : 0);
      tensors[name] = float32(shape, bottom?.slice() ?? fresh());
    }
  }
  return tensors;
}
