// How a merged folder is served: where, within which bounds, and who may ask.

import { option, optional, toggle } from "../options/option";
import { bytes, choice, decimal, integer, list, text } from "../options/readers";
import { deviceOption, threads } from "./engine";

const listening = {
  host: option(text, {
    flag: "--host",
    value: "<address>",
    help: "address to listen on; another than this machine's own needs tokens",
    fallback: "127.0.0.1",
  }),
  port: option(integer({ min: 0, max: 65535 }), {
    flag: "--port",
    short: "-p",
    value: "<n>",
    help: "port to listen on; 0 for any that is free",
    fallback: 8080,
  }),
  tlsCert: optional(text, { flag: "--tls-cert", value: "<file>", help: "certificate, PEM: HTTPS alone" }),
  tlsKey: optional(text, { flag: "--tls-key", value: "<file>", help: "its key, PEM" }),
  cors: optional(list, {
    flag: "--cors",
    value: "<origins>",
    help: "origins whose pages may ask, such as https://a.example (default none)",
  }),
};

const computing = {
  device: {
    ...deviceOption.device,
    help: "what runs the model: cpu, webgpu, cuda, or auto (a GPU where one is found)",
  },
  workers: optional(integer({ min: 1, max: 256 }), {
    flag: "--workers",
    value: "<n>",
    help: "inference processes (default what a short measurement finds best)",
  }),
  threads: optional(threads.threads.read, { ...threads.threads, help: "threads of each (default likewise)" }),
  maxBatchTokens: optional(integer({ min: 1, max: 1_000_000 }), {
    flag: "--max-batch-tokens",
    value: "<n>",
    help: "tokens of a batch at most (default 512, with --device webgpu and cuda 4096)",
  }),
  maxWaitMs: option(decimal({ min: 0, max: 1000 }), {
    flag: "--max-wait-ms",
    value: "<ms>",
    help: "how long a row may wait for others to fill its batch, while other batches run",
    fallback: 2,
  }),
};

const bounds = {
  maxQueue: option(integer({ min: 1, max: 1_000_000 }), {
    flag: "--max-queue",
    value: "<rows>",
    help: "rows that may wait; more are refused with 429",
    fallback: 512,
  }),
  maxDelayMs: optional(decimal({ min: 1 }), {
    flag: "--max-delay-ms",
    value: "<ms>",
    help: "estimated waiting beyond which rows are refused (default the time of a full batch, 50 ms at least)",
  }),
  maxRows: option(integer({ min: 1, max: 100_000 }), {
    flag: "--max-rows",
    value: "<n>",
    help: "rows of a request",
    fallback: 256,
  }),
  maxText: option(integer({ min: 1, max: 10_000_000 }), {
    flag: "--max-text",
    value: "<characters>",
    help: "characters of a text",
    fallback: 20_000,
  }),
  maxBody: option(bytes(), { flag: "--max-body", value: "<size>", help: "bytes of a request", fallback: "2MB" }),
  cache: option(bytes(), {
    flag: "--cache",
    value: "<size>",
    help: "memory for answers to repeated texts, such as 64MB; 0 for none",
    fallback: "0",
  }),
};

export const tokenOptions = {
  tokens: option(text, {
    flag: "--tokens",
    value: "<file>",
    help: "where the hashes of tokens are",
    fallback: "flexbert-tokens.json",
  }),
};

const access = {
  ...tokenOptions,
  noAuth: toggle({ flag: "--no-auth", help: "serve whoever reaches the server, without tokens" }),
};

export const logLevels = ["error", "warn", "info", "debug", "silent"] as const;

const logging = {
  logLevel: option(choice(logLevels), {
    flag: "--log-level",
    value: "<level>",
    help: `of the JSON lines on stderr: ${logLevels.join(", ")}`,
    fallback: "info",
  }),
  logTexts: toggle({ flag: "--log-texts", help: "log the texts of requests too" }),
};

export const servingOptions = { ...listening, ...computing, ...bounds, ...access, ...logging };
