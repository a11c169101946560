// Several branches over one trunk: each gives what it gives alone, whatever the forks of the others and their order.

import { expect, test } from "@jest/globals";
import { branchLogits } from "../../src/model/branch";
import { pooledParameters } from "../../src/model/head-parameters";
import { pooledHead } from "../../src/model/heads";
import { multiHeadLogits, type TaskHead, type TokenInputs } from "../../src/model/multi-head";
import { embeddingTensors, layerTensors, scoped } from "../../src/model/parameters";
import { type HostTensors, int32 } from "../../src/model/tensors";
import { trunkEntry } from "../../src/model/trunk";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { describeEachEngine } from "../engines/engines";
import { tinyBase } from "../tiny";

const base = tinyBase();
const { config } = base;
const tasks: TaskHead[] = [
  { name: "deep", fork: 3, layers: 1, head: pooledHead },
  { name: "full", fork: null, layers: 4, head: pooledHead },
  { name: "shallow", fork: 1, layers: 2, head: pooledHead },
  { name: "bare", fork: 0, layers: 1, head: pooledHead },
];
/** Heads of different widths and weights, by seed. */
const branches = tasks.map((task, i) => branchOfBase(base, task, pooledParameters(config.hiddenSize, 2 + i), 1 + i));

const inputs = {
  input_ids: int32([2, 4], Int32Array.of(2, 7, 8, 3, 2, 9, 3, 0)),
  token_type_ids: int32([2, 4], Int32Array.of(0, 0, 1, 1, 0, 0, 0, 0)),
  attention_mask: int32([2, 4], Int32Array.of(1, 1, 1, 1, 1, 1, 1, 0)),
};

describeEachEngine("several branches", (open) => {
  const together = async (chosen: readonly TaskHead[], shared: HostTensors) => {
    const engine = await open();
    const own = chosen.map(({ name }) =>
      scoped(name, branches[tasks.findIndex((task) => task.name === name)] as never),
    );
    const program = await engine.load(Object.assign({}, shared, ...own) as HostTensors, {
      run: (state, given) => ({ outputs: multiHeadLogits(state, given as unknown as TokenInputs, chosen, config) }),
    });
    const outputs = await program.run("run", inputs);
    program.dispose();
    return outputs;
  };

  const alone = async (task: TaskHead) => {
    const engine = await open();
    const branch = branches[tasks.indexOf(task)] as HostTensors;
    const { fork } = task;
    const trunk = fork === null ? {} : { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, fork) };
    const program = await engine.load(
      { ...scoped("own", branch), ...trunk },
      {
        run(state, given) {
          const own = Object.fromEntries(Object.entries(state).map(([name, x]) => [name.replace("task/own/", ""), x]));
          const from = fork === null ? given : { ...given, ...trunkEntry(config, fork)(state, given).outputs };
          return { outputs: { logits: branchLogits(own, from as never, task, config) } };
        },
      },
    );
    const { logits } = await program.run("run", inputs);
    program.dispose();
    return logits as HostTensors[string];
  };

  test("give what each gives alone, in any order", async () => {
    const shared = { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, 3) };
    for (const order of [tasks, [...tasks].reverse()]) {
      const outputs = await together(order, shared);
      expect(Object.keys(outputs).sort()).toEqual(tasks.map(({ name }) => name).sort());
      for (const task of tasks) {
        const expected = await alone(task);
        const { shape, data } = outputs[task.name] as HostTensors[string];
        expect(shape).toEqual(expected.shape);
        for (const [i, value] of data.entries()) expect(value).toBeCloseTo(expected.data[i] as number, 5);
      }
    }
  });

  test("need no trunk layer above their deepest fork, and none at all where all bring their own", async () => {
    const [, full, shallow] = tasks as [TaskHead, TaskHead, TaskHead];
    const lower = { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, 1) };
    expect(Object.keys(await together([shallow, full], lower)).sort()).toEqual(["full", "shallow"]);
    expect(Object.keys(await together([full], {}))).toEqual(["full"]);
  });
});
