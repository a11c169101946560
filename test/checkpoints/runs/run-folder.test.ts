import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { parameterShapes } from "../../../src/checkpoints/bases/parameter-shapes";
import {
  finishRun,
  listRuns,
  loadBranch,
  loadState,
  optionsOf,
  type RunRecord,
  recordedTasksFile,
  type StoredRun,
  writeRecord,
} from "../../../src/checkpoints/runs/run-folder";
import { packageVersion } from "../../../src/files/version";
import { parseConfig } from "../../../src/model/families/config-file";
import { pooledParameters } from "../../../src/model/head-parameters";
import { branchTensors } from "../../../src/model/parameters";
import type { Place } from "../../../src/model/place";
import { float32, type HostTensors, sizeOf } from "../../../src/model/tensors";
import { trainingSettings } from "../../../src/settings/training";
import { classification } from "../../../src/tasks/kinds/classification";
import { temporaryFolder } from "../../files/temporary-folder";
import { base, makeRun } from "../../report/stored-runs";

let run: StoredRun;
let file: string;
const runs = () => listRuns(path.dirname(run.folder));

beforeEach(async () => {
  const checkpoints = temporaryFolder();
  await makeRun(checkpoints, { layers: 2, score: 0.5 });
  [run] = (await listRuns(path.join(checkpoints, "owner--tiny/rte/finetune"))) as [StoredRun];
  file = path.join(run.folder, "run.json");
});

describe("a run.json that was edited or damaged is named, with the field", () => {
  const edited = (field: string, value: unknown) => JSON.stringify({ ...run.record, [field]: value });
  test.each<[string, () => string, RegExp]>([
    ["nothing", () => "", /is damaged \(Unexpected end/],
    ["a line of something else", () => "x\n", /is damaged \(.*\)\. Remove the folder and run again$/],
    ["null", () => "null", /is damaged \(it holds no object\)/],
    ["a list", () => "[]", /is damaged \(it holds no object\)/],
    ["only a format", () => '{"format": 1}', /is damaged \(it has no id\)/],
    ["another format", () => '{"format": 2}', /has format 2; this flexbert reads format 1/],
    [
      "a newer format",
      () => JSON.stringify({ ...run.record, format: 2, flexbert: "9.1.0" }),
      /run\.json has format 2; .* It was made by flexbert 9\.1\.0; this is \d+\.\d+\.\d+\S*: update flexbert/,
    ],
    ["a number for the version that wrote it", () => edited("flexbert", 1), /\(its flexbert is 1\)/],
    ["no base", () => edited("base", undefined), /\(it has no base\)/],
    ["a base without its hash", () => edited("base", { name: "a", layers: 3 }), /\(it has no base\.sha256\)/],
    ["a word for a score", () => edited("score", "high"), /\(its score is "high"\)/],
    ["an unknown state", () => edited("state", "done"), /\(its state is "done"\)/],
    ["a finished run without a hash", () => edited("sha256", undefined), /\(it has no sha256\)/],
    ["a list of options", () => edited("options", [3]), /\(its options is \[3\]\)/],
    [
      "no batch size",
      () => edited("options", { ...run.record.options, batchSize: undefined }),
      /no options.batchSize\)/,
    ],
    [
      "a word for a length",
      () => edited("options", { ...run.record.options, maxLength: "long" }),
      /\(its options.maxLength is "long": it takes a whole number from 4 to 4096\)/,
    ],
    ["a score of no metric", () => edited("metrics", {}), /\(it has no metric\)/],
  ])("%s", async (_, content, message) => {
    writeFileSync(file, content());
    await expect(runs()).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(message) });
  });

  test("a folder of that name", async () => {
    rmSync(file);
    mkdirSync(file);
    await expect(runs()).rejects.toThrow(/run\.json is damaged \(EISDIR/);
  });

  test("a run that goes on has no hash yet", async () => {
    writeFileSync(
      file,
      JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), state: "running", sha256: undefined }),
    );
    expect((await runs()).map(({ record }) => record.state)).toEqual(["running"]);
  });
});

test("a record names the flexbert that wrote it last, and may name none", async () => {
  const written = () => JSON.parse(readFileSync(file, "utf8"));
  expect(Object.keys(written()).slice(0, 2)).toEqual(["format", "flexbert"]);
  expect(written().flexbert).toBe(packageVersion());
  const { flexbert: _, ...old } = written();
  writeFileSync(file, JSON.stringify(old));
  const [stored] = (await runs()) as [StoredRun];
  expect(stored.record).toEqual(old);
  await writeRecord(run.folder, { ...stored.record, flexbert: "0.0.1" });
  expect(written()).toEqual({ ...old, flexbert: packageVersion() });
});

test("an imported branch has the length of its rows, and no settings of a training", async () => {
  const record = { ...run.record, method: "import", options: { maxLength: 32 } };
  writeFileSync(file, JSON.stringify(record));
  const [imported] = (await runs()) as [StoredRun];
  expect(imported.record.options.maxLength).toBe(32);
  expect(() => optionsOf(trainingSettings, imported)).toThrow(
    `${file} is damaged (it has no options.epochs). Remove the folder and run again`,
  );
  writeFileSync(file, JSON.stringify({ ...record, options: {} }));
  await expect(runs()).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(/no options.maxLength/) });
});

test("a record's settings come with their types, and with those that it leaves out at their default", () => {
  expect(optionsOf(trainingSettings, run)).toMatchObject({ epochs: 2, learningRate: 1e-4, precision: "float32" });
  const rounded: StoredRun = {
    ...run,
    record: { ...run.record, options: { ...run.record.options, precision: "bf16" } },
  };
  expect(optionsOf(trainingSettings, rounded).precision).toBe("bf16");
});

test("a state that is cut off says how to go on without it", async () => {
  writeFileSync(path.join(run.folder, "state.safetensors"), "cut");
  await expect(loadState(run.folder)).rejects.toThrow(
    /state\.safetensors is damaged: .*, or remove it: the run then begins/,
  );
});

/** A base as deep as the record says, and the branch of the run on it. */
const config = parseConfig(
  { vocab_size: 8, hidden_size: 4, num_hidden_layers: 6, num_attention_heads: 1, intermediate_size: 4 },
  "config.json",
);
const load = (stored: StoredRun, labels: readonly string[] = stored.record.labels) =>
  loadBranch(stored, { kind: classification, labels }, config);

function branchAt(place: Place, labels: number): HostTensors {
  const head = pooledParameters(4, labels).map(({ name, shape }) => [name, shape] as const);
  const shapes = { ...Object.fromEntries(parameterShapes(config)), ...Object.fromEntries(head) };
  const tensors = Object.entries(branchTensors<readonly number[]>(shapes, place));
  return Object.fromEntries(tensors.map(([name, shape]) => [name, float32(shape, new Float32Array(sizeOf(shape)))]));
}

describe("weights are a branch as the record has it, or what does not fit is named", () => {
  const stored = async (change: Partial<RunRecord>) => {
    const { record } = run;
    const written = await finishRun(run.folder, record, branchAt(record, 2));
    return { folder: run.folder, record: { ...written, ...change } };
  };
  test("its own", async () => {
    expect(Object.keys(await load(await stored({})))).toHaveLength(2 * 16 + 4);
  });
  test.each<[string, Partial<RunRecord>, RegExp]>([
    [
      "another fork",
      { fork: 3 },
      /it holds "bert\.encoder\.layer\.5\..*", which is no part of 2 layers above fork 3\./,
    ],
    ["more layers", { fork: 3, layers: 3 }, /it lacks bert\.encoder\.layer\.3\..* of 3 layers above fork 3\./],
    ["fewer layers", { fork: 5, layers: 1 }, /it holds "bert\.encoder\.layer\.4\..* above fork 5\./],
    [
      "a full branch",
      { fork: null, full: true, layers: 6 },
      /it lacks bert\.embeddings\..* above embeddings of its own\./,
    ],
    [
      "more labels",
      { labels: ["a", "b", "c"] },
      /classifier\.weight is float32 \[2,4\], not float32 \[3,4\] of 3 labels\./,
    ],
    ["fewer labels", { labels: ["a"] }, /classifier\.weight is float32 \[2,4\], not float32 \[1,4\] of 1 labels\./],
    ["no labels", { labels: [] }, /whose labels are \[\], of a task of classification\./],
    ["another base", { base: { ...base, layers: 9 } }, /which says that the base has 9 layers; it has 6\./],
  ])("%s", async (_, change, message) => {
    await expect(load(await stored(change))).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(new RegExp(`does not fit its run\\.json.*${message.source} Remove .* and repeat`)),
    });
  });
  test("a task that has other labels by now", async () => {
    await expect(load(await stored({}), ["a", "b", "c"])).rejects.toThrow("not float32 [3,4] of 3 labels");
  });
});

test("weights that are missing or cut off: the next step is right whatever trained the run", async () => {
  const advice = `Remove ${run.folder} and repeat the command that trained it`;
  await expect(load(run)).rejects.toThrow(`model.safetensors is missing. ${advice}`);
  writeFileSync(path.join(run.folder, "model.safetensors"), "cut");
  await expect(load(run)).rejects.toThrow(advice);
});

test("weights that are no numbers are refused, naming file and tensor", async () => {
  const { record } = run;
  const branch = { "classifier.bias": float32([2], Float32Array.of(1, Number.NaN)) };
  const stored = { folder: run.folder, record: await finishRun(run.folder, record, branch) };
  await expect(load(stored)).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/model\.safetensors: classifier\.bias is NaN at \[1\]/),
  });
});

test("a tasks file is known where config.yaml names one that is there, and no damage is an error", async () => {
  const config = path.join(run.folder, "config.yaml");
  const tasks = path.join(run.folder, "tasks.yaml");
  const found = async (content: string) => {
    writeFileSync(config, content);
    return recordedTasksFile(run.folder);
  };
  expect(await recordedTasksFile(run.folder)).toBeNull();
  expect(await found(`tasks: ${tasks}\n`)).toBeNull();
  writeFileSync(tasks, "tasks: []\n");
  expect(await found(`tasks: ${tasks}\n`)).toBe(tasks);
  for (const damaged of ["tasks: [", "", "null", "tasks: 3", "- a"]) expect(await found(damaged)).toBeNull();
});
