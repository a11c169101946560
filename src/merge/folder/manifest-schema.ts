// The shapes of flexbert.json and of a version's manifest, checked when one is read. Apart because zod takes long to load.

import { z } from "zod";
import { MOST_LAYERS } from "../../model/config";
import { familyNames } from "../../model/families/families";
import { labelPieces } from "../../tasks/kinds/kind";
import { schemes } from "../../tasks/tags";
import { wordRules } from "../../tasks/words";
import { PIECE_INTERFACE } from "./pieces";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "is no sha256");

const blob = {
  file: z.string().regex(/^blobs\/[\w.-]+$/, "is no file under blobs/"),
  sha256,
};

const score = z.number().nullable();

const probability = z.number().gt(0).lt(1);

const rule = z.looseObject({
  criterion: z.string(),
  threshold: z.number().nonnegative(),
  stops: z.array(z.int().positive()).min(1),
  pays: z.number().nonnegative().optional(), // absent where an earlier flexbert decided
});

const exits = z.looseObject({
  ramps: z.looseObject(blob),
  layers: z.array(z.int().positive()),
  rule: rule.nullable(),
});

// Loose: what a newer flexbert added, and this one can do without, is there when the folder is written again.
const task = z.looseObject({
  ...blob,
  name: z.string().min(1),
  kind: z.string(),
  inputs: z.enum(["single", "pair"]),
  labels: z.array(z.string()),
  range: z.tuple([z.number(), z.number()]).nullable(),
  threshold: z.union([probability, z.array(probability)]).optional(),
  tags: z
    .looseObject({ scheme: z.enum(schemes).optional(), words: z.enum(wordRules), pieces: z.enum(labelPieces) })
    .optional(),
  metric: z.string(),
  maxLength: z.int().positive(),
  fork: z.int().nonnegative().nullable(),
  layers: z.int().nonnegative(),
  score,
  metrics: z.record(z.string(), score),
  untuned: z.looseObject({ threshold: probability, metrics: z.record(z.string(), score) }).optional(),
  run: z.string(),
  adapter: z.looseObject({ method: z.string(), trained: z.int().positive() }).optional(),
  // Absent where its run had no ramps.
  exits: exits.optional(),
});

/** A threshold of each label is one for each. */
const fitting = task.refine(
  ({ labels, threshold }) => !Array.isArray(threshold) || threshold.length === labels.length,
  {
    message: "has not one for each label",
    path: ["threshold"],
  },
);

const layer = z.int().nonnegative();

const stretches = z.array(z.looseObject({ ...blob, from: layer, to: layer, bottom: z.boolean() }));

// Absent where no task's texts leave early.
const exitPieces = z.looseObject({
  stretches,
  tasks: z.record(
    z.string(),
    z.looseObject({
      parts: stretches,
      rest: z.looseObject(blob).nullable(),
      ramps: z.record(z.string().regex(/^[1-9]\d*$/, "is no number of layers"), z.looseObject(blob)),
    }),
  ),
});

// Of an interface that this flexbert does not know, the rest is not looked at.
const pieces = z.union([
  z.looseObject({
    interface: z.literal(PIECE_INTERFACE),
    stretches,
    branches: z.record(z.string(), z.looseObject(blob)),
    exits: exitPieces.optional(),
  }),
  z.looseObject({ interface: z.int().refine((number) => number !== PIECE_INTERFACE) }),
]);

const cost = z.looseObject({
  source: z.string(),
  rows: z.int().nonnegative(),
  before: score,
  after: score,
  largest: z.number().nonnegative(),
});

const int8Exits = z.looseObject({
  rule: rule.nullable(),
  why: z.string().optional(),
  largest: z.number().nonnegative(),
});

const int8 = z.looseObject({
  embeddings: z.looseObject(blob),
  trunk: z.array(z.looseObject(blob)),
  tasks: z.record(z.string(), z.looseObject({ ...blob, cost, exits: int8Exits.optional() })),
  float32: z.array(z.string()),
  moved: z.array(z.string()),
});

export const manifestSchema = z
  .looseObject({
    format: z.union([z.literal(1), z.literal(2)]),
    flexbert: z.string().optional(),
    base: z.looseObject({
      name: z.string(),
      sha256: z.string(),
      layers: z.int().positive().max(MOST_LAYERS),
      family: z.enum(familyNames).optional(), // BERT's bases name none
      // Absent where an early flexbert merged, that held them to nothing.
      files: z.record(z.string().regex(/^[\w.-]+$/, "is no file of the folder"), sha256).optional(),
    }),
    embeddings: z.looseObject(blob),
    trunk: z.array(z.looseObject(blob)),
    tasks: z.array(fitting),
    // Absent where a flexbert merged that stored none.
    pieces: z.record(z.string(), pieces).optional(),
    // Absent where the version was not quantized.
    int8: int8.optional(),
    // Absent where an early 0.1.0 merged.
    onnx: z
      .looseObject({ file: z.literal("model.onnx"), sha256 })
      .nullable()
      .default(null),
  })
  .refine(({ trunk, tasks }) => tasks.every(({ fork }) => (fork ?? 0) <= trunk.length), {
    message: "a task forks above the trunk's layers",
    path: ["trunk"],
  })
  .refine(({ base, tasks }) => tasks.every(({ fork, layers }) => (fork ?? 0) + layers <= base.layers), {
    message: "a task has layers above its base's",
    path: ["tasks"],
  })
  .refine(
    ({ tasks, int8 }) =>
      tasks.every(({ name, exits, fork, layers }) => {
        const stands = exits ? exits.layers : [];
        const top = (fork ?? 0) + layers;
        const ascending = stands.every((at, i) => at > (stands[i - 1] ?? 0) && at < top);
        const rules = [exits?.rule, int8?.tasks[name]?.exits?.rule];
        return ascending && rules.every((rule) => (rule?.stops ?? []).every((stop) => stands.includes(stop)));
      }),
    { message: "a task's exits are not on the layers under its top", path: ["tasks"] },
  )
  .refine(
    ({ int8, trunk, tasks }) =>
      !int8 || (int8.trunk.length === trunk.length && tasks.every(({ name }) => int8.tasks[name])),
    {
      message: "a layer or a task has no int8 weights beside the others'",
      path: ["int8"],
    },
  );

const version = z.string().regex(/^[0-9a-f]{8}$/, "is no version");

export const pointerSchema = z.looseObject({
  format: z.literal(2),
  flexbert: z.string().optional(),
  current: version,
  tags: z.record(z.string(), version),
  log: z
    .array(z.looseObject({ version, time: z.iso.datetime(), command: z.string(), note: z.string().nullable() }))
    .min(1),
});
