// koffi, loaded where it is needed: an optional package with a native part.

import type { IKoffi, LoadOptions } from "./koffi-types";

/** koffi's own are an eighth of a megabyte in a thread, and a provider that compiles shaders needs more: it crashed. */
const STACK_BYTES = 8 * 2 ** 20;

const wanted = { sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES };

/** Throws where it is not installed or does not load, and where the program loaded a library with smaller stacks before. */
export function loadKoffi(): IKoffi {
  const koffi = require("koffi") as IKoffi;
  const now = koffi.config();
  const small = Object.entries(wanted).some(([name, bytes]) => (now[name] ?? 0) < bytes);
  if (!small) return koffi;
  try {
    koffi.config(wanted);
    return koffi;
  } catch (error) {
    throw new Error(
      "koffi's stacks are smaller than 8 MB, which it keeps from the first library that the program loaded: open flexbert's engine before that",
      { cause: error },
    );
  }
}

const kept: unknown[] = [];

/**
 * Loads a library for as long as the process lives: koffi unloads one whose object the garbage collector has taken, whatever
 * pointers into it are left and whatever threads run in it.
 */
export function loadForGood(koffi: IKoffi, file: string, options: LoadOptions = {}) {
  const library = koffi.load(file, options);
  kept.push(library);
  return library;
}
