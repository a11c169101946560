// The shape of a latency file, checked when one is read. Apart from latency.ts because zod takes long to load.

import { z } from "zod";

const cost = z.number().positive().max(1e9);
const extra = z.number().nonnegative().max(1e9).default(0);
const count = z.int().positive();

const measuredSchema = z.strictObject({
  sharedLayerMs: cost,
  branchLayerMs: cost,
  topLayerMs: cost.optional(),
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

/** A file by hand may leave the topmost layer out: it costs as much as the others, then. */
export const latencySchema = measuredSchema.transform(({ topLayerMs, ...costs }) => ({
  ...costs,
  topLayerMs: topLayerMs ?? costs.branchLayerMs,
}));
