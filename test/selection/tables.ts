// Candidates for tests of selection: written down, from the paper's tables, or random.

import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import type { Candidate, TaskCandidates } from "../../src/selection/candidate";

const paper = path.join(__dirname, "../fixtures/paper");
export const paperCandidates = path.join(paper, "candidates.csv");

/** The lines of a table of the paper, by column name. */
export function paperTable(name: "table1" | "table2"): Record<string, string>[] {
  const [head = [], ...rows] = readFileSync(path.join(paper, `${name}.csv`), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(","));
  return rows.map((row) => Object.fromEntries(head.map((column, i) => [column, row[i] as string])));
}

/** [layers, score in points, fork] */
type Shape = readonly [layers: number, points: number | null, fork?: number | null];

export const task = (name: string, ...shapes: readonly Shape[]): TaskCandidates => ({
  task: name,
  candidates: shapes.map(
    ([layers, points, fork = 2], i): Candidate => ({
      role: fork === null ? "unshared" : i === shapes.length - 1 ? "teacher" : "student",
      layers,
      fork,
      score: points === null ? null : points / 100,
    }),
  ),
});

/** Up to five tasks of up to five candidates. Few different scores, so that ties are common; some undefined. */
export const randomTasks: fc.Arbitrary<TaskCandidates[]> = fc
  .array(
    fc.array(
      fc.record({
        layers: fc.integer({ min: 1, max: 8 }),
        fork: fc.option(fc.integer({ min: 0, max: 6 }), { nil: null, freq: 12 }),
        score: fc.oneof(
          { weight: 6, arbitrary: fc.integer({ min: -2, max: 8 }).map((tenth) => tenth / 10) },
          { weight: 3, arbitrary: fc.double({ min: -1, max: 1, noNaN: true }) },
          { weight: 1, arbitrary: fc.constant(null) },
        ),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((tasks) =>
    tasks.map((candidates, i) => ({
      task: `t${i}`,
      candidates: candidates.map((candidate) => ({ ...candidate, role: "student" as const })),
    })),
  );

/** Every choice of one candidate a task, in the order of tasks and candidates. */
export function everyChoice(tasks: readonly TaskCandidates[]): Candidate[][] {
  return tasks.reduce<Candidate[][]>(
    (choices, { candidates }) => choices.flatMap((choice) => candidates.map((candidate) => [...choice, candidate])),
    [[]],
  );
}
