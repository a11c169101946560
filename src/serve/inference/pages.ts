// What glibc does with the pages of an inference process, by the environment that it is started with. Others ignore it.

import { cpuFlags } from "../../files/cpu-flags";
import type { WeightForm } from "../../settings/engine";

/**
 * Pieces have no arena (engines/onnx/graph-program.ts): each value between is allocated and freed. glibc gives such pages back and
 * faults them in again, 6 % of the time of 32 texts of 32 tokens at BERT-base sizes; so it keeps them. One arena for all threads: what
 * a session leaves is taken by the next one, whichever thread opens it (over 1,000 swaps it stays, with an arena a thread it
 * grows by 3 %).
 */
const KEPT = {
  MALLOC_TRIM_THRESHOLD_: "1073741824",
  MALLOC_MMAP_THRESHOLD_: "1073741824",
  MALLOC_TOP_PAD_: "67108864",
  MALLOC_ARENA_MAX: "1",
};

/**
 * Where a processor needs int8 weights of 7 bits, each version's are made in memory, and not mapped from the folder's files. Kept pages
 * of them lie between others', and a process grows for some 500 swaps (155 to 198 MB of MiniLM's five tasks); mapped each by itself they
 * are given back, and it is as large after 50 swaps as after 200 (169 MB).
 */
const MAPPED = { MALLOC_MMAP_THRESHOLD_: "393216" };

/** @param flags what the processor can do, as Linux lists it; "" elsewhere */
export function pageSettings(weights: WeightForm | undefined, flags = cpuFlags(), arch: string = process.arch) {
  const inMemory = weights !== "float32" && arch === "x64" && flags !== "" && !/\bavx(512)?_vnni\b/.test(flags);
  return inMemory ? { ...KEPT, ...MAPPED } : KEPT;
}
