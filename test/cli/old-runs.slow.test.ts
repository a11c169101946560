// What flexbert 0.1.0 left on disk (test/fixtures/v0.1.0), in the hands of today's: what is finished is found and stays
// as it is, byte for byte; choosing, merging, predicting, scoring and reporting say what 0.1.0 said.
// old-runs-resume.slow.test.ts goes on with what is unfinished.

import { readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { sha256Hex } from "../../src/files/hash";
import { packageVersion } from "../../src/files/version";
import { storedManifest } from "../merged";
import { flexbert } from "./flexbert";
import { oldWorkspace } from "./old-workspace";

const { cwd, env, lines, read, json, run } = oldWorkspace();

/** A record as 0.1.0 would have written it: the name of the flexbert that wrote it is what newer ones add. */
function asWritten(file: string): Buffer | string {
  if (path.basename(file) !== "run.json") return read(file);
  return `${JSON.stringify({ ...json(file), flexbert: undefined }, null, 2)}\n`;
}

/** The hash of every file below a folder. */
function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(path.join(cwd, folder), { recursive: true }).map(String).sort();
  const files = names.filter((name) => statSync(path.join(cwd, folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, sha256Hex(asWritten(path.join(folder, name)))]));
}

const folderOf = (name: RegExp, method: string) => {
  const within = path.join("checkpoints/tiny", method);
  const found = readdirSync(path.join(cwd, within)).filter((folder) => name.test(folder));
  expect(found).toHaveLength(1);
  return path.join(within, found[0] as string);
};

describe("finished", () => {
  let before: object;
  beforeAll(() => {
    before = { ...filesIn("checkpoints"), ...filesIn("results") };
  });
  /** scores.csv, which 0.1.0 did not write, is made of the run folders. */
  const nothingChanged = () => {
    const { "small/scores.csv": _, ...results } = filesIn("results");
    expect({ ...filesIn("checkpoints"), ...results }).toEqual(before);
  };

  test("status finds runs, teachers and students", () => {
    const statuses = JSON.parse(run("status --json").stdout);
    const shown = statuses.map(({ task, teacher, runs }: Record<string, unknown[]>) => [task, teacher, runs?.length]);
    expect(shown).toEqual([
      ["closeness", folderOf(/^k04-seed1-/, "closeness/finetune"), 5],
      ["mood", folderOf(/^k02-seed2-/, "mood/finetune"), 8],
      ["verdict", folderOf(/^k03-seed1-/, "verdict/finetune"), 6],
    ]);
  });

  test("a sweep and its students are not trained again, and get the same ids", () => {
    for (const name of ["finetuneMood", "distill"]) {
      const { stderr } = run(lines[name] as string);
      expect(stderr).not.toMatch(/epoch \d+,/);
    }
    nothingChanged();
  });

  test("a sweep by halving stands as it was left", () => {
    const { stdout, stderr } = run(lines["finetuneVerdict"] as string);
    expect(stderr).not.toMatch(/epoch \d+,/);
    expect(stdout).toMatch(
      /verdict: halving chose k=3 \(88\.2\)\. Stopped, .*: k=1 \(0\.0\) after epoch 2, k=2 \(22\.2\) after epoch 2/,
    );
    nothingChanged();
  });

  test("config.yaml of a run repeats it", () => {
    const folder = folderOf(/^k03-seed1-/, "closeness/finetune");
    const { runs } = JSON.parse(run(`finetune --config ${folder}/config.yaml --engine wasm --json`).stdout).tasks[0];
    expect(runs.map((stored: { folder: string }) => stored.folder)).toEqual([folder]);
    nothingChanged();
  });

  test("an experiment does nothing new, and its plan has the same trials", () => {
    const { stdout, stderr } = run(`${lines["run"]} --json`);
    expect(stderr).not.toMatch(/epoch \d+,|engine:/);
    const steps = { select: "skipped", merge: "skipped", report: "skipped" };
    expect(JSON.parse(stdout)).toMatchObject({ trials: 6, finished: 6, steps });
    nothingChanged();
  });
});

describe("what 0.1.0 chose, merged and said", () => {
  test("select chooses the same runs", () => {
    run((lines["select"] as string).replace("chosen/selection.json", "chosen/today.json"));
    const { flexbert, teachers, ...today } = json("chosen/today.json");
    // What a choice says of its task's teacher came later.
    expect(today).toMatchObject(json("chosen/selection.json"));
    expect(teachers).toBeCloseTo((0.9375 + 0.021121509145841544) / 2, 9);
    expect(flexbert).toBe(packageVersion());
  });

  test("merge writes the same manifest and the same blobs", () => {
    run((lines["merge"] as string).replace("--out merged", "--out merged-today"));
    // The graph of a later version may be another one; merge itself compares its outputs with the branches'.
    const { onnx, flexbert, pieces: _pieces, ...manifest } = storedManifest(path.join(cwd, "merged-today"));
    const { onnx: _, ...old } = json("merged/flexbert.json");
    const { files, ...base } = manifest.base;
    expect({ ...manifest, base }).toEqual({ ...old, format: 2 });
    const texts = ["config.json", "tokenizer_config.json", "vocab.txt"]; // what 0.1.0 held to nothing
    expect(files).toEqual(Object.fromEntries(texts.map((name) => [name, sha256Hex(read(`merged-today/${name}`))])));
    expect(flexbert).toBe(packageVersion());
    expect(onnx.sha256).toBe(sha256Hex(read("merged-today/model.onnx")));
    const weights = Object.entries(filesIn("merged-today/blobs")).filter(([name]) => name.endsWith(".safetensors"));
    expect(Object.fromEntries(weights)).toEqual(filesIn("merged/blobs"));
  });

  test("predict gives the same labels and scores", () => {
    const today = run(lines["predict"] as string).stdout + run(lines["predictPairs"] as string).stdout;
    const rows = (text: string) =>
      text
        .trim()
        .split("\n")
        .map((row) => JSON.parse(row));
    expectClose(rows(today), rows(read("expected/predictions.jsonl").toString()));
  });

  test("eval gives the same scores, of the merged model and of a run", () => {
    // Logits differ by 1.2e-7 at most; Pearson of values that are nearly the same makes 1e-5 of that.
    expectClose(JSON.parse(run(lines["evaluate"] as string).stdout), json("expected/scores.json"), 4);
    const folder = folderOf(/^k04-seed1-/, "closeness/finetune");
    const [{ metrics }] = JSON.parse(run(`eval --model ${folder} --engine wasm --json`).stdout);
    expectClose(metrics, json(`${folder}/run.json`).metrics, 4);
  });

  test("report shows the runs and the merged model", () => {
    run("report --merged merged --out report");
    const text = read("report/report.md").toString();
    for (const shown of ["mood", "closeness", "verdict", "93.8", "25.1"]) expect(text).toContain(shown);
  });

  test("import of the same folder is the same run", () => {
    const folder = folderOf(/^k01-import-/, "mood/finetune");
    const { score } = json(`${folder}/run.json`);
    const weights = sha256Hex(read(`${folder}/model.safetensors`));
    const imported = JSON.parse(run(`${lines["importMood"]} --json`).stdout);
    expect([imported.folder, imported.score]).toEqual([folder, score]);
    expect(sha256Hex(read(`${folder}/model.safetensors`))).toBe(weights);
  });

  test("merge adds a task to the folder, and the others stay", () => {
    const { tasks: before } = json("merged/flexbert.json");
    run("merge --task verdict --select teacher --out merged --tasks tasks.yaml --base tiny");
    const { tasks } = storedManifest(path.join(cwd, "merged"));
    expect(tasks.map(({ name }: { name: string }) => name)).toEqual(["closeness", "mood", "verdict"]);
    expect(tasks.slice(0, 2)).toEqual(before);
  });
});

describe("what a newer flexbert wrote is refused with its name", () => {
  test.each([
    ["run.json", () => `${folderOf(/^k03-seed1-/, "closeness/finetune")}/run.json`, "status", 4, 1],
    ["a manifest", () => "merged/flexbert.json", "predict --model merged --text a", 4, 2],
    // What --select names is an option's value, and a wrong one is exit 2 whatever is wrong with it.
    ["a selection", () => "chosen/selection.json", "merge --select chosen/selection.json --base tiny", 2, 1],
  ])("%s", (_, fileOf, line, code, known) => {
    const file = fileOf();
    const before = read(file);
    writeFileSync(path.join(cwd, file), JSON.stringify({ ...json(file), format: known + 1, flexbert: "9.1.0" }));
    const { status, stderr } = flexbert(line.split(" "), { cwd, env });
    writeFileSync(path.join(cwd, file), before);
    const named = `${file} has format ${known + 1}; this flexbert reads format ${known}. It was made by flexbert 9.1.0; this is ${packageVersion()}`;
    expect([status, stderr]).toEqual([code, expect.stringContaining(named)]);
    expect(stderr.split("\n").filter((text) => !/^engine: |^$/.test(text))).toHaveLength(1);
  });
});

/** As toEqual, with numbers equal to half of the last digit: merged and separate graphs may round differently in another version. */
function expectClose(actual: unknown, expected: unknown, digits = 6): void {
  const rounded = (value: unknown): unknown => {
    if (typeof value === "number") return expect.closeTo(value, digits);
    if (Array.isArray(value)) return value.map(rounded);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rounded(inner)]));
  };
  expect(actual).toEqual(rounded(expected));
}
