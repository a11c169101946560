// A family's tiny model of the shared folder against PyTorch's values, on every engine: forward over padded rows and over
// packed tokens, and ten steps on its top two layers.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { tokenRows } from "../../src/batches/rows";
import { parameterShapes } from "../../src/checkpoints/bases/parameter-shapes";
import { readWeights } from "../../src/checkpoints/bases/weights";
import type { Engine } from "../../src/engines/engine";
import { masking } from "../../src/model/attention";
import type { EncoderConfig } from "../../src/model/config";
import { embed, encoderLayers } from "../../src/model/encoder";
import type { Tensors } from "../../src/model/entry-point";
import { parseConfig } from "../../src/model/families/config-file";
import { type ModelType, modelTypeOf } from "../../src/model/families/families";
import { familyHead } from "../../src/model/families/head";
import { headFor } from "../../src/model/heads";
import { layerNorm } from "../../src/model/ops";
import { branchTensors, normParameters, scoped, sharedTensors } from "../../src/model/parameters";
import { type Place, placeOf } from "../../src/model/place";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { openSegments } from "../../src/predict/segments/segments";
import { tracedPieces } from "../../src/predict/segments/traced";
import { labelLoss } from "../../src/recipes/losses";
import { glueTasks } from "../../src/tasks/glue";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { trainedNames, withFrozen } from "../../src/training/step/state";
import { logitsStep, trainStep } from "../../src/training/step/step";
import { largestDifference } from "../engines/curves";
import { describeEachEngine } from "../engines/engines";
import { sharedData } from "../shared-data";
import { unless } from "../skips";

interface Expected {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly token_type_ids: number[][] | null;
  readonly class_ids: number[];
  readonly hidden_states_first_token: number[][][];
  readonly logits: number[][];
  readonly train: { readonly trained: string[]; readonly losses: number[]; readonly grad_norms: number[] };
}

export interface FamilyReference {
  readonly folder: string;
  readonly expected: Expected;
  readonly config: EncoderConfig;
  readonly tensors: HostTensors;
}

export const familyFolder = (family: string): string => path.join(sharedData, "encoders", family);

export async function loadFamily(family: string): Promise<FamilyReference> {
  const folder = familyFolder(family);
  const json = (name: string) => JSON.parse(readFileSync(path.join(folder, name), "utf8"));
  const config = parseConfig(json("config.json"), "config.json");
  const { tensors } = await readWeights(folder, config);
  return { folder, expected: json("expected.json"), config, tensors };
}

const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));

/** The inputs of a call, as transformers had them. */
export const textInputs = ({ input_ids, attention_mask, token_type_ids }: Expected): HostTensors => ({
  input_ids: matrix(input_ids),
  attention_mask: matrix(attention_mask),
  ...(token_type_ids ? { token_type_ids: matrix(token_type_ids) } : {}),
});

/** A norm over the topmost layer, which transformers has in the last of its hidden states, and here the head has. */
const finalNorms: Partial<Record<ModelType, string>> = { modernbert: "model.final_norm" };

/** What enters each layer and leaves the last, all positions; and logits of a top layer that computes the first alone. */
export async function forwardFamily(engine: Engine, { config, tensors, expected }: FamilyReference) {
  const top = config.numHiddenLayers;
  const entry = (state: Tensors, inputs: Tensors) => {
    const masked = masking(inputs["attention_mask"] as Tensor2D);
    const types = inputs["token_type_ids"] as Tensor2D | undefined;
    const outputs: Tensors = {};
    const from = embed(state, inputs["input_ids"] as Tensor2D, types, config);
    encoderLayers(state, from, masked, config, [0, top], undefined, "all", (site, layer, x) => {
      if (site === "hidden") outputs[`hidden${layer}`] = x;
    });
    const last = finalNorms[modelTypeOf(config)];
    if (last)
      outputs["last"] = layerNorm(
        outputs[`hidden${top}`] as Tensor3D,
        normParameters(state, last, false),
        config.layerNormEps,
      );
    const first = encoderLayers(state, from, masked, config, [0, top], undefined, "first") as Tensor3D;
    return { outputs: { ...outputs, logits: headFor("classification", config).logits(state, first) } };
  };
  const program = await engine.load(tensors, { entry });
  const outputs = await program.run("entry", textInputs(expected));
  program.dispose();
  return outputs as Record<string, HostTensor>;
}

/** Logits of rows that are packed, through a trunk of one stretch or two and a branch of its own. */
export async function packedLogits(engine: Engine, { config, tensors, expected }: FamilyReference, place: Place) {
  const own = scoped("t", branchTensors(tensors, place));
  const task = { name: "t", ...place, kind: glueTasks.mnli.kind };
  const cuts = place.fork !== null && place.fork > 1 ? [1] : [];
  const segments = openSegments(config, [task], tracedPieces(engine, config, [task], { ...tensors, ...own }), cuts);
  const lengths = expected.attention_mask.map((row) => row.reduce((sum, one) => sum + one, 0));
  const encodings = expected.input_ids.map((ids, row) => ({
    ids: Int32Array.from(ids.slice(0, lengths[row])),
    typeIds: Int32Array.from((expected.token_type_ids?.[row] ?? ids.map(() => 0)).slice(0, lengths[row])),
    truncated: 0,
  }));
  const wants = encodings.map(() => ["t"]);
  const found: number[][] = [];
  for await (const { rows, logits } of segments.run(tokenRows(encodings, config.padTokenId), wants)) {
    const outputs = logits.shape[1] as number;
    for (const [i, row] of rows.entries()) found[row] = [...logits.data.slice(i * outputs, (i + 1) * outputs)];
  }
  segments.dispose();
  return found;
}

async function expectLosses(engine: Engine, reference: FamilyReference) {
  const { config, tensors, expected } = reference;
  const { train } = expected;
  const place = placeOf(config.numHiddenLayers, 2);
  const below = await forwardFamily(engine, reference);
  const before = engine.tensorCount();
  const head = headFor("classification", config);
  const branch = branchTensors(tensors, place);
  expect(Object.keys(branch).sort()).toEqual([...train.trained].sort());
  const state = withFrozen(withMoments(branch), sharedTensors(tensors));
  expect(trainedNames(state)).toEqual([...train.trained].sort());
  const program = await engine.load(state, {
    train: trainStep({ place, config, loss: labelLoss(head), head, clipNorm: 1 }),
    logits: logitsStep(place, config, head),
  });
  const rows = expected.class_ids.length;
  const read = {
    hidden: below[`hidden${place.fork}`] as HostTensor,
    attention_mask: matrix(expected.attention_mask),
  };
  const batch: HostTensors = {
    ...read,
    labels: int32([rows], Int32Array.from(expected.class_ids)),
    row_weights: float32([rows], new Float32Array(rows).fill(1)),
  };
  const { logits } = await program.run("logits", read);
  expect(largestDifference((logits as HostTensor).data, expected.logits.flat())).toBeLessThan(1e-4);
  for (const [i, wanted] of train.losses.entries()) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, i + 1)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    const result = await program.run("train", { ...batch, ...Object.fromEntries(scalars) });
    const relative = (name: string, value: number) =>
      Math.abs(((result[name] as HostTensor).data[0] as number) / value - 1);
    expect(relative("loss", wanted)).toBeLessThan(1e-3);
    expect(relative("grad_norm", train.grad_norms[i] as number)).toBeLessThan(1e-3);
  }
  program.dispose();
  expect(engine.tensorCount()).toBe(before);
}

/**
 * All that the reference has of a family.
 * @param more further tests of each engine
 * @param alone logits of rows by number, where PyTorch gives a row without padding others than in the batch
 */
export function describeFamily(
  family: string,
  alone: Readonly<Record<number, readonly number[]>> = {},
  more?: (open: () => Promise<Engine>) => void,
): void {
  const present = existsSync(path.join(familyFolder(family), "expected.json"));
  const where = unless(!present && `${familyFolder(family)} is absent`);
  if (!present) console.warn(`SKIPPED: PyTorch's values of ${family}, because ${familyFolder(family)} is absent`);
  where.describe(family, () => {
    test("every parameter of the file is read, and no other is wanted", async () => {
      const { config, tensors } = await loadFamily(family);
      const head = familyHead(config, 3).map(({ name }) => name);
      const wanted = new Set([...parameterShapes(config).keys(), ...head]);
      expect(Object.keys(tensors).sort()).toEqual([...wanted].sort());
    });

    describeEachEngine(family, (open) => {
      test("hidden states of every layer and logits within 1e-4", async () => {
        const reference = await loadFamily(family);
        const { expected, config } = reference;
        const outputs = await forwardFamily(await open(), reference);
        expect(largestDifference((outputs["logits"] as HostTensor).data, expected.logits.flat())).toBeLessThan(1e-4);
        expect(expected.hidden_states_first_token).toHaveLength(config.numHiddenLayers + 1);
        for (const [layer, rows] of expected.hidden_states_first_token.entries()) {
          const last = layer === config.numHiddenLayers ? outputs["last"] : undefined;
          const { data, shape } = last ?? (outputs[`hidden${layer}`] as HostTensor);
          const [, length = 0, hidden = 0] = shape;
          const first = rows.flatMap((row, i) => row.map((_, j) => data[i * length * hidden + j] as number));
          expect(largestDifference(first, rows.flat())).toBeLessThan(1e-4);
        }
      });

      test.each([
        ["over a trunk in two stretches", { fork: 2, layers: 2 }],
        ["right above the embeddings", { fork: 0, layers: 4 }],
        ["with embeddings of its own", { fork: null, layers: 4 }],
      ])("packed, the branch %s: logits within 1e-4", async (_, place) => {
        const reference = await loadFamily(family);
        const logits = await packedLogits(await open(), reference, place);
        const expected = reference.expected.logits.map((own, row) => alone[row] ?? own);
        expect(largestDifference(logits.flat(), expected.flat())).toBeLessThan(1e-4);
      });

      more?.(open);

      test("ten losses and gradient norms of the top two layers within 1e-3", async () => {
        await expectLosses(await open(), await loadFamily(family));
      });
    });
  });
}
