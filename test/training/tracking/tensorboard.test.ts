// Event files: their framing and messages read back byte by byte, as TensorBoard does, also after a stopped run.
// The real reader agreed on the same files (docs/decisions.md).

import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { expect, test } from "@jest/globals";
import { maskedCrc32c } from "../../../src/checkpoints/formats/crc32c";
import { openEngine } from "../../../src/engines/open";
import { Interrupted } from "../../../src/messages/reporter";
import { placesOf } from "../../../src/model/place";
import { glueTasks } from "../../../src/tasks/glue";
import { tensorBoardTracker } from "../../../src/training/tracking/tensorboard";
import { finetune } from "../../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../../tiny";

const root = temporaryFolder();

interface Event {
  wallTime: number;
  step: number;
  version?: string;
  start?: boolean;
  scalars: Record<string, number>;
}

function readEvents(file: string): Event[] {
  const bytes = readFileSync(file);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? Number(bytes.readBigUInt64LE(at)) : Number.POSITIVE_INFINITY;
    if (at + 12 + length + 4 > bytes.length) break; // cut off, as TensorBoard takes it
    expect(bytes.readUInt32LE(at + 8)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    const message = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(message));
    events.push(readEvent(message));
    at += 12 + length + 4;
  }
  return events;
}

function readEvent(message: Uint8Array): Event {
  const reader = new BinaryReader(message);
  const event: Event = { wallTime: 0, step: 0, scalars: {} };
  while (reader.pos < reader.len) {
    const [field] = reader.tag();
    if (field === 1) event.wallTime = reader.double();
    else if (field === 2) event.step = Number(reader.int64());
    else if (field === 3) event.version = reader.string();
    else if (field === 5) Object.assign(event.scalars, readSummary(reader.bytes()));
    else if (field === 7)
      event.start = reader.bytes().join() === "8,1"; // status = START
    else throw new Error(`Event has no field ${field} here`);
  }
  return event;
}

function readSummary(message: Uint8Array): Record<string, number> {
  const reader = new BinaryReader(message);
  const scalars: Record<string, number> = {};
  while (reader.pos < reader.len) {
    expect(reader.tag()[0]).toBe(1);
    const value = new BinaryReader(reader.bytes());
    expect(value.tag()[0]).toBe(1);
    const tag = value.string();
    expect(value.tag()[0]).toBe(2);
    scalars[tag] = value.float();
  }
  return scalars;
}

const eventFiles = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("events.out.tfevents."));

/** What TensorBoard shows: files by name, and a start forgets all steps from its own on. */
function shown(folder: string): [string, number, number][] {
  let points: [string, number, number][] = [];
  for (const file of eventFiles(folder).sort()) {
    for (const { step, start, scalars } of readEvents(path.join(folder, file))) {
      if (start) points = points.filter(([, at]) => at < step);
      for (const [tag, value] of Object.entries(scalars)) points.push([tag, step, value]);
    }
  }
  return points;
}

test("holds each logged value, and leaves out undefined ones", async () => {
  const warnings: string[] = [];
  const begun = Date.now() / 1000;
  const tracker = tensorBoardTracker({ warn: (line) => void warnings.push(line) });
  const session = await tracker.begin({ folder: root, label: "a run", step: 0 });
  await session.log(10, { "train/loss": 0.5, "train/grad_norm": Number.NaN });
  await session.log(20, { "dev/pearson": null });
  await session.log(20, { "train/loss": 0.25 });
  await session.end("finished");
  const [file = ""] = eventFiles(root);
  const [version, start, ...rest] = readEvents(path.join(root, file));
  expect(version).toMatchObject({ version: "brain.Event:2", step: 0 });
  expect(start).toMatchObject({ start: true, step: 1 });
  expect(rest.map(({ step, scalars }) => [step, scalars])).toEqual([
    [10, { "train/loss": 0.5 }],
    [20, { "train/loss": 0.25 }],
  ]);
  expect(rest[0]?.wallTime).toBeGreaterThanOrEqual(begun);
  expect(rest[0]?.wallTime).toBeLessThanOrEqual(Date.now() / 1000);
  expect(warnings).toEqual([]);
});

test("a run that is stopped and resumed shows what metrics.jsonl says, once", async () => {
  writeTinyGlue(path.join(root, "glue"));
  const { engine } = await openEngine("wasm", {});
  const request = {
    task: glueTasks.rte,
    base: tinyBase(),
    places: placesOf(4, [2]),
    seeds: [1],
    training: { ...tinyTraining, epochs: 5 },
  };
  const run = { ...tinyRun(root), saveEvery: 0 };
  let left = 20; // 9 of them for the trunk
  const first = quietContext(engine, (abort) => void (--left === 0 && abort())).context;
  const trackers = [tensorBoardTracker(first.reporter)];
  let folder = "";
  await finetune({ ...request, run }, { ...first, trackers }).catch((error) => {
    if (!(error instanceof Interrupted)) throw error;
    folder = error.folder ?? "";
  });
  expect(folder).not.toBe("");
  // A killed process may have gone beyond its saved state, and leave half a record.
  const [file = ""] = eventFiles(folder);
  const ahead = lastRecord(await loggedAhead(19));
  appendFileSync(path.join(folder, file), Buffer.concat([ahead, ahead.subarray(0, 20)]));
  await finetune({ ...request, run }, { ...quietContext(engine).context, trackers });
  expect(eventFiles(folder)).toHaveLength(2);
  const lines = readFileSync(path.join(folder, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const losses = lines.flatMap(({ step, loss }) =>
    loss === undefined ? [] : [["train/loss", step, Math.fround(loss)]],
  );
  const scores = lines.flatMap(({ step, dev }) => (dev ? [["dev/accuracy", step, Math.fround(dev.accuracy)]] : []));
  const points = shown(folder);
  expect(losses.length).toBeGreaterThan(2);
  expect(points.filter(([tag]) => tag === "train/loss")).toEqual(losses);
  expect(points.filter(([tag]) => tag === "dev/accuracy")).toEqual(scores);
  // Trained anew, only the new file is left.
  await finetune({ ...request, run: { ...run, force: true } }, { ...quietContext(engine).context, trackers });
  expect(eventFiles(folder)).toHaveLength(1);
});

/** An event file in which a step was logged. */
async function loggedAhead(step: number): Promise<Buffer> {
  const folder = path.join(root, "ahead");
  mkdirSync(folder);
  const session = await tensorBoardTracker({ warn: () => undefined }).begin({ folder, label: "ahead", step: 0 });
  await session.log(step, { "train/loss": 99 });
  return readFileSync(path.join(folder, eventFiles(folder)[0] as string));
}

function lastRecord(bytes: Buffer): Buffer {
  let last = 0;
  for (let at = 0; at < bytes.length; at += 12 + Number(bytes.readBigUInt64LE(at)) + 4) last = at;
  return bytes.subarray(last);
}

test("a folder that goes away is said once, and nothing is thrown", async () => {
  const folder = path.join(root, "gone");
  writeFileSync(folder, "a file, where a folder should be");
  const warnings: string[] = [];
  const session = await tensorBoardTracker({ warn: (line) => void warnings.push(line) }).begin({
    ...{ folder, label: "rte k=2", step: 0 },
  });
  await session.log(10, { "train/loss": 1 });
  await session.end("failed");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/TensorBoard sees nothing of rte k=2; it trains on/);
  rmSync(folder);
});
