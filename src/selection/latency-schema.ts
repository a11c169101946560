// The shape of a latency file, checked when one is read. Apart from latency.ts because zod takes long to load.

import { z } from "zod";

const cost = z.number().positive().max(1e9);
const extra = z.number().nonnegative().max(1e9).default(0);
const count = z.int().positive();

export const latencySchema = z.strictObject({
  sharedLayerMs: cost,
  branchLayerMs: cost,
  headMs: extra,
  fixedMs: extra,
  measured: z
    .object({
      base: z.string(),
      baseSha256: z.string(),
      engine: z.string(),
      threads: count,
      batchSize: count,
      length: count,
      rounds: count,
    })
    .optional(),
});
