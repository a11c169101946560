// What a joint choice says of each candidate: what it would change in the choice, alone.

import { counted } from "../messages/words";
import { countLayers } from "../model/overhead";
import { compareScores } from "../tasks/metrics";
import { type Candidate, type TaskCandidates, teacherScore } from "./candidate";

/** What notes read of the rule and of its choice. */
interface Judge {
  readonly price?: number;
  readonly keep?: number;
  readonly tasks: readonly TaskCandidates[];
  readonly countedOf: (candidate: Candidate) => number | null;
  /** The limits that a choice is over. */
  readonly excess: (choice: readonly Candidate[]) => string[];
}

/** Of candidate `candidate` of the t-th task. */
export function jointNote(candidate: Candidate, t: number, chosen: readonly Candidate[], judge: Judge): string {
  const held = chosen[t] as Candidate;
  if (candidate === held) return "chosen with the others";
  if (candidate.score === null) return "its score is undefined";
  const swapped = chosen.map((other, i) => (i === t ? candidate : other));
  return [gainOver(held, candidate, judge), ...consequence(candidate, held, swapped, chosen, judge)].join(", ");
}

function gainOver(held: Candidate, candidate: Candidate, { countedOf }: Judge): string {
  const order = compareScores(candidate.score, held.score);
  if (order === 0) return "the same score";
  const points =
    held.score === null ? "a score" : signed(100 * ((candidate.score as number) - held.score), "points", 1);
  const asGood = compareScores(countedOf(candidate), countedOf(held)) === 0;
  return asGood ? `${points} inside the noise` : points;
}

function consequence(
  candidate: Candidate,
  held: Candidate,
  swapped: readonly Candidate[],
  chosen: readonly Candidate[],
  { price, keep, tasks, countedOf, excess }: Judge,
): string[] {
  const more = totalOf(swapped) - totalOf(chosen);
  const better = compareScores(countedOf(candidate), countedOf(held)) > 0;
  const over = excess(swapped);
  if (over.length > 0) return better ? [`but ${over.join(" and ")}`] : [];
  if (price !== undefined) {
    if (more === 0) return ["no other number of layers"];
    return [`${signed(more, "layers", 0)} in all at ${price} a layer`];
  }
  if (keep === undefined) return [];
  const layers = `${counted(totalOf(swapped), "layer")} in all`;
  return [`${layers}, ${shareOf(swapped, tasks)} kept`];
}

const totalOf = (choice: readonly Candidate[]): number => {
  const { shared, branch } = countLayers(choice);
  return shared + branch;
};

function shareOf(choice: readonly Candidate[], tasks: readonly TaskCandidates[]): string {
  const teachers = tasks.reduce((sum, task) => sum + (teacherScore(task) ?? 0), 0);
  const own = choice.reduce((sum, { score }) => sum + (score ?? 0), 0);
  return `${((100 * own) / teachers).toFixed(2)} %`;
}

const signed = (value: number, noun: string, digits: number) =>
  `${value < 0 ? "" : "+"}${value.toFixed(digits)} ${noun}`;
