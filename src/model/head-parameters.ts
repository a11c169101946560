// What a head holds of tensors, and how each begins. Apart from heads.ts, which loads tfjs.

import { sizeOf } from "./tensors";

export interface HeadParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Site of the generator for its initial values, which are normal; null: they are 0. Part of the format of runs: never renumber. */
  readonly site: number | null;
  /** Taken from the base, where that has it. */
  readonly ofBase: boolean;
  /** What comes with the base and none can be without; of the rest that does, a base has all or nothing. */
  readonly required?: true;
  /** Standard deviation of normal values; absent: the base's initializer_range. */
  readonly deviation?: number;
  /** What it begins as where it has no site; absent: 0. */
  readonly fill?: number;
}

/** Sites of heads' tensors. A kind of one's own takes others. */
export const headSites = { classifier: 0, pooler: 1 } as const;

/** BERT's pooler, and a classifier or regressor over it: [outputs, hidden]. */
export const pooledParameters = (hidden: number, outputs: number): HeadParameter[] => [
  { name: "bert.pooler.dense.weight", shape: [hidden, hidden], site: headSites.pooler, ofBase: true },
  { name: "bert.pooler.dense.bias", shape: [hidden], site: null, ofBase: true },
  { name: "classifier.weight", shape: [outputs, hidden], site: headSites.classifier, ofBase: false },
  { name: "classifier.bias", shape: [outputs], site: null, ofBase: false },
];

export const headParameterCount = (head: readonly HeadParameter[]): number =>
  head.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
