// Which ramps a merge takes along, and that it says of those which stay behind why, and what to do.

import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { withRamps } from "../../src/api/merge/ramps";
import { writeRecord } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import type { DecidedExits } from "../../src/exits/exits";
import { merge, type Selection } from "../../src/merge/merge";
import { planRamps, trainRamps } from "../../src/recipes/exits";
import { tinyRule } from "../ramps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining } from "../tiny";
import { trainTinyTwice } from "../trained";

declare const jest: typeof import("@jest/globals").jest;
type Finding = typeof import("../../src/recipes/ramps/find");

/** What was decided of ramps that are found. */
const seam: { rule: DecidedExits | null } = { rule: null };
jest.mock("../../src/recipes/ramps/find", () => {
  const actual = jest.requireActual<Finding>("../../src/recipes/ramps/find");
  const findRamps: Finding["findRamps"] = async (run, task) => {
    const found = await actual.findRamps(run, task);
    return found && { ...found, rule: seam.rule };
  };
  return { ...actual, findRamps };
});

const folder = temporaryFolder();
const base = tinyBase("tiny-merge-ramps");
const place = (name: string) => path.join(folder, name);
let rte: Selection;
let other: Selection;

beforeAll(async () => {
  ({ rte, other } = await trainTinyTwice(folder, base));
});

async function rampsOf({ task, run: model }: Selection, rule: DecidedExits | null) {
  const { engine } = await openEngine("wasm", {});
  const training = { ...tinyTraining, epochs: 1 };
  const plan = await planRamps({ model, task, base, training, run: tinyRun(folder), seeds: [1] });
  const [ramps] = await trainRamps(plan, quietContext(engine).context, async () => undefined);
  seam.rule = rule;
  if (!ramps) throw new Error("no ramps were trained");
  return ramps;
}

async function taken(selection: Selection, out = "none") {
  const lines: string[] = [];
  const note = (line: string) => void lines.push(line);
  const reporter = { log: note, warn: note, progress: () => ({ advance: () => undefined, end: () => undefined }) };
  const [found] = await withRamps([selection], place(out), { reporter });
  return { exits: found?.exits, lines };
}

describe("ramps of a run", () => {
  test("that has none are not missed", async () => {
    expect(await taken(rte)).toEqual({ exits: undefined, lines: [] });
  });

  test("without a rule stay behind, and so do those of another run of the task", async () => {
    const ramps = await rampsOf(rte, null);
    const undecided = await taken(rte);
    expect(undecided.exits).toBeUndefined();
    expect(undecided.lines).toEqual([
      `rte: its ramps in ${ramps.folder} stay behind: nothing was decided of them yet. Run: flexbert exits --run ${rte.run.folder}, and merge again`,
    ]);
    const { exits, lines } = await taken(other);
    expect([exits, lines]).toEqual([
      undefined,
      [
        `rte: no ramps come along: there are some of ${rte.run.folder}, and ${other.run.folder} is merged. Run: flexbert exits --run ${other.run.folder}, and merge again`,
      ],
    ]);
  });

  test("come along where a rule was decided", async () => {
    const ramps = await rampsOf(rte, tinyRule);
    const { exits, lines } = await taken(rte);
    expect([exits?.rule?.criterion, lines]).toEqual([
      tinyRule.criterion,
      [`rte: its ramps come along, of ${ramps.folder}`],
    ]);
  });

  test("that a folder had and the new run has not are told", async () => {
    const selection = { ...rte, exits: (await taken(rte)).exits };
    await merge({ out: place("had"), base, selections: [selection], allowUnshared: true, onnx: null, pieces: null });
    const { lines } = await taken(other, "had");
    expect(lines).toEqual([
      expect.stringMatching(/^rte: its texts left early until now and will not; no ramps come along/),
    ]);
  });

  test("that are not finished stay behind", async () => {
    const ramps = await rampsOf(rte, tinyRule);
    await writeRecord(ramps.folder, { ...ramps.record, state: "running" });
    expect((await taken(rte)).lines).toEqual([
      expect.stringMatching(/its ramps in .* stay behind: they are not finished/),
    ]);
  });
});
