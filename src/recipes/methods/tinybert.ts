// TinyBERT (Jiao et al. 2020, section 3): the embeddings' output, every layer's attention scores before the softmax and hidden states
// with those of the teacher's layer at the same height (the uniform map), each by its squared error and all with weight 1; then the
// outputs. Left out: general distillation before the task's (the base's first layers are the start in its stead), and augmented rows.
// The projection between widths has nothing to do: a student of its base's layers is as wide as its teacher. Of pairs with padding the
// authors' code (huawei-noah/Pretrained-Language-Model, TinyBERT/task_distill.py) counts those with padded queries and sets padded
// keys' scores to 0; here neither counts. Its outputs' loss is soft cross-entropy alone at T = 1, which is --alpha 1 --temperature 1.

import type { Scalar } from "@tensorflow/tfjs-core";
import { layerAtHeight, layersFrom, type Method, readAll } from "./method";

export const tinybert: Method = {
  name: "tinybert",
  short: "TinyBERT",
  meaning:
    "embeddings, attention scores and hidden states of every layer, then outputs, from the base's first layers; no augmentation",
  start: { init: "pretrained", initLayers: "bottom" },
  firstStage: 0.5,
  layers: {
    beta: 1,
    async compare(counts) {
      const tf = await import("@tensorflow/tfjs-core");
      const { scoreError, stateError } = await import("../../model/losses.js");
      // Of 0, what leaves the embeddings, to the top.
      const states = layersFrom(0, counts.student + 1);
      const taught = states.map((layer) => layerAtHeight(layer, counts));
      const layers = layersFrom(0, counts.student);
      const taughtLayers = layers.map((layer) => layerAtHeight(layer + 1, counts) - 1);
      return {
        student: { hidden: readAll(states, "all"), scores: readAll(layers, "all") },
        teacher: { hidden: readAll(taught, "all"), scores: readAll(taughtLayers, "all") },
        error: (student, teacher, { weights, keys }) =>
          tf.addN([
            ...states.map((layer, i) =>
              stateError(student.hidden(layer), teacher.hidden(taught[i] as number), weights),
            ),
            ...layers.map((layer, i) =>
              scoreError(student.scores(layer), teacher.scores(taughtLayers[i] as number), weights, keys),
            ),
          ]) as Scalar,
      };
    },
  },
};
