import { describe, expect, test } from "@jest/globals";
import { type GlueName, glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import { outputSize } from "../../src/tasks/task";

const tasks = Object.values(glueTasks);

describe("GLUE tasks", () => {
  test("are nine and AX, each under its own name", () => {
    expect(Object.keys(glueTasks)).toEqual(tasks.map((task) => task.name));
    expect(tasks).toHaveLength(10);
  });

  test.each(tasks)("$name is consistent", (task) => {
    for (const metric of [task.metric, ...task.alsoReport]) expect(Object.keys(task.kind.metrics)).toContain(metric);
    expect(task.labels.length > 0).toBe(task.kind === kinds.classification);
    expect(task.range !== undefined).toBe(task.kind === kinds.regression);
    for (const [split, source] of Object.entries(task.splits)) {
      expect(source.columns.pair !== undefined).toBe(task.inputs === "pair");
      expect(source.columns.label !== undefined).toBe(!split.startsWith("test"));
      expect(source.quotes).toBe("ordinary");
      if (source.spellings) expect(new Set(Object.values(source.spellings))).toEqual(new Set(task.labels));
    }
  });

  // Hugging Face's ids: RTE and QNLI have entailment first, WNLI second; GLUE-baselines orders otherwise.
  test.each<[GlueName, string[]]>([
    ["cola", ["unacceptable", "acceptable"]],
    ["sst2", ["negative", "positive"]],
    ["mrpc", ["not_equivalent", "equivalent"]],
    ["stsb", []],
    ["qqp", ["not_duplicate", "duplicate"]],
    ["mnli", ["entailment", "neutral", "contradiction"]],
    ["qnli", ["entailment", "not_entailment"]],
    ["rte", ["entailment", "not_entailment"]],
    ["wnli", ["not_entailment", "entailment"]],
    ["ax", ["entailment", "neutral", "contradiction"]],
  ])("%s has its labels in order", (name, labels) => {
    expect(glueTasks[name].labels).toEqual(labels);
    expect(outputSize(glueTasks[name])).toBe(labels.length || 1);
  });

  test("scores: Matthews for CoLA, Pearson for STS-B, accuracy with F1 for MRPC and QQP", () => {
    const { cola, stsb, mrpc, qqp } = glueTasks;
    expect([cola.metric, stsb.metric, mrpc.metric, qqp.metric]).toEqual([
      "matthews",
      "pearson",
      "accuracy",
      "accuracy",
    ]);
    expect([stsb.alsoReport, mrpc.alsoReport, qqp.alsoReport]).toEqual([["spearman"], ["f1"], ["f1"]]);
  });

  test("WNLI and AX stay out of averages; AX has MNLI's branch", () => {
    expect(tasks.filter((task) => !task.inAverage).map((task) => task.name)).toEqual(["wnli", "ax"]);
    expect(glueTasks.ax.predictedWith).toBe("mnli");
  });
});
