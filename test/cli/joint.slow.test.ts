// flexbert joint: what it plans, trains and prints, its model as a base of merge and finetune, and what it refuses.

import { existsSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string) => flexbert(line.split(" "), { cwd, env });
const training = "--max-length 32 --epochs 1 --engine wasm --threads 1";
const joint = `joint --task sst2,rte,stsb --base ./tiny ${training}`;

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  writeTinyGlue(path.join(cwd, "glue-data"));
});

const succeeded = (line: string): string => {
  const { status, stdout, stderr } = run(line);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};

describe("a joint model", () => {
  let folder = "";

  test("is planned, trained and found again; its config.yaml is the same run", () => {
    const dry = JSON.parse(succeeded(`${joint} --dry-run --json`));
    expect(dry).toMatchObject([{ tasks: ["sst2", "rte", "stsb"], leftOut: [], finished: false, steps: 6 }]);
    expect(succeeded(`${joint} --dry-run`)).toMatch(/^sst2, rte, stsb +1 +\S+ k? *6 .*about .*to train$/m);
    const printed = succeeded(joint);
    expect(printed).toMatch(/^sst2, rte, stsb together, seed 1: dev scores in points, average \d/);
    expect(printed).toMatch(/^rte +accuracy +\d/m);
    folder = /flexbert merge --base (\S+) --out merged/.exec(printed)?.[1] as string;
    expect(folder).toBe(dry[0].folder);
    const again = JSON.parse(succeeded(`joint --config ${folder}/config.yaml --json`));
    expect(again.models).toMatchObject([{ folder, seed: 1, heads: [] }]);
    expect(JSON.parse(succeeded(`${joint} --dry-run --json`))).toMatchObject([{ finished: true }]);
  });

  test("merges into a model without layers of any task's own, which answers", () => {
    const { tasks, overhead } = JSON.parse(succeeded(`merge --base ${folder} --out merged --json`));
    expect(tasks.map(({ fork, layers }: { fork: number; layers: number }) => [fork, layers])).toEqual(
      Array(3).fill([4, 0]),
    );
    expect(overhead).toMatchObject({ layers: 4, shared: 4 });
    const predicted = succeeded("predict --model merged --engine onnx --text the_film_was_good");
    expect(predicted).toContain("sst2");
  });

  test("leaves tasks out, each once, and trains heads alone for them", () => {
    const { models } = JSON.parse(succeeded(`${joint} --leave-out each --head-epochs 2 --json`));
    const named = models.map(({ tasks, heads }: { tasks: string[]; heads: { task: string; layers: number }[] }) => [
      tasks.join(" "),
      heads.map(({ task, layers }) => `${task} ${layers}`).join(),
    ]);
    expect(named).toEqual([
      ["rte stsb", "sst2 0"],
      ["sst2 stsb", "rte 0"],
      ["sst2 rte", "stsb 0"],
    ]);
    expect(existsSync(path.join(cwd, models[0].folder, "sst2/finetune"))).toBe(true);
    succeeded(`finetune --task sst2,rte,stsb --k 1 --base ./tiny ${training}`);
    const { methods } = JSON.parse(succeeded("report --json"));
    const rows = methods.filter(({ method }: { method: string }) => method.startsWith("MT-DNN"));
    expect(rows).toMatchObject([
      { method: "MT-DNN (full)", layers: 4, shared: 4 },
      { method: "MT-DNN (leave-one-out)", layers: null },
    ]);
  });
});

test.each([
  ["joint --task rte", /joint trains several tasks together, and rte alone is left\. Give --task with more/],
  ["joint --task rte,sst2 --leave-out each", /joint trains several tasks together, and sst2 alone is left/],
  ["joint --task rte,sst2 --leave-out cola", /--leave-out cola: it is none of rte, sst2\. Name some of them, or each/],
  ["joint --task rte,sst2 --mixing rows", /--mixing "rows": it takes one of size, sqrt/],
])("%s is refused", (line, message) => {
  const { status, stderr } = run(`${line} --base ./tiny`);
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});
