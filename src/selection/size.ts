// The cost model behind --max-bytes: bytes of the merged model's parameters as 32-bit floats, as `merge` prints them. A
// branch layer is as large as a shared one, and embeddings, poolers and heads are the same whatever is chosen.

import type { Allowance } from "./budget";

export interface SizeModel {
  readonly layerBytes: number;
  /** Embeddings, and of every task its pooler and head. */
  readonly fixedBytes: number;
}

/** @param layers those of the merged model, shared ones included */
export const bytesOf = ({ fixedBytes, layerBytes }: SizeModel, layers: number): number =>
  fixedBytes + layers * layerBytes;

export const sizeAllowance =
  ({ fixedBytes, layerBytes }: SizeModel, maxBytes: number): Allowance =>
  (depth) =>
    Math.floor((maxBytes - fixedBytes) / layerBytes) - depth;
