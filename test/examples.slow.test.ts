// The Python and JavaScript that README and docs show runs as it stands there, in a folder that has what its page speaks of,
// and gives what `flexbert predict` gives, of texts that a task cuts too: hugot#73, openvinotoolkit/model_server#3519 and
// huggingface/sentence-transformers#929, where longer texts gave other results, or an error of the runtime's.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { randomBase, writeBase } from "../src/checkpoints/bases/random-base";
import { cachedFolder } from "../src/files/cache";
import { embeddedVocabulary } from "../src/tokenizer/vocabulary";
import { flexbert } from "./cli/flexbert";
import { engineAbsence } from "./engines/engines";
import { unless } from "./skips";
import { temporaryFolder, tinyConfig, writeTinyGlue } from "./tiny";

const root = path.join(__dirname, "..");
const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache"), NO_COLOR: "1", HF_HUB_OFFLINE: "1" };
const python = process.env["FLEXBERT_PYTHON"] ?? "python3";

/** Blocks of code in a language, by file and place. */
function examplesIn(file: string, language: RegExp, text = readFileSync(path.join(root, file), "utf8")): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)]
    .filter(([, name = ""]) => language.test(name))
    .map(([, , code]) => code as string);
}

const JAVASCRIPT = /^(js|javascript|ts|typescript)$/;
const only = (file: string, language: RegExp) => examplesIn(file, language)[0] as string;

test("every example in Python and JavaScript is one of those below", () => {
  const documents = ["README.md", ...readdirSync(path.join(root, "docs")).map((name) => `docs/${name}`)];
  const shown = documents
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) => [
      ...examplesIn(file, JAVASCRIPT).map(() => `${file}: JavaScript`),
      ...examplesIn(file, /^(python|py)$/).map(() => `${file}: Python`),
    ]);
  expect(shown.sort()).toEqual([
    "docs/api.md: JavaScript",
    "docs/api.md: JavaScript",
    "docs/deployment.md: JavaScript",
    "docs/deployment.md: Python",
    "docs/deployment.md: Python", // in stages: test/export/onnx-stages
    "docs/serve.md: JavaScript", // test/serve/examples.slow.test.ts
    "docs/serve.md: Python",
    "docs/serve.md: Python",
  ]);
});

/** Runs a program that must succeed, and returns what it printed. */
function run(program: string, args: readonly string[], folder = cwd): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  expect({ args, status, said: status === 0 ? "" : `${error ?? ""}${stderr}` }).toEqual({ args, status: 0, said: "" });
  return stdout;
}

function command(line: string): string {
  const { status, stdout, stderr } = flexbert(line.split(" "), { cwd, env });
  expect({ line, status, said: status === 0 ? "" : stderr }).toEqual({ line, status: 0, said: "" });
  return stdout;
}

const javascript = (code: string): string => {
  writeFileSync(path.join(cwd, "example.mjs"), code);
  return run(process.execPath, ["example.mjs"]);
};

/** Below the task's limit, at it, just over it, and over what any BERT reads. */
const texts = [
  "where is my parcel",
  "one two ".repeat(5),
  "one two ".repeat(5).concat("three"),
  "what does it cost, please ".repeat(300),
];
/** Tokens that sample-intent reads, and rte. */
const limits = { intent: 12, rte: 16 };

interface Prediction {
  readonly label: string;
  readonly scores: Readonly<Record<string, number>>;
}

/** What predict says of rows of one text or two. */
function predicted(task: string, rows: readonly { readonly text: string; readonly pair?: string }[]): Prediction[] {
  writeFileSync(path.join(cwd, "rows.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  return command(`predict --task ${task} --file rows.jsonl --format jsonl`)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).predictions[task]);
}

/** Logits of an example against predict's probabilities. */
function expectTheSame(logits: readonly (readonly number[])[], predictions: readonly Prediction[]): void {
  expect(logits).toHaveLength(predictions.length);
  for (const [i, row] of logits.entries()) {
    const shares = row.map(Math.exp);
    const sum = shares.reduce((a, b) => a + b, 0);
    const scores = Object.values((predictions[i] as Prediction).scores);
    expect(shares).toHaveLength(scores.length);
    for (const [label, score] of scores.entries()) expect((shares[label] as number) / sum).toBeCloseTo(score, 4);
  }
}

beforeAll(async () => {
  const tokens = embeddedVocabulary();
  const config = { ...tinyConfig(4, 16), vocabSize: tokens.length, maxPositionEmbeddings: 512, initializerRange: 0.3 };
  const base = randomBase("bert-base-uncased", config, { tokens, lowerCase: true }, 1);
  await writeBase(base, cachedFolder("bert-base-uncased", env.FLEXBERT_CACHE));
  writeTinyGlue(path.join(cwd, "glue-data"), 16, 8);
  const intents = path.join(root, "glue-data/sample/sample-intent");
  const files = `files: { train: ${JSON.stringify(path.join(intents, "train.tsv"))}, dev: ${JSON.stringify(path.join(intents, "dev.tsv"))} }`;
  writeFileSync(
    path.join(cwd, "tasks.yaml"),
    `tasks:\n  - name: sample-intent\n    ${files}\n    columns: { text: sentence, label: label }\n` +
      "    labels: [book, change, cancel, ask_price, ask_hours, complain]\n",
  );
  writeFileSync(path.join(cwd, "new.csv"), "id,text\n1,where is my parcel\n2,a table for two\n");
  mkdirSync(path.join(cwd, "node_modules"));
  for (const [name, target] of [
    ["flexbert", root],
    ["onnxruntime-node", path.join(root, "node_modules/onnxruntime-node")],
  ] as const) {
    symlinkSync(target, path.join(cwd, "node_modules", name), "junction");
  }
  const few = "--epochs 1 --learning-rate 1e-2 --max-train-samples 64 --max-eval-samples 16 --engine wasm";
  command(`finetune --task sample-intent --k 2 --max-length ${limits.intent} ${few}`);
  command(`finetune --task rte --k 1 --max-length ${limits.rte} ${few}`);
});

const ort = unless(engineAbsence("onnx"));

ort.describe("on a merged folder", () => {
  beforeAll(() => {
    command("merge --task rte,sample-intent");
  });

  test("texts differ in what predict says of them, and a cut one is its beginning", () => {
    const [long, ...others] = predicted("sample-intent", [
      { text: texts[3] as string },
      { text: "what does it cost, please what does it cost" },
      ...texts.slice(0, 3).map((text) => ({ text })),
    ]);
    expect(others[0]?.scores["book"]).toBeCloseTo(long?.scores["book"] as number, 5);
    const scores = others.map(({ scores }) => scores["book"] as number);
    expect(Math.max(...scores) - Math.min(...scores)).toBeGreaterThan(1e-3);
  });

  test("docs/deployment.md: onnxruntime-node", () => {
    const more = `\nfor (const text of ${JSON.stringify(texts)}) console.log(JSON.stringify([...(await logits(text))]));\n`;
    const [label, ...logits] = javascript(only("docs/deployment.md", JAVASCRIPT) + more)
      .trim()
      .split("\n");
    const predictions = predicted(
      "sample-intent",
      texts.map((text) => ({ text })),
    );
    expect(label).toBe(predictions[0]?.label);
    expectTheSame(
      logits.map((line) => JSON.parse(line)),
      predictions,
    );
  });

  test("docs/api.md: an open model", () => {
    const example = examplesIn("docs/api.md", JAVASCRIPT)[1] as string;
    const lines = javascript(example);
    const [first] = predicted("sample-intent", [{ text: "where is my parcel" }]);
    expect(lines).toContain("where is my parcel");
    expect(lines).toContain(`label: '${first?.label}'`);
  });

  const missing =
    spawnSync(python, ["-c", "import numpy, onnxruntime, transformers"]).status !== 0 &&
    `${python} has no onnxruntime and transformers; FLEXBERT_PYTHON names one that has`;
  if (missing) console.warn(`SKIPPED: examples in Python, because ${missing}`);

  unless(missing).describe("Python:", () => {
    const program = (code: string, folder = cwd): string => {
      writeFileSync(path.join(folder, "example.py"), code);
      return run(python, ["example.py"], folder);
    };

    test("docs/deployment.md", () => {
      const more = `\nfor text in json.loads(${JSON.stringify(JSON.stringify(texts))}): print(json.dumps(logits([text])[0].tolist()))\n`;
      const [labels, ...logits] = program(only("docs/deployment.md", /^python$/) + more)
        .trim()
        .split("\n");
      const predictions = predicted(
        "sample-intent",
        texts.map((text) => ({ text })),
      );
      expect(labels).toContain(`['${predictions[0]?.label}', '`);
      expectTheSame(
        logits.map((line) => JSON.parse(line)),
        predictions,
      );
    });

    // The first task of the folder is rte, so the card's example has a pair of texts.
    test.each([1, 100])("the model card, on texts %i times as long", (times) => {
      const merged = path.join(cwd, "merged");
      const card = examplesIn("", /^python$/, readFileSync(path.join(merged, "README.md"), "utf8"))[0] as string;
      const row = { text: "A man plays. ".repeat(times).trim(), pair: "Someone plays. ".repeat(times).trim() };
      const code = card
        .replace('"A man plays."', JSON.stringify(row.text))
        .replace('"Someone plays."', JSON.stringify(row.pair));
      expect(code === card).toBe(times === 1);
      const [labels, logits] = program(`${code}\nprint(logits.tolist())\n`, merged).trim().split("\n");
      const predictions = predicted("rte", [row]);
      expect(labels).toBe(`['${predictions[0]?.label}']`);
      expectTheSame(JSON.parse(logits as string), predictions);
    });
  });

  // Last: it trains rte anew and merges it alone.
  test("docs/api.md: from training to a prediction", () => {
    expect(javascript(only("docs/api.md", JAVASCRIPT))).toMatch(/label: '(not_)?entailment'/);
  });
});
