// Checkpoints that are written, read by the reader that reads TensorFlow's own.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { tensorBundle } from "../../../src/checkpoints/formats/tensor-bundle";
import { readTf1Checkpoint } from "../../../src/checkpoints/formats/tf1-checkpoint";
import { float32, type HostTensors, int32, sizeOf } from "../../../src/model/tensors";
import { temporaryFolder } from "../../files/temporary-folder";

async function writtenAndRead(tensors: HostTensors): Promise<HostTensors> {
  const prefix = path.join(temporaryFolder(), "variables");
  const { index, data } = tensorBundle(tensors);
  writeFileSync(`${prefix}.index`, index);
  writeFileSync(`${prefix}.data-00000-of-00001`, Buffer.concat(data));
  return readTf1Checkpoint(prefix);
}

test("tensors come back as they were, whatever their names, shapes and number", async () => {
  const tensor = fc
    .tuple(fc.boolean(), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }))
    .map(([whole, shape]) =>
      whole
        ? int32(
            shape,
            Int32Array.from({ length: sizeOf(shape) }, (_, i) => i - 3),
          )
        : float32(
            shape,
            Float32Array.from({ length: sizeOf(shape) }, (_, i) => i / 3),
          ),
    );
  const name = fc.string({ unit: "binary", minLength: 1 }).filter((text) => text !== "__proto__");
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, tensor, { noNullPrototype: true }), async (tensors) => {
      expect(await writtenAndRead(tensors)).toEqual(tensors);
    }),
    { numRuns: 200 },
  );
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
