// DistilBERT (Sanh et al. 2019, sections 2 and 3): every other layer of the teacher as the start, softened outputs, and the cosine
// between the last layers' hidden states. Left out: its pre-training with the masked language model's loss (here the task's labels
// stand in that loss's place), and its removal of token types and pooler: a student has the shape of its base.

import type { Method } from "./method";

export const distilbert: Method = {
  name: "distilbert",
  short: "DistilBERT",
  meaning:
    "outputs, labels and the cosine of the last hidden states, from every other layer of the teacher; no pre-training",
  start: { init: "teacher", initLayers: "spread" },
  layers: {
    beta: 1,
    async compare({ student: own, teacher: top }) {
      const { cosineError } = await import("../../model/losses.js");
      return {
        student: { hidden: { [own]: "all" } },
        teacher: { hidden: { [top]: "all" } },
        error: (student, teacher, { weights }) => cosineError(student.hidden(own), teacher.hidden(top), weights),
      };
    },
  },
};
