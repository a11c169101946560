// Where a branch drops out: at the sites that its family has in each trained layer and in the head, and on the embeddings
// where they are trained. Masks are inputs: 0 or 1 / (1 - rate).

import type { Tensor } from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import { familyOf } from "./families/families";
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
/** The whole name of a site that each layer has. */
export const layerSite = (layer: number, site: string) => `layer.${layer}.${site}`;
export const attentionProbabilitiesSite = (layer: number) => layerSite(layer, "attention_probabilities");

/** Ids of the head's further sites, beyond those of all layers. */
const FURTHER = 2 ** 30;

/**
 * Every site of a branch with a rate above 0, for a batch of `batch` rows padded to `length`.
 * @param computed which positions of the topmost layer ask and go on
 * @param perToken whether the head reads each position alone, and drops out of each
 */
export function dropoutSites(
  config: EncoderConfig,
  place: Place,
  batch: number,
  length: number,
  computed: Positions,
  perToken = false,
): DropoutSite[] {
  const { dropout, tokenHead } = familyOf(config);
  const ofHead = perToken ? tokenHead.sites(config) : dropout.head(config);
  const sites = ofHead.map(({ name, rate, width }, i): DropoutSite => {
    const shape = perToken ? [batch, length, width] : [batch, width];
    return { name, id: i === 0 ? 0 : FURTHER + i, shape, rate };
  });
  if (place.fork === null) {
    const shape = [batch, length, dropout.embeddingsWidth?.(config) ?? config.hiddenSize];
    sites.push({ name: embeddingSite, id: 1, shape, rate: dropout.embeddings(config) });
  }
  const ofLayer = dropout.layer(config);
  const [first, end] = ownLayers(place);
  for (let layer = first; layer < end; layer++) {
    const positions = layer === end - 1 && computed === "first" ? 1 : length;
    for (const [i, { name, rate, width }] of ofLayer.entries()) {
      const shape =
        width === "attention" ? [batch, config.numAttentionHeads, positions, length] : [batch, positions, width];
      sites.push({ name: layerSite(layer, name), id: 2 + ofLayer.length * layer + i, shape, rate });
    }
  }
  return sites.filter((site) => site.rate > 0);
}
