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

/** A product of the hidden size under the one that gives the outputs. @param ofBase whether it comes with the base */
export const poolerParameters = (name: string, hidden: number, ofBase: boolean): HeadParameter[] => [
  { name: `${name}.weight`, shape: [hidden, hidden], site: headSites.pooler, ofBase },
  { name: `${name}.bias`, shape: [hidden], site: null, ofBase },
];

/** The product that gives the outputs, of a classifier or regressor: [outputs, hidden]. */
export const outputParameters = (name: string, hidden: number, outputs: number): HeadParameter[] => [
  { name: `${name}.weight`, shape: [outputs, hidden], site: headSites.classifier, ofBase: false },
  { name: `${name}.bias`, shape: [outputs], site: null, ofBase: false },
];

/** BERT's pooler, and a classifier or regressor over it. */
export const pooledParameters = (hidden: number, outputs: number): HeadParameter[] => [
  ...poolerParameters("bert.pooler.dense", hidden, true),
  ...outputParameters("classifier", hidden, outputs),
];

export const headParameterCount = (head: readonly HeadParameter[]): number =>
  head.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
