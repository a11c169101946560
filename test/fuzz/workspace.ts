// A folder with one of everything that commands read: what flexbert 0.1.0 left (test/fixtures/v0.1.0), bases in every form
// that is read, files of rows in every format. Each case changes files of it, runs a command in it, and puts them back.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { sha256Hex } from "../../src/files/hash";
import { parseVocabulary } from "../../src/tokenizer/vocabulary";
import { copyFolder } from "../checkpoints/copy-folder";
import { fixture } from "../checkpoints/formats/torch-files";
import { flexbert } from "../cli/flexbert";
import { zipOf } from "../data/zip-writer";
import { temporaryFolder } from "../files/temporary-folder";
import { ownReference } from "../reference";
import { writeTinyGlue } from "../tiny";

const old = path.join(__dirname, "../fixtures/v0.1.0");
const exported = path.join(__dirname, "../fixtures/glue-exported");

/** Where commands may write. It is emptied after each case. */
export const SCRATCH = "scratch";

export interface Workspace {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  read(file: string): Buffer;
  /** Puts other content in the place of files, runs, and puts back what was there. */
  withFiles<T>(contents: Readonly<Record<string, Uint8Array>>, run: () => Promise<T>): Promise<T>;
  /** Files that are no longer what they were when the workspace was made, or were not there. */
  changes(): string[];
}

export async function makeWorkspace(): Promise<Workspace> {
  const folder = temporaryFolder();
  const at = (file: string) => path.join(folder, file);
  const read = (file: string) => readFileSync(at(file));
  cpSync(old, folder, { recursive: true });
  for (const file of filesIn(folder).filter((file) => path.basename(file) === "config.yaml")) {
    writeFileSync(at(file), read(file).toString().replaceAll("/FIXTURE", folder));
  }
  writeTinyGlue(at("glue-data"), 12, 6);
  cpSync(exported, at("exported"), { recursive: true });
  await writeBases(at);
  writeFileSync(at("scores.csv"), scores);
  writeFileSync(at("latency.json"), JSON.stringify(latency));
  writeFileSync(at("options.yaml"), options);
  mkdirSync(at("results/small/jobs/0001"), { recursive: true });
  writeFileSync(at("results/small/jobs/0001/submission.json"), JSON.stringify(submission));
  // Of a process that is no more.
  const holder = { host: os.hostname(), pid: 2 ** 22 - 1, start: "0", purpose: "training", token: "t" };
  writeFileSync(at("checkpoints/tiny/verdict/finetune/k02-seed7-f1cd61fe/.flexbert.lock"), JSON.stringify(holder));
  const env = {
    FLEXBERT_CACHE: at("cache"),
    FLEXBERT_TFJS_NODE: at("no-tensorflow"),
    HF_ENDPOINT: "http://127.0.0.1:9",
    NO_COLOR: "1",
    CI: "1",
  };
  // A merged folder of today's format, with two versions.
  cpSync(at("merged"), at("served"), { recursive: true });
  const line = "remove --merged served --task closeness --no-onnx --tasks tasks.yaml --engine wasm";
  const { status, stderr } = flexbert(line.split(" "), { cwd: folder, env });
  if (status !== 0) throw new Error(stderr);
  const made = contentsOf(folder);
  const changes = () => {
    const now = contentsOf(folder);
    return [...new Set([...made.keys(), ...now.keys()])].filter((file) => made.get(file) !== now.get(file));
  };
  return { folder, env, read, withFiles: (contents, run) => withFiles(folder, contents, run), changes };
}

const scores = `task,base_layers,fork,layers,score
rte,12,8,4,66.4
rte,12,10,2,64.1
cola,12,7,5,58.25
cola,12,10,1,nan
cola,12,none,12,59
`;

const submission = {
  format: 1,
  system: "slurm",
  number: 1,
  experiment: "small",
  plan: "1f3a9c02",
  at: "2026-11-27T10:00:00.000Z",
  arrays: [
    { name: "finetune", stage: "finetune", packs: ["0-3", "4,6"], id: "17" },
    { name: "merge", stage: "merge", packs: [""], id: "18" },
  ],
};

const latency = {
  sharedLayerMs: 1,
  branchLayerMs: 1.5,
  topLayerMs: 1.25,
  fixedMs: 0.5,
  measured: {
    base: "tiny",
    baseSha256: "2de178327cefd7a63510520709b1da2e4879b7ac831e8305586c46b98ff6ecc7",
    engine: "wasm",
    threads: 1,
    batchSize: 1,
    length: 64,
    rounds: 3,
  },
};

const options = `task: mood
tasks: tasks.yaml
base: tiny
k: 1-2
epochs: 2
learning_rate: 0.003
batch_size: 8
max_length: 32
seeds: 2
dropout: 0.1
cache_budget: 25%
search: full
choose_by: max
`;

/** micro-bert in PyTorch's files, in shards, with every file that a tokenizer may have, as TensorFlow's checkpoint and as a zip. */
async function writeBases(at: (file: string) => string): Promise<void> {
  const micro = path.join(ownReference, "micro-bert");
  const form = (name: string, files: readonly (readonly [to: string, from: string])[]) => {
    copyFolder(micro, at(`bases/${name}`));
    rmSync(at(`bases/${name}/model.safetensors`));
    for (const [to, from] of files) cpSync(from, at(`bases/${name}/${to}`));
  };
  form("zip", [["pytorch_model.bin", fixture("zip.bin")]]);
  form("legacy", [["pytorch_model.bin", fixture("legacy.bin")]]);
  for (const name of ["sharded-safetensors", "sharded-bin"]) {
    form(
      name,
      readdirSync(fixture(name)).map((file) => [file, fixture(path.join(name, file))]),
    );
  }
  copyFolder(path.join(ownReference, "micro-bert-tf1"), at("bases/tf1"));
  copyFolder(micro, at("bases/micro"));
  const words = parseVocabulary(readFileSync(at("bases/micro/vocab.txt"), "utf8"));
  const json = (file: string, value: unknown) =>
    writeFileSync(at(`bases/micro/${file}`), JSON.stringify(value, null, 2));
  json("tokenizer.json", tokenizerJson(words));
  json("tokenizer_config.json", {
    do_lower_case: true,
    strip_accents: null,
    tokenize_chinese_chars: true,
    tokenizer_class: "BertTokenizer",
    model_max_length: 512,
    additional_special_tokens: ["[E1]"],
    added_tokens_decoder: { [words.length]: { content: "[E1]", lstrip: false, normalized: false, special: true } },
  });
  json("added_tokens.json", { "[E1]": words.length });
  json("special_tokens_map.json", { unk_token: "[UNK]", additional_special_tokens: ["[E1]"] });
  json("flexbert-source.json", { name: "micro", source: "nowhere", lowerCase: true });
  copyFolder(at("bases/micro"), at("bases/fast"));
  rmSync(at("bases/fast/vocab.txt"));
  copyFolder(at("bases/fast"), at("cache/fast"));
  for (const [zip, compress] of [
    ["micro.zip", true],
    ["stored.zip", false],
  ] as const) {
    const files = readdirSync(at("bases/micro")).map((file) => [file, readFileSync(at(`bases/micro/${file}`))]);
    writeFileSync(at(`bases/${zip}`), await zipOf(Object.fromEntries(files), compress));
  }
}

const tokenizerJson = (words: readonly string[]) => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [{ id: words.length, content: "[E1]", single_word: false, normalized: false, special: true }],
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(words.map((word, id) => [word, id])),
  },
});

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(path.relative(folder, entry.parentPath), entry.name));

const contentsOf = (folder: string): ReadonlyMap<string, string> =>
  new Map(filesIn(folder).map((file) => [file, sha256Hex(readFileSync(path.join(folder, file)))]));

async function withFiles<T>(
  folder: string,
  contents: Readonly<Record<string, Uint8Array>>,
  run: () => Promise<T>,
): Promise<T> {
  const names = Object.keys(contents);
  const good = names.map((file) => [path.join(folder, file), readFileSync(path.join(folder, file))] as const);
  for (const file of names) writeFileSync(path.join(folder, file), contents[file] as Uint8Array);
  mkdirSync(path.join(folder, SCRATCH), { recursive: true });
  try {
    return await run();
  } finally {
    for (const [file, bytes] of good) writeFileSync(file, bytes);
    rmSync(path.join(folder, SCRATCH), { recursive: true, force: true });
  }
}
