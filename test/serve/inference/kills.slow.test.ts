// Inference processes that are killed, stopped and orphaned, and versions opened and closed many times: what was asked is
// answered or told as lost, and nothing is left behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeAll, expect, test } from "@jest/globals";
import { type BatchRow, InferenceLost } from "../../../src/serve/inference/inference";
import { type InferenceOptions, type StartedInference, startInference } from "../../../src/serve/inference/start";
import { engineAbsence } from "../../engines/engines";
import { onWindows, unless } from "../../skips";
import { temporaryFolder } from "../../tiny";
import { until } from "../../until";
import { base, hearing, makeServedFolder, type ServedFolder, storeTwin } from "../served-folder";

const folder = temporaryFolder();
let served: ServedFolder;
const started: StartedInference[] = [];
const tasks = ["sst2", "stsb", "rte"];

const rows: BatchRow[] = Array.from({ length: 6 }, (_, row) => ({
  ids: Int32Array.from({ length: 5 + row }, (_, i) => (7 * i + row) % base.config.vocabSize),
  typeIds: new Int32Array(5 + row),
  tasks,
}));

async function start(options: Partial<InferenceOptions> = {}) {
  const { reporter, lines } = hearing();
  const given = {
    folder: served.merged,
    version: served.first,
    workers: 1,
    threads: 1,
    reporter,
    silence: 3600,
    ...options,
  };
  const inference = await startInference(given);
  started.push(inference);
  return { inference, lines };
}

afterEach(async () => {
  for (const inference of started.splice(0)) await inference.shutdown();
});

const pidsOf = (inference: StartedInference) => inference.state().map(({ pid }) => pid);

/** Whether a process runs: one that nobody has waited for yet does not. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== "linux") return true;
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** With flags for every process of Node's that is started meanwhile. */
async function withNodeOptions(flags: string, act: () => Promise<void>): Promise<void> {
  const before = process.env["NODE_OPTIONS"];
  process.env["NODE_OPTIONS"] = `${before ?? ""} ${flags}`;
  try {
    await act();
  } finally {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
  }
}

/** Stops a process, and ends when it stands still: until then it may answer. */
async function stop(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  if (process.platform === "linux") await until(() => /\) T /.test(readFileSync(`/proc/${pid}/stat`, "utf8")));
}

/** Every logit of a batch, by task and row. */
async function answersOf(inference: StartedInference, version = served.first) {
  const found: Record<string, number[]> = {};
  await inference.run(version, rows, ({ task, rows: own, logits, outputs }) => {
    for (const [i, row] of own.entries()) {
      expect(found[`${task} ${row}`]).toBeUndefined();
      found[`${task} ${row}`] = Array.from(logits.subarray(i * outputs, (i + 1) * outputs));
    }
  });
  expect(Object.keys(found)).toHaveLength(rows.length * tasks.length);
  return found;
}

const missing = engineAbsence("onnx") ?? onWindows;

unless(missing).describe("an inference process", () => {
  beforeAll(async () => {
    served = await makeServedFolder(folder);
  });

  test("that is killed in a batch is started again, and the batch runs in the new one", async () => {
    const { inference, lines } = await start();
    await inference.open(served.second); // as many as are open come back
    const wanted = [await answersOf(inference), await answersOf(inference, served.second)];
    const [pid] = pidsOf(inference) as [number];
    await stop(pid); // so that it dies with the batch, whatever the machine is doing
    const answers = [answersOf(inference), answersOf(inference, served.second)];
    process.kill(pid, "SIGKILL");
    expect(await Promise.all(answers)).toEqual(wanted);
    expect(inference.state()).toMatchObject([{ alive: true, restarts: 1 }]);
    expect(pidsOf(inference)).not.toEqual([pid]);
    expect(lines.filter((line) => line.startsWith("warning"))).toEqual([
      expect.stringMatching(new RegExp(`inference process ${pid}: its process ended on SIGKILL .*Starting another`)),
    ]);
  });

  test("beside another: the batch runs there, before the new one is there", async () => {
    const { inference } = await start({ workers: 2 });
    const [first, second] = pidsOf(inference) as [number, number];
    await stop(first);
    const answers = answersOf(inference);
    process.kill(first, "SIGKILL");
    await answers;
    expect(pidsOf(inference)).toContain(second);
    await until(() => inference.state().every(({ alive }) => alive));
    expect(pidsOf(inference)).not.toContain(first);
  });

  test("twice by one batch: it is lost, the others are not, and the next one runs", async () => {
    // Dies of a batch of several rows, as of one that the engine takes no more memory for; not of warming up.
    const poison = path.join(folder, "poison");
    const preload = path.join(folder, "poison.cjs");
    writeFileSync(
      preload,
      `const { existsSync } = require("node:fs");
       const { InferenceSession } = require(${JSON.stringify(require.resolve("onnxruntime-node"))});
       const create = InferenceSession.create;
       InferenceSession.create = async (...args) => {
         const session = await create(...args);
         const run = session.run.bind(session);
         session.run = async (feeds, ...given) => {
           const rows = feeds.attention_mask?.dims[0];
           if (rows > 1 && existsSync(${JSON.stringify(poison)})) process.kill(process.pid, "SIGKILL");
           return run(feeds, ...given);
         };
         return session;
       };`,
    );
    await withNodeOptions(`--require ${JSON.stringify(preload)}`, async () => {
      const { inference } = await start();
      const wanted = await answersOf(inference);
      writeFileSync(poison, "");
      const poisoned = answersOf(inference);
      const other = inference.run(served.first, rows.slice(0, 1), () => undefined);
      await expect(poisoned).rejects.toThrow(/^the batch was lost 2 times: its process ended on SIGKILL/);
      await expect(poisoned).rejects.toBeInstanceOf(InferenceLost);
      await other;
      rmSync(poison);
      expect(await answersOf(inference)).toEqual(wanted);
      expect(inference.state()).toMatchObject([{ alive: true, restarts: 2 }]);
    });
  });

  test("whose successors die as well: the batch is lost, and served again where they live", async () => {
    const { inference } = await start();
    const wanted = await answersOf(inference);
    await withNodeOptions("--require /nowhere/to/be/found.js", async () => {
      // No process starts.
      const [pid] = pidsOf(inference) as [number];
      await stop(pid);
      const lost = answersOf(inference);
      process.kill(pid, "SIGKILL");
      await expect(lost).rejects.toThrow(/no inference process runs: its process ended/);
      await expect(answersOf(inference)).rejects.toThrow(InferenceLost);
      expect(inference.state()).toMatchObject([{ alive: false }]);
    });
    await until(() => inference.state().every(({ alive }) => alive));
    expect(await answersOf(inference)).toEqual(wanted);
  });

  test("that gives no sign of life is killed, and its batch answered by another", async () => {
    const { inference, lines } = await start({ silence: 2 });
    const wanted = await answersOf(inference);
    await stop(pidsOf(inference)[0] as number);
    const [answer] = await Promise.allSettled([answersOf(inference)]);
    // On a machine that gives the new process no time either it is lost.
    if (answer.status === "fulfilled") expect(answer.value).toEqual(wanted);
    else expect(answer.reason).toBeInstanceOf(InferenceLost);
    expect(lines.join("\n")).toMatch(/it gave no sign of life for 2 seconds. Starting another/);
  });

  test("is followed by a fresh one between two batches, and none is lost", async () => {
    const { inference } = await start({ workers: 2 });
    await inference.open(served.second);
    const wanted = await answersOf(inference);
    const old = pidsOf(inference);
    let over = false;
    let count = 0;
    const load = [1, 2, 3, 4].map(async () => {
      while (!over) {
        expect(await answersOf(inference)).toEqual(wanted);
        count += 1;
      }
    });
    await inference.renew();
    over = true;
    await Promise.all(load);
    expect(count).toBeGreaterThan(0);
    expect(pidsOf(inference).filter((pid) => old.includes(pid))).toEqual([]);
    expect(inference.state()).toMatchObject([
      { alive: true, restarts: 0 },
      { alive: true, restarts: 0 },
    ]);
    await until(() => !old.some(isRunning));
    await answersOf(inference, served.second);
  });

  test("has as much open after two hundred versions as before", async () => {
    const { inference } = await start();
    // Versions of two contents in turn: each opens the branch that the one before it has not.
    let current = served.first;
    const openFiles = () => inference.look().then((states) => states.map(({ graphs, handles }) => [graphs, handles]));
    await answersOf(inference);
    const before = await openFiles();
    const wanted = [await answersOf(inference)];
    for (let i = 0; i < 200; i++) {
      const next = storeTwin(served.merged, i % 2 ? served.first : served.second, i);
      await inference.open(next);
      if (i < 2) wanted[i + 1] = await answersOf(inference, next);
      await inference.close(current);
      current = next;
    }
    expect(await openFiles()).toEqual(before);
    expect(wanted[2]).toEqual(wanted[0]);
    expect(wanted[1]).not.toEqual(wanted[0]);
    expect(await answersOf(inference, current)).toEqual(wanted[0]);
  });

  test("ends when its parent is killed, whatever it was told", async () => {
    const script = `
      const { startInference } = require(${JSON.stringify(path.resolve(__dirname, "../../../dist/serve/inference/start.js"))});
      const reporter = { log() {}, warn() {}, progress: () => ({ advance() {}, end() {} }) };
      startInference({ folder: ${JSON.stringify(served.merged)}, workers: 2, threads: 1, reporter }).then((inference) => {
        console.log(JSON.stringify(inference.state().map(({ pid }) => pid)));
        setInterval(() => undefined, 1000);
      });`;
    const parent = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface({ input: parent.stdout }), "line");
    const pids: number[] = JSON.parse(line);
    expect(pids.filter(isRunning)).toEqual(pids);
    for (const pid of pids) process.kill(pid, "SIGTERM"); // a group's signal: the parent decides, and it lives
    parent.kill("SIGKILL");
    await until(() => !pids.some(isRunning));
  });

  test("lives through signals to its group, and ends with the server", async () => {
    const { inference } = await start();
    const pids = pidsOf(inference);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(pids[0] as number, signal);
    await answersOf(inference);
    expect(inference.state()).toMatchObject([{ alive: true, restarts: 0 }]);
    await inference.shutdown();
    expect(pids.some(isRunning)).toBe(false);
    await expect(answersOf(inference)).rejects.toThrow(InferenceLost);
  });

  test("a start that is stopped leaves none", async () => {
    const controller = new AbortController();
    const stopped = start({ workers: 2, signal: controller.signal });
    controller.abort();
    await expect(stopped).rejects.toMatchObject({ name: "Interrupted" });
  });
});
