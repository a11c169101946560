// Partial fine-tuning (paper, section 2.1): for each k, the top k layers, pooler and head of one task are trained
// over the frozen trunk. A sweep goes from the largest k, the shallowest fork, to the smallest: each frozen layer
// runs once per split for all of it. The best k is the task's teacher.

import { kName, kOf, placesOf } from "../model/place";
import { layerRange } from "../options/layers";
import { option } from "../options/option";
import { choice } from "../options/readers";
import { headOf } from "../tasks/task";
import { defineRecipe } from "./recipe";

export const finetune = defineRecipe({
  method: "finetune",
  makes: "teachers",
  title: "Fine-tuning",
  summary: "train a task's top k layers, for one k or a sweep",
  description:
    "Trains each task's top k layers, pooler and head over the frozen layers below, whose activations are computed " +
    "once for the whole sweep.\nRepeating the command skips what is finished and goes on with what was stopped.",
  examples: [
    "finetune --task rte --k 3-9",
    "finetune --task rte,mrpc --k 4 --epochs 5 --seeds 5",
    "finetune --task all --k 1-6 --base sentence-transformers/all-MiniLM-L6-v2 --learning-rate 1e-4",
    "finetune --task rte --k 1-6 --epochs 4 --search halving",
    "finetune --tasks my-tasks.yaml --task support-intent --k 2 --dry-run",
    "finetune --config checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d/config.yaml",
  ],
  options: {
    k: option(layerRange({ full: true }), {
      flag: "--k",
      short: "-k",
      value: "<layers>",
      help: "top layers to train: 3-9, 2, 1,2,3 or full",
      fallback: "3-9",
    }),
    search: option(choice(["full", "halving"]), {
      flag: "--search",
      value: "<full|halving>",
      help: "train every k to the end, or stop those early that lag behind",
      fallback: "full",
    }),
  },
  inFile: { k: "required" },

  settings: ({ k }, { total, fitting }) => placesOf(total, fitting("k", k)).map((place) => ({ place, options: {} })),

  describe({ place }) {
    const k = kOf(place);
    return { name: kName(place), label: `k=${k}`, config: { k } };
  },

  halves: ({ search }) => search === "halving",

  prepare: async () => null,

  /** The base's layers under a new head, towards the labels. */
  async work({ task, base, place, seed }) {
    const { branchOfBase } = await import("./trial/initial-branch.js");
    const { labelLoss } = await import("./losses.js");
    const head = headOf(task, base.config);
    return { initial: branchOfBase(base, place, head, seed), loss: labelLoss(await task.kind.head(base.config)) };
  },
});
