// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels. Ours:
// on any fork of the trunk, initialised from the teacher's layers at the same depth, else the base's.
// The teacher's logits are computed once for all students, like the trunk's activations. With --method whole encoders of fewer
// layers, as other papers teach them: methods/.

import { usageError } from "../errors/errors";
import { ownLayers } from "../model/place";
import { forkRange } from "../options/forks";
import { layerRange } from "../options/layers";
import { option, optional } from "../options/option";
import { choice } from "../options/readers";
import { fromRecorded } from "../options/settings";
import { headOf } from "../tasks/task";
import { methodOf } from "./methods/methods";
import { methodOptions, wholeVariants } from "./methods/options";
import { defineRecipe } from "./recipe";
import { taughtAs, teaching, transferring } from "./teaching-options";

const distillOptions = {
  teacher: option(choice(["best", "full"]), {
    flag: "--teacher",
    value: "<which>",
    help: "who teaches: the task's best k that shares a trunk (full where there is no other), or full fine-tuning",
    fallback: "best",
  }),
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
  ...teaching,
  ...transferring,
  init: optional(choice(["teacher", "pretrained"]), {
    flag: "--init",
    value: "<from>",
    help: "students begin as the teacher's layers, or the base's (default teacher, or as the method does)",
  }),
  initLayers: optional(choice(["depth", "bottom", "top", "spread"]), {
    flag: "--init-layers",
    value: "<which>",
    help: "depth: at the student's (the base's where the teacher has none), bottom, top or spread (default depth, or as the method does)",
  }),
  ...methodOptions,
};

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
    "distill --task stsb --student-layers 1 --match tokens --learning-rate 3e-4 --epochs 8",
    "distill --task rte --method pkd --student-layers 3 --beta 100 --teacher full",
    "distill --task mrpc --student-layers 1 --transfer task:qqp,more-pairs.csv --transfer-rows 20000",
  ],
  options: distillOptions,
  inFile: {
    ...{ studentLayers: "required", studentForks: "value", teacher: "value", init: "list", initLayers: "list" },
    ...{ temperature: "value", alpha: "value", alphaEnd: "value" },
    ...{ match: "list", matchWeight: "value", teachers: "value" },
    ...{ transfer: "value", transferRows: "value", transferShare: "value" },
    ...{ transferConfidence: "value", transferBalance: "value" },
    ...{
      method: "list",
      beta: "value",
      layerMap: "list",
      firstStage: "value",
      replacing: "list",
      replacingRate: "value",
    },
  },

  /** From the shallowest fork to the deepest, the teacher's first; above each from the most layers to the fewest. */
  settings(values, layers) {
    const { studentLayers, studentForks, teacher, init = "teacher", initLayers: which = "depth" } = values;
    const taught = taughtAs(values);
    const by = teacher === "full" ? { fullTeacher: true as const } : {};
    const whole = wholeVariants(values, distillOptions, layers, taught.options);
    if (whole) return whole.map((variant) => ({ ...variant, ...by }));
    if (init === "pretrained" && which !== "depth") {
      throw usageError(
        `--init-layers ${which} names layers of the teacher, and --init pretrained takes the base's at the student's depth. ` +
          "Leave one of them out",
      );
    }
    const places = layers.placing({ forks: "student-forks", layers: "student-layers" }, studentForks, studentLayers);
    const start = which === "depth" ? { init } : { init, initLayers: which };
    return places.map((place) => ({ place, ...start, ...taught, ...by }));
  },

  standsAlone: ({ studentForks, method }) => methodOf({ method }) !== null || !studentForks.values.includes("same"),

  runsTeacher(options) {
    const method = methodOf(options);
    return method !== null && (method.layers !== undefined || method.replaces === true);
  },

  describe({ place: { layers, fork }, init, initLayers, fullTeacher, options }) {
    const method = methodOf(options);
    const by = fullTeacher ? { teacher: "full" } : {};
    if (method) {
      return {
        name: `l${layers}-${method.name}-${init}${initLayers ? `-${initLayers}` : ""}`,
        label: `${method.name} l=${layers}`,
        config: { studentLayers: layers, ...by, init, initLayers: initLayers ?? "bottom" },
      };
    }
    const [at, on, own] = fork === "teacher" ? ["", "", {}] : [`-f${fork}`, ` f=${fork}`, { studentForks: fork }];
    return {
      name: `l${layers}${at}-${init}${initLayers ? `-${initLayers}` : ""}`,
      label: `l=${layers}${on}`,
      config: { studentLayers: layers, ...own, ...by, init, ...(initLayers ? { initLayers } : {}) },
    };
  },

  /** The teachers' outputs are computed when the first student asks for them, once for all that ask for the same. */
  async prepare(preparation) {
    const { openTeaching } = await import("./trial/teaching.js");
    return openTeaching(preparation);
  },

  /** The outputs of one or several teachers, with or without a state, on the same rows. */
  lesson({ taughtBy = [], transfer, options: { match } }) {
    const texts = transfer ? { sha256: transfer.sha256, rows: transfer.rows } : null;
    return [match ?? null, taughtBy.map(({ record }) => record.sha256 ?? null), texts];
  },

  async work(trial, taught) {
    const { task, base, place, seed, init, initLayers, taughtBy, transfer, training, options } = trial;
    const method = methodOf(options);
    if (method) {
      const { wholeStudent } = await import("./methods/whole-student.js");
      return wholeStudent(trial, method, taught);
    }
    const { branchOfBase, studentOfTeacher } = await import("./trial/initial-branch.js");
    const { distillationLoss } = await import("./losses.js");
    const { alpha, alphaEnd, temperature, match, matchWeight } = fromRecorded(teaching, options);
    const { transferConfidence: confidence, transferBalance: balance } = fromRecorded(transferring, options);
    const { batchSize } = training;
    const state = match === "none" ? null : match;
    const head = headOf(task, base.config);
    const [, layer] = ownLayers(place);
    const labelled = !transfer ? "all" : transfer.share < 1 ? "some" : "none";
    const lesson = { taughtBy, state, alpha, alphaEnd, someUnlabelled: labelled === "some" };
    const inputs = await taught.inputs(lesson);
    const extra = transfer && (await taught.extra(lesson, { texts: transfer, confidence, balance, batchSize }));
    return {
      initial:
        init === "teacher"
          ? studentOfTeacher(await taught.teacher(), base, place, head, initLayers)
          : branchOfBase(base, place, head, seed),
      loss: distillationLoss(await task.kind.head(base.config), {
        alpha: alphaEnd === undefined ? alpha : "scheduled",
        temperature,
        labelled,
        match: state ? { state, weight: matchWeight, layer } : undefined,
      }),
      inputs,
      ...(extra ? { extra } : {}),
    };
  },

  release: (taught) => taught.close(),
});
