// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels.
// The teacher's logits are computed once for all students, like the trunk's activations.

import { ownLayers } from "../model/place";
import { layerRange } from "../options/layers";
import { option, optional, silentDefault } from "../options/option";
import { choice, decimal, integer } from "../options/readers";
import { fromRecorded, recorded, settingsOf } from "../options/settings";
import { headOf } from "../tasks/task";
import { defineRecipe } from "./recipe";

/** How a student is taught, beside its layers and what it begins as: ids hash them, those at their default but the first two apart. */
const teaching = {
  temperature: option(decimal({ min: 0.01 }), {
    flag: "--temperature",
    value: "<T>",
    help: "softens both distributions",
    fallback: 2,
  }),
  alpha: option(decimal({ min: 0, max: 1 }), {
    flag: "--alpha",
    value: "<share>",
    help: "weight of the teacher's outputs against the labels",
    fallback: 0.5,
  }),
  alphaEnd: optional(decimal({ min: 0, max: 1 }), {
    flag: "--alpha-end",
    value: "<share>",
    help: "what that weight becomes by the last step, in a line (default it stays)",
  }),
  match: silentDefault(
    option(choice(["none", "pooled", "cls", "tokens"]), {
      flag: "--match",
      value: "<state>",
      help: "draws a state of the last layer to the teacher's too: pooled, cls or tokens",
      fallback: "none",
    }),
  ),
  matchWeight: silentDefault(
    option(decimal({ min: 0 }), {
      flag: "--match-weight",
      value: "<weight>",
      help: "of that state's squared error",
      fallback: 1,
    }),
  ),
  teachers: silentDefault(
    option(teacherCount, {
      flag: "--teachers",
      value: "<best|n>",
      help: "learn from the best seed, or from the mean of n seeds' outputs",
      fallback: "best",
    }),
  ),
};

/** Seeds of the teacher; "best" is the teacher alone. */
function teacherCount(given: unknown): number {
  if (given === "best") return 1;
  try {
    return integer({ min: 1, max: 1000 })(given);
  } catch {
    throw new Error("best, or a number of seeds");
  }
}

export const distill = defineRecipe({
  method: "distill",
  makes: "students",
  title: "Distillation",
  short: "KD",
  summary: "distil teachers into students of 1 to 3 layers",
  description:
    "Trains small students on the teacher's fork, initialised from its bottommost layers, on its softened outputs and " +
    "the labels.\nWithout --task, every task with a teacher.",
  examples: [
    "distill --student-layers 2",
    "distill --task rte --student-layers 1-3 --temperature 2 --alpha 0.5",
    "distill --task mrpc --student-layers 1 --init pretrained --seeds 3",
  ],
  options: {
    studentLayers: option(layerRange({ full: false }), {
      flag: "--student-layers",
      short: "-l",
      value: "<layers>",
      help: "layers of the students: 2, 1-3 or 1,2,3",
      fallback: "2",
    }),
    ...teaching,
    init: option(choice(["teacher", "pretrained"]), {
      flag: "--init",
      value: "<from>",
      help: "students begin as the teacher's bottom layers, or the base's",
      fallback: "teacher",
    }),
  },
  inFile: {
    ...{ studentLayers: "required", init: "list", temperature: "value", alpha: "value", alphaEnd: "value" },
    ...{ match: "list", matchWeight: "value", teachers: "value" },
  },

  /** On the teacher's fork, from the most layers to the fewest. */
  settings({ studentLayers, init, ...values }, { fitting }) {
    const counts = (fitting("student-layers", studentLayers) as number[]).sort((a, b) => b - a);
    const { match, matchWeight, ...options } = recorded(teaching, settingsOf(teaching, values));
    const matched = match ? { match, ...(matchWeight === undefined ? {} : { matchWeight }) } : {};
    const several = options.teachers ? { teachers: options.teachers } : {};
    return counts.map((layers) => ({
      ...{ place: { fork: "teacher", layers }, init, ...several },
      options: { ...options, ...matched },
    }));
  },

  describe({ place: { layers }, init }) {
    return { name: `l${layers}-${init}`, label: `l=${layers}`, config: { studentLayers: layers, init } };
  },

  /** The teachers' outputs are computed when the first student asks for them, once for all that ask for the same. */
  async prepare(preparation) {
    const { openTeaching } = await import("./trial/teaching.js");
    return openTeaching(preparation);
  },

  async work({ task, base, place, seed, init, taughtBy, options }, taught) {
    const { branchOfBase, branchOfTeacher } = await import("./trial/initial-branch.js");
    const { distillationLoss } = await import("./losses.js");
    const { alpha, alphaEnd, temperature, match, matchWeight } = fromRecorded(teaching, options);
    const state = match === "none" ? null : match;
    const head = headOf(task, base.config.hiddenSize);
    const [, layer] = ownLayers(place);
    return {
      initial:
        init === "teacher"
          ? branchOfTeacher(await taught.branch(), place, base.config, head)
          : branchOfBase(base, place, head, seed),
      loss: distillationLoss(await task.kind.head(), {
        alpha: alphaEnd === undefined ? alpha : "scheduled",
        temperature,
        match: state ? { state, weight: matchWeight, layer } : undefined,
      }),
      inputs: await taught.inputs({ taughtBy, state, alpha, alphaEnd }),
    };
  },

  release: (taught) => taught.close(),
});
