// README's way from a CSV to predictions, run as it stands there: its tasks file, its two blocks of commands and the lines
// within its text, on the made-up tasks' rows as CSV and a tiny base under the name of the one that it pulls.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { randomBase, writeBase } from "../src/checkpoints/bases/random-base";
import { cachedFolder } from "../src/files/cache";
import { embeddedVocabulary } from "../src/tokenizer/vocabulary";
import { bin } from "./cli/flexbert";
import { engineAbsence } from "./engines/engines";
import { onWindows, unless } from "./skips";
import { temporaryFolder, tinyConfig } from "./tiny";

const cwd = temporaryFolder();
const root = path.join(__dirname, "..");
const readme = readFileSync(path.join(root, "README.md"), "utf8");
const section = /^## Your own CSV.*?\n(.*?)^## /ms.exec(readme)?.[1] as string;
const blocks = (language: string) =>
  [...section.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code]) => code as string);

function sh(script: string): { readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync("sh", ["-euc", script], {
    cwd,
    env: {
      ...process.env,
      ...{ PATH: `${path.join(cwd, "bin")}${path.delimiter}${process.env["PATH"]}`, NO_COLOR: "1" },
      ...{ FLEXBERT_CACHE: path.join(cwd, "cache"), BASE: "sentence-transformers/all-MiniLM-L6-v2" },
    },
    encoding: "utf8",
  });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return { stdout, stderr };
}

/** Rows of a made-up task as README has them: a comma between cells, quotes around the text. */
function writeCsv(task: string, sample: string, split: string, rows: number): void {
  const lines = readFileSync(path.join(root, `glue-data/sample/${sample}/${split}.tsv`), "utf8").split("\n");
  const cells = lines.slice(1, 1 + rows).map((line) => line.split("\t") as [string, string]);
  mkdirSync(path.join(cwd, task), { recursive: true });
  const written = cells.map(([text, label]) => `"${text.replaceAll('"', '""')}",${label}\n`).join("");
  writeFileSync(path.join(cwd, task, `${split}.csv`), `text,${task}\n${written}`);
}

beforeAll(async () => {
  const tokens = embeddedVocabulary();
  const config = { ...tinyConfig(6, 16), vocabSize: tokens.length, maxPositionEmbeddings: 512 };
  const base = randomBase("tiny", config, { tokens, lowerCase: true }, 1);
  await writeBase(base, cachedFolder("sentence-transformers/all-MiniLM-L6-v2", path.join(cwd, "cache")));
  for (const [task, sample] of [
    ["intent", "sample-intent"],
    ["mood", "sample-sentiment"],
  ] as const) {
    writeCsv(task, sample, "train", 48);
    writeCsv(task, sample, "dev", 16);
  }
  mkdirSync(path.join(cwd, "bin"));
  writeFileSync(path.join(cwd, "bin/flexbert"), `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`);
  chmodSync(path.join(cwd, "bin/flexbert"), 0o755);
});

const { test: here } = unless(onWindows || engineAbsence("onnx"));

here("from a CSV to predictions, and one task anew", () => {
  const [pipeline, predicting] = blocks("sh") as [string, string];
  writeFileSync(path.join(cwd, "tasks.yaml"), (blocks("yaml")[0] as string).trim());
  const { stdout } = sh(pipeline);
  expect(stdout).toMatch(/^intent: dev accuracy by k, in points$/m);
  expect(stdout).toMatch(/^merged\/: 2 tasks, .* of 2 x 6 \(/m);
  writeFileSync(
    path.join(cwd, "new.csv"),
    'text\nwhere do you stand on opening hours\n"please cancel it, all of it"\n',
  );
  const [header, ...rows] = sh(predicting).stdout.trim().split("\n");
  expect(header?.split("\t")).toEqual(["text", "intent", "intent score", "mood", "mood score"]);
  expect(rows.map((row) => row.split("\t")[0])).toEqual([
    "where do you stand on opening hours",
    "please cancel it, all of it",
  ]);
  const again = /`(flexbert update --merged merged\/ --task intent)`/.exec(section)?.[1] as string;
  sh("flexbert finetune --base $BASE --task intent --k 1 --learning-rate 1e-4");
  expect(sh(again).stdout).toMatch(/^merged\/: 2 tasks/m);
  expect(sh("flexbert history --merged merged/").stdout).toMatch(/update/);
});

test("a tasks file is guessed", () => {
  const line = /`(flexbert tasks init reviews\.csv)`/.exec(section)?.[1] as string;
  writeFileSync(path.join(cwd, "reviews.csv"), readFileSync(path.join(cwd, "mood/train.csv")));
  sh(`mkdir -p guess && cp reviews.csv guess && cd guess && ${line}`);
  expect(readFileSync(path.join(cwd, "guess/tasks.yaml"), "utf8")).toMatch(
    /label: mood\n +labels:\n +- negative\n +- positive/,
  );
  expect(existsSync(path.join(cwd, "guess/checkpoints"))).toBe(false);
});
