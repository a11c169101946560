// What a family of encoders is: the keys of its config.json, the names and shapes of its tensors, how it embeds, its layer
// and its head. Each is described once, over a few operations; encoder.ts runs the description over padded rows,
// packed.ts over packed tokens. Nothing here or in a family's file loads tfjs.

import type { EncoderConfig } from "../config";
import type { HeadParameter } from "../head-parameters";
import type { Activation } from "../hidden-act";
import type { Positions } from "../recorder";
import type { ConfigKeys } from "./keys";

/** A parameter of the base: how it begins where it begins at random. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begins: "normal" | "zero" | "one";
}

export interface Family<C extends EncoderConfig = EncoderConfig> {
  /** How errors and documents call it. */
  readonly title: string;
  /** What transformers' classes begin with: Bert of BertModel and BertForSequenceClassification. */
  readonly className: string;
  readonly config: ConfigKeys<C>;
  readonly names: TensorNames;
  readonly inputs: FamilyInputs<C>;
  readonly dropout: DropoutRates<C>;
  readonly head: FamilyHead<C>;
  /** As transformers' class for token classification has it. */
  readonly tokenHead: TokenHead<C>;
  /** The parts of its layers, which take small tensors beside their own (adapters/). Absent: its layers take none. */
  readonly adapts?: LayerNames;

  /** In the order of names that random bases draw by: never reorder. */
  embeddings(config: C): readonly Parameter[];
  /** Of layer `index`, whole names. */
  layerParameters(config: C, index: number): readonly Parameter[];
  /** What a layer multiplies. @param index absent: any but the bottom one */
  products(config: C, index?: number): LayerProducts;
  /** Numbers of the embeddings' weights that a token is multiplied with; absent: none. */
  embeddingProducts?(config: C): number;

  embed<X>(ops: EmbeddingOperations<X>, config: C): X;
  /** @param index the layer's number in the base, counted from 0 at the bottom */
  layer<X>(ops: LayerOperations<X>, hidden: X, index: number, config: C): X;
}

export interface TensorNames {
  /** What stands before every name of the encoder and bare models lack: "bert.". */
  readonly prefix: string;
  /** First parts of a bare model's names. */
  readonly bare: readonly string[];
  /** First parts of names of the head's own tensors. */
  readonly head: readonly string[];
  /** What stands before a layer's number: "bert.encoder.layer.". */
  readonly layers: string;
  /** Beginnings of the names of the embeddings and of all else that lies under the layers. */
  readonly embeddings: readonly string[];
  /** Tensors among those that layers read too: with the trunk they are frozen, and a full branch has its own. */
  readonly shared: readonly string[];
  /** The table of words. */
  readonly words: string;
  /** Products of a layer, without its name, whose rows leave a layer norm; those of the same rows together. */
  readonly afterNorm: readonly (readonly string[])[];
}

/** Names of a layer's parts, behind the layer's own. */
export interface LayerNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly attentionOutput: string;
  readonly attentionNorm: string;
  readonly intermediate: string;
  readonly output: string;
  readonly outputNorm: string;
}

/** What a call gives beside token ids and mask. */
export interface FamilyInputs<C> {
  /** Whether texts are told apart by token_type_ids. */
  readonly types: boolean;
  /** Whether packed tokens come with their positions: where a table has a row for each. */
  readonly positions: boolean;
  /** Whether packed tokens come with where their neighbours stand: where embeddings read those. Absent: none do. */
  neighbours?(config: C): boolean;
  /** The row of the first token in the table of positions; tokens beyond the last row are too many. */
  firstPosition(config: C): number;
}

/** Where a family drops out, in the order by which random numbers are drawn: never reorder. */
export interface DropoutRates<C> {
  embeddings(config: C): number;
  /** Values a position where the embeddings are dropped; absent: the hidden size. */
  embeddingsWidth?(config: C): number;
  /** Of each layer. */
  layer(config: C): readonly LayerSite[];
  /** Of the head, on a vector a row; the first is "pooled". */
  head(config: C): readonly HeadSite[];
}

export interface LayerSite {
  readonly name: string;
  readonly rate: number;
  /** Values a position that asks; "attention": probabilities of every head. */
  readonly width: number | "attention";
}

export interface HeadSite {
  readonly name: string;
  readonly rate: number;
  readonly width: number;
}

/** Numbers of a layer's weights that a token is multiplied with. */
export interface LayerProducts {
  /** Of every position: keys and values. */
  readonly every: number;
  /** Of positions that attend: the rest. */
  readonly asking: number;
  /** Of these, what multiplies the layer's own input and nothing that a parameter of the layer has changed. */
  readonly entering: { readonly every: number; readonly asking: number };
  /** Width of all heads together. */
  readonly attention: number;
}

/** What reads the topmost layer, its first position by default, and gives the outputs of a classifier or regressor. */
export interface FamilyHead<C> {
  /** Which positions it reads; absent: the first. */
  positions?(config: C): Positions;
  parameters(config: C, outputs: number): readonly HeadParameter[];
  /** The product that gives the outputs, a row of its weight for each: "classifier". */
  readonly output: string;
  /** @param states [batch, hidden] of the first position, or [batch, length, hidden] of all */
  logits<X>(ops: HeadOperations<X>, states: X, config: C): X;
}

/** What reads every token of the topmost layer alone, and gives the outputs of each. */
export interface TokenHead<C> {
  parameters(config: C, outputs: number): readonly HeadParameter[];
  /** As of {@link FamilyHead}. */
  readonly output: string;
  /** Where it drops out, on a vector a token. */
  sites(config: C): readonly HeadSite[];
  /** @param states [..., hidden] of any tokens */
  logits<X>(ops: Operations<X>, states: X, config: C): X;
}

/** A family's own name for a parameter stands in each; weights are `${name}.weight`, offsets `${name}.bias`. */
export interface Operations<X> {
  /** x W^T + b over the last axis. @param offset false: there is no b */
  dense(x: X, name: string, offset?: boolean): X;
  /** Layer norm over the last axis. @param offset false: it has a scale alone */
  norm(x: X, name: string, epsilon: number, offset?: boolean): X;
  /** x times a scale plus an offset, a number of each for every place of the last axis. */
  scale(x: X, name: string): X;
  add(a: X, b: X): X;
  multiply(a: X, b: X): X;
  /** The last axis in as many equal parts, in their order. */
  parts(x: X, count: number): X[];
  activate(x: X, activation: Activation | "gelu" | "tanh"): X;
  /** Dropout at a site that the family lists. */
  drop(x: X, site: string): X;
  /** Whether there is such a tensor, by its whole name: of those that a layer may have beside its own. */
  holds(tensor: string): boolean;
}

/** Tables that are summed. Of positions and types the rows are taken that a token has. */
export interface Tables {
  readonly words: string;
  /** Absent: there is no such table. */
  readonly positions?: string;
  /** Absent: there is no such table. Of a family whose calls have no token types, the first row is everybody's. */
  readonly types?: string;
}

export interface EmbeddingOperations<X> extends Operations<X> {
  /** words + types + positions, added in this order: another one rounds otherwise. */
  lookUp(tables: Tables): X;
  /** The rows of the next token, of each token and of the one before it, side by side; 0 beyond its text's ends. */
  trigrams(words: string): X;
  /** The rows that a position and a token type have. */
  positions(table: string): X;
  types(table: string): X;
}

export interface LayerOperations<X> extends Operations<X> {
  /** Of all positions those that attend: all, or each row's first where the layer computes that alone. */
  asking(x: X): X;
  /**
   * softmax(Q K^T / sqrt(size) + bias) V of all heads, side by side. The products are asked for in the order in which they
   * stand here, once each: query of the positions that attend, key and value of all.
   */
  attend(products: { query(): X; key(): X; value(): X }, form?: AttentionForm): X;
}

/** What a family's attention has beside products, padding and softmax. */
export interface AttentionForm {
  readonly relative?: RelativeBias | undefined;
  /**
   * Rotary positions (Su et al. 2021) on queries and keys: of each head the two halves are turned by the position times
   * theta^(-2i / size). Positions of a row are counted from 0.
   */
  readonly rotary?: { readonly theta: number } | undefined;
  /** Keys farther away than this are not attended to; absent: all are. */
  readonly window?: number | undefined;
}

/** What is added to the scores of a query and a key by how far the key stands behind it. */
export interface RelativeBias {
  /** Whole name of a table [buckets, heads], one of the family's shared tensors. */
  readonly table: string;
  /** Its row by the key's position minus the query's. */
  bucket(distance: number): number;
}

export interface HeadOperations<X> extends Operations<X> {
  /** Takes note of what the last product reads, before its dropout: what --match pooled compares. */
  pooled(x: X): X;
  /** Of all positions, the mean over a row's tokens: [batch, length, hidden] to [batch, hidden]. */
  mean(x: X): X;
}
