// By what texts leave early is a part of a merged folder: it stays through changes of other tasks and under flexbert that know more,
// and where a flexbert that knew less has taken its graphs away, texts go all their way, and it is said.

import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { readManifest } from "../../src/merge/folder/version";
import { merge, type Selection } from "../../src/merge/merge";
import { exitRules } from "../../src/predict/exits";
import { openModel } from "../../src/predict/model";
import { describeVersion } from "../../src/serve/model/served";
import { engineAbsence } from "../engines/engines";
import { storedManifest, storeManifest } from "../merged";
import { withTinyRamps } from "../ramps";
import { tokenizer } from "../serve/fake";
import { unless } from "../skips";
import { temporaryFolder, tinyBase } from "../tiny";
import { trainTinyTwice } from "../trained";

const folder = temporaryFolder();
const base = tinyBase("tiny-folder-exits");
const place = (name: string) => path.join(folder, name);
let early: Selection;
let rte: Selection;
let other: Selection;

beforeAll(async () => {
  let sst2: Selection;
  ({ sst2, rte, other } = await trainTinyTwice(folder, base));
  early = await withTinyRamps(folder, base, sst2);
});

const into = (out: string, selections: readonly Selection[]) =>
  merge({ out, base, selections, allowUnshared: true, onnx: null, pieces: null });

const taskOf = () => {
  throw new Error("a merged folder describes its tasks");
};

/** Which tasks leave where nobody says, and what is said of one that is to. */
async function leaving(out: string, engine: Engine) {
  const model = await openModel(out, engine, { taskOf });
  const rules = (choice?: "on") => Object.keys(exitRules(model.tasks, choice, { folder: "m", named: true }));
  try {
    return { by: rules(), on: attempt(() => rules("on")) };
  } finally {
    model.dispose();
  }
}

function attempt(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a flexbert that knows no exits leaves after it has changed another task: the task's keys, and graphs of whole pieces alone. */
function changedByOlder(out: string): void {
  const { pieces, ...manifest } = storedManifest(out);
  const { exits, ...whole } = pieces.float32;
  expect(Object.keys(exits.tasks)).toEqual(["sst2"]);
  storeManifest(out, { ...manifest, pieces: { float32: whole } });
}

const absence = engineAbsence("onnx");

unless(absence).describe("a folder", () => {
  test("whose graphs of ramps an older flexbert left out runs whole, says why, and is mended by a merge", async () => {
    const out = place("older");
    await into(out, [early, rte]);
    const { engine } = await openEngine("onnx", { threads: 1 });
    expect((await leaving(out, engine)).by).toEqual(["sst2"]);
    changedByOlder(out);
    expect(await leaving(out, engine)).toEqual({
      by: [],
      on: expect.stringMatching(
        /rte has no ramps.*sst2 has a rule, and the folder no graphs of its ramps: .* Merge again/,
      ),
    });
    const served = describeVersion("11111111", await readManifest(out), { tokenizer, precision: "float32" });
    expect(served.task("sst2")?.exitRule).toBeUndefined();
    await into(out, [rte]);
    expect((await leaving(out, engine)).by).toEqual(["sst2"]);
    engine.dispose();
  });

  test("keeps what a newer flexbert says of a task's exits through changes of others", async () => {
    const out = place("newer");
    await into(out, [early, rte]);
    const { tasks, pieces, ...manifest } = storedManifest(out);
    const [first, second] = tasks;
    const exits = { ...second.exits, learned: { file: second.file }, rule: { ...second.exits.rule, by: "layer" } };
    storeManifest(out, { ...manifest, pieces, tasks: [first, { ...second, exits }] });
    await into(out, [other]);
    expect(storedManifest(out).tasks[1].exits).toEqual(exits);
  });
});

test("a manifest whose graphs of exits are none of them is damaged, by what is wrong", async () => {
  const out = place("damaged");
  await into(out, [early, rte]);
  const { pieces, ...manifest } = storedManifest(out);
  const { exits, ...whole } = pieces.float32;
  const damaged = { ...exits, tasks: { sst2: { ...exits.tasks.sst2, ramps: { first: exits.tasks.sst2.ramps["1"] } } } };
  storeManifest(out, { ...manifest, pieces: { float32: { ...whole, exits: damaged } } });
  await expect(readManifest(out)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/is damaged: pieces.*Merge again/),
  });
});
