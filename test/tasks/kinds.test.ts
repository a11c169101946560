// What each kind makes of a row's logits, and what it says of itself.

import { describe, expect, test } from "@jest/globals";
import { kinds } from "../../src/tasks/kinds";

const { classification, regression, multilabel } = kinds;
const labels = ["red", "green", "blue"];

describe("kinds", () => {
  test("are known by their names, and are their names in JSON", () => {
    for (const [name, kind] of Object.entries(kinds)) expect(kind.name).toBe(name);
    expect(JSON.stringify({ kind: multilabel, other: { ...multilabel, name: "mine" } })).toBe(
      '{"kind":"multilabel","other":"mine"}',
    );
  });

  test("give one output a label, and one for a value", () => {
    expect(Object.values(kinds).map((kind) => kind.outputs({ labels }))).toEqual([labels, ["value"], labels, labels]);
  });

  test("classification takes the largest logit, the first of equal ones", () => {
    const logits = Float32Array.of(0, Math.log(2), Math.log(2));
    expect(classification.decide(logits, { labels })).toBe(1);
    const prediction = classification.predict(logits, { labels });
    const scores = { red: expect.closeTo(0.2, 6), green: expect.closeTo(0.4, 6), blue: expect.closeTo(0.4, 6) };
    expect(prediction).toEqual({ label: "green", score: expect.closeTo(0.4, 6), scores });
    expect(classification.cells(prediction)).toEqual(["green", "0.4000"]);
    expect(classification.columns("rte")).toEqual(["rte", "rte score"]);
  });

  test("regression takes the value", () => {
    const prediction = regression.predict(Float32Array.of(2.5), { labels: [] });
    expect(prediction).toEqual({ value: 2.5 });
    expect(regression.cells(prediction)).toEqual(["2.500"]);
  });

  test("multilabel takes every label that reaches the threshold, each alone", () => {
    const logits = Float32Array.of(0, Math.log(3), -4);
    expect(multilabel.decide(logits, { labels })).toEqual([0, 1]);
    expect(multilabel.decide(logits, { labels, threshold: 0.6 })).toEqual([1]);
    expect(multilabel.decide(Float32Array.of(-1, -1, -1), { labels })).toEqual([]);
    const prediction = multilabel.predict(logits, { labels, threshold: 0.5 });
    const scores = { red: 0.5, green: expect.closeTo(0.75, 6), blue: expect.closeTo(0.018, 4) };
    expect(prediction).toEqual({ labels: ["red", "green"], scores });
    expect(multilabel.cells(prediction)).toEqual(["red|green", "0.5000|0.7500"]);
    expect(multilabel.columns("topics")).toEqual(["topics", "topics scores"]);
    expect(multilabel.targets([0, 2], { labels })).toEqual([1, 0, 1]);
    expect(multilabel.named([0, 2], { labels })).toEqual(["red", "blue"]);
    expect(multilabel.card.python({ labels, threshold: 0.75 }).join("\n")).toContain(`least = ${Math.log(3)}`);
  });
});
