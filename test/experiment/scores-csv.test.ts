import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { TrialResult } from "../../src/experiment/results";
import { scoresCsv } from "../../src/experiment/scores-csv";
import { recipes } from "../../src/recipes/recipes";
import { readScores } from "../../src/selection/scores-file";
import { temporaryFolder } from "../files/temporary-folder";

const result = (method: keyof typeof recipes, fork: number | null, layers: number, score: number | null) =>
  ({
    spec: { recipe: recipes[method] },
    run: {
      record: { task: "rte", fork, layers, score, seed: 1, id: "0123abcd", options: { epochs: 3, learningRate: 5e-5 } },
    },
  }) as unknown as TrialResult;

test("finished trials are what select --scores reads; a student that is not made is none", async () => {
  const kept = { spec: { recipe: recipes["distill"] }, run: null } as unknown as TrialResult;
  const finished = [
    result("finetune", null, 12, 0.5),
    result("finetune", 8, 4, 0.75),
    result("distill", 8, 2, null),
    kept,
  ];
  const file = path.join(temporaryFolder(), "scores.csv");
  writeFileSync(file, scoresCsv(finished, 12));
  expect(await readScores(file, "auto")).toEqual({
    tasks: [
      {
        task: "rte",
        candidates: [
          { role: "unshared", fork: null, layers: 12, score: 0.5 },
          { role: "teacher", fork: 8, layers: 4, score: 0.75 },
          { role: "student", fork: 8, layers: 2, score: null },
        ],
      },
    ],
    baseLayers: 12,
    unit: "fractions",
  });
});
