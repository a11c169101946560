// The options that commands share, defined once. A command takes the groups that it needs.

import os from "node:os";
import { layerRange } from "../options/layers";
import { option, optional, toggle } from "../options/option";
import { bytes, choice, decimal, integer, names, text } from "../options/readers";

export const DEFAULT_BASE = "bert-base-uncased";

/** Bytes of memory that this process may have: the machine's, or less where a container is given less. */
const memoryLimit = () => Math.min(os.totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/** How every command talks. */
export const talk = {
  json: toggle({ flag: "--json", help: "print the result as JSON on stdout", inConfig: false }),
  quiet: toggle({
    flag: "--quiet",
    short: "-q",
    help: "no logs and no progress, only results and errors",
    inConfig: false,
  }),
  verbose: toggle({ flag: "--verbose", short: "-v", help: "more logs, and stack traces of errors", inConfig: false }),
};

/** Which tasks, and where they lie. */
export const taskOptions = {
  task: optional(names, {
    flag: "--task",
    short: "-t",
    value: "<names>",
    help: "a task, a comma list, or all; without it every task that is ready",
  }),
  tasks: optional(text, {
    flag: "--tasks",
    value: "<file>",
    help: "your own tasks in YAML (default tasks.yaml, if there is one)",
  }),
  glueData: option(text, {
    flag: "--glue-data",
    value: "<folder>",
    help: "folder with GLUE's task folders",
    fallback: "glue-data",
  }),
};

/** Nothing but pull, quickstart and data download uses the network at all; the flag means the same everywhere. */
export const offline = {
  offline: toggle({
    flag: "--offline",
    help: "never use the network; only pull, quickstart and data download do",
    inConfig: false,
  }),
};

export const baseOptions = {
  base: option(text, {
    flag: "--base",
    short: "-b",
    value: "<name>",
    help: "pre-trained BERT: a name in the cache or a folder",
    fallback: DEFAULT_BASE,
  }),
  ...offline,
};

export const checkpointOptions = {
  checkpoints: option(text, {
    flag: "--checkpoints",
    value: "<folder>",
    help: "where run folders lie",
    fallback: "checkpoints",
  }),
};

export const threads = {
  threads: optional(integer({ min: 1, max: 1024 }), {
    flag: "--threads",
    value: "<n>",
    help: "threads of the engine (default all cores)",
  }),
};

export const engineOptions = {
  engine: option(choice(["auto", "tensorflow", "onnx", "wasm"]), {
    flag: "--engine",
    value: "<name>",
    help: "auto, tensorflow, onnx or wasm",
    fallback: "auto",
  }),
  ...threads,
};

/** Of commands that train, predict or evaluate. */
export const precisionOption = {
  precision: option(choice(["float32", "tf32", "bf16", "float16"]), {
    flag: "--precision",
    value: "<type>",
    help: "of matrix products, tensorflow engine alone: float32, tf32 (GPU), bf16 or float16",
    fallback: "float32",
  }),
};

export const configOption = {
  config: optional(text, {
    flag: "--config",
    short: "-c",
    value: "<file>",
    help: "options from a YAML file; flags win over it",
    inConfig: false,
  }),
};

export const dryRun = {
  dryRun: toggle({ flag: "--dry-run", help: "print what would be done, and do nothing", inConfig: false }),
};

export const samples = {
  maxTrainSamples: optional(integer({ min: 1 }), {
    flag: "--max-train-samples",
    value: "<n>",
    help: "use the first n train rows",
  }),
  maxEvalSamples: optional(integer({ min: 1 }), {
    flag: "--max-eval-samples",
    value: "<n>",
    help: "use the first n dev rows",
  }),
  skipBrokenRows: toggle({
    flag: "--skip-broken-rows",
    help: "leave broken rows out, and record them, instead of stopping",
  }),
};

export const maxLength = {
  maxLength: option(integer({ min: 4, max: 4096 }), {
    flag: "--max-length",
    value: "<tokens>",
    help: "cut rows to this many tokens, special ones included",
    fallback: 128,
  }),
};

/** Hyper-parameters of one trial; defaults from the paper's appendix B and BERT's practice. */
export const trainingOptions = {
  epochs: option(integer({ min: 1, max: 10000 }), {
    flag: "--epochs",
    short: "-e",
    value: "<n>",
    help: "passes over the train rows; the best one is kept",
    fallback: 3,
  }),
  learningRate: option(decimal({ min: 0 }), {
    flag: "--learning-rate",
    value: "<rate>",
    help: "peak of the linear schedule",
    fallback: 2e-5,
  }),
  batchSize: option(integer({ min: 1, max: 65536 }), {
    flag: "--batch-size",
    value: "<rows>",
    help: "rows a step",
    fallback: 32,
  }),
  ...maxLength,
  warmup: option(decimal({ min: 0, max: 1 }), {
    flag: "--warmup",
    value: "<share>",
    help: "share of the steps in which the rate rises",
    fallback: 0.1,
  }),
  weightDecay: option(decimal({ min: 0 }), {
    flag: "--weight-decay",
    value: "<rate>",
    help: "decoupled decay, not on biases and layer norms",
    fallback: 0.01,
  }),
  clipNorm: option(decimal({ min: 0 }), {
    flag: "--clip-norm",
    value: "<norm>",
    help: "clip gradients to this global norm; 0 for no clipping",
    fallback: 1,
  }),
  dropout: optional(decimal({ min: 0, max: 0.9 }), {
    flag: "--dropout",
    value: "<rate>",
    help: "dropout in the trained layers (default the base's config)",
  }),
  seed: optional(integer({ min: 0 }), {
    flag: "--seed",
    short: "-s",
    value: "<n>",
    help: "train with this one seed (default 1)",
    excludes: "--seeds",
  }),
  seeds: optional(integer({ min: 1, max: 1000 }), {
    flag: "--seeds",
    value: "<n>",
    help: "train with each of the seeds 1 to n",
  }),
  ...samples,
};

/** How training does its work; nothing here changes the weights. */
export const workOptions = {
  saveEvery: option(decimal({ min: 0 }), {
    flag: "--save-every",
    value: "<seconds>",
    help: "save the state this often inside an epoch",
    fallback: 60,
  }),
  cacheBudget: option(bytes(memoryLimit), {
    flag: "--cache-budget",
    value: "<size>",
    help: "memory for trunk activations, such as 4GiB or 25%",
    fallback: "25%",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "train again what is finished", inConfig: false }),
};

export const chooseBy = {
  chooseBy: option(choice(["max", "mean"]), {
    flag: "--choose-by",
    value: "<max|mean>",
    help: "choose k by its best seed or by the mean over seeds",
    fallback: "max",
  }),
};

export const kOption = {
  k: option(layerRange({ full: true }), {
    flag: "--k",
    short: "-k",
    value: "<layers>",
    help: "top layers to train: 3-9, 2, 1,2,3 or full",
    fallback: "3-9",
  }),
};

export const searchOption = {
  search: option(choice(["full", "halving"]), {
    flag: "--search",
    value: "<full|halving>",
    help: "train every k to the end, or stop those early that lag behind",
    fallback: "full",
  }),
};

export const studentLayersOption = {
  studentLayers: option(layerRange({ full: false }), {
    flag: "--student-layers",
    short: "-l",
    value: "<layers>",
    help: "layers of the students: 2, 1-3 or 1,2,3",
    fallback: "2",
  }),
};

/** What the commands that train take alike. */
export const trainingCommandOptions = {
  ...taskOptions,
  ...baseOptions,
  ...checkpointOptions,
  ...trainingOptions,
  ...workOptions,
  ...chooseBy,
  ...engineOptions,
  ...precisionOption,
  ...configOption,
  ...dryRun,
};
