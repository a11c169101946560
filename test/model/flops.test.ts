// The count of floating-point operations: against numbers worked out by hand, and against the products of traced steps.

import { beforeAll, describe, expect, test } from "@jest/globals";
import { benchmarkSizes } from "../../src/benchmark/benchmark-weights";
import type { Graph } from "../../src/compile/graph/graph";
import { trace } from "../../src/compile/graph/trace";
import { optimise } from "../../src/compile/passes/passes";
import { registerGradients } from "../../src/engines/eager";
import { branchLogits } from "../../src/model/branch";
import { families, type ModelType } from "../../src/model/families/families";
import { familyHead, familyTokenHead } from "../../src/model/families/head";
import { branchFlops, headFlops, inferenceFlops, layerFlops, trainStepFlops } from "../../src/model/flops";
import { headFor } from "../../src/model/heads";
import { branchTensors, sharedTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import { sizeOf } from "../../src/model/tensors";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { withFrozen } from "../../src/training/step/state";
import { rowWeights, trainStep } from "../../src/training/step/step";
import { tinyFamilyBase } from "../tiny";

describe("by hand", () => {
  test("a layer of h = 2, f = 3 on one row of 5 tokens", () => {
    // query, key, value, output: 4 x 2 x (5 x 2 x 2) = 160; feed-forward: 2 x 2 x (5 x 2 x 3) = 120;
    // scores and context: 2 x 2 x (5 x 5 x 2) = 200
    expect(layerFlops({ hiddenSize: 2, intermediateSize: 3 }, 5, 5)).toBe(480);
  });

  test("attention does not cross rows: two rows cost twice one", () => {
    const sizes = { hiddenSize: 8, intermediateSize: 32 };
    expect(layerFlops(sizes, 2 * 16, 16)).toBe(2 * layerFlops(sizes, 16, 16));
    expect(layerFlops(sizes, 32, 32)).toBe(2 * layerFlops(sizes, 16, 16) + 4 * 32 * 16 * 8);
  });

  test("the topmost layer of h = 2, f = 3 on one row of 5 tokens makes keys and values of all, the rest of the first", () => {
    // key, value: 2 x 2 x (5 x 2 x 2) = 80; query, output: 2 x 2 x (2 x 2) = 16; feed-forward: 2 x 2 x (2 x 3) = 24;
    // scores and context: 2 x 2 x (5 x 2) = 40
    const sizes = { hiddenSize: 2, intermediateSize: 3 };
    expect(branchFlops(sizes, 1, 5, 5)).toBe(160);
    expect(branchFlops(sizes, 3, 5, 5)).toBe(160 + 2 * 480);
  });

  test("where words are labelled the topmost layer is a whole one, and the head, of one product, sees every position", () => {
    const sizes = { hiddenSize: 2, intermediateSize: 3 };
    expect(branchFlops(sizes, 3, 5, 5, { perWord: true })).toBe(3 * 480);
    expect(headFlops({ hiddenSize: 3, intermediateSize: 9 }, 4 * 5, 2, { perWord: true })).toBe(2 * 4 * 5 * 6);
  });

  test("the head sees one position a row", () => {
    expect(headFlops({ hiddenSize: 3, intermediateSize: 9 }, 4, 2)).toBe(2 * 4 * 9 + 2 * 4 * 6);
  });

  test("BERT-base, 32 rows of 128, the top 3 of 12 layers", () => {
    const { base } = benchmarkSizes;
    // 4096 tokens x (2 x (4 x 768^2 + 2 x 768 x 3072) + 4 x 128 x 768) = 4096 x 14,548,992
    const layer = 59_592_671_232;
    const head = 2 * 32 * 768 * (768 + 2);
    expect(layerFlops(base, 4096, 128)).toBe(layer);
    // 4096 x 4 x 768^2 + 32 x (2 x (2 x 768^2 + 2 x 768 x 3072) + 4 x 128 x 768)
    const top = 10_053_746_688;
    expect(inferenceFlops(base, 32, 128, 2)).toBe(11 * layer + top + head);
    expect(trainStepFlops(base, { fork: 9, layers: 3 }, 32, 128, 2)).toEqual({
      frozen: 9 * layer,
      branch: 3 * (2 * layer + top + head) - 6 * 4096 * 768 * 768,
    });
  });
});

describe.each(Object.keys(families) as ModelType[])("as traced, %s", (type) => {
  beforeAll(registerGradients);
  const base = tinyFamilyBase(type);
  const { config } = base;
  const kinds = [
    { kind: "classification", head: headFor("classification", config), parameters: familyHead, reading: {} },
    { kind: "tagging", head: headFor("tagging", config), parameters: familyTokenHead, reading: { perWord: true } },
  ] as const;
  const [batch, length, outputs] = [3, 10, 2];
  const texts = { shape: [batch, length], dtype: "int32" as const };
  const hidden = { shape: [batch, length, 16], dtype: "float32" as const };

  const steps = kinds.flatMap((one) => [1, 2, 4].map((layers) => ({ ...one, layers })));
  test.each(steps)("the products of a train step of $layers layers, $kind", ({ head, parameters, reading, layers }) => {
    const place = placeOf(4, layers);
    const trained = withMoments(branchOfBase(base, place, parameters(config, outputs), 1));
    const state = withFrozen(trained, place.fork === null ? {} : sharedTensors(base.tensors));
    const step = trainStep({
      place,
      config,
      head,
      clipNorm: 1,
      loss: ({ logits }, inputs) => head.loss(logits, inputs["labels"] as never, rowWeights(inputs)),
    });
    const scalars = Object.keys(stepScalars(1e-3, 0.01, 1)).map((name) => [
      `in/${name}`,
      { shape: [], dtype: "float32" as const },
    ]);
    const graph = trace(
      (all) => {
        const pick = (prefix: string) =>
          Object.fromEntries(
            Object.entries(all).flatMap(([name, value]) =>
              name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
            ),
          );
        const { outputs: results, state: next } = step(pick("state/"), pick("in/"));
        return { ...results, ...next };
      },
      {
        ...Object.fromEntries(Object.entries(state).map(([name, tensor]) => [`state/${name}`, tensor])),
        ...Object.fromEntries(scalars),
        "in/hidden": hidden,
        "in/attention_mask": texts,
        "in/labels": head.perToken ? texts : { shape: [batch], dtype: "int32" },
        "in/row_weights": { shape: [batch], dtype: "float32" },
      },
    );
    expect(productFlops(optimise(graph))).toBe(trainStepFlops(config, place, batch, length, outputs, reading).branch);
  });

  test.each(kinds)("the products of inference, $kind", ({ head, parameters, reading }) => {
    const whole = placeOf(4, "full");
    const state = branchTensors(
      { ...base.tensors, ...branchOfBase(base, placeOf(4, 1), parameters(config, outputs), 1) },
      whole,
    );
    const graph = trace((all) => ({ logits: branchLogits(all, all as never, whole, config, head) }), {
      ...state,
      input_ids: texts,
      ...(families[type].inputs.types ? { token_type_ids: texts } : {}),
      attention_mask: texts,
    });
    expect(productFlops(optimise(graph))).toBe(inferenceFlops(config, batch, length, outputs, reading));
  });
});

/** Two for each multiply-add of every matrix product in the graph. */
function productFlops({ nodes }: Graph): number {
  let total = 0;
  for (const { op, inputs, outputs, attributes } of nodes) {
    if (op !== "BatchMatMul" && op !== "Affine") continue;
    const [left, made] = [inputs[0]?.shape ?? [], outputs[0]?.shape ?? []];
    const summed = left.at(attributes["transposeA"] ? -2 : -1) as number;
    total += 2 * sizeOf(made) * summed;
  }
  return total;
}
