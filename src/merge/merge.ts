// Merging (paper, section 2.3): branches of one base become one multi-head model whose shared frozen layers are stored, and
// later run, once. A task is added, replaced or removed alone: of a folder that is there nothing is read, hashed or written
// but the task's own files, and each change is a version of the folder (change.ts).

import path from "node:path";
import type { Base, BaseDescription } from "../checkpoints/bases/base";
import { loadBranch, type StoredRun } from "../checkpoints/runs/run-folder";
import { asDecided } from "../checkpoints/runs/tuned";
import { modelError, usageError } from "../errors/errors";
import type { TaskExits } from "../exits/exits";
import type { OnnxReport, OnnxRequest } from "../export/onnx/onnx";
import type { PiecesCheck, PieceTools } from "../export/pieces/pieces-check";
import { adapterOf } from "../model/adapters/adapters";
import { embeddingTensors, layerTensors, scoped } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { Kinds } from "../tasks/kinds/kind";
import { decidedBy, type Task } from "../tasks/task";
import { type Change, type Committed, changeFolder, commitVersion, type Logged } from "./change";
import { type CheckRequest, stageChecked } from "./checks";
import {
  folderWeights,
  type OnCreated,
  readRamps,
  readShared,
  readTensors,
  readTrunk,
  writeBlob,
} from "./folder/blobs";
import { type Int8Parts, remainingInt8 } from "./folder/int8";
import type { Contents, Manifest, MergedExits, MergedTask } from "./folder/manifest";
import { writeAllPieces } from "./pieces";
import { writeShared } from "./write-shared";

export interface Selection {
  readonly task: Task;
  readonly run: StoredRun;
  /** Its ramps, which come along. */
  readonly exits?: (TaskExits & { load(): Promise<HostTensors> }) | undefined;
}

/** Which tasks a merge may meet in the folder: any, only those that it replaces, none of those that it adds. */
export type MergeMode = "merge" | "update" | "add";

export interface MergeRequest extends CheckRequest {
  readonly out: string;
  /** Its weights are read where the folder lacks layers. */
  readonly base: Base | BaseDescription;
  readonly selections: readonly Selection[];
  readonly mode?: MergeMode;
  /** Takes branches that trained their embeddings: they are stored and computed apart. */
  readonly allowUnshared: boolean;
  /** Of a folder that has int8 weights, makes those of what is new in it; without it the version has none. */
  readonly int8?: Int8Maker;
  /** For the folder's log. */
  readonly note?: string | null;
  /** The kinds that tasks of the folder may have; flexbert's by default. */
  readonly kinds?: Kinds;
}

/** @param before what the folder holds, @param contents what it will hold: their float32 blobs are written */
export type Int8Maker = (
  out: string,
  contents: Contents,
  before: Manifest & { readonly int8: Int8Parts },
  onCreated: OnCreated,
) => Promise<Int8Parts>;

/** What a merge left in the folder. */
export interface Merged extends Omit<Committed, "id"> {
  readonly version: string;
  readonly manifest: Manifest;
  /** null where model.onnx was not asked for, or no task is left. */
  readonly onnx: OnnxReport | null;
  /** For each form of the weights that has new pieces; null where nothing checks them. */
  readonly pieces: readonly PiecesCheck[] | null;
}

/**
 * Adds or replaces the selected tasks in the merged folder, which is created where it is absent.
 * Throws modelError (4) for branches of another base, before anything is written, and usageError (2) for a task that `mode`
 * wants there and is not, or the other way round. Whatever it throws, the folder is as it was.
 */
export async function merge(request: MergeRequest): Promise<Merged> {
  const { out, base, selections, kinds, mode = "merge" } = request;
  for (const selection of selections) checkSelection(selection, request);
  const names = selections.map(({ task }) => task.name);
  return changeFolder(out, "merging", kinds, async (change) => {
    const { old, onCreated } = change;
    requireMode(out, old?.manifest.tasks ?? [], names, mode);
    if (old && old.manifest.base.sha256 !== base.sha256) throw otherBase(`${out} holds tasks`, old.manifest.base, base);
    const kept = (old?.manifest.tasks ?? []).filter(({ name }) => !names.includes(name));
    const added: MergedTask[] = [];
    for (const selection of selections) added.push(await writeTask(out, selection, base, onCreated));
    const tasks = [...kept, ...added].sort((a, b) => (a.name < b.name ? -1 : 1));
    const { int8: before, ...others } = old?.manifest ?? {};
    const plain = { ...others, ...(await writeShared(change, base, tasks)), tasks };
    const int8 = before && old && (await request.int8?.(out, plain, { ...old.manifest, int8: before }, onCreated));
    const contents = { ...plain, ...(int8 ? { int8 } : {}) };
    const tensorsOf = async (task: MergedTask): Promise<HostTensors> => {
      const selection = selections.find((chosen) => chosen.task.name === task.name);
      if (!selection) return readTensors(out, contents, [task]);
      // From where they came, not from what was just written: the check of model.onnx is then one of the blobs too.
      return {
        ...(await sharedUnder(task, out, contents, base)),
        ...scoped(task.name, await branchOf(selection, base)),
      };
    };
    const rampsOf = async (task: MergedTask): Promise<HostTensors> => {
      const ramps = selections.find((chosen) => chosen.task.name === task.name)?.exits;
      return ramps ? scoped(task.name, await ramps.load()) : readRamps(out, task);
    };
    const pieces = await writeAllPieces(out, contents, base.config, old?.manifest ?? null, onCreated);
    const command = [mode, ...[...names].sort()].join(" ");
    const logged = { command, note: request.note ?? null };
    return finish(change, { ...contents, pieces }, request, names, { tensorsOf, rampsOf }, logged);
  });
}

/** Takes tasks out of a merged folder. Throws usageError (2) for one that is not in it. */
export async function removeTasks(
  out: string,
  names: readonly string[],
  onnx: OnnxRequest | null,
  kinds?: Kinds,
  note: string | null = null,
  pieces: PieceTools | null = null,
): Promise<Merged> {
  return changeFolder(out, "removing tasks", kinds, async (change) => {
    if (!change.old) throw modelError(`${out} is no merged model. Run: flexbert merge --out ${out}`);
    const { manifest: old } = change.old;
    requireMode(out, old.tasks, names, "update");
    const tasks = old.tasks.filter(({ name }) => !names.includes(name));
    const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
    const left = { ...old, tasks, trunk: old.trunk.slice(0, depth) };
    const contents = { ...left, ...(old.int8 ? { int8: remainingInt8(old.int8, left) } : {}) };
    const { config } = await readShared(out, old);
    const written = await writeAllPieces(out, contents, config, old, change.onCreated);
    const source = folderWeights(out, contents);
    return finish(change, { ...contents, pieces: written }, { onnx, pieces }, [], source, {
      command: ["remove", ...names].join(" "),
      note,
    });
  });
}

/** Makes the graph, checks it and the pieces, and commits. @param checked the tasks whose outputs are compared whatever is there */
async function finish(
  change: Change,
  contents: Contents,
  request: CheckRequest,
  checked: readonly string[],
  source: ReturnType<typeof folderWeights>,
  logged: Logged,
): Promise<Merged> {
  const { graph, pieces } = await stageChecked(change, contents, request, checked, source);
  try {
    const { id, ...committed } = await commitVersion(change, contents, graph, logged);
    return { ...committed, version: id, onnx: graph?.report ?? null, pieces };
  } finally {
    await graph?.discard();
  }
}

/** Throws usageError (2) for a name that `mode` wants in the folder and is not, or the other way round. */
export function requireMode(
  out: string,
  tasks: readonly { readonly name: string }[],
  names: readonly string[],
  mode: MergeMode,
): void {
  if (mode === "merge") return;
  const has = tasks.map(({ name }) => name);
  const there = has.join(", ") || "none";
  for (const name of names) {
    if (mode === "update" && !has.includes(name)) {
      throw usageError(`${out} has no task ${name}. It has ${there}. A new one comes by flexbert add`);
    }
    if (mode === "add" && has.includes(name)) {
      throw usageError(`${out} has a task ${name} already. It has ${there}. flexbert update replaces it`);
    }
  }
}

function checkSelection({ task, run }: Selection, { base, allowUnshared }: MergeRequest): void {
  const { record, folder } = run;
  asDecided(task, run); // before anything is written
  if (record.base.sha256 !== base.sha256) throw otherBase(`${folder} was trained`, record.base, base);
  if (record.fork === null && !allowUnshared) {
    const [what, remedy] = record.teacher
      ? ["is a whole student with embeddings of its own", `Distil ${task.name} without --method`]
      : ["trained its embeddings (k = full)", `Fine-tune ${task.name} with a number for --k`];
    throw modelError(
      `${folder} ${what}, so it shares no layer: merging it costs ${record.layers} layers. ${remedy}, or give --allow-unshared`,
    );
  }
}

function otherBase(what: string, found: { name: string; sha256: string }, wanted: { name: string; sha256: string }) {
  const short = ({ name, sha256 }: { name: string; sha256: string }) => `${name} (sha256 ${sha256.slice(0, 8)})`;
  return modelError(
    `${what} on the base ${short(found)}, this merge is of ${short(wanted)}. Merge tasks of one base at a time`,
  );
}

/** The branch of a run that was chosen; its outputs have the labels that it was trained with. */
const branchOf = ({ task, run }: Selection, { config }: BaseDescription): Promise<HostTensors> =>
  loadBranch(run, { ...task, labels: run.record.labels }, config);

async function writeTask(
  out: string,
  selection: Selection,
  base: BaseDescription,
  onCreated: OnCreated,
): Promise<MergedTask> {
  const { task, run, exits } = selection;
  const { record } = run;
  const about = { task: task.name, fork: String(record.fork) };
  const blob = await writeBlob(out, task.name, await branchOf(selection, base), about, onCreated);
  return {
    ...blob,
    name: task.name,
    kind: task.kind,
    inputs: task.inputs,
    labels: record.labels,
    range: task.range ?? null,
    ...decidedBy(asDecided(task, run)),
    metric: task.metric,
    maxLength: record.options.maxLength,
    fork: record.fork,
    layers: record.layers,
    score: record.score,
    metrics: record.metrics,
    ...(record.tuned ? { untuned: record.tuned.untuned } : {}),
    ...adapterOfRun(record),
    run: `${record.method} ${path.basename(run.folder)}`,
    ...(exits ? { exits: await writeExits(out, task.name, exits, onCreated) } : {}),
  };
}

/** Of a run whose layers stayed frozen beside small tensors. */
function adapterOfRun({ options, trained }: StoredRun["record"]): Pick<MergedTask, "adapter"> {
  const adapter = adapterOf(options);
  return adapter && trained !== undefined ? { adapter: { method: adapter.name, trained } } : {};
}

async function writeExits(
  out: string,
  task: string,
  { load, layers, rule }: NonNullable<Selection["exits"]>,
  onCreated: OnCreated,
): Promise<MergedExits> {
  const ramps = await writeBlob(out, `${task}-ramps`, await load(), { task }, onCreated);
  return { ramps, layers, rule };
}

/** The base's own layers under a task where they are at hand, else the folder's. */
async function sharedUnder(
  task: MergedTask,
  out: string,
  contents: Contents,
  base: Base | BaseDescription,
): Promise<HostTensors> {
  if (task.fork === null) return {};
  if ("tensors" in base) return { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, task.fork) };
  return readTrunk(out, contents, task.fork);
}
