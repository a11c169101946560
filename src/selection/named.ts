// The other selections: every task's teacher, its students of l layers (the paper's KD-l), its best candidate, or the
// best student where there is one. The same words as merge --select takes.

import { modelError } from "../errors/errors";
import { counted } from "../messages/words";
import { compareScores } from "../tasks/metrics";
import type { Candidate, Decision, TaskCandidates } from "./candidate";
import type { Choice } from "./candidates";

/** Throws modelError (4) naming the task and what it has where nothing fits. */
export function chooseNamed({ task, candidates }: TaskCandidates, choice: Choice): Decision {
  const chosen = find(candidates, choice);
  if (!chosen) {
    const sizes = candidates.map(({ role, layers }) => `a ${role} of ${counted(layers, "layer")}`).join(", ");
    throw modelError(`${task} has nothing for ${choice}: it has ${sizes}${remedy(task, choice)}`);
  }
  const keepsTeacher = choice.startsWith("kd-") && chosen.role !== "student";
  const note = keepsTeacher ? `${choice}: its teacher is no larger` : choice === "student" ? "best student" : choice;
  return { task, candidates, chosen, notes: candidates.map((candidate) => (candidate === chosen ? note : "")) };
}

function find(candidates: readonly Candidate[], choice: Choice): Candidate | undefined {
  const students = candidates.filter(({ role }) => role === "student");
  const teacher = candidates.find(({ role }) => role === "teacher") ?? candidates.find((c) => c.role === "unshared");
  if (choice === "best") return bestCandidate(candidates);
  if (choice === "teacher") return teacher;
  if (choice === "student") return bestCandidate(students) ?? teacher;
  const layers = Number(choice.slice(3));
  const student = bestCandidate(students.filter((candidate) => candidate.layers === layers));
  return student ?? (teacher && teacher.layers <= layers ? teacher : undefined);
}

const remedy = (task: string, choice: Choice) =>
  choice.startsWith("kd-") ? `. Run: flexbert distill --task ${task} --student-layers ${choice.slice(3)}` : "";

/** The highest score; of equals the fewest layers, then the first. */
function bestCandidate(candidates: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined;
  for (const candidate of candidates) {
    const order = best ? compareScores(candidate.score, best.score) : 1;
    if (order > 0 || (order === 0 && best && candidate.layers < best.layers)) best = candidate;
  }
  return best;
}
