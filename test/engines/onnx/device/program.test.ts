// Programs on a device: state that steps of several kinds change and evaluation reads between them, outputs that stay there, and
// the ends of programs.

import { expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { loadEagerly, registerGradients } from "../../../../src/engines/eager";
import type { Engine, Program } from "../../../../src/engines/engine";
import { openOnnxDevice } from "../../../../src/engines/onnx/device/device";
import type { EntryPoint } from "../../../../src/model/entry-point";
import { bitTensor, type HostTensor, type HostTensors } from "../../../../src/model/tensors";
import { expectSame, f32, i32, spread } from "../../../compile/compare";
import { gradientOf, updateInputs, updateState, updateStep } from "../../../compile/updates";
import { describeDevices } from "../../devices";

const shapes = { "a.weight": [96, 128], "a.bias": [96], "b.weight": [64, 256], "b.bias": [3], "c.weight": [7, 5] };
const names = Object.keys(shapes);
const top = ["b.weight", "b.bias", "c.weight"];

const score: EntryPoint = (state, { x }) => {
  const [weight, bias] = [state["a.weight"], state["a.bias"]] as [tf.Tensor2D, tf.Tensor1D];
  const inner = tf.matMul(tf.add(x as tf.Tensor2D, bias), weight);
  return { outputs: { y: tf.add(inner, tf.gather(state["table"] as tf.Tensor2D, state["ids"] as tf.Tensor1D)) } };
};
const entries = { score, all: updateStep(names), top: updateStep(top) };

const initial = (scaled = false): HostTensors => ({
  ...updateState(shapes, scaled),
  table: spread([4, 128], 3),
  ids: i32([2], [3, 1]),
});

type Call = readonly [entry: keyof typeof entries, inputs: HostTensors];
const scoring: Call = ["score", { x: spread([2, 96], 11) }];
const step = (entry: "all" | "top", at: number): Call => [
  entry,
  updateInputs(shapes, entry === "all" ? names : top, at),
];

/** Everything that the calls give, and the state after them. */
async function results(program: Program<keyof typeof entries>, calls: readonly Call[]) {
  const outputs: HostTensors[] = [];
  for (const [entry, inputs] of calls) outputs.push(await program.run(entry, inputs));
  const state = await program.state();
  program.dispose();
  return { outputs, state };
}

async function eagerly(state: HostTensors, calls: readonly Call[]) {
  await registerGradients();
  await tf.setBackend("cpu");
  return results(loadEagerly(state, entries), calls);
}

async function expectEagerResults(engine: Engine, state: () => HostTensors, calls: readonly Call[]): Promise<void> {
  const wanted = await eagerly(state(), calls);
  const found = await results(await engine.load(state(), entries), calls);
  for (const [at, outputs] of wanted.outputs.entries()) expectSame(found.outputs[at] as HostTensors, outputs, 1e-5);
  expectSame(found.state, wanted.state, 1e-5);
  expect(Object.keys(found.state)).toEqual(Object.keys(state()));
  expect(engine.tensorCount()).toBe(0);
}

describeDevices(["cpu", "webgpu"], "state", (open) => {
  test("evaluation before, between and after the steps of two trainings, and the state that comes back", async () => {
    const calls = [scoring, step("all", 1), scoring, step("top", 2), step("all", 3), scoring, step("top", 4)];
    await expectEagerResults(await open(), initial, calls);
  });

  test("a counter of int32 in the state", async () => {
    const engine = await open();
    const count: EntryPoint = ({ steps }) => {
      const next = tf.add(steps as tf.Tensor, tf.scalar(1, "int32"));
      return { state: { steps: next }, outputs: { doubled: tf.mul(next, tf.scalar(2, "int32")) } };
    };
    const program = await engine.load({ steps: i32([2], [5, -7]) }, { count });
    await program.run("count", {});
    expectSame(await program.run("count", {}), { doubled: i32([2], [14, -10]) });
    expectSame(await program.state(), { steps: i32([2], [7, -5]) });
    program.dispose();
  });
});

describeDevices(["cpu"], "state of other programs", (open) => {
  test("the first training that is compiled trains some of it", async () => {
    await expectEagerResults(await open(), initial, [step("top", 1), step("all", 2), scoring]);
  });

  test("what no step changes comes back as it was, and what none was run on is a copy", async () => {
    const engine = await open();
    const given = initial();
    const program = await engine.load(given, entries);
    const before = await program.state();
    expectSame(before, given, 0);
    for (const [name, { data }] of Object.entries(before)) expect(data).not.toBe(given[name]?.data);
    await program.run(...step("top", 1));
    const { table, ids, "a.weight": frozen } = await program.state();
    expectSame(
      { table, ids, frozen } as HostTensors,
      { table: given["table"], ids: given["ids"], frozen: given["a.weight"] } as HostTensors,
      0,
    );
    program.dispose();
  });
});

describeDevices(["cpu"], "a scaled loss", () => {
  test("an overflow between two steps leaves the state and halves the scale", async () => {
    const engine = await openOnnxDevice({ device: "cpu", precision: "float16" });
    const [, inputs] = step("all", 2);
    const over = { ...inputs, [gradientOf("b.bias")]: f32([3], [1, Infinity, 1]) };
    const calls: Call[] = [step("all", 1), ["all", over], step("all", 3)];
    await expectEagerResults(engine, () => initial(true), calls);
    const { outputs, state } = await results(await engine.load(initial(true), entries), calls.slice(0, 2));
    expect([outputs[1]?.["norm"]?.data[0], state["loss_scale.scale"]?.data[0]]).toEqual([0, 32768]);
  });
});

/** Two outputs of one input, and a number of int32. */
const parts: EntryPoint = (_, { x }) => ({
  outputs: {
    first: tf.mul(x as tf.Tensor, 2),
    count: tf.cast(tf.mul(x as tf.Tensor, 10), "int32"),
    last: tf.add(x as tf.Tensor, 1),
  },
});
const sum: EntryPoint = (_, { a, b }) => ({
  outputs: { y: tf.add(a as tf.Tensor, tf.cast(b as tf.Tensor, "float32")) },
});

const x = f32([3], [0.5, -1, 2]);

describeDevices(["cpu", "webgpu"], "outputs that stay on the device", (open) => {
  test("are another program's inputs, of their type", async () => {
    const engine = await open();
    const [making, adding] = [await engine.load({}, { parts }), await engine.load({}, { sum })];
    const { first, count, last } = (await making.run("parts", { x }, ["first", "count"])) as Record<string, HostTensor>;
    expect([first?.dtype, count?.dtype, first?.shape, count?.shape]).toEqual(["float32", "int32", [3], [3]]);
    expect([...(last as HostTensor).data]).toEqual([1.5, 0, 3]);
    const { y } = await adding.run("sum", { a: first as HostTensor, b: count as HostTensor });
    expect([...(y as HostTensor).data]).toEqual([6, -12, 24]);
    making.dispose();
    adding.dispose();
  });

  test("do not keep the next program from running when their own is disposed", async () => {
    const engine = await open();
    const [making, adding] = [await engine.load({}, { parts }), await engine.load({}, { sum })];
    const { first, count } = (await making.run("parts", { x }, ["first", "count"])) as Record<string, HostTensor>;
    const inputs = { a: first as HostTensor, b: count as HostTensor };
    await adding.run("sum", inputs);
    making.dispose();
    const { y } = await adding.run("sum", { a: x, b: i32([3], [1, 2, 3]) });
    expect([...(y as HostTensor).data]).toEqual([1.5, 1, 5]);
    await expect(adding.run("sum", inputs)).rejects.toThrow("let go of");
    adding.dispose();
    expect(engine.tensorCount()).toBe(0);
  });
});

describeDevices(["cpu"], "outputs that stay, call by call,", (open) => {
  test("may be others in each call of an entry: every name has its own value", async () => {
    const engine = await open();
    const program = await engine.load({}, { parts });
    const wanted: Record<string, number[]> = { first: [1, -2, 4], count: [5, -10, 20], last: [1.5, 0, 3] };
    for (const kept of [[], ["last"], ["count", "first"], ["first"], []]) {
      const outputs = await program.run("parts", { x }, kept);
      expect(Object.keys(outputs).sort()).toEqual(Object.keys(wanted).sort());
      for (const [name, values] of Object.entries(wanted)) {
        if (!kept.includes(name)) expect([...(outputs[name] as HostTensor).data]).toEqual(values);
      }
    }
    program.dispose();
  });

  test("are not read by the host, and gone when their entry has run again", async () => {
    const engine = await open();
    const [making, adding] = [await engine.load({}, { parts }), await engine.load({}, { sum })];
    const { first, count } = (await making.run("parts", { x }, ["first"])) as Record<string, HostTensor>;
    expect(() => first?.data).toThrow("left on the device is read by the host");
    await making.run("parts", { x });
    const inputs = { a: first as HostTensor, b: count as HostTensor };
    await expect(adding.run("sum", inputs)).rejects.toThrow("input/a is an output that was let go of");
    const { y } = await adding.run("sum", { ...inputs, a: x });
    expect([...(y as HostTensor).data]).toEqual([5.5, -11, 22]);
    making.dispose();
    adding.dispose();
  });
});

describeDevices(["cpu", "webgpu"], "the end of a program", (open) => {
  test("waits for the runs that were begun; after it there are no more", async () => {
    const engine = await open();
    const program = await engine.load(initial(), entries);
    const begun = [program.run(...step("all", 1)), program.run(...scoring), program.state()];
    program.dispose();
    program.dispose();
    const [{ norm }, { y }, state] = (await Promise.all(begun)) as [HostTensors, HostTensors, HostTensors];
    const wanted = await eagerly(initial(), [step("all", 1), scoring]);
    expectSame({ norm, y } as HostTensors, { ...wanted.outputs[0], ...wanted.outputs[1] });
    expectSame(state, wanted.state);
    await expect(program.run(...scoring)).rejects.toThrow("score was run on a program that is disposed");
    await expect(program.state()).rejects.toThrow("the state was read on a program that is disposed");
  });
});

describeDevices(["cpu"], "inputs of bits", (open) => {
  const drop: EntryPoint = (_, { x, mask }) => ({ outputs: { y: tf.mul(x as tf.Tensor, mask as tf.Tensor) } });
  const x = f32(
    [11],
    Array.from({ length: 11 }, (_, i) => i + 1),
  );
  const bits = (value: number, bytes: readonly number[]) =>
    bitTensor([11], { value, bytes: async () => Uint8Array.from(bytes) }, () => {
      throw new Error("the floats were asked for");
    });

  test("come as bits, never as floats, and others in each call", async () => {
    const program = await (await open()).load({}, { drop });
    const y = async (mask: HostTensor) => [...((await program.run("drop", { x, mask }))["y"] as HostTensor).data];
    expect(await y(bits(2, [0b10000001, 0b101]))).toEqual([2, 0, 0, 0, 0, 0, 0, 16, 18, 0, 22]);
    expect(await y(bits(2, [0b00000010, 0b010]))).toEqual([0, 4, 0, 0, 0, 0, 0, 0, 0, 20, 0]);
    await expect(y(bits(4, [1, 1]))).rejects.toThrow("was compiled for bits of 2");
    await expect(y(x)).rejects.toThrow("was compiled for bits of 2");
    expect(await y(bits(2, [1, 0]))).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    program.dispose();
  });
});
