// flexbert joint: what it plans, trains and prints, its model as a base of merge and finetune, and what it refuses.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
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

test("an experiment has them as a step that is done once, with its own rows a task, and its report measures layers", () => {
  const content = `base: ./tiny
tasks: [sst2, rte, stsb]
max_length: 32
max_train_samples: { sst2: 16 }
finetune: { k: "1,full", epochs: 1 }
distill: { method: pkd, student_layers: 2, teacher: full, epochs: 1 }
joint: { epochs: 1, leave_one_out: true }
report: { measure: true }
`;
  writeFileSync(path.join(cwd, "together.yaml"), content);
  const whole = "run together.yaml --out together --engine wasm --threads 1";
  expect(succeeded(`${whole} --dry-run`)).toMatch(/^joint: about .* for models that tasks train together$/m);
  expect(succeeded(whole)).toMatch(/^sst2, rte, stsb together, seed 1:/m);
  const { models } = JSON.parse(readFileSync(path.join(cwd, "together/joint.json"), "utf8"));
  // Batches of 32: one a task, of sst2's 16 rows too.
  expect(models.map(({ steps }: { steps: number }) => steps)).toEqual([1 + 2 + 2, 2 + 2, 1 + 2, 1 + 2]);
  const head = path.join(cwd, models[0].folder, "sst2/finetune");
  const record = JSON.parse(readFileSync(path.join(head, readdirSync(head)[0] as string, "run.json"), "utf8"));
  expect(record).toMatchObject({ method: "joint", trainData: { rows: 16 } });
  const report = readdirSync(path.join(cwd, "together/report"), { recursive: true }) as string[];
  const table = report.find((file) => path.basename(file) === "methods.csv") as string;
  const lines = readFileSync(path.join(cwd, "together/report", table), "utf8").split(/\r?\n/);
  const averages = lines.filter((line) => line.includes(",average,"));
  const named = ["Full fine-tuning", "PKD-2@full", "MT-DNN (full)", "MT-DNN (leave-one-out)", "w/o KD"];
  expect(averages.map((line) => line.split(",")[0])).toEqual(expect.arrayContaining(named));
  // Seconds, parameters and milliseconds of all tasks together.
  const costs = (name: string) =>
    averages
      .find((line) => line.startsWith(name))
      ?.split(",")
      .slice(-3) ?? [];
  for (const name of ["Full fine-tuning", "PKD-2@full", "MT-DNN (full)", "w/o KD"]) {
    expect(costs(name).map((value) => Number(value) > 0)).toEqual([true, true, true]);
  }
  expect(costs("MT-DNN (leave").slice(1)).toEqual(["", ""]);
  expect(Number(costs("MT-DNN (full)")[1])).toBeLessThan(Number(costs("Full fine-tuning")[1]));
  expect(run(whole).stderr).toMatch(/joint: nothing has changed, skipped/);
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
