// A loss that takes all that a recipe may give it: hidden states and attention of the branch, a teacher's hidden states
// carried by the batches, a frozen teacher in the step, and a projection of its own that is trained and belongs to no
// branch. What is frozen stays as it is and is in no file; a stopped run goes on as if it had not been.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Scalar, Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { encodeExamples } from "../../../src/batches/rows";
import { loadState } from "../../../src/checkpoints/runs/run-folder";
import { readSplit } from "../../../src/data/read-split";
import type { Engine } from "../../../src/engines/engine";
import { Interrupted } from "../../../src/messages/reporter";
import { branchOutputs } from "../../../src/model/branch";
import type { Tensors } from "../../../src/model/entry-point";
import { pooledParameters } from "../../../src/model/head-parameters";
import { softTargetLoss } from "../../../src/model/losses";
import { dense } from "../../../src/model/ops";
import { float32, type HostTensor, type HostTensors } from "../../../src/model/tensors";
import { normals } from "../../../src/random/draws";
import { foldIn, seedKey } from "../../../src/random/threefry";
import { branchOfBase } from "../../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../../src/tasks/glue";
import { createTokenizer } from "../../../src/tokenizer/tokenizer";
import { perRow, perToken, readInputs } from "../../../src/training/loop/batch-inputs";
import { branchInputs, splitLogits } from "../../../src/training/loop/branch-source";
import { type BranchTraining, trainBranch } from "../../../src/training/loop/train-branch";
import { initialState, trainedNames, withFrozen } from "../../../src/training/step/state";
import { type Loss, logitsStep, reading, rowWeights, trainStep } from "../../../src/training/step/step";
import { scalarInputs } from "../../../src/training/step/step-inputs";
import { openTrunk } from "../../../src/training/trunk/trunk";
import { describeEachEngine } from "../../engines/engines";
import { quietContext, temporaryFolder, tinyBase, tinyTraining, writeTinyGlue } from "../../tiny";

const base = tinyBase("tiny-teacher", { layers: 4, hidden: 16, dropout: 0.1 });
const { config } = base;
const task = glueTasks.rte;
const student = { fork: 1, layers: 1 };
const teacher = { fork: 1, layers: 3 };
const head = pooledParameters(16, 2);
const frozen = branchOfBase(base, teacher, head, 7);

const projection = {
  "projection.weight": float32([16, 16], normals(foldIn(seedKey(3), 0), 256, 0.3)),
  "projection.bias": float32([16], new Float32Array(16)),
};

/** The frozen teacher, run within the step: `tensors` are its own. */
const teaching = (tensors: Tensors, inputs: Tensors) =>
  branchOutputs(tensors, inputs as never, teacher, config, { attention: { 1: "all" } });

/** Sum of squares of the real rows by the number of their tokens. A mean over all would depend on the length itself. */
function squares(x: Tensor, inputs: Tensors): Scalar {
  const rows = tf.expandDims(rowWeights(inputs), 1);
  const tokens = tf.mul(tf.cast(inputs["attention_mask"] as Tensor, "float32"), rows);
  const each = tf.sum(tf.square(x), x.rank === 3 ? [2] : [1, 3]); // [batch, length]
  return tf.div(tf.sum(tf.mul(each, tokens)), tf.sum(tokens));
}

/** `teacherIn` says where the teacher's tensors are found: beside the branch, or among the step's inputs. */
const lossWith = (teacherIn: (inputs: Tensors, beside: { frozen: Readonly<Tensors> }) => Tensors): Loss =>
  reading({ hidden: { 2: "all" }, attention: { 1: "all" } }, ({ logits, hidden, attention }, inputs, beside) => {
    const given = teaching(teacherIn(inputs, beside), inputs);
    const { "projection.weight": weight, "projection.bias": bias } = beside.loss as Record<string, Tensor>;
    const mapped = dense(hidden(2), { weight: weight as Tensor2D, bias: bias as tf.Tensor1D });
    const soft = softTargetLoss(logits, inputs["teacher_logits"] as Tensor2D, rowWeights(inputs), 2);
    const states = squares(tf.sub(mapped, inputs["teacher_hidden"] as Tensor3D), inputs);
    return tf.addN([soft, states, squares(tf.sub(attention(1), given.attention(1)), inputs)]) as Scalar;
  });

const loss = lossWith((_, beside) => beside.frozen);

async function prepare(folder: string, engine: Engine) {
  writeTinyGlue(path.join(folder, "glue"), 16, 6);
  const read = async (split: "train" | "dev") => {
    const { examples } = await readSplit(task, split, { glueData: path.join(folder, "glue") });
    return encodeExamples(task, examples, createTokenizer(base.tokenizer), 32);
  };
  const { context } = quietContext(engine);
  const under = async (split: "train" | "dev") => {
    const rows = await read(split);
    const options = { budget: 1e9, folder, label: split, keep: new Set([1, 3]) };
    const trunk = await openTrunk(base, rows, options, context);
    return { rows, config, activations: await trunk.at(1), above: await trunk.at(3) };
  };
  const [train, dev] = [await under("train"), await under("dev")];
  const program = await engine.load(frozen, { logits: logitsStep(teacher, config) });
  const logits = await splitLogits(program, "logits", train, glueTasks.rte, context.signal);
  program.dispose();
  // Any values of each token will do for a teacher's: those under layer 4, which are ragged like all activations.
  const inputs = { teacher_logits: perRow(logits.data, [2]), teacher_hidden: perToken(train.above, 16) };
  return { train, dev, inputs };
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

const trainingIn = (folder: string, prepared: Prepared): BranchTraining => {
  mkdirSync(folder, { recursive: true });
  const initial = branchOfBase(base, student, head, 1);
  const settings = { ...tinyTraining, batchSize: 4, seed: 1, saveEvery: 3600 };
  const beside = { frozen, loss: projection };
  return { label: "student", folder, task, place: student, config, initial, loss, beside, settings, ...prepared };
};

const bytesOf = (tensors: HostTensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => [name, Buffer.from(data.buffer).toString("hex")]),
  );

describeEachEngine("what is beside the branch", (open) => {
  const folder = temporaryFolder();

  test("a stopped run saves what is trained, nothing that is frozen, and ends as one left alone", async () => {
    const engine = await open();
    const prepared = await prepare(folder, engine);
    const before = engine.tensorCount();
    const alone = await trainBranch(trainingIn(path.join(folder, "alone"), prepared), quietContext(engine).context);
    expect(Object.keys(alone.branch)).toHaveLength(16 + 4);

    const disturbed = trainingIn(path.join(folder, "disturbed"), prepared);
    let left = 3;
    const stopping = quietContext(engine, (abort) => void (--left === 0 && abort())).context;
    await expect(trainBranch(disturbed, stopping)).rejects.toThrow(Interrupted);
    const { tensors } = (await loadState(disturbed.folder)) as { tensors: HostTensors };
    expect(Object.keys(tensors).filter((name) => name.includes("frozen"))).toEqual([]);
    expect(trainedNames(tensors)).toHaveLength(16 + 4 + 2);
    expect(Object.keys(tensors)).toHaveLength(3 * (16 + 4 + 2));
    const saved = tensors["loss/projection.weight"] as HostTensor;
    expect(saved.data).not.toEqual(projection["projection.weight"].data);

    const resumed = await trainBranch(disturbed, quietContext(engine).context);
    expect(bytesOf(resumed.branch)).toEqual(bytesOf(alone.branch));
    expect(resumed.score).toBe(alone.score);
    expect(engine.tensorCount()).toBe(before);
  });

  test("frozen tensors keep their bytes, and a step does not tell them from inputs", async () => {
    const engine = await open();
    const { train, inputs } = await prepare(folder, engine);
    const batch = { rows: [3, 1, 8], length: 20 };
    const carried = { ...(await branchInputs(train, batch, 4)), ...(await readInputs(inputs, batch, 4, 1, 1)) };
    const weights = { row_weights: float32([4], Float32Array.of(1, 1, 1, 0)) };
    const state = initialState(branchOfBase(base, student, head, 1), projection, false);
    const run = async (step: Loss, beside: HostTensors, given: HostTensors) => {
      const entry = trainStep({ place: student, config, loss: step, clipNorm: 0.1 });
      const program = await engine.load(withFrozen(state, beside), { train: entry });
      const outputs: number[] = [];
      for (let at = 1; at <= 3; at++) {
        const result = await program.run("train", { ...carried, ...weights, ...given, ...scalarInputs(1e-2, 0.1, at) });
        outputs.push(...["loss", "grad_norm"].map((name) => result[name]?.data[0] as number));
      }
      const after = await program.state();
      program.dispose();
      return { outputs, after };
    };
    const asState = await run(loss, frozen, {});
    const kept = Object.entries(asState.after).filter(([name]) => name.includes("frozen"));
    expect(bytesOf(Object.fromEntries(kept.map(([name, tensor]) => [name.replace("frozen/", ""), tensor])))).toEqual(
      bytesOf(frozen),
    );
    // No share in the norm, no moments, no decay: the rest is what it is where the same numbers are inputs of the step.
    const asInputs = await run(
      lossWith((all) => all),
      {},
      frozen,
    );
    expect(asState.outputs).toEqual(asInputs.outputs);
    const rest = Object.entries(asState.after).filter(([name]) => !name.includes("frozen"));
    expect(bytesOf(Object.fromEntries(rest))).toEqual(bytesOf(asInputs.after));
    expect(asState.after["loss/projection.weight"]?.data).not.toEqual(projection["projection.weight"].data);
    expect(asState.outputs[4]).toBeLessThan(asState.outputs[0] as number); // it learns
  });
});
