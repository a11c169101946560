// Both of DeeBERT's stages against PyTorch, on tiny BERT: fine-tuning of the top layers, and ramps on what the model then frozen says
// (bench/peers/reference_exits.py).

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { heads } from "../../src/model/heads";
import { branchTensors, embeddingTensors, layerTensors } from "../../src/model/parameters";
import { rampName, rampsOf } from "../../src/model/ramp-names";
import { rampStatesEntry, rampsHead } from "../../src/model/ramps";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { logitsStep, trainStep } from "../../src/training/step/step";
import { forward, trainedPlace } from "../engines/curves";
import { describeEachEngine } from "../engines/engines";
import { type Curve, loadTinyBert, ownReference } from "../reference";

interface ExitsReference {
  readonly layers: number[];
  readonly stage_one: Curve;
  readonly stage_two: Curve;
  readonly gradients: Readonly<Record<string, { readonly norm: number; readonly first: number[] }>>;
  readonly logits: number[][];
}

const wanted: ExitsReference = JSON.parse(readFileSync(path.join(ownReference, "exits.json"), "utf8"));
const { layers } = wanted;
const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));
const first = (tensor: HostTensor | undefined) => tensor?.data[0] as number;
const scalarsAt = (step: number): HostTensors =>
  Object.fromEntries(
    Object.entries(stepScalars(1e-3, 0.01, step)).map(([name, value]) => [name, float32([], Float32Array.of(value))]),
  );

describeEachEngine("two stages", (open) => {
  test("losses, gradients and what the ramps say in the end are PyTorch's", async () => {
    const engine = await open();
    const { expected, config, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
    const before = engine.tensorCount();
    const rows = expected.class_ids.length;
    const towards = {
      labels: int32([rows], Int32Array.from(expected.class_ids)),
      row_weights: float32([rows], new Float32Array(rows).fill(1)),
    };
    const follow = async (
      run: (scalars: HostTensors) => Promise<HostTensors>,
      { losses, grad_norms }: Curve,
      within: number,
    ) => {
      for (const [i, loss] of losses.entries()) {
        const found = await run(scalarsAt(i + 1));
        expect(Math.abs(first(found["loss"]) / loss - 1)).toBeLessThan(within);
        expect(Math.abs(first(found["grad_norm"]) / (grad_norms[i] as number) - 1)).toBeLessThan(within);
      }
    };

    const place = trainedPlace(config);
    const below = await forward(engine, config, tensors, expected);
    const branch = branchTensors(tensors, place);
    const one = await engine.load(withMoments(branch), {
      train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
    });
    const attention_mask = matrix(expected.attention_mask);
    const hidden = below[`hidden${place.fork}`] as HostTensor;
    await follow(
      (scalars) => one.run("train", { hidden, attention_mask, ...towards, ...scalars }),
      wanted.stage_one,
      1e-3,
    );
    const state = await one.state();
    const trained = Object.fromEntries(Object.keys(branch).map((name) => [name, state[name] as HostTensor]));
    one.dispose();

    const trunk = { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, place.fork as number) };
    const top = config.numHiddenLayers;
    const frozen = await engine.load(
      { ...trunk, ...trained },
      { states: rampStatesEntry(config, top, heads.classification, layers) },
    );
    const ids = { input_ids: matrix(expected.input_ids), token_type_ids: matrix(expected.token_type_ids) };
    const { states } = await frozen.run("states", { ...ids, attention_mask });
    frozen.dispose();

    const names = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];
    const head = Object.fromEntries(names.map((name) => [name, trained[name] as HostTensor]));
    const ramps = rampsHead(heads.classification, layers);
    const stands = { fork: top, layers: 0 };
    const loss = labelLoss(ramps);
    const two = await engine.load(withMoments(rampsOf(head, layers)), {
      train: trainStep({ place: stands, config, loss, head: ramps, clipNorm: 1 }),
      logits: logitsStep(stands, config, ramps),
    });
    const read = { hidden: states as HostTensor, attention_mask: int32([rows, 1], new Int32Array(rows).fill(1)) };
    await follow((scalars) => two.run("train", { ...read, ...towards, ...scalars }), wanted.stage_two, 2e-3);
    const { logits } = await two.run("logits", read);
    const apart = wanted.logits.flat().map((value, i) => Math.abs(value - ((logits as HostTensor).data[i] as number)));
    expect(Math.max(...apart)).toBeLessThan(2e-3);
    two.dispose();

    // The first step's moments are its gradients: (1 - beta1) g, of the clipped ones.
    const fresh = await engine.load(withMoments(rampsOf(head, layers)), {
      train: trainStep({ place: stands, config, loss, head: ramps, clipNorm: 0 }),
    });
    await fresh.run("train", { ...read, ...towards, ...scalarsAt(1) });
    const moments = await fresh.state();
    fresh.dispose();
    for (const layer of layers) {
      for (const name of names.map((own) => rampName(layer, own))) {
        const { norm, first: values } = wanted.gradients[name] as (typeof wanted.gradients)[string];
        const moment = moments[`adam.m/${name}`] as HostTensor;
        const gradient = Array.from(moment.data, (value) => value / 0.1);
        expect(Math.abs(Math.hypot(...gradient) / norm - 1)).toBeLessThan(2e-3);
        for (const [i, value] of values.entries()) expect(gradient[i]).toBeCloseTo(value, 4);
      }
    }
    expect(engine.tensorCount()).toBe(before);
  });
});
