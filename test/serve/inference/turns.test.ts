// Batches one after the other, and steps of preparing between them.

import { expect, test } from "@jest/globals";
import { openTurns } from "../../../src/serve/inference/turns";

/** A batch that ends when it is told to. */
function heldBatch(log: string[], name: string) {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    release: () => release(),
    run: async () => {
      log.push(`${name} begins`);
      await held;
      log.push(`${name} ends`);
    },
  };
}

test("a step waits for a pause, behind the batches that came meanwhile", async () => {
  const turns = openTurns(3_600_000);
  const log: string[] = [];
  const [a, b] = [heldBatch(log, "a"), heldBatch(log, "b")];
  const ran = turns.run(a.run);
  const step = turns.pace().then(() => log.push("step"));
  const then = turns.run(b.run);
  a.release();
  await ran;
  b.release();
  await Promise.all([then, step]);
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "step"]);
});

test("where there is no pause, a step goes on after its time", async () => {
  const turns = openTurns(1);
  const log: string[] = [];
  const batch = heldBatch(log, "a");
  const ran = turns.run(batch.run);
  await turns.pace();
  expect(log).toEqual(["a begins"]);
  batch.release();
  await ran;
});

test("a batch that fails is told to who gave it, and the next one runs", async () => {
  const turns = openTurns();
  const failed = turns.run(() => Promise.reject(new Error("no")));
  const next = turns.run(async () => undefined);
  await expect(failed).rejects.toThrow("no");
  await next;
  await turns.after();
  await turns.pace();
});
