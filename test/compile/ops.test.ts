// Every op that has a lowering, compiled at fixed sizes and with a symbolic first axis, against tfjs's cpu backend.

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { trace } from "../../src/compile/graph/trace";
import { lowerings } from "../../src/compile/onnx/ops";
import { optimise } from "../../src/compile/passes/passes";
import type { Engine } from "../../src/engines/engine";
import type { HostTensors } from "../../src/model/tensors";
import { type Case, cases } from "./cases";
import { compiled, expectSame, onCpu, openOnnxEngine } from "./compare";

let engine: Engine;
beforeAll(async () => {
  engine = await openOnnxEngine();
});
afterAll(() => engine.dispose());

/** Written after every other pass, and run by tests of their own: int8 products joined; updates and attention on a device. */
const ELSEWHERE = ["Split", "AdamW", "Attention", "FlatConcat", "FlatSplit", "GlobalNorm"];

test("each lowering has a case", () => {
  expect([...Object.keys(cases), ...ELSEWHERE].sort()).toEqual(Object.keys(lowerings).sort());
});

describe.each(Object.keys(cases))("%s", (op) => {
  const { compute, call, axes: dynamic } = cases[op] as Case;

  test("is in its case's graph", () => {
    const graph = trace(compute, call(5));
    const ops = [...graph.nodes, ...optimise(graph).nodes].map((node) => node.op);
    expect(ops).toContain(op);
  });

  test("computes what tfjs does at fixed sizes", async () => {
    const expected = await onCpu(compute, call(5));
    const { outputs } = await compiled(engine, compute, [call(5)]);
    expectSame(outputs[0] as HostTensors, expected);
  });

  test("computes what tfjs does for every size of one graph", async () => {
    const sizes = [4, 1, 7];
    const { outputs, graphs } = await compiled(engine, compute, sizes.map(call), dynamic);
    for (const [i, size] of sizes.entries()) {
      expectSame(outputs[i] as HostTensors, await onCpu(compute, call(size)));
    }
    expect(graphs).toBe(1);
  });
});
