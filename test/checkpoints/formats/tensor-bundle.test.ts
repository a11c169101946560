// Checkpoints that are written, read by the reader that reads TensorFlow's own.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { tensorBundle } from "../../../src/checkpoints/formats/tensor-bundle";
import { float32 } from "../../../src/model/tensors";
import { bundlesComeBack } from "./properties";

test("tensors come back as they were, whatever their names, shapes and number", async () => {
  await fc.assert(bundlesComeBack(), { numRuns: 200 });
});

test("equal tensors give equal bytes, in whatever order they come; keys are in the order of their bytes", () => {
  // By UTF-16 the last two would change places.
  const names = ["a", "b/c", "b0", "\uff5e", "\u{1f600}"];
  const tensors = names.map((name, i) => [name, float32([1], Float32Array.of(i))] as const);
  const { index } = tensorBundle(Object.fromEntries(tensors));
  expect(tensorBundle(Object.fromEntries([...tensors].reverse())).index).toEqual(index);
  const places = names.map((name) => Buffer.from(index).indexOf(name));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places[0]).toBeGreaterThan(0);
});
