// The shape of a selection file, checked when one is read. Apart from selection-file.ts because zod takes long to load.

import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "is no sha256");
const score = z.number().nullable();
const count = z.int().nonnegative();

/** base/task/method/run, under the checkpoints folder and not out of it. */
const folder = z.string().refine((name) => /^[^/\\]+(\/[^/\\]+)*$/.test(name) && !name.split("/").includes(".."), {
  message: "is no folder under the checkpoints folder",
});

const task = z.object({
  task: z.string().min(1),
  fork: count.nullable(),
  layers: count,
  score,
  run: z.object({ folder, sha256 }).nullable(),
  teacher: z.object({ id: z.string(), sha256, score }).nullable().optional(),
});

const reference = z.object({ average: score, maximum: score }).nullable();

const cross = z.object({
  average: score,
  layers: z.array(count),
  teachers: reference,
  full: reference,
  tasks: z.array(z.object({ task: z.string(), score })),
});

export const selectionSchema = z
  .object({
    format: z.literal(1),
    flexbert: z.string().optional(),
    rule: z.string(),
    base: z.object({ name: z.string(), sha256 }).nullable(),
    tasks: z.array(task).min(1),
    shared: count,
    total: count,
    overhead: z.number(),
    average: score,
    teachers: score.optional(),
    cross: cross.optional(),
  })
  .refine(({ tasks }) => new Set(tasks.map((entry) => entry.task)).size === tasks.length, {
    message: "names a task twice",
    path: ["tasks"],
  });
