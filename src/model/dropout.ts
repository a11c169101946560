// Where BERT drops out: attention probabilities, attention output and feed-forward output of each trained layer,
// the pooled output, and the embeddings where they are trained. Masks are inputs: 0 or 1 / (1 - rate).

import type { Tensor } from "@tensorflow/tfjs-core";
import type { BertConfig } from "./config";
import { ownLayers, type Place } from "./place";
import type { Positions } from "./recorder";

/** Multiplies by the mask of a site. */
export type Dropout = <T extends Tensor>(site: string, x: T) => T;

export interface DropoutSite {
  readonly name: string;
  /** A number that does not depend on the branch: random numbers are drawn by it. */
  readonly id: number;
  readonly shape: readonly number[];
  readonly rate: number;
}

export const embeddingSite = "embeddings";
export const pooledSite = "pooled";
export const attentionProbabilitiesSite = (layer: number) => `layer.${layer}.attention_probabilities`;
export const attentionOutputSite = (layer: number) => `layer.${layer}.attention_output`;
export const outputSite = (layer: number) => `layer.${layer}.output`;

/**
 * Every site of a branch with a rate above 0, for a batch of `batch` rows padded to `length`.
 * @param computed which positions of the topmost layer ask and go on
 */
export function dropoutSites(
  config: BertConfig,
  place: Place,
  batch: number,
  length: number,
  computed: Positions,
): DropoutSite[] {
  const rate = config.hiddenDropoutProb;
  const sites: DropoutSite[] = [{ name: pooledSite, id: 0, shape: [batch, config.hiddenSize], rate }];
  if (place.fork === null) sites.push({ name: embeddingSite, id: 1, shape: [batch, length, config.hiddenSize], rate });
  const [first, end] = ownLayers(place);
  for (let layer = first; layer < end; layer++) {
    const id = 2 + 3 * layer;
    const positions = layer === end - 1 && computed === "first" ? 1 : length;
    const hidden = [batch, positions, config.hiddenSize];
    const attention = [batch, config.numAttentionHeads, positions, length];
    const probabilities = config.attentionProbsDropoutProb;
    sites.push({ name: attentionProbabilitiesSite(layer), id, shape: attention, rate: probabilities });
    sites.push({ name: attentionOutputSite(layer), id: id + 1, shape: hidden, rate });
    sites.push({ name: outputSite(layer), id: id + 2, shape: hidden, rate });
  }
  return sites.filter((site) => site.rate > 0);
}
