// The versions of a merged folder: what makes one and what does not, what a change touches, going back, names, garbage, and
// what a reader keeps.

import { cpSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { lockFolder } from "../../src/files/lock";
import { filesOf } from "../../src/merge/folder/manifest";
import { advanced, type Pointer, readState } from "../../src/merge/folder/pointer";
import { openVersion, readVersion } from "../../src/merge/folder/version";
import { differenceOf } from "../../src/merge/history/diff";
import { collectGarbage, planGc, wantedVersions } from "../../src/merge/history/gc";
import { historyOf, rollBack, tagVersion, versionBefore } from "../../src/merge/history/rollback";
import { type MergeMode, merge, removeTasks, type Selection } from "../../src/merge/merge";
import { type HostTensors, int32 } from "../../src/model/tensors";
import { openModel } from "../../src/predict/model";
import type { Task } from "../../src/tasks/task";
import { readJson, storedManifest, storeManifest } from "../merged";
import { paddedLogits } from "../padded-logits";
import { temporaryFolder, tinyBase, tinyTasks } from "../tiny";
import { trainTinyTwice } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-history");
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;
const place = (name: string) => path.join(folder, name);
let sst2: Selection;
let rte: Selection;
let stsb: Selection;
/** rte by another run. */
let other: Selection;

beforeAll(async () => {
  ({ sst2, rte, stsb, other } = await trainTinyTwice(folder, base));
});

const into = (out: string, selections: readonly Selection[], mode: MergeMode = "merge", note: string | null = null) =>
  merge({ out, base, selections, mode, allowUnshared: false, onnx: null, note });

/** With model.onnx, which takes longer. */
const withGraph = (out: string, selections: readonly Selection[], mode: MergeMode = "merge") =>
  merge({ out, base, selections, mode, allowUnshared: false, onnx: { check: null } });

/** What a descriptor of this process points to, nothing where it is closed meanwhile. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

const pointerOf = (out: string) => readJson(path.join(out, "flexbert.json"));
const logOf = (out: string) => pointerOf(out).log.map(({ command }: { command: string }) => command);
const bytesOf = (out: string, file: string) => readFileSync(path.join(out, file));

/** Logits of every task on some rows, from the weights or from model.onnx. */
async function outputsOf(out: string, version?: string, name: "wasm" | "onnx" = "wasm"): Promise<HostTensors> {
  const { engine } = await openEngine(name, {});
  const model = await openModel(out, engine, { taskOf, version });
  const inputs = someRows();
  const outputs: HostTensors = {};
  for (const { name } of model.tasks) Object.assign(outputs, await paddedLogits(model, inputs, [name]));
  model.dispose();
  return outputs;
}

async function onnxOutputsOf(out: string): Promise<HostTensors> {
  const file = await onnxFileOpener({ threads: 1 })(path.join(out, "model.onnx"));
  const outputs = await file.run(someRows());
  await file.close();
  return outputs;
}

function someRows() {
  const [rows, length] = [3, 9];
  const cells = Array.from({ length: rows * length }, (_, i) => i);
  return {
    input_ids: int32(
      [rows, length],
      Int32Array.from(cells, (i) => (i * 7919) % base.config.vocabSize),
    ),
    attention_mask: int32(
      [rows, length],
      Int32Array.from(cells, (i) => (i % length < 9 - Math.floor(i / length) ? 1 : 0)),
    ),
    token_type_ids: int32(
      [rows, length],
      Int32Array.from(cells, (i) => i % 2),
    ),
  };
}

describe("a change", () => {
  test("makes a version that is named by its bytes, holds neither time nor tag, and never changes", async () => {
    const out = place("versions");
    const first = await into(out, [sst2]);
    const second = await into(out, [rte], "add", "the second");
    expect([first.isNew, second.isNew, second.converted]).toEqual([true, true, false]);
    const stored = bytesOf(out, `manifests/${first.version}.json`);
    await tagVersion(out, "prod", first.version);
    await removeTasks(out, ["sst2"], null, undefined, "not needed");
    expect(bytesOf(out, `manifests/${first.version}.json`)).toEqual(stored);
    expect(stored.toString()).not.toMatch(/prod|"time|20\d\d-\d\d/);
    const pointer = pointerOf(out);
    expect(pointer).toMatchObject({ format: 2, tags: { prod: first.version } });
    expect(pointer.current).toBe(pointer.log.at(-1).version);
    expect(pointer.log).toEqual([
      { version: first.version, time: expect.any(String), command: "merge sst2", note: null },
      { version: second.version, time: expect.any(String), command: "add rte", note: "the second" },
      { version: pointer.current, time: expect.any(String), command: "remove sst2", note: "not needed" },
    ]);
    const ids = readdirSync(path.join(out, "manifests")).map((name) => name.slice(0, 8));
    expect(new Set(ids)).toEqual(new Set(pointer.log.map(({ version }: { version: string }) => version)));
    for (const id of new Set(ids)) expect((await readVersion(out, { version: id })).id).toBe(id);
  });

  test("that brings nothing new makes no version; one that goes back in content is the version from before", async () => {
    const out = place("nothing-new");
    const first = await into(out, [sst2, rte]);
    const before = readFileSync(path.join(out, "flexbert.json"));
    for (const mode of ["merge", "update"] as const) {
      expect(await into(out, [rte], mode)).toMatchObject({ isNew: false, version: first.version });
    }
    expect(readFileSync(path.join(out, "flexbert.json"))).toEqual(before);
    const { version } = await into(out, [other], "update");
    expect(version).not.toBe(first.version);
    expect(await into(out, [rte], "update")).toMatchObject({ isNew: true, version: first.version });
    expect(logOf(out)).toEqual(["merge rte sst2", "update rte", "update rte"]);
  });

  test("update refuses a task that is not there, add one that is, and the folder is as it was", async () => {
    const out = place("modes");
    await into(out, [sst2]);
    const before = readFileSync(path.join(out, "flexbert.json"));
    const blobs = readdirSync(path.join(out, "blobs"));
    await expect(into(out, [rte, sst2], "update")).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/has no task rte\. It has sst2\. .* flexbert add/),
    });
    await expect(into(out, [rte, sst2], "add")).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/has a task sst2 already\. .* flexbert update/),
    });
    expect(readFileSync(path.join(out, "flexbert.json"))).toEqual(before);
    expect(readdirSync(path.join(out, "blobs"))).toEqual(blobs);
  });

  test("reads and writes the task's own files alone: the others' bytes and the base's weights are not looked at", async () => {
    const out = place("own-files");
    await into(out, [sst2, rte]);
    const manifest = storedManifest(out);
    const others = filesOf(manifest).filter((file) => !file.startsWith("blobs/rte-"));
    const spoiled = others.map((file) => {
      const bytes = bytesOf(out, file);
      writeFileSync(path.join(out, file), bytes.with(bytes.length - 1, (bytes.at(-1) as number) ^ 1));
      return { file: path.join(out, file), bytes, ino: statSync(path.join(out, file)).ino };
    });
    const { tensors: _, ...described } = base;
    const onTop = { ...described, folder: "/nowhere" };
    const selections = [other];
    await merge({ out, base: onTop, selections, mode: "update", allowUnshared: false, onnx: { check: null } });
    for (const { file, bytes, ino } of spoiled) {
      expect(statSync(file).ino).toBe(ino);
      writeFileSync(file, bytes);
    }
    expect(storedManifest(out)).toMatchObject({ embeddings: manifest.embeddings, trunk: manifest.trunk.slice(0, 2) });
    await outputsOf(out);
    // A deeper trunk is what the base is needed for.
    const deeper = { out, selections: [rte], mode: "update", allowUnshared: false, onnx: null } as const;
    await expect(merge({ ...deeper, base: onTop })).rejects.toThrow(/\/nowhere does not exist/);
    expect(await merge({ ...deeper, base })).toMatchObject({ isNew: true });
  });

  test("leaves every other task's outputs as they are, to the bit", async () => {
    const out = place("bit-equal");
    await withGraph(out, [sst2, rte, stsb]);
    // Three ways: eager, by the stored graphs of its pieces as predict does, by model.onnx.
    const each = async () => [await outputsOf(out), await outputsOf(out, undefined, "onnx"), await onnxOutputsOf(out)];
    const before = await each();
    const changes = [
      () => withGraph(out, [other], "update"),
      () => removeTasks(out, ["rte"], { check: null }),
      () => withGraph(out, [rte], "add"),
      () => rollBack(out, undefined),
    ];
    for (const change of changes) {
      await change();
      for (const [way, now] of (await each()).entries()) {
        for (const task of ["sst2", "stsb"]) expect(now[task]).toEqual(before[way]?.[task]);
      }
    }
    expect(await outputsOf(out)).not.toHaveProperty("rte");
  });

  test("may give a task other labels, and the difference says how", async () => {
    const out = place("labels");
    const { version } = await into(out, [sst2, rte]);
    const labels = ["not_entailment", "entailment"];
    const record = { ...other.run.record, labels };
    await into(out, [{ task: { ...other.task, labels }, run: { ...other.run, record } }], "update");
    const from = await readVersion(out, { version });
    const difference = differenceOf(from, await readVersion(out));
    expect(difference).toMatchObject({ from: version, trunk: [3, 2], unchanged: ["sst2"] });
    expect(difference.tasks).toEqual([
      {
        task: "rte",
        change: "changed",
        weights: true,
        labels: { added: [], removed: [], reordered: true },
        said: expect.objectContaining({ fork: [3, 2], layers: [1, 2] }),
      },
    ]);
    const renamed = { ...record, labels: ["yes", "entailment"] };
    await into(out, [{ task: other.task, run: { ...other.run, record: renamed } }], "update");
    const [changed] = differenceOf(from, await readVersion(out)).tasks;
    expect(changed?.labels).toEqual({ added: ["yes"], removed: ["not_entailment"], reordered: false });
    expect(differenceOf(from, from)).toMatchObject({ tasks: [], unchanged: ["rte", "sst2"], trunk: null });
    await removeTasks(out, ["rte"], null);
    const [gone] = differenceOf(from, await readVersion(out)).tasks;
    expect(gone).toMatchObject({ task: "rte", change: "removed", labels: null });
  });

  test("keeps what a newer flexbert said: keys of manifest, tasks and pointer, and the files that they name", async () => {
    const out = place("unknown");
    await into(out, [sst2, rte]);
    writeFileSync(path.join(out, "blobs/ramps-0a1b2c3d.bin"), "new");
    const { tasks, ...rest } = storedManifest(out);
    const ramps = { file: "blobs/ramps-0a1b2c3d.bin", sha256: "0".repeat(64) };
    const newer = { ...rest, ramps, tasks: tasks.map((task: object) => ({ ...task, owner: "search" })) };
    storeManifest(out, newer);
    writeFileSync(path.join(out, "flexbert.json"), JSON.stringify({ ...pointerOf(out), policy: { keep: 3 } }));
    await into(out, [other], "update");
    const written = storedManifest(out);
    expect(written.ramps).toEqual(ramps);
    expect(written.tasks.map(({ owner }: { owner?: string }) => owner)).toEqual([undefined, "search"]);
    expect(pointerOf(out).policy).toEqual({ keep: 3 });
    await tagVersion(out, "v1");
    await collectGarbage(out, { keep: 0, olderThan: 0 });
    expect(existsSync(path.join(out, ramps.file))).toBe(true);
    expect(pointerOf(out).policy).toEqual({ keep: 3 });
  });

  test("waits for nobody: a folder that another process changes is an error that names it", async () => {
    const out = place("locked");
    await into(out, [sst2]);
    const unlock = await lockFolder(out, "a test");
    for (const change of [() => into(out, [rte]), () => rollBack(out, undefined), () => tagVersion(out, "v")]) {
      await expect(change()).rejects.toMatchObject({
        exitCode: 1,
        message: expect.stringMatching(/in use by process/),
      });
    }
    await unlock();
  });
});

describe("rollback", () => {
  test("goes to the version before, a second time further back, and by hash or tag anywhere", async () => {
    const out = place("rollback");
    const a = (await withGraph(out, [sst2])).version;
    const files = ["model.onnx", "README.md"].map((file) => [file, bytesOf(out, file)] as const);
    const b = (await withGraph(out, [rte], "add")).version;
    const c = (await withGraph(out, [stsb], "add")).version;
    await tagVersion(out, "prod");
    const current = async () => (await readVersion(out)).id;
    expect([(await rollBack(out, undefined)).id, await current()]).toEqual([b, b]);
    expect([(await rollBack(out, undefined)).id, await current()]).toEqual([a, a]);
    for (const [file, bytes] of files) expect(bytesOf(out, file)).toEqual(bytes);
    await expect(rollBack(out, undefined)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/no version before/),
    });
    expect(await rollBack(out, "prod", { note: "again" })).toMatchObject({ id: c, from: a, moved: true });
    expect(await rollBack(out, c.slice(0, 5))).toMatchObject({ id: c, moved: false });
    expect(pointerOf(out).log.at(-1)).toMatchObject({ version: c, command: "rollback", note: "again" });
    expect(logOf(out)).toHaveLength(6);
    expect((await historyOf(out)).map(({ version, tags, isCurrent }) => [version, tags, isCurrent])).toEqual([
      [a, [], false],
      [b, [], false],
      [c, ["prod"], false],
      [b, [], false],
      [a, [], false],
      [c, ["prod"], true],
    ]);
  });

  test("refuses what is not there, and a version that lacks a file, and changes nothing", async () => {
    const out = place("refused");
    const { version, manifest } = await into(out, [sst2]);
    await into(out, [rte], "add");
    await removeTasks(out, ["sst2"], null);
    rmSync(path.join(out, (manifest.tasks[0] as { file: string }).file));
    const before = readFileSync(path.join(out, "flexbert.json"));
    await expect(rollBack(out, version)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/sst2-.* is missing/),
    });
    await expect(rollBack(out, "nightly")).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/no version "nightly"\. Run: flexbert history/),
    });
    await expect(rollBack(place("none"), undefined)).rejects.toMatchObject({ exitCode: 4 });
    expect(existsSync(place("none"))).toBe(false);
    expect(readFileSync(path.join(out, "flexbert.json"))).toEqual(before);
  });

  test("the version before, of logs", () => {
    const log = (...entries: [version: string, command: string][]) => ({
      ...{ format: 2 as const, tags: {}, current: (entries.at(-1) as [string, string])[0] },
      log: entries.map(([version, command]) => ({ version, command, time: "", note: null })),
    });
    expect(versionBefore(log(["a", "merge"]))).toBeNull();
    expect(versionBefore(log(["a", "merge"], ["b", "add"]))).toBe("a");
    // The same content again is undone by going to what was there between.
    expect(versionBefore(log(["a", "merge"], ["b", "update"], ["a", "update"]))).toBe("b");
    expect(versionBefore(log(["a", "merge"], ["b", "add"], ["c", "add"], ["b", "rollback"]))).toBe("a");
    expect(versionBefore(log(["a", "merge"], ["b", "add"], ["a", "rollback"], ["d", "add"]))).toBe("a");
  });
});

test("a log leaves old rollbacks out, but for those that a version was made after", () => {
  const entry = (version: string, command: string) => ({ version, command, time: "", note: null });
  const grown = (...entries: [version: string, command: string][]) =>
    entries.reduce<Pointer | null>((before, [version, command]) => advanced(before, entry(version, command)), null);
  const rollbacks = (count: number): [string, string][] =>
    Array.from({ length: count }, (_, i) => [i % 2 === 0 ? "a" : "b", "rollback"]);
  const begun: [string, string][] = [
    ["a", "merge"],
    ["b", "add"],
    ["b", "rollback"],
    ["a", "rollback"],
    ["c", "add"],
  ];
  const { log } = grown(...begun, ...rollbacks(1000)) as Pointer;
  expect(log.slice(0, 4).map(({ version, command }) => `${version} ${command}`)).toEqual([
    "a merge",
    "b add",
    "a rollback",
    "c add",
  ]);
  expect(log).toHaveLength(4 + 200);
  const long = grown(...begun, ...rollbacks(300), ["c", "rollback"]) as Pointer;
  expect(versionBefore(long)).toBe("a");
  const kept = grown(...begun, ...rollbacks(150)) as Pointer;
  expect(kept.log).toHaveLength(begun.length + 150);
});

describe("a tag", () => {
  test("names a version, moves, and goes", async () => {
    const out = place("tags");
    const a = (await into(out, [sst2])).version;
    const b = (await into(out, [rte], "add")).version;
    expect(await tagVersion(out, "prod", a)).toMatchObject({ version: a, before: null });
    expect((await readVersion(out, { version: "prod" })).id).toBe(a);
    expect(await tagVersion(out, "prod")).toMatchObject({ version: b, before: a });
    expect(await tagVersion(out, "prod", null)).toMatchObject({ version: null, before: b });
    expect(pointerOf(out).tags).toEqual({});
    await expect(tagVersion(out, "prod", null)).rejects.toMatchObject({ exitCode: 2 });
    await expect(tagVersion(out, "prod", "0000")).rejects.toMatchObject({ exitCode: 4 });
    for (const tag of ["", "cafe", "a/b", "../up", "-x", "deadbeef12"]) {
      await expect(tagVersion(out, tag)).rejects.toMatchObject({ exitCode: 2 });
    }
  });
});

describe("gc", () => {
  test("keeps the current version, tagged ones, the last ones and the young ones", () => {
    const at = (minutes: number) => new Date(minutes * 60_000).toISOString();
    const log = ["a", "b", "c", "d", "b", "e"].map((version, i) => ({
      version,
      time: at(10 * i),
      command: "",
      note: null,
    }));
    const pointer = { format: 2 as const, current: "e", tags: { prod: "a" }, log };
    const wanted = (keep: number, minutes: number) => {
      const found = wantedVersions(pointer, { keep, olderThan: minutes * 60_000 }, 60 * 60_000);
      return [...found].sort().join("");
    };
    expect(wanted(0, 0)).toBe("ae");
    expect(wanted(2, 0)).toBe("abe");
    expect(wanted(3, 0)).toBe("abde");
    // d was current until minute 40, twenty before now; c until 30.
    expect(wanted(0, 21)).toBe("abde");
    expect(wanted(0, 31)).toBe("abcde");
  });

  test("removes the others and what no version names, and leaves what is not the folder's own", async () => {
    const out = place("gc");
    const a = await withGraph(out, [sst2]);
    await withGraph(out, [other], "add");
    const c = await withGraph(out, [rte], "update");
    for (const file of ["blobs/rte-00000000.safetensors", "blobs/notes.txt", "manifests/0badc0de.md"]) {
      writeFileSync(path.join(out, file), "x");
    }
    expect((await planGc(out, { keep: 10, olderThan: 3_600_000 })).removed).toEqual([]);
    await tagVersion(out, "first", a.version);
    const planned = await planGc(out, { keep: 0, olderThan: 0 });
    expect(readdirSync(path.join(out, "blobs"))).toContain("rte-00000000.safetensors");
    const collected = await collectGarbage(out, { keep: 0, olderThan: 0 });
    expect(collected).toEqual(planned);
    expect(new Set(collected.kept)).toEqual(new Set([a.version, c.version]));
    expect(collected.bytes).toBeGreaterThan(1000);
    const left = (name: string) => readdirSync(path.join(out, name)).sort();
    const named = new Set(
      [...filesOf(a.manifest), ...filesOf(c.manifest), "blobs/notes.txt"].map((f) => path.basename(f)),
    );
    expect(left("blobs")).toEqual([...named].sort());
    expect(left("manifests")).toEqual(
      [a.version, c.version].flatMap((id) => [`${id}.json`, `${id}.md`, `${id}.onnx`]).sort(),
    );
    expect((await historyOf(out)).map(({ isThere }) => isThere)).toEqual([true, false, true]);
    await expect(rollBack(out, collected.removed[0])).rejects.toThrow(/was removed by gc/);
    expect(await rollBack(out, "first")).toMatchObject({ graphIsMissing: false });
  });

  test("stops where a version that it keeps cannot be read: it cannot know what that names", async () => {
    const out = place("gc-damaged");
    const a = await into(out, [sst2]);
    await into(out, [rte], "add");
    await tagVersion(out, "keep", a.version);
    writeFileSync(path.join(out, "manifests", `${a.version}.json`), "{}");
    const before = readdirSync(out, { recursive: true });
    await expect(collectGarbage(out, { keep: 0, olderThan: 0 })).rejects.toMatchObject({ exitCode: 4 });
    expect(readdirSync(out, { recursive: true })).toEqual(before);
  });
});

describe("a reader", () => {
  test("keeps the files of its version until it closes, whatever gc removes", async () => {
    const out = place("reader");
    const { version, manifest } = await into(out, [rte]);
    const open = await openVersion(out);
    await into(out, [other], "update");
    await collectGarbage(out, { keep: 0, olderThan: 0 });
    const [task] = manifest.tasks;
    expect(existsSync(open.pathOf(task as { file: string; sha256: string }))).toBe(false);
    expect([open.id, open.manifest]).toEqual([version, manifest]);
    const tensors = await open.readTensors(open.manifest.tasks);
    expect(Object.keys(tensors)).toContain("task/rte/classifier.weight");
    expect((await open.readBytes(manifest.embeddings)).length).toBeGreaterThan(100);
    await open.close();
    await expect(openVersion(out, { version })).rejects.toMatchObject({ exitCode: 4 });
  });

  test.each([
    ["config.json", (text: string) => text.replace(/"num_attention_heads": \d+/, '"num_attention_heads": 1')],
    ["vocab.txt", (text: string) => text.toUpperCase()],
    ["tokenizer_config.json", () => null],
  ])("is told where %s is no longer what was merged", async (name, changed) => {
    const out = place(`changed-${name}`);
    await into(out, [rte]);
    const file = path.join(out, name);
    const text = changed(readFileSync(file, "utf8"));
    if (text === null) rmSync(file);
    else writeFileSync(file, text);
    const { engine } = await openEngine("wasm", {});
    const message = text === null ? `${file} is missing` : `${file} has changed since the merge`;
    const refused = { exitCode: 4, message: expect.stringContaining(message) };
    await expect(openModel(out, engine, { taskOf })).rejects.toMatchObject(refused);
  });

  const onLinux = existsSync("/proc/self/fd") ? test : test.skip;
  onLinux("opens a file that two tasks name once, and leaves none open", async () => {
    const out = place("twice");
    await into(out, [rte]);
    const opened = () => readdirSync("/proc/self/fd").filter((fd) => linkOf(fd).startsWith(out)).length;
    const open = await openVersion(out, {}, (manifest) => [...filesOf(manifest), ...filesOf(manifest)]);
    expect(opened()).toBe(new Set(filesOf(open.manifest)).size);
    await open.close();
    expect(opened()).toBe(0);
  });

  test("that comes between the commit and gc begins again with what is current", async () => {
    const out = place("late");
    await into(out, [rte]);
    let changed = false;
    const { manifest, close } = await openVersion(out, {}, (found) => {
      if (!changed) {
        changed = true;
        // What a writer and gc did after this manifest was read.
        for (const file of filesOf(found)) if (file.includes("/rte-")) rmSync(path.join(out, file));
        rmSync(path.join(out, "manifests", `${pointerOf(out).current}.json`));
        const [file] = readdirSync(place("next")).filter((name) => name === "flexbert.json");
        cpSync(place("next"), out, { recursive: true, force: true, filter: (from) => path.basename(from) !== file });
        cpSync(path.join(place("next"), "flexbert.json"), path.join(out, "flexbert.json"));
      }
      return filesOf(found);
    });
    expect(manifest.tasks.map(({ name }) => name)).toEqual(["sst2"]);
    await close();
  });

  test("a file that is missing without any change is an error", async () => {
    const out = place("lost");
    const { manifest } = await into(out, [rte]);
    rmSync(path.join(out, manifest.embeddings.file));
    await expect(openVersion(out)).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(/is missing/) });
  });

  beforeAll(() => into(place("next"), [sst2]));
});

describe("a folder of format 1", () => {
  const copied = (name: string) => {
    cpSync(path.join(__dirname, "../fixtures/v0.1.0/merged"), place(name), { recursive: true });
    return place(name);
  };

  test.each([
    ["another width", /"hidden_size": 8/, '"hidden_size": 16', "has the shape"],
    ["fewer layers", /"num_hidden_layers": 4/, '"num_hidden_layers": 1', "config.json gives no such tensor"],
  ])("has a config of %s: its weights are not taken for it", async (name, own, other, message) => {
    const out = copied(`config-${name}`);
    const file = path.join(out, "config.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(own, other));
    const { engine } = await openEngine("wasm", {});
    const refused = { exitCode: 4, message: expect.stringContaining(message) };
    await expect(openModel(out, engine, { taskOf })).rejects.toMatchObject(refused);
  });

  test("is read as it is, as a history of one", async () => {
    const out = copied("format1");
    const { id, manifest } = await readVersion(out);
    expect(manifest).toMatchObject({ format: 2, tasks: [{ name: "closeness" }, { name: "mood" }] });
    expect(await historyOf(out)).toMatchObject([{ version: id, isCurrent: true, isThere: true }]);
    expect((await readVersion(out, { version: id.slice(0, 6) })).id).toBe(id);
    const open = await openVersion(out);
    expect(Object.keys(await open.readTensors(open.manifest.tasks)).length).toBeGreaterThan(50);
    await open.close();
    expect(await planGc(out, { keep: 0, olderThan: 0 })).toMatchObject({ kept: [id], removed: [], files: [] });
    expect(existsSync(path.join(out, "manifests"))).toBe(false);
  });

  test("becomes one of format 2 by its first change, and what it held is a version of it", async () => {
    const out = copied("converted");
    const { id } = await readVersion(out);
    const graph = bytesOf(out, "model.onnx");
    const removed = await removeTasks(out, ["mood"], { check: null });
    expect(removed).toMatchObject({ isNew: true, converted: true });
    expect(pointerOf(out)).toMatchObject({ format: 2, log: [{ version: id }, { version: removed.version }] });
    expect(bytesOf(out, "model.onnx").length).not.toBe(graph.length);
    expect((await removeTasks(out, ["closeness"], null)).converted).toBe(false);
    expect(await rollBack(out, id)).toMatchObject({ converted: false, graphIsMissing: false });
    expect(bytesOf(out, "model.onnx")).toEqual(graph);
    expect((await readVersion(out)).manifest.tasks.map(({ name }) => name)).toEqual(["closeness", "mood"]);
  });

  test("by a tag too; and a change that fails leaves it as it was", async () => {
    const out = copied("tagged");
    const { id } = await readVersion(out);
    const before = readdirSync(out, { recursive: true }).sort();
    await expect(removeTasks(out, ["none"], null)).rejects.toMatchObject({ exitCode: 2 });
    expect(readdirSync(out, { recursive: true }).sort()).toEqual(before);
    expect(await tagVersion(out, "v1")).toMatchObject({ version: id, converted: true });
    expect((await readState(out)).single).toBeNull();
    expect((await readVersion(out, { version: "v1" })).id).toBe(id);
  });
});
