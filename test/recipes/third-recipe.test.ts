// A training method that flexbert does not have, given as one more value of the record: it is at once a command, a step of
// an experiment with shares and resume, a candidate of select and merge, and a row of the report.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import * as tf from "@tensorflow/tfjs-core";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readRecord } from "../../src/checkpoints/runs/run-folder";
import { cachedFolder } from "../../src/files/cache";
import { layerRange } from "../../src/options/layers";
import { option } from "../../src/options/option";
import { decimal } from "../../src/options/readers";
import { labelLoss } from "../../src/recipes/losses";
import { defineRecipe } from "../../src/recipes/recipe";
import { recipes } from "../../src/recipes/recipes";
import { branchOfTeacher } from "../../src/recipes/trial/initial-branch";
import { teacherBranch } from "../../src/recipes/trial/teacher";
import type { ReportTable } from "../../src/report/document";
import { buildReport } from "../../src/report/report";
import { headOf } from "../../src/tasks/task";
import { inProcess } from "../cli/in-process";
import { temporaryFolder, tinyBase, tinyTasks, writeTinyGlue } from "../tiny";

/** Students that learn the labels alone, from the teacher's bottom layers, with the loss scaled. */
const third = defineRecipe({
  method: "third",
  makes: "students",
  title: "Third",
  summary: "students of a third kind",
  description: "Trains the teacher's bottom layers on the labels alone.",
  examples: ["third --depth 1"],
  options: {
    depth: option(layerRange({ full: false }), {
      flag: "--depth",
      value: "<layers>",
      help: "their layers",
      fallback: "1",
    }),
    weight: option(decimal({ min: 0 }), { flag: "--weight", value: "<w>", help: "of the loss", fallback: 0.5 }),
  },
  inFile: { depth: "required", weight: "list" },
  settings: ({ depth, weight }, { fitting }) =>
    fitting("depth", depth).map((layers) => ({
      place: { fork: "teacher", layers: Number(layers) },
      options: { weight },
    })),
  describe: ({ place: { layers } }) => ({ name: `t${layers}`, label: `t=${layers}`, config: { depth: layers } }),
  prepare: teacherBranch,
  async work({ task, base, place, options: { weight } }, teacher) {
    const loss = labelLoss(await task.kind.head(base.config));
    return {
      initial: branchOfTeacher(teacher, place, base.config, headOf(task, base.config)),
      loss: (outputs, inputs, beside) => tf.mul(loss(outputs, inputs, beside), weight),
    };
  },
});
const withThird = { ...recipes, third };

const folder = temporaryFolder();
const at = (name: string) => path.join(folder, name);
const base = tinyBase("tiny-third");
const shared = ["--base", base.name, "--glue-data", at("glue"), "--engine", "wasm"];
const brief = ["--max-length", "32", "--batch-size", "8", "--epochs", "2", "--learning-rate", "1e-3"];

const { flexbert, expectJson } = inProcess(withThird);

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = at("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(at("glue"));
});

describe("a command", () => {
  const checkpoints = ["--checkpoints", at("by-command")];

  test("of its own name, with its own options beside those of all training", async () => {
    expect((await flexbert(["--help"])).stdout).toMatch(/^ {2}third +students of a third kind$/m);
    const { code, stdout } = await flexbert(["third", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/the labels alone[\s\S]*--depth <layers> +their layers \(default 1\)[\s\S]*--learning-rate/);
    expect(stdout).toMatch(/Examples:\n {2}flexbert third --depth 1\n$/);
    expect(await flexbert(["third", "--depht", "1"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--depth/),
    });
    expect(await flexbert(["thrid"])).toMatchObject({ code: 2, stderr: expect.stringMatching(/did you mean "third"/) });
  });

  test("that trains students of the teacher, once, and again from their own config.yaml", async () => {
    expect(await flexbert(["third", "--task", "rte", ...shared, ...checkpoints])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/no teacher for rte in .*finetune\. Run: flexbert finetune --task rte/),
    });
    await expectJson(["finetune", "--task", "rte", "--k", "3", ...shared, ...brief, ...checkpoints]);
    const line = ["third", "--depth", "1-2", "--weight", "0.25", ...shared, ...brief, ...checkpoints];
    const { tasks } = await expectJson(line);
    const [{ runs }] = tasks;
    expect(
      runs.map((one: { layers: number; fork: number; method: string }) => [one.layers, one.fork, one.method]),
    ).toEqual([
      [1, 1, "third"],
      [2, 1, "third"],
    ]);
    const record = await readRecord(runs[0].folder);
    expect(record).toMatchObject({ state: "finished", options: { weight: 0.25, epochs: 2 } });
    expect(path.relative(at("by-command"), runs[0].folder)).toMatch(/^tiny-third\/rte\/third\/t1-seed1-[0-9a-f]{8}$/);
    const config = path.join(runs[0].folder, "config.yaml");
    expect(readFileSync(config, "utf8")).toMatch(/^depth: 1\n[\s\S]*^weight: 0.25\n/m);
    const again = await flexbert(["third", "--config", config, "--glue-data", at("glue"), ...checkpoints]);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/0 runs trained, 1 finished before/) });
    expect((await expectJson(["status", ...checkpoints]))[0].runs).toHaveLength(3);
    const dry = await expectJson([...line, "--dry-run", "--force"]);
    expect(dry.trials.map((trial: { layers: number }) => trial.layers)).toEqual([1, 2]);
  });
});

describe("a step of an experiment", () => {
  const file = at("third.yaml");
  const text = `base: ${base.name}
tasks: [rte, sst2]
${["max_length: 32", "batch_size: 8", "epochs: 2", "learning_rate: 1e-3"].join("\n")}
finetune: { k: 3 }
third: { depth: 1-2, weight: [0.5, 2], tasks: rte }
distill: { student_layers: 1 }
`;
  const experiment = (out: string, ...args: string[]) => ["run", file, "--out", at(out), ...shared.slice(2), ...args];
  beforeAll(() => writeFileSync(file, text));

  const trialsOf = async (out: string) =>
    (await expectJson(["plan", file, "--out", at(out), "--glue-data", at("glue")])).trials as {
      step: string;
      state: string;
      folder: string;
      weight?: number;
    }[];
  const weights = (trials: Awaited<ReturnType<typeof trialsOf>>) =>
    trials.map((trial) => readFileSync(path.join(trial.folder, "model.safetensors")));

  test("in the plan, in shares, stopped and resumed: the same bytes as in one go", async () => {
    const planned = await trialsOf("whole");
    expect(planned.map(({ step, weight = "" }) => `${step} ${weight}`.trim())).toEqual([
      ...["finetune", "finetune", "distill", "distill"],
      ...["third 0.5", "third 0.5", "third 2", "third 2"],
    ]);
    const { done, finished } = await expectJson(experiment("whole"));
    expect([done.length, finished]).toEqual([8, 8]);
    expect(readFileSync(path.join(at("whole"), "trials.csv"), "utf8")).toMatch(
      /,init,temperature,alpha,weight,learning_rate/,
    );

    await expectJson(experiment("shares", "--only", "finetune"));
    const first = await expectJson(experiment("shares", "--only", "third", "--shard", "0/2"));
    expect(first.done).toEqual([4, 6]);
    const isThird = /trial \d+, rte t=\d seed 1, 2 epochs at 0\.001: epoch 1,/;
    const stopped = await flexbert(experiment("shares", "--only", "third", "--shard", "1/2"), (line, stop) => {
      if (isThird.test(line)) stop();
    });
    expect(stopped).toMatchObject({ code: 130, stderr: expect.stringMatching(/Go on with: flexbert run/) });
    expect((await trialsOf("shares")).filter(({ state }) => state === "stopped")).toHaveLength(1);
    await expectJson(experiment("shares"));
    const [whole, shares] = [await trialsOf("whole"), await trialsOf("shares")];
    expect(new Set(shares.map(({ state }) => state))).toEqual(new Set(["finished"]));
    expect(weights(shares)).toEqual(weights(whole));
  });

  test("whose keys are checked with the others", async () => {
    const bad = at("bad.yaml");
    writeFileSync(bad, text.replace("weight: [0.5, 2]", "wieght: 1").replace("depth: 1-2", "depth: 0"));
    const { code, stderr } = await flexbert(["plan", bad]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /line 8: third.wieght: unknown key \(did you mean "weight"\?\); .* tasks, depth, weight, seeds/,
    );
    expect(stderr).toMatch(/line 8: third.depth: takes layers such as/);
  });
});

describe("its runs", () => {
  const checkpoints = ["--checkpoints", path.join(at("whole"), "checkpoints")];

  test("are candidates of select, and merge takes the one that was chosen", async () => {
    const selection = at("selection.json");
    const select = [
      "select",
      "--task",
      "rte",
      "--threshold",
      "0",
      "--base",
      base.name,
      ...checkpoints,
      "--out",
      selection,
    ];
    const [{ candidates }] = (await expectJson(select)).tasks;
    const folders = candidates.map((one: { run: string }) => path.basename(path.dirname(one.run)));
    expect(folders.at(-1)).toBe("finetune");
    expect(folders.slice(0, -1)).toContain("third");
    const merge = ["merge", "--task", "rte", "--select", "kd-2", "--no-onnx", "--out", at("merged"), ...shared];
    const { tasks } = await expectJson([...merge, ...checkpoints]);
    expect(tasks.map((task: { run: string }) => task.run)).toEqual([
      expect.stringMatching(/^third t2-seed1-[0-9a-f]{8}$/),
    ]);
  });

  test("are rows of the report", async () => {
    const report = await buildReport({
      ...{ checkpoints: path.join(at("whole"), "checkpoints"), recipes: withThird },
      ...{ labels: tinyTasks, thresholds: [1], chooseBy: "max", only: ["rte"] },
    });
    expect(report.methods.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["w/o KD", "KD-1", "third-1", "third-2"]),
    );
    const tables = report.document.sections.flatMap(({ blocks }) => blocks).filter((one) => one.kind === "table");
    const table = (id: string) => tables.find((one) => one.id === id) as ReportTable;
    expect(table("table-students").rows.map(([task, layers]) => [task?.detail, layers?.text])).toEqual([
      ["Distillation", "1"],
      ["Third", "1"],
      ["Third", "2"],
    ]);
    expect(table("table-time").columns.map(({ title }) => title)).toContain("Third");
  });
});
