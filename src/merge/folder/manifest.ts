// flexbert.json: what a merged folder holds. Blobs are named by their content, so renaming a new manifest over the old
// commits a merge: a reader sees one version or the other. model.onnx changes with it; its hash says to which it belongs.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine } from "../../errors/errors";
import { type StagedFile, stageFile } from "../../files/atomic";
import { formatProblem } from "../../files/format";
import type { TaskBranch } from "../../model/multi-head";
import { kinds } from "../../tasks/kinds";
import type { Kind, Kinds, Labelled } from "../../tasks/kinds/kind";
import { thresholdOf } from "../../tasks/task";
import { graphsOf, type PiecesByPrecision } from "./pieces";

export const MANIFEST_FORMAT = 1;
export const MANIFEST = "flexbert.json";

/** Inputs of model.onnx, in the order in which Hugging Face's exports of BERT have them. */
export const tokenInputNames = ["input_ids", "attention_mask", "token_type_ids"] as const;

/** A file under the folder, and the hash of its bytes. */
export interface Blob {
  readonly file: string;
  readonly sha256: string;
}

export interface MergedTask extends Blob, TaskBranch, Labelled {
  /** The file has its name; tagging is reserved. */
  readonly kind: Kind;
  readonly inputs: "single" | "pair";
  readonly labels: readonly string[];
  readonly range: readonly [number, number] | null;
  readonly metric: string;
  readonly maxLength: number;
  readonly score: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  /** The run that it came from: method and id. */
  readonly run: string;
}

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  /** The version that wrote it; absent where 0.1.0 did. */
  readonly flexbert?: string;
  readonly base: { readonly name: string; readonly sha256: string; readonly layers: number };
  readonly embeddings: Blob;
  /** Encoder layers from the bottom, as many as the deepest fork needs. */
  readonly trunk: readonly Blob[];
  readonly tasks: readonly MergedTask[];
  /** Graphs of its pieces; absent where none were stored. */
  readonly pieces?: PiecesByPrecision;
  /** All of it as one graph for onnxruntime and others, at model.onnx; null where that was left out. */
  readonly onnx: Blob | null;
}

/**
 * The manifest of a merged folder. Throws modelError (4) naming file and cause.
 * @param known the kinds that tasks of the folder may have
 */
export async function readManifest(folder: string, known: Kinds = kinds): Promise<Manifest> {
  const file = path.join(folder, MANIFEST);
  if (!existsSync(file))
    throw modelError(`${folder} is no merged model: it has no ${MANIFEST}. Run: flexbert merge --out ${folder}`);
  const { manifestSchema } = await import("./manifest-schema.js");
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(`${file} is damaged (${oneLine(error)}). Merge again`, error);
  }
  const foreign = formatProblem(json, MANIFEST_FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const [problem] = parsed.error.issues;
    throw modelError(`${file} is damaged: ${problem?.path.join(".")}: ${problem?.message}. Merge again`);
  }
  const tasks = parsed.data.tasks.map((task) => ({ ...task, kind: kindOf(task, known, file) }));
  return { ...parsed.data, tasks } as Manifest;
}

function kindOf({ name, kind }: { name: string; kind: string }, known: Kinds, file: string): Kind {
  const found = known[kind];
  if (found) return found;
  const there = Object.keys(known).join(", ");
  throw modelError(
    `${file}: ${name} is a task of the kind "${kind}", and this flexbert knows ${there}. Use a newer one`,
  );
}

/** A manifest that becomes the folder's when it is committed. */
export function stageManifest(folder: string, manifest: Manifest): Promise<StagedFile> {
  return stageFile(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Every blob that a manifest names. */
export function filesOf({ embeddings, trunk, tasks, pieces }: Manifest): string[] {
  return [embeddings, ...trunk, ...tasks, ...graphsOf(pieces)].map(({ file }) => file);
}

/** What a caller of a model's file must know of a task beside the graph. */
export const forCallers = (task: MergedTask) => {
  const { name, kind, inputs, labels, range, maxLength, fork, layers } = task;
  return { name, kind, inputs, labels, range, ...thresholdOf(task), maxLength, fork, layers };
};
