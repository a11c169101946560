// Patient Knowledge Distillation (Sun et al. 2019, section 3): beside outputs and labels the [CLS] state of each layer under the top,
// divided by its length, with that of a teacher's layer: "skip" takes every k-th, "last" the last ones. Its students begin as the
// base's first layers. The error is the mean over layers and hidden size, as the authors' code has it (intersun/PKD-for-BERT-Model-
// Compression, src/KD_loss.py), where the paper writes a sum: beta is on that scale.

import type { Scalar } from "@tensorflow/tfjs-core";
import { layerAtHeight, layersFrom, type Method, readAll } from "./method";

export const pkd: Method = {
  name: "pkd",
  short: "PKD",
  meaning: "outputs, labels and the normalised [CLS] states of the layers under the top, from the base's first layers",
  start: { init: "pretrained", initLayers: "bottom" },
  layers: {
    beta: 100,
    mapped: true,
    least: 2,
    async compare(counts, map) {
      const tf = await import("@tensorflow/tfjs-core");
      const { stateError, unitLength } = await import("../../model/losses.js");
      const own = layersFrom(1, counts.student);
      const taught = own.map((layer) =>
        map === "skip" ? layerAtHeight(layer, counts) : counts.teacher - counts.student + layer,
      );
      return {
        student: { hidden: readAll(own, "first") },
        teacher: { hidden: readAll(taught, "first") },
        error(student, teacher, { weights }) {
          const rows = tf.slice(weights, [0, 0], [-1, 1]);
          const errors = own.map((layer, i) =>
            stateError(unitLength(student.hidden(layer)), unitLength(teacher.hidden(taught[i] as number)), rows),
          );
          return tf.div(tf.addN(errors), own.length) as Scalar;
        },
      };
    },
  },
};
