// submission.json as whoever finds it: what is wrong with it is said, whatever it holds.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Submission } from "../../src/jobs/job-system";
import {
  nextNumber,
  readSubmissions,
  submissionFolder,
  writeJobFiles,
  writeSubmission,
} from "../../src/jobs/submission";
import { temporaryFolder } from "../tiny";

const good: Submission = {
  ...{ format: 1, system: "slurm", number: 1, experiment: "glue", plan: "1f3a9c02", at: "2026-11-27T10:00:00.000Z" },
  arrays: [{ name: "finetune-0", stage: "finetune", packs: ["0-3", "4,6"], id: "17" }],
};

const root = temporaryFolder();
let made = 0;

/** A results folder with one submission of that record. */
function stored(content: string): string {
  const out = path.join(root, `out${made++}`);
  mkdirSync(submissionFolder(out, 1), { recursive: true });
  writeFileSync(path.join(submissionFolder(out, 1), "submission.json"), content);
  return out;
}

test("what was written is read, the oldest first; a folder without a record has its number", async () => {
  const out = path.join(root, "whole");
  expect(await readSubmissions(out)).toEqual([]);
  for (const number of [2, 1]) {
    await writeJobFiles(submissionFolder(out, number), []);
    await writeSubmission(submissionFolder(out, number), { ...good, number });
  }
  mkdirSync(submissionFolder(out, 12));
  expect((await readSubmissions(out)).map(({ submission }) => submission)).toEqual([
    expect.objectContaining({ ...good, number: 1 }),
    expect.objectContaining({ ...good, number: 2 }),
  ]);
  expect(await nextNumber(out)).toBe(13);
});

const [array] = good.arrays;
test.each([
  ["half a file", '{"format": 1,', /damaged/],
  ["null", "null", /its system is none/],
  ["another format", JSON.stringify({ ...good, format: 2 }), /has format 2; this flexbert reads format 1/],
  ["no such system", JSON.stringify({ ...good, system: "pbs" }), /its system is none/],
  ["no time", JSON.stringify({ ...good, at: 5 }), /does not say when/],
  ["a namespace with options", JSON.stringify({ ...good, namespace: "a --all" }), /its namespace is none/],
  ["an id that is an option", JSON.stringify({ ...good, arrays: [{ ...array, id: "--me" }] }), /one of its arrays/],
  ["a name that is a path", JSON.stringify({ ...good, arrays: [{ ...array, name: "../a" }] }), /one of its arrays/],
  [
    "trials without end",
    JSON.stringify({ ...good, arrays: [{ ...array, packs: ["0-99999999999"] }] }),
    /one of its arrays/,
  ],
  ["trials that are none", JSON.stringify({ ...good, arrays: [{ ...array, packs: [","] }] }), /one of its arrays/],
])("a record with %s is refused", async (_, content, problem) => {
  const message = expect.stringMatching(problem);
  await expect(readSubmissions(stored(content))).rejects.toMatchObject({ exitCode: 4, message });
});
