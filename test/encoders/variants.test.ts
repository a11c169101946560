// Models of the families as the shared folder has none: other sizes and options, random weights, against transformers, which
// runs each text alone. Ours runs them padded in one batch and packed.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { writeSafetensors } from "../../src/checkpoints/formats/safetensors";
import { startTransformers, type TransformersRuntime } from "../../src/engines/transformers/transformers-file";
import { type BranchInputs, branchLogits } from "../../src/model/branch";
import type { Tensors } from "../../src/model/entry-point";
import { configJson, parseConfig } from "../../src/model/families/config-file";
import { familyOf } from "../../src/model/families/families";
import { familyHead } from "../../src/model/families/head";
import { baseParameters } from "../../src/model/parameters";
import { float32, type HostTensor, type HostTensors, int32, sizeOf } from "../../src/model/tensors";
import { normals } from "../../src/random/draws";
import { foldIn, seedKey } from "../../src/random/threefry";
import { studentOfTeacher } from "../../src/recipes/trial/initial-branch";
import { largestDifference } from "../engines/curves";
import { describeEachEngine } from "../engines/engines";
import { temporaryFolder, tinyFamilyBase } from "../tiny";
import { python, withTransformers } from "../transformers";
import { type FamilyReference, packedLogits, textInputs } from "./reference";

const sizes = {
  ...{ vocab_size: 60, hidden_size: 32, num_hidden_layers: 3, num_attention_heads: 4, intermediate_size: 48 },
  ...{ max_position_embeddings: 64, pad_token_id: 0 },
};
const electra = { ...sizes, model_type: "electra" };
const mobilebert = {
  ...{ ...sizes, model_type: "mobilebert", embedding_size: 24, intra_bottleneck_size: 16 },
  ...{ num_feedforward_networks: 2, hidden_act: "relu" },
};
const modernbert = { ...sizes, model_type: "modernbert", local_attention: 8 };
const biases = { attention_bias: true, mlp_bias: true, norm_bias: true, classifier_bias: true };

const variants: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "ELECTRA without projection": { ...electra, embedding_size: 32, hidden_act: "gelu_new" },
  "ELECTRA with wide embeddings": { ...electra, embedding_size: 40 },
  "MobileBERT whose attention is all in the bottleneck": {
    ...{ ...mobilebert, use_bottleneck_attention: true, key_query_shared_bottleneck: false },
  },
  "MobileBERT with layer norms, one feed-forward part, no pooler": {
    ...{ ...mobilebert, normalization_type: "layer_norm", num_feedforward_networks: 1, classifier_activation: false },
  },
  "MobileBERT without bottleneck or trigrams": { ...mobilebert, use_bottleneck: false, trigram_input: false },
  "MobileBERT with a bottleneck as wide as the layer, which is nobody's": {
    ...{ ...mobilebert, intra_bottleneck_size: 32, key_query_shared_bottleneck: false, num_feedforward_networks: 4 },
  },
  "ModernBERT with biases and two rounds of layers": { ...modernbert, ...biases, num_hidden_layers: 7 },
  "ModernBERT by its old keys": {
    ...{ ...modernbert, num_hidden_layers: 5, global_attn_every_n_layers: 2, local_attention: 7 },
    ...{ global_rope_theta: 4000, local_rope_theta: 50, classifier_activation: "tanh" },
  },
  "ModernBERT with a list of layers that no number says, and the mean": {
    ...{ ...modernbert, num_hidden_layers: 4, classifier_pooling: "mean", hidden_activation: "silu" },
    layer_types: ["sliding_attention", "full_attention", "full_attention", "sliding_attention"],
    rope_parameters: {
      full_attention: { rope_type: "default", rope_theta: 900 },
      sliding_attention: { rope_type: "default", rope_theta: 30 },
    },
  },
};

const LENGTHS = [40, 9, 3, 23];

/** A model of this config with weights that are none of them as training begins, and texts. */
function modelOf(file: object): FamilyReference {
  const config = parseConfig(file, "config.json");
  const head = familyHead(config, 3).filter(({ ofBase }) => !ofBase);
  const shapes = [...baseParameters(config), ...head.map((own) => ({ ...own, begins: "normal" }))];
  const tensors: HostTensors = {};
  for (const [i, { name, shape, begins }] of shapes.entries()) {
    const values = normals(foldIn(seedKey(3), i), sizeOf(shape), 0.2);
    tensors[name] = float32(shape, begins === "one" ? values.map((value) => 1 + value) : values);
  }
  const longest = Math.max(...LENGTHS);
  const rows = LENGTHS.map((length, row) => Array.from({ length }, (_, i) => 1 + ((i * i * 7 + i + row * 13) % 59)));
  const padded = (row: readonly number[]) => [...row, ...new Array(longest - row.length).fill(0)];
  const types = rows.map((row) => padded(row.map((_, i) => (i > row.length / 2 ? 1 : 0))));
  const expected = {
    input_ids: rows.map(padded),
    attention_mask: rows.map((row) => padded(row.map(() => 1))),
    token_type_ids: familyOf(config).inputs.types ? types : null,
  };
  return { folder: "", config, tensors, expected: expected as unknown as FamilyReference["expected"] };
}

withTransformers.describe("of transformers", () => {
  const folder = temporaryFolder();
  const theirs = new Map<string, Promise<number[]>>();
  let runtime: Promise<TransformersRuntime>;
  beforeAll(() => {
    runtime = startTransformers(python);
  });
  afterAll(async () => (await runtime).close());

  /** transformers' logits, one text at a time. */
  async function logitsOf(name: string, { config, tensors, expected }: FamilyReference): Promise<number[]> {
    const own = path.join(folder, name);
    mkdirSync(own);
    const labels = { id2label: { 0: "a", 1: "b", 2: "c" }, label2id: { a: 0, b: 1, c: 2 } };
    writeFileSync(path.join(own, "config.json"), JSON.stringify({ ...configJson(config), ...labels }));
    await writeSafetensors(path.join(own, "model.safetensors"), tensors);
    const model = await (await runtime).open(own);
    const logits: number[] = [];
    for (const [row, length] of LENGTHS.entries()) {
      const inputs = Object.entries(textInputs(expected)).map(([input, { data, shape }]) => {
        const begin = row * (shape[1] as number);
        return [input, int32([1, length], (data as Int32Array).slice(begin, begin + length))] as const;
      });
      const { logits: found } = await model.run(Object.fromEntries(inputs));
      logits.push(...(found as HostTensor).data);
    }
    return logits;
  }

  describeEachEngine("variants", (open) => {
    test.each(Object.entries(variants))("%s: padded and packed within 1e-4", async (name, file) => {
      const model = modelOf(file);
      const { config, tensors, expected } = model;
      expect(parseConfig(configJson(config), "written")).toEqual(config);
      const wanted = theirs.get(name) ?? logitsOf(name, model);
      theirs.set(name, wanted);
      const engine = await open();
      const place = { fork: null, layers: config.numHiddenLayers };
      const entry = (state: Tensors, inputs: Tensors) => ({
        outputs: { logits: branchLogits(state, inputs as unknown as BranchInputs, place, config) },
      });
      const program = await engine.load(tensors, { entry });
      const { logits } = await program.run("entry", textInputs(expected));
      program.dispose();
      expect(largestDifference((logits as HostTensor).data, await wanted)).toBeLessThan(1e-4);
      for (const place of [
        { fork: 2, layers: config.numHiddenLayers - 2 },
        { fork: null, layers: config.numHiddenLayers },
      ]) {
        const packed = await packedLogits(engine, model, place);
        expect(largestDifference(packed.flat(), await wanted)).toBeLessThan(1e-4);
      }
    });
  });
});

test.each([
  [{ ...mobilebert, use_bottleneck_attention: true }, "nothing reads the shared bottleneck"],
  [{ ...mobilebert, key_query_shared_bottleneck: false }, "do not fit intra_bottleneck_size 16"],
  [{ ...mobilebert, trigram_input: false, embedding_size: 32 }, "nothing reads embedding_transformation"],
  [{ ...mobilebert, intra_bottleneck_size: 18 }, "intra_bottleneck_size 18 is not divisible by num_attention_heads 4"],
  [{ ...mobilebert, normalization_type: "rms" }, 'normalization_type is "rms"; supported are no_norm, layer_norm'],
  [{ ...mobilebert, use_bottleneck: 1 }, "use_bottleneck is 1; it must be true or false"],
  [{ ...modernbert, classifier_pooling: "max" }, 'classifier_pooling is "max"; supported are cls, mean'],
  [{ ...modernbert, layer_types: ["full_attention"] }, "for each of 3 layers"],
  [{ ...modernbert, rope_scaling: { factor: 2 } }, "rope_scaling is"],
  [
    { ...modernbert, rope_parameters: { full_attention: { rope_type: "yarn" } } },
    'rope_type of full_attention is "yarn"',
  ],
  [{ ...modernbert, hidden_size: 36, num_attention_heads: 4 }, "has no two halves"],
  [{ ...modernbert, classifier_activation: "mish" }, 'classifier_activation is "mish"'],
])("what is not computed is refused by name: %j", (file, message) => {
  expect(() => parseConfig(file, "config.json")).toThrow(expect.objectContaining({ exitCode: 4 }));
  expect(() => parseConfig(file, "config.json")).toThrow(message);
});

test("an exported shallower ModernBERT says what its own layers are", () => {
  const config = parseConfig({ ...modernbert, num_hidden_layers: 5 }, "config.json");
  const shallow = configJson({ ...config, numHiddenLayers: 2 });
  expect(shallow["layer_types"]).toEqual(["full_attention", "sliding_attention"]);
  expect(parseConfig(shallow, "written")).toEqual({ ...config, numHiddenLayers: 2 });
});

test("a student whose layer begins as ModernBERT's bottom one, higher up, has a norm of ones before it", () => {
  const base = tinyFamilyBase("modernbert");
  const head = familyHead(base.config, 2);
  const teacher = { branch: base.tensors, place: { fork: null, layers: 4 } };
  const classifier = Object.fromEntries(
    head.map(({ name, shape }) => [name, float32(shape, new Float32Array(sizeOf(shape)))]),
  );
  const whole = { ...teacher, branch: { ...base.tensors, ...classifier } };
  const student = studentOfTeacher(whole, base, { fork: 2, layers: 2 }, head, "bottom");
  expect(new Set(student["model.layers.2.attn_norm.weight"]?.data)).toEqual(new Set([1]));
  expect(student["model.layers.2.attn.Wqkv.weight"]).toBe(base.tensors["model.layers.0.attn.Wqkv.weight"]);
  expect(student["model.layers.3.attn_norm.weight"]).toBe(base.tensors["model.layers.1.attn_norm.weight"]);
});
