// The other selections: every task's teacher, its students of l layers (KD-l; the paper's stand on their teacher's fork),
// its best candidate, or the best student where there is one. The same words as merge --select takes.

import { modelError } from "../errors/errors";
import { counted } from "../messages/words";
import { compareScores } from "../tasks/metrics";
import type { Candidate, Decision, TaskCandidates } from "./candidate";
import { type Choice, isMeant, type StudentChoice, staysFor, studentChoice, studentOptions } from "./candidates";

/** Throws modelError (4) naming the task and what it has where nothing fits. */
export function chooseNamed({ task, candidates }: TaskCandidates, choice: Choice): Decision {
  const chosen = find(candidates, choice);
  if (!chosen) {
    const sizes = describeSizes(candidates);
    throw modelError(`${task} has nothing for ${choice}: it has ${sizes}${remedy(task, choice)}`);
  }
  const keepsTeacher = choice.startsWith("kd-") && chosen.role !== "student";
  const note = keepsTeacher ? `${choice}: its teacher is no larger` : choice === "student" ? "best student" : choice;
  return { task, candidates, chosen, notes: candidates.map((candidate) => (candidate === chosen ? note : "")) };
}

/** "a student of 1 layer, a teacher of 5 layers"; with their forks where students stand on several. */
function describeSizes(candidates: readonly Candidate[]): string {
  const forks = new Set(candidates.map(({ fork }) => fork));
  const above = ({ fork }: Candidate) => (forks.size > 1 ? ` above fork ${fork ?? "none"}` : "");
  return candidates.map((one) => `a ${one.role} of ${counted(one.layers, "layer")}${above(one)}`).join(", ");
}

function find(candidates: readonly Candidate[], choice: Choice): Candidate | undefined {
  const students = candidates.filter(({ role }) => role === "student");
  const teacher = candidates.find(({ role }) => role === "teacher") ?? candidates.find((c) => c.role === "unshared");
  if (choice === "best") return bestCandidate(candidates);
  if (choice === "teacher") return teacher;
  if (choice === "student") return bestCandidate(students) ?? teacher;
  const wanted = studentChoice(choice) as StudentChoice;
  const student = bestCandidate(students.filter((candidate) => isMeant(wanted, candidate, teacher ?? null)));
  return student ?? (teacher && staysFor(wanted, teacher) ? teacher : undefined);
}

function remedy(task: string, choice: Choice): string {
  const wanted = studentChoice(choice);
  return wanted ? `. Run: flexbert distill --task ${task} ${studentOptions(wanted)}` : "";
}

/** The highest score; of equals the fewest layers, then the first. */
function bestCandidate(candidates: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    const order = best ? compareScores(candidate.score, best.score) : 1;
    if (order > 0 || (order === 0 && best && candidate.layers < best.layers)) best = candidate;
  }
  return best;
}
