// The engines that tests run over: each present one in turn. An absent engine is skipped out loud.
// tfjs keeps one current backend, so a test file opens an engine, uses it and moves on.

import { describe } from "@jest/globals";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { locateTensorflow } from "../../src/engines/tensorflow/load";
import { type EngineName, engineNames } from "../../src/settings/engine";
import { unless } from "../skips";

const absent = new Map<EngineName, string>();

/** `describe` once an engine, with a function that opens it. Those that do not load are skipped, with the reason. */
export function describeEachEngine(title: string, body: (open: () => Promise<Engine>, name: EngineName) => void): void {
  for (const name of engineNames) {
    const reason = engineAbsence(name);
    if (reason !== null) {
      console.warn(`SKIPPED: ${title} on ${name}, because ${reason}`);
      unless(reason).describe(`${title} on ${name}`, () => body(() => openInstalled(name), name));
      continue;
    }
    describe(`${title} on ${name}`, () => body(() => openInstalled(name), name));
  }
}

const openInstalled = (name: EngineName): Promise<Engine> =>
  withInitialCache(async () => (await openEngine(name, {})).engine);

const initialCache = process.env["FLEXBERT_CACHE"];

/** Builds of TensorFlow lie in the cache that was there at the start; tests put another in its place for their bases. */
export async function withInitialCache<T>(open: () => Promise<T>): Promise<T> {
  const cache = process.env["FLEXBERT_CACHE"];
  setCache(initialCache);
  try {
    return await open();
  } finally {
    setCache(cache);
  }
}

function setCache(folder: string | undefined): void {
  if (folder === undefined) delete process.env["FLEXBERT_CACHE"];
  else process.env["FLEXBERT_CACHE"] = folder;
}

/** Why an engine does not load here, or null. Synchronous, because Jest declares tests synchronously. */
export function engineAbsence(name: EngineName): string | null {
  const known = absent.get(name);
  if (known !== undefined) return known;
  try {
    if (name === "tensorflow") locateTensorflow();
    if (name === "onnx") require.resolve("onnxruntime-node");
    return null;
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0] as string;
    absent.set(name, reason);
    return reason;
  }
}
