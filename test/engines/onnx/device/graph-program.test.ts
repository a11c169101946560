// Graphs from files on a device: what one leaves there the next reads, and what a call lacks is an error.

import { beforeAll, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { trace } from "../../../../src/compile/graph/trace";
import { toOnnx } from "../../../../src/compile/onnx/onnx";
import { optimise } from "../../../../src/compile/passes/passes";
import { registerGradients } from "../../../../src/engines/eager";
import type { Engine, GraphProgram } from "../../../../src/engines/engine";
import type { HostTensor, HostTensors } from "../../../../src/model/tensors";
import { f32, i32 } from "../../../compile/compare";
import { describeDevices } from "../../devices";

beforeAll(registerGradients);

const x = f32([2, 2], [1, -2, 3, 0.5]);
const ids = i32([2], [1, 0]);

/** "below": x [2, 2] to h, twice x, and n, x as integers. "above": h and ids to y, the rows of h by ids, plus one. */
function files(): Readonly<Record<"below" | "above", Uint8Array>> {
  const type = { shape: [2, 2], dtype: "float32" } as const;
  const below = trace(({ x: read }) => ({ h: tf.mul(read as tf.Tensor, 2), n: tf.cast(read as tf.Tensor, "int32") }), {
    x: type,
  });
  const above = trace(({ h, ids: rows }) => ({ y: tf.add(tf.gather(h as tf.Tensor, rows as tf.Tensor1D), 1) }), {
    h: type,
    ids: { shape: [2], dtype: "int32" },
  });
  return { below: toOnnx(optimise(below)), above: toOnnx(optimise(above)) };
}

const open = (engine: Engine, file: Uint8Array): Promise<GraphProgram> =>
  (engine.openGraph as NonNullable<Engine["openGraph"]>)(file);

const values = (outputs: HostTensors, name: string) => [...(outputs[name] as HostTensor).data];

describeDevices(["cpu", "webgpu"], "graphs", (openEngine) => {
  test("what one leaves on the device the next reads, until it is let go of", async () => {
    const engine = await openEngine();
    const { below, above } = files();
    const [lower, upper] = [await open(engine, below), await open(engine, above)];
    const left = await lower.run({ x }, true);
    expect([left["h"]?.dtype, left["h"]?.shape, left["n"]?.dtype]).toEqual(["float32", [2, 2], "int32"]);
    expect(() => left["h"]?.data).toThrow("left on the device is read by the host");
    const inputs = { h: left["h"] as HostTensor, ids };
    expect(values(await upper.run(inputs), "y")).toEqual([7, 2, 3, -3]);
    expect(values(await lower.run({ x }), "n")).toEqual([1, -2, 3, 0]); // left where they were: this call has others
    expect(values(await upper.run(inputs), "y")).toEqual([7, 2, 3, -3]);
    lower.release?.(left);
    lower.release?.(left);
    await expect(upper.run(inputs)).rejects.toThrow("h is an output that was let go of");
    expect(values(await upper.run({ h: x, ids }), "y")).toEqual([4, 1.5, 2, -1]);
    lower.dispose();
    upper.dispose();
    expect(engine.tensorCount()).toBe(0);
  });

  test("one that is disposed lets go of what it left, after the runs that were begun", async () => {
    const engine = await openEngine();
    const { below, above } = files();
    const [lower, upper] = [await open(engine, below), await open(engine, above)];
    const left = await lower.run({ x }, true);
    const inputs = { h: left["h"] as HostTensor, ids };
    const begun = [lower.run({ x }), upper.run(inputs)];
    lower.dispose();
    const [own, other] = (await Promise.all(begun)) as [HostTensors, HostTensors];
    expect([values(own, "h"), values(other, "y")]).toEqual([
      [2, -4, 6, 1],
      [7, 2, 3, -3],
    ]);
    await expect(upper.run(inputs)).rejects.toThrow("let go of");
    await expect(lower.run({ x })).rejects.toThrow("the graph was run, and it is disposed");
    upper.dispose();
  });
});

describeDevices(["cpu"], "a call of a graph", (openEngine) => {
  test("that lacks an input is an error that names it, and not the call before", async () => {
    const upper = await open(await openEngine(), files().above);
    await upper.run({ h: x, ids });
    await expect(upper.run({ h: x })).rejects.toThrow("a call lacks ids");
    await expect(upper.run({ ids })).rejects.toThrow("a call lacks h");
    expect(values(await upper.run({ h: x, ids }), "y")).toEqual([4, 1.5, 2, -1]);
    upper.dispose();
  });
});
