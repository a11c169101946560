// What one trial's training is. A run folder's config.yaml and record hold these values, and its id hashes them.

import { option, optional } from "../options/option";
import { decimal, integer, orNull } from "../options/readers";
import type { SettingsOf } from "../options/settings";
import { baseOptions } from "./base";
import { engineOptions, precisionOption } from "./engine";
import { chooseBy } from "./selection";
import { dataSettings, labelsOption, samples, taskOptions } from "./tasks";
import { checkpointOptions, workOptions, workSettings } from "./work";

export const maxLength = {
  maxLength: option(integer({ min: 4, max: 4096 }), {
    flag: "--max-length",
    value: "<tokens>",
    help: "cut rows to this many tokens, special ones included",
    fallback: 128,
  }),
};

/** Of the loop over epochs; defaults from the paper's appendix B and BERT's practice. */
const loopSettings = {
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
  patience: optional(integer({ min: 1, max: 10000 }), {
    flag: "--patience",
    value: "<n>",
    help: "stop after n epochs without a better dev score (default never); the rate falls as planned",
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
};

const dropout = {
  /** null takes the base's config; a number replaces both its dropout rates. */
  dropout: option(orNull(decimal({ min: 0, max: 0.9 })), {
    flag: "--dropout",
    value: "<rate>",
    help: "dropout in the trained layers (default the base's config)",
    fallback: null,
  }),
};

export const trainingSettings = { ...loopSettings, ...dropout, ...precisionOption };

/** What changes the weights of a trial, beside its data, its place and its seed. */
export type TrainingOptions = SettingsOf<typeof trainingSettings>;

/** What the loop over epochs reads of them. */
export type LoopOptions = SettingsOf<typeof loopSettings>;

export const seedOptions = {
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
};

export const executionSettings = { ...dataSettings, ...workSettings };

/** What a command that trains is told beside all that: which rows it reads, and how it works. */
export type ExecutionOptions = SettingsOf<typeof executionSettings>;

/** What everything that trains takes alike, in the order of the commands' help. */
export const sweepOptions = {
  ...taskOptions,
  ...labelsOption,
  ...baseOptions,
  ...checkpointOptions,
  ...loopSettings,
  ...dropout,
  ...seedOptions,
  ...samples,
  ...workOptions,
  ...chooseBy,
  ...engineOptions,
  ...precisionOption,
};
