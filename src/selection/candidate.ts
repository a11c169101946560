// What a selection chooses from and what its choice costs. A candidate is a task's student, its teacher, or a line of
// a table of scores; the rules (threshold.ts, budget.ts, named.ts) know nothing of where it came from.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { overhead } from "../model/overhead";
import type { Place } from "../model/place";
import { meanScore } from "../tasks/scores";

export interface Candidate extends Place {
  /** "fine-tuned": another k than the teacher's. "unshared": a run of k = full, whose fork is null. */
  readonly role: "student" | "teacher" | "fine-tuned" | "unshared";
  /** A fraction; null where it is undefined, which counts as worst. */
  readonly score: number | null;
  /** Absent where the scores came from a file. */
  readonly run?: StoredRun;
  /** Runs of this place and these settings that differ by the seed alone, its own among them. */
  readonly seeds?: number;
}

/** How much scores of a task differ by the seed alone. */
export interface Noise {
  /** Pooled standard deviation of one run: a fraction. */
  readonly sd: number;
  /** Runs beyond the first of their place and settings: what the pool rests on. */
  readonly degrees: number;
}

/** A task's candidates, in the order that breaks ties. At least one. */
export interface TaskCandidates {
  readonly task: string;
  readonly candidates: readonly Candidate[];
  /** What seeds alone change of its scores; null where no place has two. */
  readonly noise?: Noise | null;
}

/** What a rule made of one task. */
export interface Decision extends TaskCandidates {
  readonly chosen: Candidate;
  /** What the rule says of each candidate, in their order. */
  readonly notes: readonly string[];
}

/** The task's teacher's score: a fraction, null where it is undefined; undefined where there is none. */
export const teacherScore = ({ candidates }: TaskCandidates): number | null | undefined =>
  candidates.find(({ role }) => role === "teacher")?.score;

/** Trunk layers that a candidate needs; an unshared one brings its own. */
export const depthOf = ({ fork }: Candidate): number => fork ?? 0;

export interface Summary {
  readonly shared: number;
  readonly total: number;
  /** Of one whole base a task: a fraction. */
  readonly overhead: number;
  /** A fraction; null where a chosen score is undefined. */
  readonly average: number | null;
}

/** What a choice costs and scores (the paper's Table 2). */
export function summarize(chosen: readonly Candidate[], baseLayers: number): Summary {
  const { layers, shared, share } = overhead({ base: { layers: baseLayers }, tasks: chosen });
  return { shared, total: layers, overhead: share, average: meanScore(chosen.map(({ score }) => score)) };
}
