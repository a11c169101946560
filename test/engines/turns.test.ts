// Turns at a device: never two at once, in order, and one that fails holds nobody up.

import { expect, test } from "@jest/globals";
import { openTurns } from "../../src/engines/onnx/device/turns";

test("tasks run one at a time in the order in which they came, whatever became of the one before", async () => {
  const turns = openTurns();
  const order: string[] = [];
  let running = 0;
  const task = (name: string, fails: boolean) => async () => {
    running++;
    expect(running).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(name);
    running--;
    if (fails) throw new Error(name);
    return name;
  };
  const results = await Promise.allSettled([
    turns(task("a", false)),
    turns(task("b", true)),
    turns(task("c", false)),
    turns(task("d", true)),
    turns(task("e", false)),
  ]);
  expect(order).toEqual(["a", "b", "c", "d", "e"]);
  expect(results.map(({ status }) => status === "fulfilled")).toEqual([true, false, true, false, true]);
});

test("a brief task is done at once where none is under way, and waits for one that is", async () => {
  const turns = openTurns();
  const order: string[] = [];
  turns.brief(() => void order.push("at once"));
  order.push("after the call");
  const run = turns(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push("run");
  });
  turns.brief(() => void order.push("after the run"));
  await run;
  await turns(async () => undefined);
  expect(order).toEqual(["at once", "after the call", "run", "after the run"]);
});
