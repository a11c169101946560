// trials.csv has a column of what trials differ in, and none that is empty in every line.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import Papa from "papaparse";
import { listTrials } from "../../src/experiment/plan";
import { readExperiment } from "../../src/experiment/read";
import { resultsCsv } from "../../src/experiment/results-csv";
import { recipes } from "../../src/recipes/recipes";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();

async function rowsOf(name: string, text: string) {
  const file = path.join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  const { trials } = listTrials(await readExperiment(file, recipes), 4);
  const csv = resultsCsv(
    [...trials].map((spec) => ({ spec, run: null })),
    recipes,
  );
  return Papa.parse<Record<string, string>>(csv.trim(), { header: true }).data;
}

test("who teaches is said where full fine-tuning teaches some", async () => {
  const students = "distill:\n  - { student_layers: 2 }\n  - { method: pkd, student_layers: 2";
  const rows = await rowsOf("full", `tasks: rte\nfinetune: { k: "3,full" }\n${students}, teacher: full }\n`);
  expect(rows.map(({ step, teacher }) => [step, teacher])).toEqual([
    ["finetune", ""],
    ["finetune", ""],
    ["distill", "best"],
    ["distill", "full"],
  ]);
  const same = await rowsOf("same", `tasks: rte\nfinetune: { k: "3,full" }\n${students} }\n`);
  expect(same).toHaveLength(4);
  expect(same.some((row) => "teacher" in row)).toBe(false);
});
