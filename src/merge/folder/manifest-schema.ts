// The manifest's shape, checked when one is read. Apart from manifest.ts because zod takes long to load.

import { z } from "zod";
import { PIECE_INTERFACE } from "./pieces";

const blob = {
  file: z.string().regex(/^blobs\/[\w.-]+$/, "is no file under blobs/"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "is no sha256"),
};

const score = z.number().nullable();

const task = z.object({
  ...blob,
  name: z.string().min(1),
  kind: z.string(),
  inputs: z.enum(["single", "pair"]),
  labels: z.array(z.string()),
  range: z.tuple([z.number(), z.number()]).nullable(),
  threshold: z.number().gt(0).lt(1).optional(),
  metric: z.string(),
  maxLength: z.int().positive(),
  fork: z.int().nonnegative().nullable(),
  layers: z.int().positive(),
  score,
  metrics: z.record(z.string(), score),
  run: z.string(),
});

const layer = z.int().nonnegative();

// Of an interface that this flexbert does not know, the rest is not looked at.
const pieces = z.union([
  z.object({
    interface: z.literal(PIECE_INTERFACE),
    stretches: z.array(z.object({ ...blob, from: layer, to: layer, bottom: z.boolean() })),
    branches: z.record(z.string(), z.object(blob)),
  }),
  z.object({ interface: z.int() }),
]);

export const manifestSchema = z
  .object({
    format: z.literal(1),
    flexbert: z.string().optional(),
    base: z.object({ name: z.string(), sha256: z.string(), layers: z.int().positive() }),
    embeddings: z.object(blob),
    trunk: z.array(z.object(blob)),
    tasks: z.array(task),
    // Absent where a flexbert merged that stored none.
    pieces: z.record(z.string(), pieces).optional(),
    // Absent where an earlier flexbert merged.
    onnx: z
      .object({ file: z.literal("model.onnx"), sha256: blob.sha256 })
      .nullable()
      .default(null),
  })
  .refine(({ trunk, tasks }) => tasks.every(({ fork }) => (fork ?? 0) <= trunk.length), {
    message: "a task forks above the trunk's layers",
    path: ["trunk"],
  });
