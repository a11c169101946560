// Small tensors beside frozen layers, against PyTorch's values, gradients and ten steps of each method of `finetune --method`
// (bench/peers/reference_adapters.py), on every engine.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { AdapterOptions } from "../../src/model/adapters/adapter";
import { adapters, smallTensors, trainedNorms } from "../../src/model/adapters/adapters";
import { masking } from "../../src/model/attention";
import { branchAxes } from "../../src/model/branch";
import type { EncoderConfig } from "../../src/model/config";
import { encoderLayer } from "../../src/model/encoder";
import { heads } from "../../src/model/heads";
import { branchTensors } from "../../src/model/parameters";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { branchIn, initialState, withFrozen } from "../../src/training/step/state";
import { logitsStep, trainStep } from "../../src/training/step/step";
import { loadTinyBert, ownReference } from "../reference";
import { expectSteps, forward, largestDifference, matrix, trainedPlace } from "./curves";
import { describeEachEngine } from "./engines";
import { flat, type Nested, shapeOf, tensor } from "./worked-examples";

const reference = JSON.parse(readFileSync(path.join(ownReference, "adapters.json"), "utf8"));
const sizes = { rank: reference.rank, loraAlpha: reference.lora_alpha, adapterSize: reference.adapter_size };
const each = [...adapters.values()];

const optionsOf = ({ name, defaults }: (typeof each)[number]): AdapterOptions & { readonly method: string } => {
  const own = Object.entries({ ...defaults, ...sizes }).filter(([option]) => option in defaults);
  return { method: name, ...Object.fromEntries(own) };
};

const smallOf = (name: string): HostTensors =>
  Object.fromEntries(Object.entries(reference[name].tensors).map(([own, values]) => [own, tensor(values as Nested)]));

const integers = (rows: number[][]) => int32(shapeOf(rows), Int32Array.from(rows.flat()));

const tinyBert = () => loadTinyBert(path.join(ownReference, "tiny-bert"));

describeEachEngine("a layer with small tensors", (open) => {
  test.each(each)("of $name: PyTorch's output, and gradients within 1e-4", async (adapter) => {
    const engine = await open();
    const { config, tensors } = await tinyBert();
    const { layer, mask, states, weights, output, gradients } = reference[adapter.name].one_layer;
    const names = Object.keys(gradients);
    const before = engine.tensorCount();
    const state = { ...tensors, ...smallOf(adapter.name), ...adapter.constants?.(optionsOf(adapter)) };
    const program = await engine.load(state, {
      run(own, inputs) {
        const run = () =>
          encoderLayer(own, inputs["states"] as Tensor3D, masking(inputs["mask"] as Tensor2D), config, layer);
        const leaves = names.map((name) => own[name] as Tensor);
        const sum = () => tf.sum(tf.mul(run(), inputs["weights"] as Tensor3D));
        const { grads } = tf.engine().gradients(sum, leaves, undefined, true);
        return {
          outputs: { output: run(), ...Object.fromEntries(names.map((name, i) => [name, grads[i] as Tensor])) },
        };
      },
    });
    const inputs = { states: tensor(states), weights: tensor(weights), mask: integers(mask) };
    const found = (await program.run("run", inputs)) as Record<string, HostTensor>;
    program.dispose();
    expect(engine.tensorCount()).toBe(before);
    expect(largestDifference(found["output"]?.data as Float32Array, flat(output))).toBeLessThan(1e-4);
    for (const name of names) {
      expect(found[name]?.data).toHaveLength(flat(gradients[name]).length);
      expect([name, largestDifference(found[name]?.data as Float32Array, flat(gradients[name])) < 1e-4]).toEqual([
        name,
        true,
      ]);
    }
  });
});

/** What a step trains of tiny-bert's top layers, and what stays frozen beside it. */
async function splitOf(adapter: (typeof each)[number], config: EncoderConfig, tensors: HostTensors) {
  const place = trainedPlace(config);
  const options = optionsOf(adapter);
  const branch = branchTensors(tensors, place);
  const small = smallOf(adapter.name);
  const norms = trainedNorms(adapter, config, place);
  const isFrozen = (name: string) => name.includes(".layer.") && !norms.includes(name);
  const pick = (keep: (name: string) => boolean) =>
    Object.fromEntries(Object.entries(branch).filter(([name]) => keep(name)));
  expect(Object.keys(small)).toEqual(smallTensors(adapter, config, place, { ...options }).map(({ name }) => name));
  const frozen = { ...pick(isFrozen), ...adapter.constants?.(options) };
  return { place, options, branch, frozen, initial: { ...pick((name) => !isFrozen(name)), ...small } };
}

describeEachEngine("ten steps over frozen layers", (open) => {
  test.each(each)(
    "of $name: losses and gradient norms within 1e-3, and the stored branch's logits",
    async (adapter) => {
      const engine = await open();
      const { expected, config, tensors } = await tinyBert();
      const outputs = await forward(engine, config, tensors, expected);
      const { place, options, branch, frozen, initial } = await splitOf(adapter, config, tensors);
      const before = engine.tensorCount();
      const program = await engine.load(
        withFrozen(initialState(initial, {}, false), frozen),
        {
          train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
          logits: logitsStep(place, config),
        },
        { logits: branchAxes },
      );
      const rows = expected.class_ids.length;
      const read: HostTensors = {
        hidden: outputs[`hidden${place.fork}`] as HostTensor,
        attention_mask: matrix(expected.attention_mask),
      };
      const batch = {
        ...read,
        labels: int32([rows], Int32Array.from(expected.class_ids)),
        row_weights: float32([rows], new Float32Array(rows).fill(1)),
      };
      const { curve } = reference[adapter.name];
      const expectLogits = ({ logits }: HostTensors) =>
        expect(largestDifference(logits?.data as Float32Array, flat(curve.logits))).toBeLessThan(2e-3);
      await expectSteps(program, batch, curve);
      expectLogits(await program.run("logits", read));
      const trained = branchIn(await program.state());
      program.dispose();
      expect(engine.tensorCount()).toBe(before);
      // Frozen layers are in no part of what a run saves.
      expect(Object.keys(trained).sort()).toEqual(Object.keys(initial).sort());
      const whole = { ...branch, ...trained };
      const stored = adapter.folded?.(whole, options) ?? whole;
      const alone = await engine.load(stored, { logits: logitsStep(place, config) }, { logits: branchAxes });
      expectLogits(await alone.run("logits", read));
      alone.dispose();
    },
  );
});
