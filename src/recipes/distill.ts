// Knowledge distillation (paper, section 2.2): a student of l layers on the teacher's fork, initialised from the
// teacher's bottommost l layers with its pooler and head, learns the teacher's softened outputs and the labels.
// The teacher's logits are computed once for all students, like the trunk's activations.

import { ownLayers } from "../model/place";
import { layerRange } from "../options/layers";
import { option } from "../options/option";
import { choice } from "../options/readers";
import { fromRecorded } from "../options/settings";
import { headOf } from "../tasks/task";
import { defineRecipe } from "./recipe";
import { taughtAs, teaching, transferring } from "./teaching-options";

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
    "distill --task stsb --student-layers 1 --match tokens --learning-rate 3e-4 --epochs 8",
    "distill --task mrpc --student-layers 1 --transfer task:qqp,more-pairs.csv --transfer-rows 20000",
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
    ...transferring,
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
    ...{ transfer: "value", transferRows: "value", transferShare: "value" },
    ...{ transferConfidence: "value", transferBalance: "value" },
  },

  /** On the teacher's fork, from the most layers to the fewest. */
  settings({ studentLayers, init, ...values }, { fitting }) {
    const counts = (fitting("student-layers", studentLayers) as number[]).sort((a, b) => b - a);
    const taught = taughtAs(values);
    return counts.map((layers) => ({ place: { fork: "teacher", layers }, init, ...taught }));
  },

  describe({ place: { layers }, init }) {
    return { name: `l${layers}-${init}`, label: `l=${layers}`, config: { studentLayers: layers, init } };
  },

  /** The teachers' outputs are computed when the first student asks for them, once for all that ask for the same. */
  async prepare(preparation) {
    const { openTeaching } = await import("./trial/teaching.js");
    return openTeaching(preparation);
  },

  async work({ task, base, place, seed, init, taughtBy, transfer, training, options }, taught) {
    const { branchOfBase, branchOfTeacher } = await import("./trial/initial-branch.js");
    const { distillationLoss } = await import("./losses.js");
    const { alpha, alphaEnd, temperature, match, matchWeight } = fromRecorded(teaching, options);
    const { transferConfidence: confidence, transferBalance: balance } = fromRecorded(transferring, options);
    const { batchSize } = training;
    const state = match === "none" ? null : match;
    const head = headOf(task, base.config.hiddenSize);
    const [, layer] = ownLayers(place);
    const labelled = !transfer ? "all" : transfer.share < 1 ? "some" : "none";
    const lesson = { taughtBy, state, alpha, alphaEnd, someUnlabelled: labelled === "some" };
    const inputs = await taught.inputs(lesson);
    const extra = transfer && (await taught.extra(lesson, { texts: transfer, confidence, balance, batchSize }));
    return {
      initial:
        init === "teacher"
          ? branchOfTeacher(await taught.branch(), place, base.config, head)
          : branchOfBase(base, place, head, seed),
      loss: distillationLoss(await task.kind.head(), {
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
