// A merged folder under two writers, which are killed at random points of what they do to the file system, and four readers:
// what is read is always a version as it was committed, every task's logits are those of its run alone, to the bit, and in
// the end the folder holds what its history says, and nothing else. A share is twenty-five changes, by real processes.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, expect, test } from "@jest/globals";
import { splitmix32 } from "../../src/data/sample/sample";
import { filesOf, type Manifest } from "../../src/merge/folder/manifest";
import { readVersion } from "../../src/merge/folder/version";
import { collectGarbage } from "../../src/merge/history/gc";
import { merge, type Selection } from "../../src/merge/merge";
import type { Task } from "../../src/tasks/task";
import { readJson } from "../merged";
import { soakSeeds } from "../soak";
import { temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTiny, trainTinyTasks } from "../trained";

const CHANGES = 25;
/** A change passes some forty to eighty of the points at which a writer may be killed. */
const POINTS = 250;

const folder = temporaryFolder();
const base = tinyBase("tiny-soak");
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const runs: Selection[] = [];
let table: unknown;

type Tuple = Readonly<Record<string, string>>;

interface Line {
  readonly fault?: string;
  readonly table?: unknown;
  readonly did?: string;
  readonly id?: string;
  readonly saw?: string;
  readonly ran?: true;
  readonly by?: string;
  readonly tuple?: Tuple;
}

function start(mode: string, out: string, more: object, onLine: (line: Line) => void): ChildProcess {
  const given = { out, base: base.name, runs: runs.map(({ task, run }) => ({ task: task.name, folder: run.folder })) };
  const args = [path.join(__dirname, "history-worker.js"), mode, JSON.stringify({ ...given, table, ...more })];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"], env: process.env });
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => onLine(JSON.parse(line)));
  return child;
}

beforeAll(async () => {
  runs.push(...(await trainTinyTasks(folder, base)));
  for (const [name, layers] of [
    ["rte", 2],
    ["sst2", 1],
  ] as const) {
    runs.push({ task: taskOf(name), run: await trainTiny(folder, base, taskOf(name), layers) });
  }
  const child = start("expected", path.join(folder, "alone"), {}, (line) => {
    table = line.table;
  });
  expect((await once(child, "close"))[0]).toBe(0);
});

test.each(soakSeeds)("is one valid version after the other, whatever is killed (share %i)", async (seed) => {
  const out = path.join(folder, `share${seed}`);
  await merge({ out, base, selections: runs.slice(0, 2), allowUnshared: false, onnx: { check: null } });
  const random = splitmix32(seed, 0);
  const faults: string[] = [];
  const tuples = new Map<string, Tuple>();
  const ran: Tuple[] = [];
  const saw = new Map<string, Tuple>();
  let [changes, kills] = [0, 0];
  const readBy = new Set<string>();

  const onLine = (line: Line) => {
    if (line.fault !== undefined) faults.push(line.fault);
    if (line.did !== undefined) changes++;
    if (line.id && line.tuple) tuples.set(line.id, line.tuple);
    if (line.saw && line.tuple) saw.set(line.saw, line.tuple);
    if (line.ran && line.tuple) ran.push(line.tuple);
    if (line.by !== undefined) readBy.add(line.by);
  };
  const isDone = () => changes >= CHANGES || faults.length > 0;

  /** Writers one after the other, each until it is killed. */
  async function writers(): Promise<void> {
    while (!isDone()) {
      const draws = { seed: Math.floor(random() * 2 ** 31), killAt: 1 + Math.floor(random() * POINTS) };
      const child = start("writer", out, draws, onLine);
      const [, signal] = await once(child, "close");
      if (signal === "SIGKILL") kills++;
      else if (faults.length === 0) faults.push("a writer ended by itself");
    }
  }

  const readers = ["reader", "holder", "served", "onnx"].map((mode) => start(mode, out, {}, onLine));
  const closed = readers.map((reader) => once(reader, "close"));
  await Promise.all([writers(), writers()]);
  for (const reader of readers) reader.stdin?.write("stop\n");
  await Promise.all(closed);
  expect(faults).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(CHANGES / 8);
  expect([...readBy]).toEqual(expect.arrayContaining(["reader", "holder", "served"]));

  const log: readonly { version: string; command: string }[] = readJson(path.join(out, "flexbert.json")).log;
  const committed = new Set(log.map(({ version }) => version));
  for (const [id, tuple] of [...saw, ...tuples]) {
    expect(committed).toContain(id);
    expect(saw.get(id) ?? tuple).toEqual(tuples.get(id) ?? tuple);
  }
  const known = new Map([...saw, ...tuples]);
  if (log.every(({ version }) => known.has(version))) {
    for (const tuple of ran) expect([...known.values()]).toContainEqual(tuple);
  }
  expectHistory(log, known);

  // The next change puts right what a killed one left, whatever that is.
  await merge({ out, base, selections: runs.slice(2, 3), allowUnshared: false, onnx: { check: null } });
  const { id, manifest } = await readVersion(out);
  await collectGarbage(out, { keep: 0, olderThan: 0 });
  const tags: Readonly<Record<string, string>> = readJson(path.join(out, "flexbert.json")).tags;
  const kept = await Promise.all(
    [...new Set([id, ...Object.values(tags)])].map((version) => readVersion(out, { version })),
  );
  expect(filesIn(out)).toEqual(expectedFiles(manifest, kept));
  const reader = start("reader", out, {}, (line) => {
    onLine(line);
    if (line.saw) reader.stdin?.write("stop\n");
  });
  await once(reader, "close");
  expect(faults).toEqual([]);
});

/** Each change did to the tasks what its command says, and nothing to the others. */
function expectHistory(log: readonly { version: string; command: string }[], known: ReadonlyMap<string, Tuple>): void {
  for (const [i, { version, command }] of log.entries()) {
    const [before, after] = [known.get(log[i - 1]?.version ?? ""), known.get(version)];
    if (!before || !after) continue; // removed before anybody saw it
    const [verb, task = ""] = command.split(" ");
    if (verb === "rollback") {
      expect(log.slice(0, i).map((entry) => entry.version)).toContain(version);
      continue;
    }
    const { [task]: was, ...others } = before;
    const { [task]: is, ...left } = after;
    expect(left).toEqual(others);
    expect([was !== undefined, is !== undefined]).toEqual(
      {
        add: [false, true],
        update: [true, true],
        merge: [was !== undefined, true],
        remove: [true, false],
      }[verb as string],
    );
  }
}

const filesIn = (out: string) =>
  readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(out, path.join(entry.parentPath, entry.name)))
    .sort();

function expectedFiles(current: Manifest, kept: readonly { id: string; manifest: Manifest }[]): string[] {
  const texts = ["README.md", "config.json", "flexbert.json", "tokenizer_config.json", "vocab.txt"];
  const versions = kept.flatMap(({ id, manifest }) => [
    ...[".json", ".md", ...(manifest.onnx ? [".onnx"] : [])].map((suffix) => `manifests/${id}${suffix}`),
    ...filesOf(manifest),
  ]);
  return [...new Set([...texts, ...(current.onnx ? ["model.onnx"] : []), ...versions])].sort();
}
