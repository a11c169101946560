// How two versions of a merged folder differ: which tasks came, went and changed, and what about them.

import { ruleInWords } from "../../exits/words";
import { int8Files } from "../folder/int8";
import { type Blob, forCallers, type MergedTask } from "../folder/manifest";
import type { FoundVersion } from "../folder/version";

/** A value before and after. */
export type Change<T = unknown> = readonly [before: T, after: T];

export interface LabelChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Whether those that stay have another order, and so other outputs. */
  readonly reordered: boolean;
}

export interface TaskDifference {
  readonly task: string;
  readonly change: "added" | "removed" | "changed";
  /** Whether its branch has other weights. */
  readonly weights: boolean;
  /** null where its labels are the same. */
  readonly labels: LabelChange | null;
  /** What else is said otherwise, by name; all of it where the task came or went. */
  readonly said: Readonly<Record<string, Change>>;
}

export interface VersionDifference {
  readonly from: string;
  readonly to: string;
  readonly tasks: readonly TaskDifference[];
  readonly unchanged: readonly string[];
  /** Shared layers; null where they are as many. */
  readonly trunk: Change<number> | null;
  /** Whether it has int8 weights; null where both have or neither. */
  readonly int8: Change<boolean> | null;
  /** Files that only one of the two names. */
  readonly blobs: { readonly added: readonly Blob[]; readonly removed: readonly Blob[] };
}

export function differenceOf(from: FoundVersion, to: FoundVersion): VersionDifference {
  const [before, after] = [from.manifest, to.manifest];
  const names = [...new Set([...before.tasks, ...after.tasks].map(({ name }) => name))].sort();
  const of = (tasks: readonly MergedTask[], name: string) => tasks.find((task) => task.name === name) ?? null;
  const tasks = names.flatMap((name) => taskDifference(name, of(before.tasks, name), of(after.tasks, name)) ?? []);
  const depths = [before.trunk.length, after.trunk.length] as const;
  return {
    from: from.id,
    to: to.id,
    tasks,
    unchanged: names.filter((name) => !tasks.some(({ task }) => task === name)),
    trunk: depths[0] === depths[1] ? null : depths,
    int8: Boolean(before.int8) === Boolean(after.int8) ? null : [Boolean(before.int8), Boolean(after.int8)],
    blobs: { added: only(blobsIn(after), blobsIn(before)), removed: only(blobsIn(before), blobsIn(after)) },
  };
}

const blobsIn = ({ embeddings, trunk, tasks, int8 }: FoundVersion["manifest"]): Blob[] =>
  [
    embeddings,
    ...trunk,
    ...tasks,
    ...tasks.flatMap(({ exits }) => exits?.ramps ?? []),
    ...(int8 ? int8Files(int8) : []),
  ].map(({ file, sha256 }) => ({ file, sha256 }));

const only = (blobs: readonly Blob[], others: readonly Blob[]) =>
  blobs.filter(({ file }) => !others.some((other) => other.file === file));

function taskDifference(task: string, before: MergedTask | null, after: MergedTask | null): TaskDifference | null {
  const said = saidOtherwise(before, after);
  const weights = before?.sha256 !== after?.sha256;
  const labels = before && after ? labelChange(before.labels, after.labels) : null;
  if (before && after && !weights && labels === null && Object.keys(said).length === 0) return null;
  const change = before === null ? "added" : after === null ? "removed" : "changed";
  return { task, change, weights, labels, said };
}

function labelChange(before: readonly string[], after: readonly string[]): LabelChange | null {
  if (`${JSON.stringify(before)}` === JSON.stringify(after)) return null;
  const added = after.filter((label) => !before.includes(label));
  const removed = before.filter((label) => !after.includes(label));
  const [stay, stayed] = [
    before.filter((label) => after.includes(label)),
    after.filter((label) => before.includes(label)),
  ];
  return { added, removed, reordered: JSON.stringify(stay) !== JSON.stringify(stayed) };
}

/** Values as JSON has them. Labels and weights are told apart. */
function saidOtherwise(before: MergedTask | null, after: MergedTask | null): Record<string, Change> {
  const values = (task: MergedTask | null): Record<string, unknown> => {
    if (!task) return {};
    const { name: _, labels: __, ...rest } = forCallers(task);
    const { metric, score, run, exits } = task;
    const leaving = exits?.rule ? { exits: ruleInWords(exits.rule) } : {};
    return JSON.parse(JSON.stringify({ ...rest, metric, score, run, ...leaving }));
  };
  const [old, now] = [values(before), values(after)];
  const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  const changed = keys.filter((key) => JSON.stringify(old[key] ?? null) !== JSON.stringify(now[key] ?? null));
  return Object.fromEntries(changed.map((key) => [key, [old[key] ?? null, now[key] ?? null] as const]));
}
