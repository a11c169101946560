// The files of GLUE's submission, one by one: names, header, tabs, indices, spelling of labels, values.

import { describe, expect, test } from "@jest/globals";
import {
  checkSubmissionFile,
  constantOf,
  describePredictions,
  type SubmissionFile,
  spell,
  submissionFiles,
  submissionText,
} from "../../../src/data/glue/submission";
import { ExitCode } from "../../../src/errors/errors";
import { type GlueName, glueTasks } from "../../../src/tasks/glue";

const files = submissionFiles();
const fileOf = (name: string, rows?: number): SubmissionFile => {
  const file = files.find((candidate) => candidate.name === `${name}.tsv`) as SubmissionFile;
  return rows === undefined ? file : { ...file, source: { ...file.source, rows } };
};

describe("a submission", () => {
  test("has 11 files, with the site's names and rows", () => {
    expect(files.map(({ name, source }) => [name, source.rows])).toEqual([
      ["CoLA.tsv", 1063],
      ["SST-2.tsv", 1821],
      ["MRPC.tsv", 1725],
      ["STS-B.tsv", 1379],
      ["QQP.tsv", 390965],
      ["MNLI-m.tsv", 9796],
      ["MNLI-mm.tsv", 9847],
      ["QNLI.tsv", 5463],
      ["RTE.tsv", 3000],
      ["WNLI.tsv", 146],
      ["AX.tsv", 1104],
    ]);
    expect(fileOf("MNLI-m").split).toBe("test");
    expect(fileOf("MNLI-mm").split).toBe("test_mismatched");
  });

  test.each<[GlueName, Record<string, string>]>([
    ["cola", { unacceptable: "0", acceptable: "1" }],
    ["sst2", { negative: "0", positive: "1" }],
    ["mrpc", { not_equivalent: "0", equivalent: "1" }],
    ["qqp", { not_duplicate: "0", duplicate: "1" }],
    ["wnli", { not_entailment: "0", entailment: "1" }],
    ["mnli", { entailment: "entailment", neutral: "neutral", contradiction: "contradiction" }],
    ["ax", { entailment: "entailment", neutral: "neutral", contradiction: "contradiction" }],
    ["qnli", { entailment: "entailment", not_entailment: "not_entailment" }],
    ["rte", { entailment: "entailment", not_entailment: "not_entailment" }],
  ])("%s is spelled as the site wants it", (name, spellings) => {
    const task = glueTasks[name];
    expect(Object.fromEntries(task.labels.map((label) => [label, spell(task, { label })]))).toEqual(spellings);
  });

  test.each([
    [-0.4, "0.000"],
    [-0.0001, "0.000"],
    [0, "0.000"],
    [2.34567, "2.346"],
    [4.9996, "5.000"],
    [5.2, "5.000"],
  ])("STS-B: %d is written %s", (value, written) => {
    expect(spell(glueTasks.stsb, { value })).toBe(written);
  });

  test("text: a header, the test file's own indices, tabs, a line feed at the end", () => {
    const predicted = [{ label: "acceptable" }, { label: "unacceptable" }];
    expect(submissionText(glueTasks.cola, ["7", "3"], predicted)).toBe("index\tprediction\n7\t1\n3\t0\n");
    expect(submissionText(glueTasks.stsb, ["0"], [{ value: 6 }])).toBe("index\tprediction\n0\t5.000\n");
  });

  test("every constant is a prediction that the site takes", () => {
    for (const file of files) {
      const text = submissionText(file.task, ["0"], [constantOf(file.task)]);
      expect(() => checkSubmissionFile({ ...file, source: { ...file.source, rows: 1 } }, text)).not.toThrow();
    }
    expect(spell(glueTasks.wnli, constantOf(glueTasks.wnli))).toBe("0");
  });
});

describe("checkSubmissionFile", () => {
  const good = "index\tprediction\n0\t1\n1\t0\n";

  test("takes what the site takes", () => {
    checkSubmissionFile(fileOf("CoLA", 2), good);
    checkSubmissionFile(fileOf("MNLI-mm", 1), "index\tprediction\n0\tneutral\n");
    checkSubmissionFile(fileOf("STS-B", 3), "index\tprediction\n0\t0.000\n1\t5.000\n2\t3.142\n");
  });

  test.each([
    ["another header", "CoLA", 2, good.replace("prediction", "label"), /CoLA\.tsv begins with "index\tlabel"/],
    ["no header", "CoLA", 2, "0\t1\n1\t0\n", /begins with "0\t1"/],
    ["a row too few", "CoLA", 3, good, /has 2 rows, the site takes 3/],
    ["an empty line at the end", "CoLA", 2, `${good}\n`, /has 3 rows, the site takes 2/],
    ["a label's name for 0 and 1", "CoLA", 2, good.replace("\t1", "\tacceptable"), /line 2: "acceptable" is no CoLA/],
    ["0 and 1 for a label's name", "RTE", 2, good, /line 2: "1" is no RTE prediction/],
    ["a label that is another task's", "RTE", 1, "index\tprediction\n0\tneutral\n", /"neutral" is no RTE/],
    ["a value outside 0 to 5", "STS-B", 1, "index\tprediction\n0\t5.001\n", /"5.001" is no STS-B/],
    ["a value that is none", "STS-B", 1, "index\tprediction\n0\tNaN\n", /"NaN" is no STS-B/],
    ["an empty prediction", "STS-B", 1, "index\tprediction\n0\t\n", /"" is no STS-B/],
    ["an index twice", "CoLA", 2, good.replace("\n1", "\n0"), /line 3: the index "0" is there twice/],
    ["an index that is none", "CoLA", 2, good.replace("\n1", "\nx"), /line 3: the index "x" is no number/],
    ["a third column", "CoLA", 2, good.replace("\t0", "\t0\t0"), /line 3: "0" is no CoLA/],
    ["carriage returns", "CoLA", 2, good.replaceAll("\n", "\r\n"), /begins with/],
  ])("refuses %s", (_, name, rows, text, message) => {
    const check = () => checkSubmissionFile(fileOf(name as string, rows as number), text as string);
    expect(check).toThrow(message as RegExp);
    expect(check).toThrow(expect.objectContaining({ exitCode: ExitCode.data }));
  });
});

test("describePredictions counts labels and spreads values", () => {
  expect(describePredictions(glueTasks.cola, "index\tprediction\n0\t0\n1\t1\n2\t1\n")).toEqual({
    labels: [
      { prediction: "1", count: 2 },
      { prediction: "0", count: 1 },
    ],
  });
  const values = "index\tprediction\n0\t1.000\n1\t4.000\n";
  expect(describePredictions(glueTasks.stsb, values)).toEqual({ min: 1, mean: 2.5, max: 4 });
});
