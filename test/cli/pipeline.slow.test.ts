// The user's three commands, exactly as they are promised, on a generated base of 12 layers and 64 hidden; then
// everything that reads what they wrote.

import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { randomBase, writeBase } from "../../src/checkpoints/bases/random-base";
import { cachedFolder } from "../../src/files/cache";
import { embeddedVocabulary } from "../../src/tokenizer/vocabulary";
import { storedManifest } from "../merged";
import { temporaryFolder, tinyConfig, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string, input?: string) =>
  flexbert(line.split(" "), { cwd, env, ...(input === undefined ? {} : { input }) });

beforeAll(async () => {
  const tokens = embeddedVocabulary();
  const config = { ...tinyConfig(12, 64), vocabSize: tokens.length, maxPositionEmbeddings: 128 };
  const base = randomBase("bert-base-uncased", config, { tokens, lowerCase: true }, 1);
  await writeBase(base, cachedFolder("bert-base-uncased", env.FLEXBERT_CACHE));
  writeTinyGlue(path.join(cwd, "glue-data"));
});

describe("the three commands", () => {
  test("flexbert finetune --task rte --k 3-9", () => {
    const { status, stdout, stderr } = run("finetune --task rte --k 3-9");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    const rows = stdout.split("\n").filter((line) => /^[3-9]\s{2}/.test(line));
    expect(rows).toHaveLength(7);
    expect(rows.filter((line) => line.includes("teacher"))).toHaveLength(1);
    expect(stdout).toMatch(/tokens a second, engine \w+/);
    expect(stderr).toMatch(/length buckets .* % padding/);
    const folders = readdirSync(path.join(cwd, "checkpoints/bert-base-uncased/rte/finetune"));
    expect(folders.map((name) => name.slice(0, 9))).toEqual([
      "k03-seed1",
      "k04-seed1",
      "k05-seed1",
      "k06-seed1",
      "k07-seed1",
      "k08-seed1",
      "k09-seed1",
    ]);
  });

  test("flexbert distill --student-layers 2", () => {
    const { status, stdout, stderr } = run("distill --student-layers 2");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/rte: students of a teacher of [3-9] layers/);
  });

  test("flexbert merge --out merged/", () => {
    // A second task, so that there is something to share; its teacher stays as it is.
    expect(run("finetune --task stsb --k 4").status).toBe(0);
    const { status, stdout, stderr } = run("merge --out merged/");
    expect({ status, stderr: status === 0 ? "" : stderr.replace(/engine.*\n/, "") }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/rte .*distill l2-teacher-seed1/);
    expect(stdout).toMatch(/stsb .*finetune k04-seed1/);
    const files = readdirSync(path.join(cwd, "merged"));
    expect(files).toEqual(
      expect.arrayContaining(["blobs", "config.json", "flexbert.json", "tokenizer_config.json", "vocab.txt"]),
    );
  });
});

describe("what reads their results", () => {
  test("predict reads the texts of a file, by the names of its columns", () => {
    const files: Record<string, string> = {
      "rows.tsv": 'id\tsentence1\tsentence2\n1\ta good film\tthe film "was good\n',
      "rows.csv": 'text,pair\n"a good, dull film",the film\n',
      "rows.jsonl": '{"text": "a good film", "pair": "the film"}\n',
    };
    const first = { "rows.tsv": 'the film "was good', "rows.csv": "the film", "rows.jsonl": "the film" };
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(path.join(cwd, file), content);
      const { status, stdout, stderr } = run(`predict --task rte --file ${file} --json`);
      expect([file, status, stderr.includes("defect")]).toEqual([file, 0, false]);
      expect(JSON.parse(stdout).pair).toBe(first[file as keyof typeof first]);
    }
    writeFileSync(path.join(cwd, "rows.txt"), "a good film\n");
    const { status, stderr } = run("predict --file rows.txt");
    expect([status, stderr]).toEqual([3, expect.stringMatching(/rows\.txt has no column of texts among a good film/)]);
  });

  test("predict needs nothing outside the merged folder", () => {
    renameSync(path.join(cwd, "cache"), path.join(cwd, "cache-away"));
    try {
      const { status, stdout } = flexbert(
        ["predict", "--text", "a good film", "--pair", "the film was good", "--format", "jsonl"],
        { cwd, env },
      );
      expect(status).toBe(0);
      const { predictions } = JSON.parse(stdout);
      expect(Object.keys(predictions)).toEqual(["rte", "stsb"]);
      expect(["entailment", "not_entailment"]).toContain(predictions.rte.label);
      expect(predictions.rte.scores.entailment + predictions.rte.scores.not_entailment).toBeCloseTo(1, 6);
      expect(Number.isFinite(predictions.stsb.value)).toBe(true);
    } finally {
      renameSync(path.join(cwd, "cache-away"), path.join(cwd, "cache"));
    }
  });

  test("eval of the merged model and of the run give the same logits within 1e-5", () => {
    expect(run("eval --model merged/ --task rte --predictions merged.jsonl").status).toBe(0);
    const manifest = storedManifest(path.join(cwd, "merged"));
    const rte = manifest.tasks.find(({ name }: { name: string }) => name === "rte");
    const folder = `checkpoints/bert-base-uncased/rte/distill/${rte.run.split(" ")[1]}`;
    const alone = run(`eval --model ${folder} --predictions alone.jsonl --json`);
    expect(alone.status).toBe(0);
    expect(JSON.parse(alone.stdout)[0].score).toBeCloseTo(rte.score, 9);
    const logits = (file: string) =>
      readFileSync(path.join(cwd, file), "utf8")
        .trim()
        .split("\n")
        .flatMap((line) => JSON.parse(line).logits as number[]);
    const [merged, separate] = [logits("merged.jsonl"), logits("alone.jsonl")];
    expect(merged).toHaveLength(24);
    for (const [i, logit] of merged.entries()) expect(Math.abs(logit - (separate[i] as number))).toBeLessThan(1e-5);
  });

  test("status, a run folder's config.yaml, and a repeated command that does nothing again", () => {
    const status = JSON.parse(run("status --json").stdout);
    expect(status.map(({ task }: { task: string }) => task)).toEqual(["rte", "stsb"]);
    const folder = status[0].runs[0].folder;
    const again = run(`finetune --config ${folder}/config.yaml --json`);
    expect(again.status).toBe(0);
    expect(JSON.parse(again.stdout).tasks[0].runs[0].folder).toBe(folder);
    expect(again.stderr).not.toMatch(/epoch/);
  });

  test("a task is removed, and added again, without touching the other's blob", () => {
    const blobOf = (name: string) =>
      storedManifest(path.join(cwd, "merged")).tasks.find((task: { name: string }) => task.name === name)?.file;
    const stsb = blobOf("stsb");
    expect(run("merge --out merged/ --remove rte").status).toBe(0);
    expect(blobOf("rte")).toBeUndefined();
    expect(run("predict --model merged/ --task rte --text a --pair b").status).toBe(4);
    expect(run("merge --out merged/ --task rte --select teacher").status).toBe(0);
    expect(blobOf("stsb")).toBe(stsb);
    expect(existsSync(path.join(cwd, "merged", blobOf("rte")))).toBe(true);
  });

  test("a dry run prints parameters, steps, memory and time, and trains nothing", () => {
    const before = readdirSync(path.join(cwd, "checkpoints/bert-base-uncased/rte/finetune"));
    const { status, stdout } = run("finetune --task rte --k 1-2,full --dry-run --json");
    expect(status).toBe(0);
    const { trials } = JSON.parse(stdout);
    expect(trials.map(({ layers, full }: { layers: number; full: boolean }) => (full ? "full" : layers))).toEqual([
      "full",
      2,
      1,
    ]);
    for (const trial of trials) {
      expect(trial.steps).toBe(6);
      expect(trial.memoryBytes).toBeGreaterThan(4 * trial.trainable);
      expect(trial.seconds).toBeGreaterThan(0);
    }
    expect(readdirSync(path.join(cwd, "checkpoints/bert-base-uncased/rte/finetune"))).toEqual(before);
  });
});

describe("bad input", () => {
  test.each([
    ["finetune --task rte --k 13", 2, /base has 12 layers/],
    ["finetune --task rte --k 3-1", 2, /it takes layers such as 3-9/],
    ["finetune --task rte --epochs 0 --batch-size x", 2, /--epochs "0".*\n.*--batch-size "x"/],
    ["finetune --task rta --k 3", 2, /did you mean "rte"/],
    ["finetune --task rte --base no-such-base --k 1", 4, /flexbert pull no-such-base/],
    ["finetune --task qnli --k 1", 3, /QNLI/],
    ["distill --task sst2", 4, /flexbert finetune --task sst2/],
    ["merge --out merged/ --select kd2", 2, /kd-1/],
    ["predict --model nowhere --text a", 4, /nowhere/],
    ["predict --model merged/ --task stsb --text a", 2, /takes pairs/],
    ["eval --model merged/ --split test", 3, /./],
    ["frobnicate", 2, /unknown command/],
  ])("%s", (line, code, message) => {
    const { status, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(code);
  });

  test("an unknown key of a config names its nearest match, and all problems come at once", () => {
    writeFileSync(path.join(cwd, "bad.yaml"), "task: rte\nlearning_rat: 1e-4\nepochs: many\n");
    const { status, stderr } = run("finetune --config bad.yaml");
    expect(status).toBe(2);
    expect(stderr).toMatch(/unknown key learning_rat \(did you mean "learning_rate"\?\)/);
    expect(stderr).toMatch(/epochs "many"/);
  });

  test("a range above the base is cut, and the log says so", () => {
    const { stderr } = run("finetune --task rte --k 11-20 --dry-run");
    expect(stderr).toMatch(/k 11-20: the base has 12 layers, running 11-12/);
  });
});
