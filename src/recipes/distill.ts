// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels.
// The teacher's logits are computed once for all students, like the trunk's activations.

import { layerRange } from "../options/layers";
import { option } from "../options/option";
import { choice, decimal } from "../options/readers";
import { headOf, outputSize } from "../tasks/task";
import { defineRecipe } from "./recipe";

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
    init: option(choice(["teacher", "pretrained"]), {
      flag: "--init",
      value: "<from>",
      help: "students begin as the teacher's bottom layers, or the base's",
      fallback: "teacher",
    }),
  },
  inFile: { studentLayers: "required", init: "list", temperature: "value", alpha: "value" },

  /** On the teacher's fork, from the most layers to the fewest. */
  settings({ studentLayers, init, temperature, alpha }, { fitting }) {
    const counts = (fitting("student-layers", studentLayers) as number[]).sort((a, b) => b - a);
    return counts.map((layers) => ({ place: { fork: "teacher", layers }, init, options: { temperature, alpha } }));
  },

  describe({ place: { layers }, init }) {
    return { name: `l${layers}-${init}`, label: `l=${layers}`, config: { studentLayers: layers, init } };
  },

  /** The teacher's branch and its logits on every train row, without dropout. */
  async prepare(preparation) {
    const { teacherBranch, teacherLogits } = await import("./trial/teacher.js");
    const branch = await teacherBranch(preparation);
    return { branch, logits: await teacherLogits(branch, preparation) };
  },

  async work({ task, base, place, seed, init, options }, { branch, logits }) {
    const { branchOfBase, branchOfTeacher } = await import("./trial/initial-branch.js");
    const { distillationLoss } = await import("./losses.js");
    const { perRow } = await import("../training/loop/batch-inputs.js");
    const head = headOf(task, base.config.hiddenSize);
    return {
      initial:
        init === "teacher" ? branchOfTeacher(branch, place, base.config, head) : branchOfBase(base, place, head, seed),
      loss: distillationLoss(await task.kind.head(), options),
      inputs: { teacher_logits: perRow(logits, [outputSize(task)]) },
    };
  },
});
