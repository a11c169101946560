// flexbert submit as a user runs it, on test files of the published lengths: three small tasks are predicted, the others
// filled.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { checkSubmissionFile, submissionFiles } from "../../src/data/glue/submission";
import { extractZip } from "../../src/files/zip";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { until } from "../until";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string) => flexbert(line.split(" "), { cwd, env });
const glueData = path.join(cwd, "glue-data");

/** A header of the columns that the task reads, and rows as many as the site takes. */
function writeTestFiles(): void {
  for (const { task, source } of submissionFiles()) {
    const { text, pair, index } = source.columns;
    const header = [index ?? "index", text, ...(pair === undefined ? [] : [pair])].join("\t");
    const rows = Array.from({ length: source.rows as number }, (_, row) => {
      return `${row}\tthe ${row % 2 ? "good" : "bad"} film${pair === undefined ? "" : `\tthe ${row % 3 ? "book" : "film"}`}`;
    });
    mkdirSync(path.join(glueData, task.folder), { recursive: true });
    writeFileSync(path.join(glueData, task.folder, source.file), `${[header, ...rows].join("\n")}\n`);
  }
}

beforeAll(async () => {
  writeTinyGlue(glueData);
  writeTestFiles();
  await writeBase(tinyBase("tiny", { layers: 2 }), path.join(cwd, "tiny"));
  const trained = run("finetune --task rte,sst2,stsb --k 1 --epochs 1 --base ./tiny --max-length 32");
  expect({ ...trained, stdout: "" }).toMatchObject({ status: 0 });
  expect(run("merge --out merged/ --base ./tiny")).toMatchObject({ status: 0 });
});

async function unzipped(zip: string): Promise<Record<string, string>> {
  const folder = path.join(cwd, `${path.basename(zip)}-out`);
  const names = await extractZip(path.join(cwd, zip), folder, { target: (entry) => entry, maxBytes: 1e8 });
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(folder, name), "utf8")]));
}

describe("flexbert submit", () => {
  test("without the missing tasks it is an error that names them, and writes nothing", () => {
    const { status, stderr } = run("submit --merged merged/");
    expect([status, stderr]).toEqual([
      4,
      expect.stringMatching(/has no cola, mrpc, qqp, mnli, qnli, wnli, ax, .*--fill-missing/),
    ]);
    expect(readdirSync(cwd).filter((name) => name.startsWith("submission"))).toEqual([]);
  });

  test("a dry run prints the plan and writes nothing", () => {
    const { status, stdout, stderr } = run("submit --merged merged/ --fill-missing --dry-run --json");
    expect(status).toBe(0);
    const { files } = JSON.parse(stdout);
    expect(files).toHaveLength(11);
    expect(files[1]).toEqual({
      name: "SST-2.tsv",
      rows: 1821,
      predictedWith: "sst2",
      testFile: path.join("glue-data", "SST-2", "test.tsv"),
    });
    expect(files[4]).toMatchObject({ name: "QQP.tsv", rows: 390965, predictedWith: null });
    expect(stderr).not.toMatch(/engine/);
    expect(run("submit --merged merged/ --fill-missing --dry-run").stdout).toMatch(/WNLI\.tsv +146 +a constant/);
    expect(existsSync(path.join(cwd, "submission.zip.parts"))).toBe(false);
  });

  test("writes the zip that the site takes, says what is no prediction, and again the same bytes", async () => {
    const first = run("submit --merged merged/ --fill-missing --quiet");
    expect(first).toMatchObject({ status: 0 });
    expect(first.stderr).toMatch(
      /not predicted, but filled with one constant: CoLA\.tsv, MRPC\.tsv, QQP\.tsv, .*AX\.tsv/,
    );
    expect(first.stdout).toMatch(/RTE\.tsv +3000 +rte +(not_)?entailment [\d.]+ %/);
    const contents = await unzipped("submission.zip");
    expect(Object.keys(contents)).toEqual(submissionFiles().map(({ name }) => name));
    for (const file of submissionFiles()) checkSubmissionFile(file, contents[file.name] as string);
    expect(contents["WNLI.tsv"]).toBe(
      `index\tprediction\n${Array.from({ length: 146 }, (_, row) => `${row}\t0\n`).join("")}`,
    );
    const again = run("submit --merged merged/ --fill-missing --out again.zip --json");
    const { sha256, bytes, files } = JSON.parse(again.stdout);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(files[3].predictions).toEqual({
      min: expect.any(Number),
      mean: expect.any(Number),
      max: expect.any(Number),
    });
    expect(bytes).toBe(readFileSync(path.join(cwd, "submission.zip")).length);
    expect(readFileSync(path.join(cwd, "again.zip")).equals(readFileSync(path.join(cwd, "submission.zip")))).toBe(true);
    expect(readdirSync(cwd).filter((name) => name.endsWith(".parts"))).toEqual([]);
  });

  test("killed on its way, it goes on with the files that it lacks", async () => {
    const bin = path.join(__dirname, "../../bin/flexbert.js");
    const args = "submit --merged merged/ --fill-missing --out killed.zip".split(" ");
    const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, ...env }, stdio: "ignore" });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const parts = path.join(cwd, "killed.zip.parts");
    const finished = () =>
      existsSync(parts) ? readdirSync(parts).filter((name) => /^\w.*-[0-9a-f]{8}\.tsv$/.test(name)) : [];
    await until(() => finished().length >= 2 || child.exitCode !== null);
    child.kill("SIGKILL");
    await exited;
    expect(existsSync(path.join(cwd, "killed.zip"))).toBe(false);
    writeFileSync(path.join(parts, `.RTE.tsv.${child.pid}-0a1b2c3d.tmp`), "half"); // as a kill in another moment leaves it
    const { status, stderr } = run("submit --merged merged/ --fill-missing --out killed.zip");
    expect(status).toBe(0);
    expect(stderr).toMatch(/\d+ of 11 files are there from before/);
    expect(readFileSync(path.join(cwd, "killed.zip")).equals(readFileSync(path.join(cwd, "submission.zip")))).toBe(
      true,
    );
    expect(existsSync(parts)).toBe(false);
  });

  test("bad input: all test files that are wrong at once, no merged model, a folder for the zip", () => {
    const place = path.join(glueData, "RTE/test.tsv");
    const whole = readFileSync(place, "utf8");
    rmSync(path.join(glueData, "WNLI/test.tsv"));
    writeFileSync(place, whole.split("\n").slice(0, 13).join("\n"));
    const { status, stderr } = run("submit --merged merged/ --fill-missing");
    writeFileSync(place, whole);
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /RTE.test\.tsv has 12 rows, the site takes 3000\. Run: flexbert data download --task rte --force\n/,
    );
    expect(stderr).toMatch(/WNLI.test\.tsv is missing\. Run: flexbert data download --task wnli/);
    expect(run("submit --merged nowhere")).toMatchObject({
      status: 4,
      stderr: expect.stringMatching(/nowhere is no merged model/),
    });
    expect(run("submit --merged merged/ --out tiny")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/--out tiny is a folder/),
    });
  });
});
