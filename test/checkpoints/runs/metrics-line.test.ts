import { expect, test } from "@jest/globals";
import { parseMetricsLine } from "../../../src/checkpoints/runs/metrics-line";

test("what training writes", () => {
  expect(parseMetricsLine('{"step":10,"epoch":0,"loss":0.7,"learning_rate":1e-4,"grad_norm":1}')).toEqual({
    step: 10,
    epoch: 0,
    loss: 0.7,
  });
  const line = { step: 10, epoch: 0, dev: { accuracy: 0.5, f1: null } };
  expect(parseMetricsLine(JSON.stringify(line))).toEqual(line);
});

test.each([
  "",
  "{",
  "null",
  "3",
  "[]",
  '"step"',
  "{}",
  '{"step":"1"}',
  '{"step":-1}',
  '{"step":{"toString":1,"valueOf":2}}',
])("%s is no line", (text) => {
  expect(parseMetricsLine(text)).toBeNull();
});

test("what cannot be is left out, a score of it is null", () => {
  expect(parseMetricsLine('{"step":1,"epoch":0.5,"loss":1e999,"dev":[1]}')).toEqual({ step: 1 });
  expect(parseMetricsLine('{"step":1,"epoch":"0","loss":"0.5","dev":{"f1":1e999,"a":{"toString":1}}}')).toEqual({
    step: 1,
    dev: { f1: null, a: null },
  });
});
