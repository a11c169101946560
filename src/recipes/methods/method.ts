// A published way to teach a whole student, an encoder of fewer layers with embeddings of its own, as a value: what the paper's
// Table 2 compares with. Each method is one file; all of them are taught by the task's teacher on the task's own rows.

import type { Scalar, Tensor2D } from "@tensorflow/tfjs-core";
import type { Outputs, Reads } from "../../model/recorder";
import type { Variant } from "../recipe";

/** Encoder layers of the two models. */
export interface LayerCounts {
  readonly student: number;
  readonly teacher: number;
}

/** Which of its teacher's layers a student's are compared with, where a method leaves the choice. */
export type LayerMap = "skip" | "last";

/** Which positions of a batch are real: [batch, length] each. */
export interface Positions {
  /** 0 for padding and for filler rows. */
  readonly weights: Tensor2D;
  /** 0 for padding. */
  readonly keys: Tensor2D;
}

/** What a method compares of the two models' layers. */
export interface Comparison {
  readonly student: Reads;
  readonly teacher: Reads;
  /** How far the student's layers are from the teacher's. */
  error(student: Outputs, teacher: Outputs, positions: Positions): Scalar;
}

export interface Method {
  /** What --method calls it. */
  readonly name: string;
  /** What tables call its students before their number of layers: "PKD" for PKD-3. */
  readonly short: string;
  /** In a few words, for reports. */
  readonly meaning: string;
  /** What its students begin as where --init and --init-layers say nothing. */
  readonly start: Required<Pick<Variant, "init">> & { readonly initLayers: NonNullable<Variant["initLayers"]> };
  /**
   * Share of the steps that are its first stage where --first-stage says nothing: they take the comparison of layers alone, before
   * outputs and labels, or replace the teacher's layers. Absent: it has one stage.
   */
  readonly firstStage?: number;
  /** Whether its layers take the place of the teacher's, towards labels alone: replacing.ts. */
  readonly replaces?: boolean;
  /** What it compares beside outputs and labels; absent: nothing. */
  readonly layers?: {
    /** Weight of the comparison where --beta says nothing. */
    readonly beta: number;
    /** Whether --layer-map is its option. */
    readonly mapped?: boolean;
    /** Layers that a student has at least. */
    readonly least?: number;
    /** Loads what computes when it is called. */
    compare(counts: LayerCounts, map: LayerMap): Promise<Comparison>;
  };
}

/** The teacher's layer, counted from 1, that is as high in it as the student's is in the student. */
export const layerAtHeight = (layer: number, { student, teacher }: LayerCounts): number =>
  Math.round((layer * teacher) / student);

/** Layers `from` to `to` - 1. */
export const layersFrom = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** The same positions of several layers. */
export const readAll = <P>(layers: readonly number[], positions: P): Readonly<Record<number, P>> =>
  Object.fromEntries(layers.map((layer) => [layer, positions]));
