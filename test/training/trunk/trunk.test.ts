// Trunk activations: the same bits however a sweep reached them and wherever they are kept.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { encodeExamples } from "../../../src/batches/rows";
import { readSplit } from "../../../src/data/read-split";
import { glueTasks } from "../../../src/tasks/glue";
import { createTokenizer } from "../../../src/tokenizer/tokenizer";
import { openTrunk } from "../../../src/training/trunk/trunk";
import { describeEachEngine } from "../../engines/engines";
import { quietContext, temporaryFolder, tinyBase, writeTinyGlue } from "../../tiny";

const base = tinyBase();

async function tinyRows(folder: string) {
  writeTinyGlue(path.join(folder, "glue"), 70);
  const { examples } = await readSplit(glueTasks.rte, "train", { glueData: path.join(folder, "glue") });
  return encodeExamples(glueTasks.rte, examples, createTokenizer(base.tokenizer), 32);
}

describeEachEngine("trunk", (open) => {
  const folder = temporaryFolder();

  test.each([
    ["memory", 1e9],
    ["disk", 0],
  ])("kept in %s: deeper forks computed on from shallower ones equal those computed at once", async (place, budget) => {
    const rows = await tinyRows(folder);
    const { context } = quietContext(await open());
    const scratch = path.join(folder, "scratch");
    const options = { budget, folder: scratch, label: "rte train" };
    const swept = await openTrunk(base, rows, options, context);
    expect(swept.place).toContain(place);
    const batch = { rows: [3, 68, 0], length: 30 };
    await swept.at(0);
    await swept.at(1);
    const stepwise = await (await swept.at(3)).read(batch, 4);
    const fresh = await openTrunk(base, rows, { ...options, budget: 1e9 }, context);
    const atOnce = await (await fresh.at(3)).read(batch, 4);
    expect(stepwise).toEqual(atOnce);
    const back = await (await swept.at(1)).read(batch, 4);
    expect(back).not.toEqual(atOnce);
    await swept.dispose();
    await fresh.dispose();
    expect(existsSync(scratch) ? readdirSync(scratch) : []).toEqual([]);
  });

  test("forks that are kept stay readable, in any order and without another pass", async () => {
    const rows = await tinyRows(folder);
    let passes = 0;
    const { context } = quietContext(await open(), () => void passes++);
    const options = { budget: 1e9, folder, label: "rte train" };
    const keeping = await openTrunk(base, rows, { ...options, keep: new Set([1, 3]) }, context);
    const fresh = await openTrunk(base, rows, options, context);
    const batch = { rows: [3, 68, 0], length: 30 };
    const first = await keeping.at(1);
    const early = await first.read(batch, 4);
    await keeping.at(3);
    passes = 0;
    expect(await (await keeping.at(1)).read(batch, 4)).toEqual(early);
    expect(await first.read(batch, 4)).toEqual(early);
    expect(await (await keeping.at(3)).read(batch, 4)).not.toEqual(early);
    expect(passes).toBe(0);
    for (const fork of [1, 3]) {
      const expected = await (await fresh.at(fork)).read(batch, 4);
      expect(await (await keeping.at(fork)).read(batch, 4)).toEqual(expected);
    }
    // One that is not kept is computed from the embeddings again, and what is kept is left alone.
    expect(await (await keeping.at(2)).read(batch, 4)).toEqual(await (await fresh.at(2)).read(batch, 4));
    expect(await (await keeping.at(1)).read(batch, 4)).toEqual(early);
    await keeping.dispose();
    await fresh.dispose();
  });

  test("padding and filler rows are zero, and no tensor is left", async () => {
    const rows = await tinyRows(folder);
    const engine = await open();
    const before = engine.tensorCount();
    const { context } = quietContext(engine);
    const trunk = await openTrunk(base, rows, { budget: 1e9, folder, label: "rte train" }, context);
    const row = 5;
    const length = (rows.lengths[row] as number) + 3;
    const hidden = base.config.hiddenSize;
    const padded = await (await trunk.at(2)).read({ rows: [row], length }, 2);
    expect(padded).toHaveLength(2 * length * hidden);
    expect(padded.subarray(0, (length - 3) * hidden).every((value) => value !== 0)).toBe(true);
    expect(padded.subarray((length - 3) * hidden).every((value) => value === 0)).toBe(true);
    await trunk.dispose();
    expect(engine.tensorCount()).toBe(before);
  });
});
