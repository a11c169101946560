// What a merged model can be exported as: each format is a value of this shape in a folder of its own, and export.ts
// gives all of them their folder, which appears complete and checked or not at all.

import type { PackedWeights } from "../merge/folder/int8-blobs";
import type { Blob, Manifest, MergedTask } from "../merge/folder/manifest";
import type { EncoderConfig } from "../model/config";
import type { HostTensors } from "../model/tensors";
import type { ExportPrecision } from "../settings/engine";
import type { TokenizerSettings } from "../tokenizer/tokenizer";
import type { CheckTools, ModelCheck } from "./check/model-check";

export const exportFormatNames = ["onnx", "onnx-stages", "saved-model", "tfjs", "transformers", "safetensors"] as const;
export type ExportFormatName = (typeof exportFormatNames)[number];

/** A merged folder, and of its tasks those that are exported. */
export interface ExportSource {
  readonly manifest: Manifest;
  readonly config: EncoderConfig;
  readonly tokenizer: TokenizerSettings;
  /** How the weights are to be: int8 where the version has them so. */
  readonly precision: ExportPrecision;
  /** Of the weights. */
  readonly bytes: number;
  /** The tensors that some of its tasks need, as OpenVersion has them. */
  readTensors(tasks: readonly MergedTask[]): Promise<HostTensors>;
  /** The same as int8. */
  readInt8(tasks: readonly MergedTask[]): Promise<PackedWeights>;
  /** A task's ramps, scoped; of a format that has `ramps`. */
  readRamps(task: MergedTask): Promise<HostTensors>;
  /** A blob's bytes. */
  readBytes(blob: Blob): Promise<Uint8Array>;
  /** Whether exactly one task was asked for by name. */
  readonly alone: boolean;
}

export interface ExportFormat {
  readonly name: ExportFormatName;
  /** "a SavedModel": for messages. */
  readonly title: string;
  /** Forms of weights that it holds beside float32. */
  readonly precisions: readonly ExportPrecision[];
  /** Whether it holds ramps. */
  readonly ramps?: true;
  /** Files of which an export of this format has one: --force replaces no other folder. */
  isExport(folder: string): boolean;
  /** What is in it beside the tasks, for people. Throws modelError (4) for a model that the format cannot hold. */
  contents(source: ExportSource): Readonly<Record<string, readonly string[]>>;
  /** Writes everything into a folder that is there. */
  write(folder: string, source: ExportSource): Promise<void>;
  /** Runs what lies in `folder`, which the errors call `out`, against the source. */
  check(folder: string, out: string, source: ExportSource, tools: CheckTools): Promise<ModelCheck>;
}
