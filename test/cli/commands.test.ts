// The small commands, and how any command ends: on bad input, on a signal, with nobody reading its log.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { float32 } from "../../src/model/tensors";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const cache = path.join(cwd, "cache");
const env = { FLEXBERT_CACHE: cache };
const run = (line: string, input?: string) =>
  flexbert(line.split(" "), { cwd, env, ...(input === undefined ? {} : { input }) });
const bin = path.join(__dirname, "../../bin/flexbert.js");
const start = (line: string) =>
  spawn(process.execPath, [bin, ...line.split(" ")], { cwd, env: { ...process.env, ...env } });

beforeAll(async () => {
  writeTinyGlue(path.join(cwd, "glue-data"));
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
});

describe("tokenize", () => {
  test("a pair, with offsets", () => {
    const { status, stdout } = flexbert(["tokenize", "A film.", "--pair", "bad", "--offsets"], { cwd, env });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      input_ids: [101, 1037, 2143, 1012, 102, 2919, 102],
      token_type_ids: [0, 0, 0, 0, 0, 1, 1],
      tokens: ["[CLS]", "a", "film", ".", "[SEP]", "bad", "[SEP]"],
      truncated: 0,
      offset_unit: "codepoint",
      offsets: [
        null,
        ...[
          [0, 0, 1],
          [0, 2, 6],
          [0, 6, 7],
        ].map(offset),
        null,
        offset([1, 0, 3]),
        null,
      ],
    });
  });

  test("the lines of stdin, split at a tab and cut", () => {
    const { stdout } = run("tokenize --pairs --max-length 5", "a film\tbad\nbook\n");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ token_type_ids, truncated }) => [token_type_ids, truncated])).toEqual([
      [[0, 0, 0, 1, 1], 1],
      [[0, 0, 0], 0],
    ]);
  });
});

const offset = ([text, start, end]: number[]) => ({ text, start, end });

describe("tasks and data", () => {
  test("tasks lists what there is and where its data lies", () => {
    const tasks: { name: string; splits: Record<string, string | null> }[] = JSON.parse(run("tasks --json").stdout);
    const splits = (name: string) => tasks.find((task) => task.name === name)?.splits;
    expect(splits("rte")).toEqual({ train: "glue-data/RTE/train.tsv", dev: "glue-data/RTE/dev.tsv", test: null });
    expect(splits("mnli")?.["train"]).toBeNull();
    expect(JSON.parse(run("tasks --schema").stdout)).toHaveProperty("properties.tasks");
  });

  test("data sample writes tasks that data check finds whole", () => {
    expect(run("data sample made").status).toBe(0);
    const { status, stdout } = run("data check --tasks made/tasks.yaml --task sample-intent");
    expect(status).toBe(0);
    expect(stdout).toMatch(/train +480 .* book /);
  });

  test("data check ends with 3 where rows are broken, its result on stdout alone", () => {
    mkdirSync(path.join(cwd, "broken/SST-2"), { recursive: true });
    writeFileSync(path.join(cwd, "broken/SST-2/dev.tsv"), "sentence\tlabel\na good film\t1\nno label here\n");
    const { status, stdout, stderr } = run("data check --glue-data broken --task sst2 --json");
    expect(status).toBe(3);
    expect(JSON.parse(stdout)[0].splits[0].broken).toEqual([expect.objectContaining({ line: 3 })]);
    expect(JSON.parse(stderr)).toEqual({ error: { message: expect.stringMatching(/sst2/), exitCode: 3 } });
  });
});

describe("import", () => {
  test("takes a folder, and the config.yaml of its run takes it again", async () => {
    const base = tinyBase("tiny");
    const changed = "bert.encoder.layer.3.output.dense.bias";
    const tensors = {
      ...base.tensors,
      [changed]: float32([16], new Float32Array(16).fill(0.5)),
      "classifier.weight": float32([2, 16], new Float32Array(32).fill(0.1)),
      "classifier.bias": float32([2], new Float32Array(2)),
    };
    await writeBase({ ...base, tensors }, path.join(cwd, "theirs"));
    const options = "--max-length 32 --labels not_entailment,entailment --json";
    const first = JSON.parse(run(`import theirs --task rte --base ./tiny ${options}`).stdout);
    expect([first.method, first.layers, first.fork]).toEqual(["import", 1, 3]);
    const again = run(`import --config ${first.folder}/config.yaml --json`);
    expect(JSON.parse(again.stdout)).toEqual({ ...first, finishedAt: expect.any(String) });
    expect(run(`import theirs --task rte --base ./tiny --max-length 32`).stderr).toMatch(
      /Give --labels with the names of/,
    );
    expect(run("import --task rte --base ./tiny").status).toBe(2);
  });
});

describe("doctor and clean", () => {
  test("doctor names versions, engines with their speed or remedy, and bases", () => {
    for (const folder of ["glue", "pulled"]) mkdirSync(path.join(cache, folder), { recursive: true });
    writeFileSync(path.join(cache, "pulled/config.json"), "{}"); // beside GLUE's downloads, which are no base
    const { machine, engines } = JSON.parse(run("doctor --json").stdout);
    for (const folder of ["glue", "pulled"]) rmSync(path.join(cache, folder), { recursive: true });
    expect(machine).toMatchObject({ flexbert: expect.stringMatching(/^\d/), node: process.version, bases: ["pulled"] });
    const wasm = engines.find(({ name }: { name: string }) => name === "wasm");
    expect(wasm.flopsPerSecond).toBeGreaterThan(0);
    for (const engine of engines) if (!engine.present) expect(engine.remedy).toMatch(/./);
  });

  test("doctor goes on where the cache is a file or a setting is wrong, and names them", () => {
    const file = path.join(cwd, "no-folder");
    writeFileSync(file, "");
    const broken = { FLEXBERT_CACHE: file, FLEXBERT_TENSORFLOW_MODE: "abc" };
    const { status, stdout } = flexbert(["doctor"], { cwd, env: broken });
    expect(status).toBe(0);
    expect(stdout).toMatch(/cannot use the cache .*no-folder: a file stands where a folder is needed/);
    expect(stdout).toMatch(/tensorflow +absent +FLEXBERT_TENSORFLOW_MODE is abc; it is one of auto/);
    expect(stdout).toMatch(/--engine auto stops at that setting of tensorflow's, too/);
    const bench = flexbert(["bench", "--engine", "tensorflow"], { cwd, env: broken });
    expect([bench.status, bench.stderr]).toEqual([2, expect.stringMatching(/MODE is abc.*Mend that setting/)]);
  });

  test("clean removes what dead processes left, and nothing else", () => {
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    const folder = path.join(cwd, "untidy/.trunk-cache");
    mkdirSync(folder, { recursive: true });
    const leftovers = [`${dead}-1.trunk.tmp`, `.run.json.${dead}-0123abcd.tmp`];
    const others = [`${process.pid}-1.trunk.tmp`, `.run.json.${process.pid}-0123abcd.tmp`, "run.json", "notes.tmp"];
    for (const name of [...leftovers, ...others]) writeFileSync(path.join(folder, name), "x");
    expect(run("clean --checkpoints untidy --dry-run").stdout).toMatch(/would remove 2 files/);
    expect(readdirSync(folder)).toHaveLength(6);
    expect(run("clean --checkpoints untidy").status).toBe(0);
    expect(readdirSync(folder).sort()).toEqual([...others].sort());
  });
});

describe("the end of a command", () => {
  test.each([
    [
      "finetune --epoch 3",
      2,
      /^flexbert: unknown option '--epoch' \(did you mean "--epochs"\?\). Run: flexbert finetune --help\n$/,
    ],
    ["pull", 2, /^flexbert: missing required argument 'name'. Run: flexbert pull --help\n$/],
    ["status --checkpoints glue-data/RTE/dev.tsv", 1, /^flexbert: .*dev.tsv: a file stands where a folder is needed/],
    ["pull nothing/here --offline", 4, /^flexbert: nothing\/here is not in the cache/],
  ])("%s ends with %d and one line", (line, code, message) => {
    const { status, stdout, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([code, ""]);
  });

  test.each([
    ["engine list --gpu", /^flexbert: unknown option '--gpu'. Run: flexbert engine list --help\n$/],
    ["engine remove tensorflow --force", /^flexbert: unknown option '--force'/],
    ["data check --mirror here", /^flexbert: unknown option '--mirror'. Run: flexbert data check --help\n$/],
    ["data --mirror here", /^flexbert: unknown option '--mirror'. Run: flexbert data check --help\n$/],
    ["data sample made --max-length 8", /^flexbert: unknown option '--max-length'/],
    ["data download --base tiny", /^flexbert: unknown option '--base'/],
    ["engine", /^flexbert: engine takes install, list or remove. Run: flexbert engine --help\n$/],
    ["help nonsense", /^flexbert: unknown command nonsense. Run: flexbert --help\n$/],
  ])("%s: what another action takes is an error of usage", (line, message) => {
    const { status, stdout, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, ""]);
  });

  test("options may stand before the action", () => {
    const line = "--task rte --glue-data glue-data";
    expect(run(`data ${line} check`)).toEqual(run(`data check ${line}`));
    expect(run(`data check ${line}`)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^rte/) });
  });

  test("underscores in flags are hyphens, and --json makes errors objects", () => {
    const { status, stderr } = run("finetune --learning_rate=-1 --json");
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toEqual({
      error: { message: '--learning-rate "-1": it takes a number of at least 0', exitCode: 2 },
    });
  });

  test("Ctrl-C ends at once what has nothing to save", async () => {
    const child = start("tokenize");
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.stdin.write("a film\n");
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    expect(await exited).toBe(130);
  });

  test("SIGTERM saves a run's state, says how to go on, and ends with 143", async () => {
    const child = start("finetune --task rte --k 2 --base ./tiny --max-length 32 --epochs 10000 --learning-rate 1e-5");
    const exited = new Promise((resolve) => child.once("exit", resolve));
    let stderr = "";
    let stopped = false;
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
      if (/epoch 1,/.test(stderr) && !stopped) stopped = child.kill("SIGTERM"); // a second one would not wait
    });
    expect(await exited).toBe(143);
    expect(stderr).toMatch(/state is saved in (\S+)\. Go on with: flexbert finetune --task rte --k 2 /);
    const folder = /state is saved in (\S+)\. /.exec(stderr)?.[1] ?? "";
    expect(existsSync(path.join(cwd, folder, "state.safetensors"))).toBe(true);
  });

  test("training goes on when nobody reads its log any more", async () => {
    const child = start("finetune --task rte --k 1 --base ./tiny --max-length 32 --epochs 20");
    const exited = new Promise((resolve) => child.once("exit", resolve));
    let stdout = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.destroy();
    expect(await exited).toBe(0);
    expect(stdout).toMatch(/1 run trained/);
  });
});

test("stdout on a full disk is a failure of one line", () => {
  const { status, stderr } = spawnSync("sh", ["-c", `"${process.execPath}" "${bin}" tasks > /dev/full`], {
    cwd,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/^flexbert: cannot write to standard output: the disk is full.*\n$/);
  expect(status).toBe(1);
});

describe("an option given twice", () => {
  test("is refused with both values, not silently the last one (2)", () => {
    const { status, stderr } = run("tokenize a --max-length 5 --max-length 7");
    expect([status, stderr]).toEqual([2, 'flexbert: --max-length is given twice: "5" and "7". Give it once\n']);
  });

  test("with the same value is taken", () => {
    expect(run("tokenize a --max-length 5 --max-length 5").status).toBe(0);
  });
});
