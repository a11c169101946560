// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels. Ours:
// on any fork of the trunk, initialised from the teacher's layers at the same depth, else the base's.
// The teacher's logits are computed once for all students, like the trunk's activations.

import { usageError } from "../errors/errors";
import { forkRange } from "../options/forks";
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
    "Trains small students on the teacher's fork or any other, initialised from its layers, on its softened outputs and " +
    "the labels.\nWithout --task, every task with a teacher.",
  examples: [
    "distill --student-layers 2",
    "distill --student-layers 1,2 --student-forks 2-5",
    "distill --task cola --student-layers 2 --student-forks same,3 --init-layers spread",
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
    studentForks: option(forkRange, {
      flag: "--student-forks",
      value: "<forks>",
      help: "frozen layers under them: same (as their teacher), 2-5, 3 or same,2-5",
      fallback: "same",
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
      help: "students begin as the teacher's layers, or the base's",
      fallback: "teacher",
    }),
    initLayers: option(choice(["depth", "bottom", "top", "spread"]), {
      flag: "--init-layers",
      value: "<which>",
      help: "of the teacher's layers: at the student's depth (the base's where it has none), bottom, top or spread",
      fallback: "depth",
    }),
  },
  inFile: {
    ...{ studentLayers: "required", studentForks: "value", init: "list", initLayers: "list" },
    ...{ temperature: "value", alpha: "value" },
  },

  /** From the shallowest fork to the deepest, the teacher's first; above each from the most layers to the fewest. */
  settings({ studentLayers, studentForks, init, initLayers: which, temperature, alpha }, { placing }) {
    if (init === "pretrained" && which !== "depth") {
      throw usageError(
        `--init-layers ${which} names layers of the teacher, and --init pretrained takes the base's at the student's depth. ` +
          "Leave one of them out",
      );
    }
    const places = placing({ forks: "student-forks", layers: "student-layers" }, studentForks, studentLayers);
    const start = which === "depth" ? { init } : { init, initLayers: which };
    return places.map((place) => ({ place, ...start, options: { temperature, alpha } }));
  },

  standsAlone: ({ studentForks }) => !studentForks.values.includes("same"),

  describe({ place: { layers, fork }, init, initLayers }) {
    const [at, on, own] = fork === "teacher" ? ["", "", {}] : [`-f${fork}`, ` f=${fork}`, { studentForks: fork }];
    return {
      name: `l${layers}${at}-${init}${initLayers ? `-${initLayers}` : ""}`,
      label: `l=${layers}${on}`,
      config: { studentLayers: layers, ...own, init, ...(initLayers ? { initLayers } : {}) },
    };
  },

  /** The teacher's branch and its logits on every train row, without dropout. */
  async prepare(preparation) {
    const { placedTeacher, teacherLogits } = await import("./trial/teacher.js");
    const teacher = await placedTeacher(preparation);
    return { teacher, logits: await teacherLogits(teacher.branch, preparation) };
  },

  async work({ task, base, place, seed, init, initLayers, options }, { teacher, logits }) {
    const { branchOfBase, studentOfTeacher } = await import("./trial/initial-branch.js");
    const { distillationLoss } = await import("./losses.js");
    const { perRow } = await import("../training/loop/batch-inputs.js");
    const head = headOf(task, base.config.hiddenSize);
    return {
      initial:
        init === "teacher"
          ? studentOfTeacher(teacher, base, place, head, initLayers)
          : branchOfBase(base, place, head, seed),
      loss: distillationLoss(await task.kind.head(), options),
      inputs: { teacher_logits: perRow(logits, [outputSize(task)]) },
    };
  },
});
