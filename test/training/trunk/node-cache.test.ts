// Trunk activations that processes of one machine share: the bits of a trunk of one's own, computed once; nobody waits for who
// does not go on; what is damaged, another user's or too slow is not used.

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open as openFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeAll, expect, test } from "@jest/globals";
import { type EncodedRows, encodeExamples } from "../../../src/batches/rows";
import type { Base } from "../../../src/checkpoints/bases/base";
import { readSplit } from "../../../src/data/read-split";
import type { Engine } from "../../../src/engines/engine";
import { openEngine } from "../../../src/engines/open";
import { processStart } from "../../../src/files/process-start";
import { Interrupted } from "../../../src/messages/reporter";
import { glueTasks } from "../../../src/tasks/glue";
import { createTokenizer } from "../../../src/tokenizer/tokenizer";
import { openNodeCache } from "../../../src/training/trunk/node-cache";
import { openTrunk, type Trunk } from "../../../src/training/trunk/trunk";
import { check, readOnly, recordOf, SMALL, writeRows } from "../../../src/training/trunk/trunk-file";
import { onWindows, unless } from "../../skips";
import { quietContext, temporaryFolder, tinyBase, writeTinyGlue } from "../../tiny";
import { until } from "../../until";

const base = tinyBase();
const root = temporaryFolder();
const opened: Trunk[] = [];
let engine: Engine;
let made = 0;

afterEach(async () => {
  for (const trunk of opened.splice(0)) await trunk.dispose();
});

beforeAll(async () => {
  engine = (await openEngine("wasm", {})).engine;
  writeTinyGlue(path.join(root, "glue"), 70);
});

async function tinyRows() {
  const { examples } = await readSplit(glueTasks.rte, "train", { glueData: path.join(root, "glue") });
  return encodeExamples(glueTasks.rte, examples, createTokenizer(base.tokenizer), 32);
}

/** A folder of a node, and trunks as processes of it would open them. */
async function node() {
  const given = path.join(root, `node-${made++}`);
  const folder = (await openNodeCache(given, quietContext(engine).context)) as string;
  const rows = await tinyRows();
  const process = async (by: Engine = engine, nodeCache: string | null = folder) => {
    let passes = 0;
    const stopping = new AbortController();
    const one = quietContext(by);
    const progress = () => {
      passes++;
      return { advance: () => undefined, end: () => undefined };
    };
    const { signal } = stopping;
    const context = { ...one.context, signal, reporter: { ...one.context.reporter, progress } };
    const options = { budget: 1e9, folder: path.join(given, "scratch"), label: "rte train", nodeCache };
    const trunk = await openTrunk(base, rows, options, context);
    opened.push(trunk);
    return {
      ...one,
      passes: () => passes,
      stop: () => stopping.abort(),
      values: async (fork: number) => (await trunk.at(fork)).read({ rows: [3, 68, 0], length: 30 }, 4),
    };
  };
  const files = () => readdirSync(folder).sort();
  return { given, folder, files, process, alone: () => process(engine, null) };
}

const [file1, file3] = [expect.stringMatching(/^[0-9a-f]{32}-1\.trunk$/), expect.stringMatching(/-3\.trunk$/)];

test("one computes and the others read, each fork from the deepest that is there, with the bits of one's own", async () => {
  const { process, alone, files } = await node();
  const [first, second, third, own] = [await process(), await process(), await process(), await alone()];
  const at1 = await own.values(1);
  const at3 = await own.values(3);
  expect([await first.values(1), first.passes()]).toEqual([at1, 2]);
  expect([await second.values(1), second.passes()]).toEqual([at1, 0]);
  expect([await second.values(3), second.passes()]).toEqual([at3, 2]);
  expect([await third.values(3), third.passes()]).toEqual([at3, 0]);
  // Back to a shallower one: what is there is read again, and what is not is computed from the embeddings.
  expect([await third.values(1), third.passes()]).toEqual([at1, 0]);
  expect([await third.values(2), third.passes()]).toEqual([await own.values(2), 1]);
  expect(files()).toEqual([file1, expect.stringMatching(/-2\.trunk$/), file3]);
});

test("other rows, another base and another precision have files of their own", async () => {
  const { process, files, folder } = await node();
  await (await process()).values(1);
  await (await process({ ...engine, precision: "bf16" })).values(1);
  const options = { budget: 1e9, folder, label: "rte train", nodeCache: folder };
  const rows = await tinyRows();
  const { context } = quietContext(engine);
  const trunkOf = async (from: Base, read: EncodedRows) => {
    const trunk = await openTrunk(from, read, options, context);
    opened.push(trunk);
    return trunk;
  };
  await (await trunkOf(tinyBase("other", { seed: 2 }), rows)).at(1);
  const ids = Array.from(rows.lengths, (_, row) => Int32Array.from(rows.ids.at(row) as Int32Array));
  (ids[9] as Int32Array)[2] = 7;
  await (await trunkOf(base, { ...rows, ids })).at(1);
  expect(new Set(files().map((name) => name.slice(0, 32))).size).toBe(4);
});

test.each([
  ["a byte", (content: Buffer) => content.fill(content.readUInt8(5000) ^ 1, 5000, 5001)],
  ["its end", (content: Buffer) => content.subarray(0, content.length - 4)],
  ["its record", (content: Buffer) => content.fill(0, 0, 900)],
])("a file that lost %s is removed and computed again", async (_, damage) => {
  const { process, alone, files, folder } = await node();
  await (await process()).values(1);
  const [name = ""] = files();
  const file = path.join(folder, name);
  writeFileSync(file, damage(readFileSync(file)));
  const next = await process();
  expect(await next.values(1)).toEqual(await (await alone()).values(1));
  expect(next.passes()).toBe(2);
  expect(next.lines).toContainEqual(expect.stringMatching(/-1\.trunk cannot be used \(.*\): it is removed/));
  const last = await process();
  await last.values(1);
  expect(last.passes()).toBe(0);
});

/** An engine that computes when it is let. */
function held(): { by: Engine; let: () => void; asked: Promise<void> } {
  let [go, ask] = [() => {}, () => {}];
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const load: Engine["load"] = async (...given) => {
    ask();
    await gate;
    return engine.load(...given);
  };
  return { by: { ...engine, load }, let: go, asked };
}

/** Resolves when a process says that it waits. */
const waiting = async ({ lines }: { lines: string[] }) => {
  await until(() => lines.some((line) => /waiting for trunk activations under fork 1: .* is in use by/.test(line)));
};

test("who comes meanwhile waits, and reads", async () => {
  const { process, alone } = await node();
  const { by, let: go, asked } = held();
  const [first, second] = [await process(by), await process()];
  const early = first.values(1);
  await asked;
  const late = second.values(1);
  await waiting(second);
  go();
  const expected = await (await alone()).values(1);
  expect([await early, await late]).toEqual([expected, expected]);
  expect(second.passes()).toBe(0);
});

test("who waits can be stopped", async () => {
  const { process } = await node();
  const { by, let: go, asked } = held();
  const first = (await process(by)).values(1);
  await asked;
  const second = await process();
  const late = second.values(1);
  await waiting(second);
  second.stop();
  await expect(late).rejects.toThrow(Interrupted);
  go();
  await first;
});

/** The lock of a claim on fork 1, with a holder of this host. */
async function claimed({ process, folder, files }: Awaited<ReturnType<typeof node>>, pid: number, secondsAgo: number) {
  // A file's name is found where one is written.
  await (await process()).values(1);
  const [name = ""] = files();
  rmSync(path.join(folder, name));
  const claim = path.join(folder, name.replace(".trunk", ".claim"));
  mkdirSync(claim);
  const holder = { host: os.hostname(), pid, start: processStart(pid), purpose: "fork 1", token: "theirs", beat: 2 };
  const lock = path.join(claim, ".flexbert.lock");
  writeFileSync(lock, JSON.stringify(holder));
  const then = Date.now() / 1000 - secondsAgo;
  utimesSync(lock, then, then);
}

const thisProcess = process.pid;

test("one that was killed while it computed blocks nobody: the next computes for all", async () => {
  const place = await node();
  await claimed(place, 2 ** 22 + 1, 1); // no system gives out such an id
  const next = await place.process();
  await next.values(1);
  expect([next.passes(), place.files()]).toEqual([2, [file1]]);
});

test("one that is suspended blocks nobody: others compute for themselves", async () => {
  const place = await node();
  await claimed(place, thisProcess, 3600);
  const next = await place.process();
  await next.values(1);
  expect([next.passes(), place.files()]).toEqual([2, [expect.stringMatching(/-1\.claim$/)]]);
});

test("who waited for one that had nothing to share waits for no other", async () => {
  const place = await node();
  const { by, let: go, asked } = held();
  const [first, second] = [await place.process(by), await place.process()];
  const early = first.values(1);
  early.catch(() => undefined);
  await asked;
  const late = second.values(1);
  await waiting(second);
  // It stops, and in the moment in which it lets go another has the claim.
  const [claim = ""] = readdirSync(place.folder);
  const lock = path.join(place.folder, claim, ".flexbert.lock");
  const holder = JSON.parse(readFileSync(lock, "utf8"));
  writeFileSync(`${lock}.new`, JSON.stringify({ ...holder, purpose: "another", token: "other" }));
  renameSync(`${lock}.new`, lock);
  await late;
  expect([second.passes(), place.files()]).toEqual([2, [claim]]);
  first.stop();
  go();
  await expect(early).rejects.toThrow(Interrupted);
});

unless(onWindows).test("a folder that others may write is not used, and that is said", async () => {
  const given = path.join(root, "theirs");
  const { context, lines } = quietContext(engine);
  const folder = (await openNodeCache(given, context)) as string;
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  chmodSync(folder, 0o777);
  expect(await openNodeCache(given, context)).toBeNull();
  writeFileSync(path.join(root, "file"), "");
  expect(await openNodeCache(path.join(root, "file/below"), context)).toBeNull();
  expect(lines).toEqual([
    expect.stringMatching(/^--node-cache .*theirs: it is not this user's alone: trunk activations are not shared$/),
    expect.stringMatching(/^--node-cache .*below: .*: trunk activations are not shared$/),
  ]);
});

test("what nobody opened for a day goes, whatever a killed process left too", async () => {
  const { given, folder, process, files } = await node();
  await (await process()).values(1);
  await (await process()).values(3);
  const [old = "", fresh = ""] = files();
  const then = Date.now() / 1000 - 25 * 3600;
  mkdirSync(path.join(folder, "left.claim"));
  writeFileSync(path.join(folder, ".left.trunk.1-0123abcd.tmp"), "half");
  for (const name of [old, "left.claim", ".left.trunk.1-0123abcd.tmp"]) utimesSync(path.join(folder, name), then, then);
  await openNodeCache(given, quietContext(engine).context);
  expect(files()).toEqual([fresh]);
});

test("rows that take longer to write and to read than to compute are given up", async () => {
  const lengths = new Int32Array(40).fill(1000);
  const hidden = Math.ceil((SMALL + 8e6) / 4 / 40_000);
  const valuesOf = (row: number) => new Float32Array(1000 * hidden).map((_, i) => row + i / 7);
  const read = async ({ rows: [row] }: { readonly rows: readonly number[] }) => valuesOf(row as number);
  const store = { place: "", memoryBytes: 0, read, write: async () => {}, dispose: async () => {} };
  const file = path.join(root, "large");
  const handle = await openFile(file, "w+");
  const { signal } = quietContext(engine).context;
  try {
    expect(await writeRows(handle, store, lengths, hidden, 0, signal)).toBeNull();
    const record = await writeRows(handle, store, lengths, hidden, 1e9, signal);
    expect(record).toEqual(await recordOf(handle, 40_000 * hidden * 4));
    await check(handle, record as NonNullable<typeof record>, signal);
    const { read: readBack } = readOnly(handle, lengths, hidden, file);
    for (const row of [0, 2, 3, 39]) {
      const found = await readBack({ rows: [row], length: 1000 }, 1);
      expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(valuesOf(row).buffer))).toBe(0);
    }
  } finally {
    await handle.close();
  }
});
