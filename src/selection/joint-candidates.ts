// A task's candidates of a joint choice: every place that has a finished run scored on the rows that its teacher was scored
// on. Where a branch leaves the trunk is part of its cost, so each k of fine-tuning counts, not the teacher's alone, and of
// students each fork and size, whoever taught them.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { byK } from "../model/place";
import type { ChooseBy } from "../settings/selection";
import type { Candidate, TaskCandidates } from "./candidate";
import { bestByPlace, type Candidates, isSharing, toCandidate } from "./candidates";
import { noiseOf, seedGroups } from "./noise";
import { bestRun, chooseTeacher, comparableRuns, scoresByLayers } from "./teacher";

/** From the fewest layers to the most, from the shallowest fork to the deepest, students first. */
export function jointCandidates(
  { task, teachers, students }: Candidates,
  by: ChooseBy,
  allowUnshared: boolean,
): { readonly pool: TaskCandidates; readonly incomparable: number } {
  const [newest = []] = comparableRuns(teachers);
  const teacher = chooseTeacher(newest, by);
  const finished = students.filter(({ record }) => record.state === "finished");
  const comparable = finished.filter(({ record }) => record.devData.sha256 === newest[0]?.record.devData.sha256);
  const ofStudents = bestByPlace(comparable.filter((run) => allowUnshared || isSharing(run))).map((run) =>
    toCandidate(isSharing(run) ? "student" : "unshared", run),
  );
  const ofTeachers = scoresByLayers(newest).flatMap(({ place, runs }) => {
    if (place.fork === null) return allowUnshared ? [toCandidate("unshared", bestRun(runs))] : [];
    const isTeachers = teacher !== null && runs.includes(teacher);
    return [toCandidate(isTeachers ? "teacher" : "fine-tuned", isTeachers ? teacher : bestRun(runs))];
  });
  const order = (a: Candidate, b: Candidate) => byK(a, b) || (a.fork ?? 0) - (b.fork ?? 0);
  const candidates = [...ofStudents, ...ofTeachers].sort(order);
  const pool = withSeeds({ task, candidates }, [...newest, ...comparable]);
  return { pool, incomparable: finished.length - comparable.length };
}

/** The candidates with how many seeds each has, and the task's noise. @param runs every finished run that counts */
export function withSeeds({ task, candidates }: TaskCandidates, runs: readonly StoredRun[]): TaskCandidates {
  const groups = seedGroups(runs);
  const seeds = ({ run }: Candidate) => groups.find((group) => group.some(({ folder }) => folder === run?.folder));
  return {
    task,
    candidates: candidates.map((one) => ({ ...one, seeds: seeds(one)?.length ?? 1 })),
    noise: noiseOf(groups),
  };
}
