// The train step as a graph: a loss that reads the logits alone computes what it always did, and a loss that reads more
// computes no more than that takes.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { traceEntry } from "../../../src/compile/entry";
import { type Graph, printGraph } from "../../../src/compile/graph/graph";
import { optimise } from "../../../src/compile/passes/passes";
import { registerGradients } from "../../../src/engines/eager";
import { pooledParameters } from "../../../src/model/head-parameters";
import { heads } from "../../../src/model/heads";
import type { Reads } from "../../../src/model/recorder";
import { float32, type HostTensors, int32 } from "../../../src/model/tensors";
import { labelLoss } from "../../../src/recipes/losses";
import { branchOfBase } from "../../../src/recipes/trial/initial-branch";
import { type Beside, initialState, withFrozen } from "../../../src/training/step/state";
import { type Loss, reading, stepAxes, trainStep } from "../../../src/training/step/step";
import { dropoutInputs, scalarInputs } from "../../../src/training/step/step-inputs";
import { tinyBase } from "../../tiny";

const base = tinyBase("tiny", { layers: 3, hidden: 8, dropout: 0.1 });
const { config } = base;
const place = { fork: 1, layers: 2 };
const [rows, length] = [4, 6];
const labels = labelLoss(heads.classification);

beforeAll(registerGradients);

function inputsOf(reads: Reads | undefined): HostTensors {
  return {
    hidden: float32([rows, length, 8], new Float32Array(rows * length * 8)),
    attention_mask: int32([rows, length], new Int32Array(rows * length)),
    labels: int32([rows], new Int32Array(rows)),
    row_weights: float32([rows], new Float32Array(rows)),
    ...scalarInputs(1e-3, 0.01, 1),
    ...dropoutInputs({ config, place, seed: 1, reads }, rows, length, 1),
  };
}

function traced(loss: Loss, beside: Partial<Beside<HostTensors[string]>> = {}): Graph {
  const state = initialState(
    branchOfBase(base, place, pooledParameters(config.hiddenSize, 2), 1),
    beside.loss ?? {},
    false,
  );
  const step = trainStep({ place, config, loss, clipNorm: 1 });
  const axes = stepAxes(config, place, loss.reads);
  return traceEntry(step, withFrozen(state, beside.frozen ?? {}), inputsOf(loss.reads), axes).graph;
}

/** Everything but the inputs, which have the first numbers. */
const nodesOf = (graph: Graph) =>
  printGraph(graph)
    .split("\n")
    .filter((line) => !/^%\d+ = input /.test(line));

const shapesOf = (graph: Graph, op: string) =>
  graph.nodes.filter((node) => node.op === op).map(({ outputs }) => outputs[0]?.shape.join());

describe("a loss that reads the logits alone", () => {
  // Written by the step as it was before anything else could be read (commit dc4e5b4): the topmost layer's queries,
  // attention and feed-forward part are of [CLS] alone. Another graph is another step time, and other rounding.
  const frozen = readFileSync(path.join(__dirname, "logits-alone.txt"), "utf8").trimEnd().split("\n");

  test("traces to the same graph, node for node", () => {
    expect(nodesOf(traced(labels))).toEqual(frozen);
  });

  test("and so does one that names reads and reads nothing of other positions", () => {
    const reads: Reads = { hidden: { 1: "all", 2: "all", 3: "first" }, attention: { 1: "all", 2: "first" } };
    expect(nodesOf(traced(reading(reads, labels)))).toEqual(frozen);
  });

  test("and with frozen tensors in the state that it does not read", () => {
    const teacher = { weight: float32([2, 2], new Float32Array(4)) };
    const without = nodesOf(traced(labels)).map((line) => line.replace(/%\d+/g, "%"));
    const beside = nodesOf(traced(labels, { frozen: teacher })).map((line) => line.replace(/%\d+/g, "%"));
    expect(beside).toEqual(without);
  });
});

describe("a loss that reads the topmost layer whole", () => {
  const square = (x: tf.Tensor) => tf.sum(tf.square(x)) as tf.Scalar;
  const softmaxes = (loss: Loss) => shapesOf(optimise(traced(loss)), "Softmax");
  const sizes = { rows, heads: config.numAttentionHeads };
  // 1009 stands for the length.
  const whole = `${sizes.rows},${sizes.heads},1009,1009`;
  const first = `${sizes.rows},${sizes.heads},1,1009`;

  test("computes it whole, for hidden states and for attention", () => {
    expect(softmaxes(labels)).toEqual([whole, first]);
    expect(softmaxes(reading({ hidden: { 3: "all" } }, ({ hidden }) => square(hidden(3))))).toEqual([whole, whole]);
    const attention = reading({ attention: { 2: "all" } }, (outputs) => square(outputs.attention(2)));
    expect(softmaxes(attention)).toEqual([whole, whole]);
  });

  test("and not where it reads [CLS], or no more than a layer under it", () => {
    const cls = reading({ hidden: { 2: "first", 3: "first" } }, ({ hidden }) =>
      tf.add(square(hidden(2)), square(hidden(3))),
    );
    expect(softmaxes(cls)).toEqual([whole, first]);
    // The layer above is not computed at all, and its tensors are not updated.
    const below = reading({ hidden: { 2: "all" } }, ({ hidden }) => square(hidden(2)));
    expect(softmaxes(below)).toEqual([whole]);
    const updated = [...traced(below).outputs.keys()].filter((name) => /^next\/(?!adam)/.test(name));
    expect(updated).toHaveLength(16);
    expect(updated.every((name) => name.includes(".layer.1."))).toBe(true);
  });
});

describe("reads that do not fit are errors", () => {
  test("what was not named", () => {
    const loss = reading({ hidden: { 2: "all" } }, ({ hidden }) => tf.sum(hidden(3)) as tf.Scalar);
    expect(() => traced(loss)).toThrow(
      "hidden(3) was read, but the loss does not name it among its reads. Recorded: hidden(2)",
    );
    const plain: Loss = ({ attention }) => tf.sum(attention(1)) as tf.Scalar;
    expect(() => traced(plain)).toThrow(/attention\(1\) was read, .* Recorded: nothing/);
  });

  test("what the branch does not have", () => {
    const loss = reading({ hidden: { 0: "all" } }, ({ hidden }) => tf.sum(hidden(0)) as tf.Scalar);
    expect(() => traced(loss)).toThrow("hidden(0) was read, but the branch has no such layer");
  });

  test("a loss of nothing that is trained", () => {
    const loss = reading({ hidden: { 1: "all" } }, ({ hidden }) => tf.sum(hidden(1)) as tf.Scalar);
    expect(() => traced(loss)).toThrow("the loss depends on no tensor that is trained");
  });
});
