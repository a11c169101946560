// MiniLM (Wang et al. 2020, section 3): the last layer's attention distributions and value relations, softmax(V V^T / sqrt(size)) by
// head, by their divergence from the teacher's last; then the task. Left out: its pre-training on texts without labels (here the first
// share of the steps takes this loss on the task's own rows) and the teacher assistant; after it the paper fine-tunes on labels alone,
// which is --alpha 0. Relations have the attention's own heads, as in the paper; MiniLMv2's relation heads are another method.

import type { Method } from "./method";

export const minilm: Method = {
  name: "minilm",
  short: "MiniLM",
  meaning:
    "the last layer's attention and value relations, then outputs and labels, from the base's first layers; no pre-training",
  start: { init: "pretrained", initLayers: "bottom" },
  firstStage: 0.5,
  layers: {
    beta: 1,
    async compare(counts) {
      const tf = await import("@tensorflow/tfjs-core");
      const { relationDivergence, valueRelations } = await import("../../model/losses.js");
      const [own, top] = [counts.student - 1, counts.teacher - 1];
      return {
        student: { attention: { [own]: "all" }, values: { [own]: "all" } },
        teacher: { attention: { [top]: "all" }, values: { [top]: "all" } },
        error: (student, teacher, { weights, keys }) =>
          tf.add(
            relationDivergence(student.attention(own), teacher.attention(top), weights),
            relationDivergence(
              valueRelations(student.values(own), keys),
              valueRelations(teacher.values(top), keys),
              weights,
            ),
          ),
      };
    },
  },
};
