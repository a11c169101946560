// What a forward pass lets be read of its layers beside the logits: hidden states and attention, for losses that compare
// them with a teacher's. What is read is said before the pass, because the topmost layer computes the first position
// alone unless something reads more. What nobody reads is neither computed nor kept.

import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { ownLayers, type Place } from "./place";

/** Which positions of a layer are computed or read: all, or [CLS] alone. */
export type Positions = "all" | "first";

/**
 * What can be read, by layer; positions are on the last axis but one. One more is a line here, one in `siteNames`, and
 * `record(...)` where the layer makes it; one that only positions which attend have (queries, scores) also in
 * `topPositions`.
 */
export interface Sites {
  /** What enters encoder layer i; of i + 1, what leaves it: transformers' hidden_states. [batch, length, hidden] */
  readonly hidden: Tensor3D;
  /** Probabilities of encoder layer i before their dropout. [batch, heads, length that attends, length] */
  readonly attention: Tensor4D;
  /** Products of queries and keys of encoder layer i, scaled, before all that is added to them. Of attention's shape. */
  readonly scores: Tensor4D;
  /** Values of encoder layer i by head. [batch, heads, length, size] */
  readonly values: Tensor4D;
  /** What the classifier of a pooled head reads of layer i - 1, before its dropout; of the topmost layer alone. [batch, 1, hidden] */
  readonly pooled: Tensor3D;
}

export type Site = keyof Sites;
const siteNames = ["hidden", "attention", "scores", "values", "pooled"] as const satisfies readonly Site[];

/** Takes note of a value of a layer, if it is read. */
export type Recorder = <S extends Site>(site: S, layer: number, x: Sites[S]) => void;

/** What is read of which layers, counted from 0 at the bottom of the base: `{ hidden: { 6: "first" }, attention: { 5: "all" } }`. */
export type Reads = { readonly [S in Site]?: Readonly<Record<number, Positions>> };

/** What a forward pass gives. Each function gives what it was asked to record, and throws for what it was not. */
export type Outputs = { readonly logits: Tensor2D } & { readonly [S in Site]: (layer: number) => Sites[S] };

/** Which positions the topmost layer of a branch computes, for its head and for what else is read. */
export function topPositions(place: Place, reads: Reads, head: { readonly positions: Positions }): Positions {
  const [, top] = ownLayers(place);
  const read = [reads.hidden?.[top], reads.attention?.[top - 1], reads.scores?.[top - 1]];
  return head.positions === "all" || read.includes("all") ? "all" : "first";
}

/** A recorder for one pass, and the outputs with what it has recorded. */
export function openRecorder(reads: Reads): { record: Recorder; outputs(logits: Tensor2D): Outputs } {
  const kept = new Map<string, Tensor>();
  const key = (site: Site, layer: number) => `${site}(${layer})`;
  const find = (site: Site, layer: number) => {
    const found = kept.get(key(site, layer));
    if (found) return found;
    const given = reads[site]?.[layer] !== undefined;
    throw new Error(
      `${key(site, layer)} was read, but ${given ? "the branch has no such layer" : "the loss does not name it among its reads"}. ` +
        `Recorded: ${[...kept.keys()].join(", ") || "nothing"}`,
    );
  };
  return {
    record(site, layer, x) {
      const positions = reads[site]?.[layer];
      if (positions !== undefined) kept.set(key(site, layer), positions === "all" ? x : firstPosition(x));
    },
    outputs(logits) {
      const read = siteNames.map((site) => [site, (layer: number) => find(site, layer)] as const);
      return { logits, ...(Object.fromEntries(read) as unknown as Omit<Outputs, "logits">) };
    },
  };
}

/** [..., positions, n] to [..., 1, n]: the tensor itself where it has no other position. */
export function firstPosition<T extends Tensor>(x: T): T {
  const axis = x.rank - 2;
  if (x.shape[axis] === 1) return x;
  return tf.slice(
    x,
    x.shape.map(() => 0),
    x.shape.map((size, i) => (i === axis ? 1 : size)),
  );
}
