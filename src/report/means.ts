// What each means of teaching gave: of two students that differ in one setting alone, the difference of their scores. Over
// every pair that was trained, so that it rests neither on the best run nor on any other choice.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { canonicalJson } from "../files/hash";
import type { TaskResults } from "./collect";

/** What a run was trained with, by the flag that says it; a value that its record leaves out is null. */
type Facets = ReadonlyMap<string, unknown>;

/** Two students of one task that differ in one means. */
export interface Pair {
  readonly task: TaskResults;
  readonly before: StoredRun;
  readonly after: StoredRun;
  /** A fraction; null where a score is undefined. */
  readonly gain: number | null;
}

/** A value of a setting against the value that stands for not using it. */
export interface Means {
  /** "--init-layers" */
  readonly flag: string;
  readonly value: unknown;
  readonly baseline: unknown;
  /** At least one. */
  readonly pairs: readonly Pair[];
}

export interface MeansFound {
  readonly means: readonly Means[];
  /** Settings of several values that no two students differ in alone. */
  readonly entangled: readonly string[];
}

const flagOf = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The settings of a student; the fork that is its teacher's is "same". */
function facetsOf({ record }: StoredRun, { taughtBy }: TaskResults): Facets {
  return new Map<string, unknown>([
    ["--student-forks", record.fork === taughtBy?.record.fork ? "same" : record.fork],
    ["--init", record.init ?? null],
    ["--init-layers", record.initLayers ?? null],
    ["--transfer", record.transfer ? transferText(record.transfer) : null],
    ...Object.entries(record.options).map(([name, value]) => [flagOf(name), value] as const),
  ]);
}

/** Texts are told by their hash; people, by where they came from. */
const transferText = ({ from, rows, sha256 }: NonNullable<StoredRun["record"]["transfer"]>) =>
  `${from.join(",")} (${rows} rows, ${sha256.slice(0, 8)})`;

interface Student {
  readonly task: TaskResults;
  readonly run: StoredRun;
  readonly facets: Facets;
}

/** Every setting in which students differ, value by value. */
export function meansOfTeaching(tasks: readonly TaskResults[]): MeansFound {
  const students = tasks.flatMap((task) =>
    task.students.flatMap(({ all }) => all.map((run): Student => ({ task, run, facets: facetsOf(run, task) }))),
  );
  const flags = [...new Set(students.flatMap(({ facets }) => [...facets.keys()]))];
  const means: Means[] = [];
  const entangled: string[] = [];
  for (const flag of flags) {
    const values = valuesOf(students, flag);
    if (values.length < 2) continue;
    const dependents = dependentsOf(students, flag, flags);
    // Of two that always come together the first stands for both.
    const stands = dependents.find((name) => dependentsOf(students, name, flags).includes(flag));
    const second = stands !== undefined && flags.indexOf(stands) < flags.indexOf(flag);
    const own = second ? values.filter((value) => value !== null) : values;
    const found = comparedValues(students, flag, own, dependents);
    if (found.length === 0 && !second) entangled.push(flag);
    means.push(...found);
  }
  return { means, entangled };
}

/** Each value against the first one that any other can be compared with. */
function comparedValues(
  students: readonly Student[],
  flag: string,
  values: readonly unknown[],
  dependents: readonly string[],
): Means[] {
  for (const baseline of values) {
    const found = values.flatMap((value): Means[] => {
      if (value === baseline) return [];
      const ignored = baseline === null ? [flag, ...dependents] : [flag];
      const pairs = pairsOf(students, flag, baseline, value, ignored);
      return pairs.length > 0 ? [{ flag, value, baseline, pairs }] : [];
    });
    if (found.length > 0) return found;
  }
  return [];
}

/** Settings that only students with this one have, such as the weight of a loss: they come with it. */
function dependentsOf(students: readonly Student[], flag: string, flags: readonly string[]): string[] {
  const has = (name: string) => students.filter(({ facets }) => (facets.get(name) ?? null) !== null);
  const own = new Set(has(flag));
  if (own.size === students.length) return [];
  return flags.filter((name) => name !== flag && has(name).length > 0 && has(name).every((one) => own.has(one)));
}

const key = (value: unknown) => canonicalJson({ value: value ?? null });

/**
 * The values of a setting, what stands for not using it first: the value that records leave out, the paper's fork, else the
 * one of most runs; the others in their own order.
 */
function valuesOf(students: readonly Student[], flag: string): unknown[] {
  const counts = new Map<string, { value: unknown; count: number }>();
  for (const { facets } of students) {
    const value = facets.get(flag) ?? null;
    const counted = counts.get(key(value));
    counts.set(key(value), { value, count: (counted?.count ?? 0) + 1 });
  }
  const isPlain = (value: unknown) => value === null || value === "same";
  const rank = ({ value, count }: { value: unknown; count: number }) =>
    isPlain(value) ? Number.POSITIVE_INFINITY : count;
  const [first] = [...counts.values()].sort((a, b) => rank(b) - rank(a) || (key(a.value) < key(b.value) ? -1 : 1));
  const others = [...counts.values()].filter((one) => one !== first).map(({ value }) => value);
  return first ? [first.value, ...others.sort(compareValues)] : [];
}

const compareValues = (a: unknown, b: unknown) =>
  typeof a === "number" && typeof b === "number" ? a - b : key(a) < key(b) ? -1 : 1;

/** Students with `value` beside those that are the same in all else and have `baseline`. */
function pairsOf(
  students: readonly Student[],
  flag: string,
  baseline: unknown,
  value: unknown,
  ignored: readonly string[],
): Pair[] {
  const restOf = ({ task, run: { record }, facets }: Student) =>
    canonicalJson({
      ...{ task: task.name, method: record.method, layers: record.layers, seed: record.seed },
      train: record.trainData.sha256,
      facets: Object.fromEntries([...facets].filter(([name, own]) => !ignored.includes(name) && own !== null)),
    });
  const has = (wanted: unknown) => (student: Student) => key(student.facets.get(flag)) === key(wanted);
  const before = new Map(students.filter(has(baseline)).map((student) => [restOf(student), student]));
  return students.filter(has(value)).flatMap((after): Pair[] => {
    const other = before.get(restOf(after));
    if (!other) return [];
    const [a, b] = [other.run.record.score, after.run.record.score];
    return [{ task: after.task, before: other.run, after: after.run, gain: a === null || b === null ? null : b - a }];
  });
}
