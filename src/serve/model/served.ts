// What the HTTP process knows of a version of a merged folder: its tasks and its tokenizer, and no weight. From texts to what
// the engine is given, and from its logits to labels.

import type { DecidedExits } from "../../exits/exits";
import { canonicalJson, sha256Hex } from "../../files/hash";
import { readShared } from "../../merge/folder/blobs";
import { leavingIn } from "../../merge/folder/leaving";
import type { Blob, Manifest, MergedTask } from "../../merge/folder/manifest";
import { readVersion } from "../../merge/folder/version";
import { encodeRow, type Row, type RowUnit } from "../../predict/encode";
import { toPrediction } from "../../predict/predict";
import { inUnit } from "../../predict/span-offsets";
import type { WeightForm } from "../../settings/engine";
import type { Kinds, Prediction } from "../../tasks/kinds/kind";
import type { OffsetUnit } from "../../tasks/offset-unit";
import { decidedBy, outputSize } from "../../tasks/task";
import { createTokenizer, type Tokenizer } from "../../tokenizer/tokenizer";

/** A task of a version. */
export interface VersionTask
  extends Pick<
    MergedTask,
    "name" | "kind" | "inputs" | "labels" | "range" | "threshold" | "tags" | "maxLength" | "fork" | "layers"
  > {
  /**
   * The first 8 digits of its branch's hash, in int8 of its int8 weights': the same branch may have been quantised in several ways.
   * A task that a change of the folder left alone keeps it.
   */
  readonly version: string;
  /** Of all weights that its logits depend on, and of what its texts leave by. */
  readonly weights: string;
  /** Logits of a row. */
  readonly outputs: number;
  /** By what its texts leave early; absent where they do not. */
  readonly exitRule?: DecidedExits;
}

/** What waits for the engine, but for its request. */
export interface Unit {
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
  readonly tasks: readonly string[];
  /** Of tasks that label words: which of the row's are decided here. */
  readonly places: RowUnit["places"];
  /** Layers times tokens. */
  readonly work: number;
}

export interface Served {
  /** The version of the folder. */
  readonly id: string;
  readonly base: { readonly name: string; readonly layers: number; readonly sha256: string };
  readonly precision: WeightForm;
  readonly tasks: readonly VersionTask[];
  readonly tokenizer: Tokenizer;
  task(name: string): VersionTask | undefined;
  /** Layers times tokens of a row, guessed by the length of its text: it is admitted before it is tokenized. */
  guessWork(row: Row, tasks: readonly VersionTask[]): number;
  /** The same of a body, by its length: before it is read. */
  guessBytes(bytes: number): number;
  encode(row: Row, tasks: readonly VersionTask[]): Unit[];
}

export interface ServedOptions {
  /** Hash, its beginning, or tag; the current version without it. */
  readonly version?: string | undefined;
  /** By default int8 where the version has it. */
  readonly weights?: WeightForm | undefined;
  readonly kinds?: Kinds | undefined;
}

/**
 * Reads a version. Throws UserError (4) where it is missing or damaged.
 * @param before a version of the folder that was read already: its tokenizer is taken where the base is the same
 */
export async function readServed(folder: string, options: ServedOptions = {}, before?: Served | null): Promise<Served> {
  const { kinds } = options;
  const { id, manifest } = await readVersion(folder, { version: options.version, kinds });
  const tokenizer =
    before?.base.sha256 === manifest.base.sha256 ? before.tokenizer : await readTokenizer(folder, manifest);
  const precision = manifest.int8 && options.weights !== "float32" ? "int8" : "float32";
  return describeVersion(id, manifest, { tokenizer, precision });
}

/** To build one takes as long as to read a thousand texts with it. */
async function readTokenizer(folder: string, manifest: Manifest): Promise<Tokenizer> {
  const { config, tokenizer } = await readShared(folder, manifest);
  return createTokenizer(tokenizer, config.vocabSize);
}

export function describeVersion(
  id: string,
  manifest: Manifest,
  { tokenizer, precision }: Pick<Served, "tokenizer" | "precision">,
): Served {
  const tasks = manifest.tasks.map((task): VersionTask => {
    const { name, kind, inputs, labels, range, maxLength, fork, layers } = task;
    const { sha256 } = branchOf(manifest, task, precision);
    const decided = { labels, range, ...decidedBy(task) };
    const rule = leavingIn(manifest, task, precision).exits?.rule;
    return {
      ...{ name, kind, inputs, maxLength, fork, layers, ...decided },
      version: sha256.slice(0, 8),
      weights: weightsOf(manifest, task, precision),
      outputs: outputSize(task),
      ...(rule ? { exitRule: rule } : {}),
    };
  });
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const layersOf = (chosen: readonly Pick<VersionTask, "fork" | "layers">[]) =>
    Math.max(0, ...chosen.map(({ fork }) => fork ?? 0)) + chosen.reduce((sum, { layers }) => sum + layers, 0);
  return {
    ...{ id, precision, tasks, tokenizer },
    base: { name: manifest.base.name, layers: manifest.base.layers, sha256: manifest.base.sha256 },
    task: (name) => byName.get(name),
    guessWork({ text, pair }, chosen) {
      const longest = Math.max(0, ...chosen.map(({ maxLength }) => maxLength));
      const guessed = SPECIAL_TOKENS + Math.ceil((text.length + (pair?.length ?? 0)) / UNITS_A_TOKEN);
      return Math.min(longest, guessed) * layersOf(chosen);
    },
    guessBytes: (bytes) => Math.ceil(bytes / UNITS_A_TOKEN) * layersOf(tasks),
    encode: (row, chosen) =>
      encodeRow(tokenizer, row, chosen).map(({ encoding, tasks: names, places }) => {
        const own = names.map((name) => byName.get(name) as VersionTask);
        const { ids, typeIds } = encoding;
        return { ids, typeIds, tasks: names, places, work: ids.length * layersOf(own) };
      }),
  };
}

/** Of English, and of pairs. */
const UNITS_A_TOKEN = 4;
const SPECIAL_TOKENS = 3;

const branchOf = ({ int8 }: Manifest, task: MergedTask, precision: WeightForm): Blob =>
  (precision === "int8" && int8?.tasks[task.name]) || task;

function weightsOf(manifest: Manifest, task: MergedTask, precision: WeightForm): string {
  const { fork } = task;
  const { embeddings, trunk } = precision === "int8" && manifest.int8 ? manifest.int8 : manifest;
  const branch = branchOf(manifest, task, precision);
  const below = fork === null ? [] : [embeddings, ...trunk.slice(0, fork)];
  const hashes = [...below, branch].map(({ sha256 }) => sha256);
  // Of int8 the graphs are cut to 7 bits where a processor saturates: all of one server's are or none.
  const words = task.tags ? ` ${task.tags.words}` : "";
  const { exits } = leavingIn(manifest, task, precision);
  const leaving = exits ? ` ${exits.ramps.sha256} ${canonicalJson(exits.rule)}` : "";
  const text = `${precision} ${fork} ${task.layers} ${task.maxLength}${words} ${hashes.join(" ")}${leaving}`;
  return sha256Hex(text).slice(0, 32);
}

/** A row's logits as the task says them, and the version that says so. */
export function predictionOf(
  task: VersionTask,
  logits: Float32Array,
  row: Row,
  unit: OffsetUnit = "codepoint",
  layer?: number,
): Prediction & { readonly version: string; readonly exit_layer?: number } {
  const left = layer === undefined ? {} : { exit_layer: layer };
  return { ...inUnit(toPrediction(task, logits, row), row.text, unit), ...left, version: task.version };
}
