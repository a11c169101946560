// Batches handed to processes that are values here: order, a second try, what is given up, and pauses.

import { describe, expect, test } from "@jest/globals";
import { type Connection, ProcessEnded } from "../../../src/serve/inference/connection";
import { handBatches } from "../../../src/serve/inference/handing";
import { type BatchPart, type BatchRun, InferenceLost } from "../../../src/serve/inference/inference";
import type { Place } from "../../../src/serve/inference/place";
import { until } from "../../until";

const whole: BatchRun = { ms: 1, pieces: [] };
const part = (task: string, ...rows: number[]): BatchPart => ({
  task,
  rows,
  logits: Float32Array.from(rows, (row) => row / 2),
  outputs: 1,
  at: 0,
});

/** A place whose processes do what is written for them. */
function stage(name: string, log: string[]) {
  let running: {
    onPart: (part: BatchPart) => void;
    resolve: (run: BatchRun) => void;
    reject: (e: Error) => void;
  } | null;
  let down: string | null = null;
  const process = () => {
    const versions = new Map([["v1", {}]]);
    let end: () => void = () => undefined;
    const ended = new Promise<string>((resolve) => {
      end = () => resolve("gone");
    });
    const connection = {
      ...{ versions, ended },
      open: async (version: string) => void versions.set(version, {}),
      run: (version: string, _: unknown, onPart: (part: BatchPart) => void) => {
        log.push(`${name} runs ${version}`);
        return new Promise<BatchRun>((resolve, reject) => {
          running = { onPart, resolve, reject };
        });
      },
    };
    return { connection: connection as unknown as Connection, end };
  };
  let current: ReturnType<typeof process> | null = process();
  return {
    place: {
      ...{ connection: () => current?.connection ?? null, down: () => down, proved: () => undefined },
    } as unknown as Place,
    busy: () => running != null,
    give: (one: BatchPart) => running?.onPart(one),
    finish() {
      running?.resolve(whole);
      running = null;
    },
    async fail(error: Error) {
      running?.reject(error);
      running = null;
      if (!(error instanceof ProcessEnded)) return;
      const dead = current;
      current = null;
      dead?.end();
    },
    start() {
      current = process();
    },
    isDown(why: string) {
      down = why;
    },
  };
}

const died = () => new ProcessEnded("on SIGKILL");

describe("handing", () => {
  test("each batch to a free process, in order", async () => {
    const log: string[] = [];
    const [a, b] = [stage("a", log), stage("b", log)];
    const handing = handBatches([a.place, b.place]);
    const runs = ["v1", "v2", "v3"].map((version) => handing.run(version, [], () => undefined));
    await until(() => log.length === 2);
    b.finish();
    await runs[1];
    await until(() => log.length === 3);
    expect(log).toEqual(["a runs v1", "b runs v2", "b runs v3"]);
    a.finish();
    b.finish();
    expect(await Promise.all(runs)).toEqual([whole, whole, whole]);
  });

  test("a batch whose process died runs elsewhere, before others, and gives each part once", async () => {
    const log: string[] = [];
    const [a, b] = [stage("a", log), stage("b", log)];
    const handing = handBatches([a.place, b.place]);
    const given: string[] = [];
    const run = handing.run("v1", [], ({ task, rows }) => void given.push(`${task} ${rows}`));
    const other = handing.run("v1", [], () => undefined);
    const later = handing.run("v3", [], () => undefined);
    await until(() => log.length === 2);
    a.give(part("low", 0, 2));
    a.give(part("low", 1));
    await a.fail(died());
    b.finish();
    await other;
    await until(() => log.length === 3);
    for (const one of [part("low", 0, 2), part("low", 1), part("top", 0, 1, 2)]) b.give(one);
    b.finish();
    expect(await run).toEqual(whole);
    expect(given).toEqual(["low 0,2", "low 1", "top 0,1,2"]);
    await until(() => log.length === 4);
    expect(log.slice(2)).toEqual(["b runs v1", "b runs v3"]);
    b.finish();
    await later;
  });

  test("a batch that two processes died of is lost, and the next one runs", async () => {
    const log: string[] = [];
    const a = stage("a", log);
    const handing = handBatches([a.place]);
    const run = handing.run("v1", [], () => undefined);
    for (const _ of [1, 2]) {
      await until(a.busy);
      await a.fail(died());
      a.start();
      handing.look();
    }
    await expect(run).rejects.toThrow(InferenceLost);
    const next = handing.run("v1", [], () => undefined);
    await until(a.busy);
    a.finish();
    expect(await next).toEqual(whole);
  });

  test("a batch that is tried again gives each row once, in whatever parts", async () => {
    const log: string[] = [];
    const [a, b] = [stage("a", log), stage("b", log)];
    const handing = handBatches([a.place, b.place]);
    const given: string[] = [];
    const run = handing.run("v1", [], ({ rows, logits }) => void given.push(`${rows}: ${logits}`));
    await until(() => log.length === 1);
    a.give(part("leaves", 2, 5));
    await a.fail(died());
    await until(() => log.length === 2);
    for (const one of [part("leaves", 5), part("leaves", 0, 2, 3), part("leaves", 1, 4)]) b.give(one);
    b.finish();
    await run;
    expect(given).toEqual(["2,5: 1,2.5", "0,3: 0,1.5", "1,4: 0.5,2"]);
  });

  test("what the engine throws is the batch's own, and is not tried again", async () => {
    const log: string[] = [];
    const a = stage("a", log);
    const run = handBatches([a.place]).run("v1", [], () => undefined);
    await until(a.busy);
    await a.fail(new Error("bad ids"));
    await expect(run).rejects.toThrow("bad ids");
    expect(log).toEqual(["a runs v1"]);
  });

  test("where no process starts, what waits is given up and nothing more is taken", async () => {
    const a = stage("a", []);
    const handing = handBatches([a.place]);
    const first = handing.run("v1", [], () => undefined);
    await until(a.busy);
    await a.fail(died());
    a.isDown("no memory");
    handing.look();
    await expect(first).rejects.toThrow(/no memory/);
    await expect(handing.run("v1", [], () => undefined)).rejects.toThrow(InferenceLost);
  });

  test("a place that is to change hands ends its batch first, and gets none until then", async () => {
    const log: string[] = [];
    const a = stage("a", log);
    const handing = handBatches([a.place]);
    const run = handing.run("v1", [], () => undefined);
    await until(a.busy);
    const changed = handing.between(a.place, async () => void log.push("changes"));
    const next = handing.run("v2", [], () => undefined);
    a.finish();
    await Promise.all([run, changed]);
    await until(a.busy);
    a.finish();
    await next;
    expect(log).toEqual(["a runs v1", "changes", "a runs v2"]);
  });

  test("others go before a place that opens a version", async () => {
    const log: string[] = [];
    const [a, b] = [stage("a", log), stage("b", log)];
    const handing = handBatches([a.place, b.place]);
    await handing.beside(a.place, async () => {
      const runs = [1, 2].map(() => handing.run("v1", [], () => undefined));
      await until(() => log.length === 2);
      a.finish();
      b.finish();
      await Promise.all(runs);
    });
    expect(log).toEqual(["b runs v1", "a runs v1"]);
  });

  test("at the end nothing is taken, and what waits is given up", async () => {
    const a = stage("a", []);
    const handing = handBatches([a.place]);
    const [running, waiting] = [1, 2].map(() => handing.run("v1", [], () => undefined));
    await until(a.busy);
    handing.end();
    await expect(waiting).rejects.toThrow(InferenceLost);
    await expect(handing.run("v1", [], () => undefined)).rejects.toThrow(/the server ends/);
    a.finish();
    expect(await running).toEqual(whole);
  });
});
