// Texts without labels in an experiment file: its other tasks', by their names, from files beside it; the same plan, ids and
// bytes for one process, for shares, and for one that goes on.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { cachedFolder } from "../../src/files/cache";
import { inProcess } from "../cli/in-process";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const at = (name: string) => path.join(folder, name);
const base = tinyBase("tiny-transfers");
const file = at("transfer.yaml");

const { flexbert, expectJson } = inProcess();

const shared = ["--glue-data", at("glue"), "--engine", "wasm"];
const experiment = (out: string, ...args: string[]) => ["run", file, "--out", at(out), ...shared, ...args];

async function trialsOf(out: string) {
  const plan = await expectJson(["plan", file, "--out", at(out), "--glue-data", at("glue")]);
  return plan.trials as {
    step: string;
    task: string;
    state: string;
    folder: string;
    id: string;
    steps: number;
    match?: string;
  }[];
}

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = at("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(at("glue"), 20, 8);
  writeFileSync(at("more.tsv"), `sentence1\tsentence2\n${"a film\tthe book\nshe saw\tthey read it\n".repeat(9)}`);
  writeFileSync(
    file,
    `base: ${base.name}
tasks: [rte, stsb]
${["max_length: 32", "batch_size: 8", "epochs: 2", "learning_rate: 1e-3"].join("\n")}
finetune: { k: 3, seeds: 2 }
distill:
  - { student_layers: 1, transfer: [all, more.tsv], transfer_share: 0.4, teachers: 2, alpha_end: 0.9 }
  - { student_layers: 1, transfer: all, transfer_rows: 10, match: [none, cls], patience: 1, tasks: rte }
`,
  );
});

const weights = (trials: Awaited<ReturnType<typeof trialsOf>>) =>
  trials.map((trial) => readFileSync(path.join(trial.folder, "model.safetensors")));

test("in one go, and in shares of which one is stopped: the same plan and bytes", async () => {
  const planned = await trialsOf("whole");
  expect(planned.map(({ step, task, match = "" }) => `${step} ${task} ${match}`.trim())).toEqual([
    ...["finetune rte", "finetune rte", "finetune stsb", "finetune stsb"],
    ...["distill rte", "distill rte", "distill rte cls", "distill stsb"],
  ]);
  expect((await expectJson(experiment("whole"))).finished).toBe(8);
  const whole = await trialsOf("whole");
  // 20 rows, of 8 in a batch 3 and 4 without a label.
  expect(whole.map(({ steps }) => steps)).toEqual([6, 6, 6, 6, 8, 10, 10, 8]);
  const record = (i: number) =>
    JSON.parse(readFileSync(path.join((whole[i] as { folder: string }).folder, "run.json"), "utf8"));
  expect(record(4).transfer).toMatchObject({ rows: 38, from: ["task:stsb", at("more.tsv")] });
  const taughtBy = record(4).taughtBy.map(({ id }: { id: string }) => id);
  expect(taughtBy[0]).toBe(record(4).teacher.id);
  expect(taughtBy.sort()).toEqual([whole[0]?.id, whole[1]?.id].sort());
  expect(record(7)).toMatchObject({ transfer: { rows: 38, from: ["task:rte", at("more.tsv")] } });

  await expectJson(experiment("shares", "--only", "finetune", "--shard", "1/2"));
  await expectJson(experiment("shares", "--only", "finetune", "--shard", "0/2"));
  const stopped = await flexbert(experiment("shares", "--only", "distill", "--shard", "0/2"), (line, stop) => {
    if (/rte l=1 .*: epoch 1,/.test(line)) stop();
  });
  expect(stopped.code).toBe(130);
  expect((await trialsOf("shares")).filter(({ state }) => state === "stopped")).toHaveLength(1);
  await expectJson(experiment("shares", "--only", "distill", "--shard", "1/2"));
  await expectJson(experiment("shares"));
  const shares = await trialsOf("shares");
  expect(shares.map(({ id }) => id)).toEqual(whole.map(({ id }) => id));
  expect(weights(shares)).toEqual(weights(whole));
});

test("a run's config.yaml makes that run again, and no other", async () => {
  const [, , , , student] = await trialsOf("whole");
  const config = path.join(student?.folder as string, "config.yaml");
  expect(readFileSync(config, "utf8")).toMatch(/^transfer:\n {2}- task:stsb\n {2}- .*more\.tsv\n/m);
  const checkpoints = ["--checkpoints", path.join(at("whole"), "checkpoints")];
  const again = await flexbert([
    "distill",
    "--config",
    config,
    ...checkpoints,
    "--glue-data",
    at("glue"),
    "--engine",
    "wasm",
  ]);
  expect([again.code, again.stderr.match(/flexbert: .*/)?.[0]]).toEqual([0, undefined]);
  expect(again.stdout).toMatch(/0 runs trained, 1 finished before/);
});

test("keys are checked with the others", async () => {
  const bad = at("bad.yaml");
  writeFileSync(
    bad,
    "tasks: rte\nfinetune: { k: 1 }\ndistill: { student_layers: 1, transfer_share: 0, matsch: cls, teachers: many }\n",
  );
  const { code, stderr } = await flexbert(["plan", bad]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/distill.transfer_share: takes a number from 0.01 to 1, got 0/);
  expect(stderr).toMatch(/distill.teachers: takes best, or a number of seeds, got "many"/);
  expect(stderr).toMatch(/distill.matsch: unknown key \(did you mean "match"\?\)/);
  writeFileSync(
    bad,
    `base: ${base.name}\ntasks: rte\nfinetune: { k: 1, seeds: 2 }\ndistill: { student_layers: 1, teachers: 3 }\n`,
  );
  const few = await flexbert(["plan", bad]);
  expect(few.stderr).toMatch(/bad.yaml: teachers: 3, and rte has 2 seeds of each teacher\. Give finetune seeds: 3/);
});
