// A version of a merged folder: what it holds, as manifests/<sha8>.json says it. The file is named by its own hash and never
// changes, so it has no time and no tag in it. A folder of format 1 has its one manifest in flexbert.json, and is read as
// the version that its first change will make of it.

import type { RecordedBase } from "../../checkpoints/bases/base";
import type { Untuned } from "../../checkpoints/runs/tuned";
import { modelError } from "../../errors/errors";
import type { TaskExits } from "../../exits/exits";
import { stamped } from "../../files/format";
import { canonicalJson, sha256Hex } from "../../files/hash";
import type { TaskBranch } from "../../model/multi-head";
import { kinds } from "../../tasks/kinds";
import type { Kind, Kinds, Labelled } from "../../tasks/kinds/kind";
import { decidedBy } from "../../tasks/task";
import type { Int8Parts } from "./int8";
import type { PiecesByPrecision } from "./pieces";

export const MANIFEST_FORMAT = 2;
export const MANIFESTS = "manifests";

/** Digits of a hash that name a version and, in blobs' names, a content. */
const ID_DIGITS = 8;

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
  /** Where thresholds were tuned on dev rows: what one for all labels scores there. */
  readonly untuned?: Untuned;
  /** The run that it came from: method and id. */
  readonly run: string;
  /** Of a branch whose layers stayed frozen beside small tensors: the method, and how many numbers are its own. */
  readonly adapter?: { readonly method: string; readonly trained: number };
  /** By which its texts may leave early; absent where its run had no ramps. */
  readonly exits?: MergedExits;
}

/** A task's ramps in one blob, and the rule by which texts leave. */
export interface MergedExits extends TaskExits {
  readonly ramps: Blob;
}

/**
 * Keys that this flexbert does not know are kept, of the manifest and of tasks that a change leaves alone: what they name
 * under `file` is a file of the version's like any other.
 */
export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  /** The version of flexbert that wrote it; absent where 0.1.0 did. */
  readonly flexbert?: string;
  /** `family`: of bases other than BERTs. `files`: sha256 of config and tokenizer by their names; absent where an earlier flexbert merged. */
  readonly base: Pick<RecordedBase, "name" | "sha256" | "layers" | "family"> & {
    readonly files?: Readonly<Record<string, string>>;
  };
  readonly embeddings: Blob;
  /** Encoder layers from the bottom, as many as the deepest fork needs. */
  readonly trunk: readonly Blob[];
  readonly tasks: readonly MergedTask[];
  /** Graphs of its pieces; absent where none were stored. */
  readonly pieces?: PiecesByPrecision;
  /** The weights as int8, beside those of float32; absent where the version was not quantized. */
  readonly int8?: Int8Parts;
  /** All of it as one graph, at model.onnx while the version is the current one; null where that was left out. */
  readonly onnx: Blob | null;
}

/** A manifest before its graph is made. */
export type Contents = Omit<Manifest, "onnx" | "format">;

/**
 * The bytes that a manifest has as a file, and the version that it is. Keys are sorted: what was read and is written again
 * has its bytes, whoever wrote it.
 */
export function encodeManifest(manifest: Manifest): { readonly id: string; readonly text: string } {
  const plain: unknown = JSON.parse(JSON.stringify(manifest)); // kinds as names, -0 as 0
  const text = `${JSON.stringify(JSON.parse(canonicalJson(plain)), null, 2)}\n`;
  return { id: idOf(text), text };
}

/** The version whose manifest has these bytes. */
export const idOf = (text: string | Uint8Array): string => sha256Hex(text).slice(0, ID_DIGITS);

/**
 * What a file says, of format 1 or 2. Throws modelError (4) naming file and cause.
 * @param known the kinds that tasks of the folder may have
 */
export async function parseManifest(json: unknown, file: string, known: Kinds = kinds): Promise<Manifest> {
  const { manifestSchema } = await import("./manifest-schema.js");
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const [problem] = parsed.error.issues;
    throw modelError(`${file} is damaged: ${problem?.path.join(".")}: ${problem?.message}. Merge again`);
  }
  const tasks = parsed.data.tasks.map((task) => ({ ...task, kind: kindOf(task, known, file) }));
  return { ...parsed.data, format: MANIFEST_FORMAT, tasks } as unknown as Manifest;
}

function kindOf({ name, kind }: { name: string; kind: string }, known: Kinds, file: string): Kind {
  const found = Object.hasOwn(known, kind) ? known[kind] : undefined; // "constructor" is every object's
  if (found) return found;
  const there = Object.keys(known).join(", ");
  throw modelError(
    `${file}: ${name} is a task of the kind "${kind}", and this flexbert knows ${there}. Use a newer one`,
  );
}

/** Every file that a manifest names, under keys of its own and under those that nobody here knows; model.onnx is none. */
export function filesOf(manifest: Manifest): string[] {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { file } = value as { file?: unknown };
    if (typeof file === "string" && file.includes("/")) found.add(file);
    for (const member of Object.values(value)) visit(member);
  };
  visit(JSON.parse(JSON.stringify(manifest)));
  return [...found];
}

/** Whether two manifests hold the same, whichever flexbert wrote them. */
export function sameContent(a: Manifest, b: Manifest): boolean {
  const { text } = encodeManifest(stamped(a));
  return text === encodeManifest(stamped(b)).text;
}

/** What a caller of a model's file must know of a task beside the graph. */
export const forCallers = (task: MergedTask) => {
  const { name, kind, inputs, labels, range, maxLength, fork, layers } = task;
  return { name, kind, inputs, labels, range, ...decidedBy(task), maxLength, fork, layers };
};
