// A tiny base, tiny tasks and a quiet context: what tests of recipes, merging and serving run on.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "@jest/globals";
import type { Base } from "../src/checkpoints/bases/base";
import { baseSha256 } from "../src/checkpoints/bases/weights";
import type { Engine } from "../src/engines/engine";
import type { EncoderConfig } from "../src/model/config";
import { sizedConfig } from "../src/model/families/config-file";
import type { ModelType } from "../src/model/families/families";
import { baseParameters } from "../src/model/parameters";
import { float32, type HostTensors, sizeOf } from "../src/model/tensors";
import { normals } from "../src/random/draws";
import { foldIn, seedKey } from "../src/random/threefry";
import type { ExecutionOptions, TrainingOptions } from "../src/settings/training";
import { glueTasks } from "../src/tasks/glue";
import type { Task } from "../src/tasks/task";
import type { RunContext } from "../src/training/tracking/tracker";

const words = "the a good bad film book was is not very rather dull bright long short he she they saw read".split(" ");
const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words];

export const tinyConfig = (layers: number, hidden: number): EncoderConfig => ({
  vocabSize: tokens.length,
  hiddenSize: hidden,
  numHiddenLayers: layers,
  numAttentionHeads: 4,
  intermediateSize: 2 * hidden,
  maxPositionEmbeddings: 64,
  typeVocabSize: 2,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
  layerNormEps: 1e-12,
  initializerRange: 0.05,
  padTokenId: 0,
});

/** A random base: weights normal, biases small but not zero, so that a forgotten bias shows. */
export function tinyBase(name = "tiny", { layers = 4, hidden = 16, seed = 1, dropout = 0 } = {}): Base {
  const config = { ...tinyConfig(layers, hidden), hiddenDropoutProb: dropout, attentionProbsDropoutProb: dropout };
  return { ...randomTensors(config, seed), name, folder: "", tokenizer: { tokens, lowerCase: true } };
}

/** The same of any family. Its padding has the id that its config says: transformers counts positions by it. */
export function tinyFamilyBase(family: ModelType, name: string = family, seed = 1): Base {
  const { padTokenId, ...sizes } = { ...tinyConfig(4, 16), maxPositionEmbeddings: 70 };
  const given = sizedConfig(family, sizes);
  const config = given.padTokenId < tokens.length ? given : { ...given, padTokenId };
  const own = tokens.filter((token) => token !== "[PAD]");
  own.splice(config.padTokenId, 0, "[PAD]");
  return { ...randomTensors(config, seed), name, folder: "", tokenizer: { tokens: own, lowerCase: true } };
}

function randomTensors(config: EncoderConfig, seed: number): Pick<Base, "config" | "tensors" | "sha256"> {
  const tensors: HostTensors = {};
  for (const [index, { name, shape, begins }] of baseParameters(config).entries()) {
    const values = normals(foldIn(seedKey(seed), index), sizeOf(shape), 0.05);
    if (begins === "one") for (let i = 0; i < values.length; i++) values[i] = 1 + (values[i] as number);
    tensors[name] = float32(shape, values);
  }
  return { config, tensors, sha256: baseSha256(config, tensors) };
}

/** A folder that is removed when the test file ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Rows of made-up words in GLUE's layouts: SST-2 (single), RTE (pair) and STS-B (regression). */
export function writeTinyGlue(folder: string, rows = 40, devRows = 12): void {
  const text = (row: number, width: number) =>
    Array.from({ length: 3 + ((row * 7 + width) % 9) }, (_, i) => words[(row * 5 + i * 3 + width) % words.length]).join(
      " ",
    );
  const write = (task: string, split: string, header: string, lines: string[]) => {
    mkdirSync(path.join(folder, task), { recursive: true });
    writeFileSync(path.join(folder, task, `${split}.tsv`), `${[header, ...lines].join("\n")}\n`);
  };
  for (const [split, count] of [
    ["train", rows],
    ["dev", devRows],
  ] as const) {
    const from = split === "train" ? 0 : 1000;
    const each = (line: (row: number) => string) => Array.from({ length: count }, (_, i) => line(from + i));
    write(
      "SST-2",
      split,
      "sentence\tlabel",
      each((row) => `${text(row, 1)} ${row % 2 ? "good" : "bad"}\t${row % 2}`),
    );
    write(
      "RTE",
      split,
      "index\tsentence1\tsentence2\tlabel",
      each((row) => `${row}\t${text(row, 2)}\t${text(row, 5)}\t${row % 3 ? "entailment" : "not_entailment"}`),
    );
    const scored = (row: number) =>
      [row, "main", "made", "2026", row, "a", "b", text(row, 3), text(row, 4), (row % 11) / 2].join("\t");
    write(
      "STS-B",
      split,
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
      each(scored),
    );
  }
}

export const tinyTasks: Task[] = [glueTasks.sst2, glueTasks.rte, glueTasks.stsb];

export const tinyTraining: TrainingOptions = {
  epochs: 2,
  learningRate: 1e-3,
  batchSize: 8,
  maxLength: 32,
  warmup: 0.1,
  weightDecay: 0.01,
  clipNorm: 1,
  dropout: null,
  precision: "float32",
};

export const tinyRun = (folder: string): ExecutionOptions => ({
  checkpoints: path.join(folder, "checkpoints"),
  glueData: path.join(folder, "glue"),
  skipBrokenRows: false,
  saveEvery: 3600,
  cacheBudget: 1e9,
  force: false,
});

/** A context that collects its log and calls back on each progress step. */
export function quietContext(engine: Engine, onStep: (abort: () => void) => void = () => undefined) {
  const controller = new AbortController();
  const lines: string[] = [];
  const context: RunContext<Engine> = {
    engine,
    signal: controller.signal,
    reporter: {
      log: (line) => void lines.push(line),
      warn: (line) => void lines.push(line),
      progress: () => ({ advance: () => onStep(() => controller.abort()), end: () => undefined }),
    },
  };
  return { context, lines };
}
