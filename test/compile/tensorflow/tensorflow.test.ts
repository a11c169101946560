// Lowering to TensorFlow: every op at fixed and at symbolic sizes against tfjs's cpu backend, in TensorFlow's own
// kernels and compiled by XLA; the optimizer's update in each mode; state in variables.

import { afterEach, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { lowerings } from "../../../src/compile/tensorflow/ops";
import type { Engine } from "../../../src/engines/engine";
import { openEngine } from "../../../src/engines/open";
import { MODE_VARIABLE } from "../../../src/engines/tensorflow/load";
import type { EntryPoint } from "../../../src/model/entry-point";
import type { HostTensor, HostTensors } from "../../../src/model/tensors";
import type { Precision } from "../../../src/settings/engine";
import { clipByGlobalNorm, stepScalars, update, withMoments } from "../../../src/training/step/adamw";
import { engineAbsence } from "../../engines/engines";
import { unless } from "../../skips";
import { type Case, cases } from "../cases";
import { type Compute, compiled, expectSame, f32, i32, onCpu, spread } from "../compare";

const absence = engineAbsence("tensorflow");
if (absence !== null) console.warn(`SKIPPED: lowering to TensorFlow, because ${absence}`);
const describeWithTensorflow = unless(absence).describe;

async function open(mode: string, precision: Precision = "float32"): Promise<Engine> {
  process.env[MODE_VARIABLE] = mode;
  return (await openEngine("tensorflow", { threads: 1, precision })).engine;
}
afterEach(() => {
  delete process.env[MODE_VARIABLE];
});

/** The same function as one that changes state, so that XLA compiles it where the mode says so. */
const counting =
  (compute: Compute): EntryPoint =>
  (state, inputs) => ({ state: { count: tf.add(state["count"] as tf.Tensor, 1) }, outputs: compute(inputs) });

/** Ops without a case of their own: the update's, which has state. */
const updateOps = ["AdamW", "GlobalNorm"];

describeWithTensorflow("TensorFlow's nodes", () => {
  test("each lowering has a case", () => {
    expect([...Object.keys(cases), ...updateOps].sort()).toEqual(Object.keys(lowerings).sort());
  });

  describe.each(Object.keys(cases))("%s", (op) => {
    const { compute, call, axes } = cases[op] as Case;

    test("computes what tfjs does for every size of one graph", async () => {
      const sizes = [4, 1, 7];
      const { outputs, graphs } = await compiled(await open("graph"), compute, sizes.map(call), axes);
      for (const [i, size] of sizes.entries()) {
        expectSame(outputs[i] as HostTensors, await onCpu(compute, call(size)));
      }
      expect(graphs).toBe(1);
    });

    test("compiled by XLA, at fixed and at dynamic sizes", async () => {
      const engine = await open("xla");
      for (const dynamic of [{}, axes]) {
        const program = await engine.load({ count: f32([], [0]) }, { run: counting(compute) }, { run: dynamic });
        const outputs = await program.run("run", call(5));
        expect((await program.state())["count"]?.data[0]).toBe(1);
        program.dispose();
        expectSame(outputs, await onCpu(compute, call(5)));
      }
    });
  });

  test("products of integers, of batches with matrices, and without elements", async () => {
    const compute: Compute = ({ a, b, none }) => ({
      plain: tf.matMul(a as tf.Tensor, b as tf.Tensor),
      turned: tf.matMul(a as tf.Tensor, a as tf.Tensor, false, true),
      empty: tf.matMul(none as tf.Tensor, tf.ones([3, 2])),
      shaped: tf.reshape(none as tf.Tensor, [3, 0]),
      total: tf.sum(none as tf.Tensor),
    });
    const inputs = { a: i32([2, 3], [1, -2, 3, 4, 5, -6]), b: i32([3, 2], [1, 2, 3, 4, 5, 6]), none: f32([0, 3], []) };
    const { outputs } = await compiled(await open("graph"), compute, [inputs]);
    expectSame(outputs[0] as HostTensors, await onCpu(compute, inputs));
  });

  test("softmax over the first axis; an input as an output", async () => {
    const compute: Compute = ({ x }) => ({ first: tf.softmax(tf.transpose(x as tf.Tensor), 1), x: x as tf.Tensor });
    const inputs = { x: spread([3, 4]) };
    const { outputs } = await compiled(await open("graph"), compute, [inputs]);
    expectSame(outputs[0] as HostTensors, await onCpu(compute, inputs));
  });

  test("an index beyond the table is TensorFlow's error, and the program goes on", async () => {
    const compute: Compute = ({ table, ids }) => ({ rows: tf.gather(table as tf.Tensor, ids as tf.Tensor1D) });
    const program = await (await open("graph")).load({}, { run: (_, inputs) => ({ outputs: compute(inputs) }) });
    const table = f32([3, 1], [1, 2, 3]);
    await expect(program.run("run", { table, ids: i32([1], [3]) })).rejects.toThrow(/not in \[0, 3\)/);
    const { rows } = await program.run("run", { table, ids: i32([1], [2]) });
    expect([...(rows as HostTensor).data]).toEqual([3]);
    program.dispose();
  });
});

describeWithTensorflow("state in variables", () => {
  const step: EntryPoint = (state, inputs) => {
    const { a, b } = state as { a: tf.Tensor; b: tf.Tensor };
    const gradients = [tf.mul(a, inputs["x"] as tf.Tensor), tf.sub(b, 1)];
    const { norm, factor } = clipByGlobalNorm(gradients, 1);
    const next = {
      ...update(state, "a", gradients[0] as tf.Tensor, factor, inputs),
      ...update(state, "b", gradients[1] as tf.Tensor, factor, inputs),
    };
    return { state: next, outputs: { norm } };
  };
  const scalars = (count: number) =>
    Object.fromEntries(Object.entries(stepScalars(0.1, 0.01, count)).map(([name, value]) => [name, f32([], [value])]));

  test.each(["graph", "loops", "xla"])("AdamW and clipping as tfjs computes them: %s", async (mode) => {
    const initial = withMoments({ a: spread([2, 3]), b: spread([4], 9) });
    const results: HostTensors[] = [];
    for (const one of ["eager", mode]) {
      const program = await (await open(one)).load(initial, { step });
      for (let count = 1; count <= 5; count++) {
        const { norm } = await program.run("step", { x: spread([2, 3], count), ...scalars(count) });
        if (count === 5) results.push({ ...(await program.state()), norm: norm as HostTensor });
      }
      program.dispose();
    }
    expectSame(results[1] as HostTensors, results[0] as HostTensors);
  });

  test.each(["graph", "loops", "xla"])("two variables that swap values see each other's old ones: %s", async (mode) => {
    const swap: EntryPoint = ({ a, b }) => ({ state: { a: b as tf.Tensor, b: a as tf.Tensor }, outputs: {} });
    const program = await (await open(mode)).load({ a: f32([2], [1, 2]), b: f32([2], [3, 4]) }, { swap });
    for (let i = 0; i < 3; i++) await program.run("swap", {});
    const { a, b } = await program.state();
    expect([[...(a as HostTensor).data], [...(b as HostTensor).data]]).toEqual([[3, 4], [1, 2]]); // biome-ignore format: a variable each
    program.dispose();
  });

  test("it is carried over to the session of a further entry point, and the caller's arrays stay", async () => {
    const engine = await open("loops");
    const initial = { a: spread([3]) };
    const before = [...initial.a.data];
    const program = await engine.load(initial, {
      double: ({ a }) => ({ state: { a: tf.mul(a as tf.Tensor, 2) }, outputs: {} }),
      read: ({ a }, { x }) => ({ outputs: { y: tf.add(a as tf.Tensor, x as tf.Tensor) } }),
    });
    await program.run("double", {});
    const { y } = await program.run("read", { x: f32([3], [0, 0, 0]) });
    await program.run("double", {});
    expect([...(y as HostTensor).data]).toEqual(before.map((value) => Math.fround(value * 2)));
    expect([...((await program.state())["a"] as HostTensor).data]).toEqual(
      before.map((value) => Math.fround(value * 4)),
    );
    expect([...initial.a.data]).toEqual(before);
    expect(program.compiled()?.graphs).toBe(2);
    program.dispose();
    await expect(program.run("double", {})).rejects.toThrow(/disposed/);
  });
});

// What bf16 and float16 compute is tested in test/engines/tensorflow/precision.test.ts, in a process of its own.
describeWithTensorflow("precision", () => {
  test("tf32 is refused on a CPU, and everything but float32 by other engines", async () => {
    const { device } = await open("graph");
    if (device === "cpu") await expect(open("graph", "tf32")).rejects.toMatchObject({ exitCode: 2 });
    await expect(openEngine("wasm", { precision: "bf16" })).rejects.toMatchObject({ exitCode: 2 });
    await expect(open("eager", "bf16")).rejects.toMatchObject({ exitCode: 2 });
    await expect(open("no-such-mode")).rejects.toThrow(/auto, eager, graph, loops, xla/);
  });
});
