// Partial fine-tuning (paper, section 2.1): for each k, the top k layers, pooler and head of one task are trained
// over the frozen trunk. A sweep goes from the largest k, the shallowest fork, to the smallest: each frozen layer
// runs once per split for all of it. The best k is the task's teacher. With --method the layers stay frozen too, and small tensors beside
// them are trained, as other papers do: model/adapters/.

import { adapterOf } from "../model/adapters/adapters";
import { kName, kOf, placesOf } from "../model/place";
import { layerRange } from "../options/layers";
import { option, optional } from "../options/option";
import { choice } from "../options/readers";
import { headOf } from "../tasks/task";
import { adapterOptions, adapterVariants, sizeName } from "./adapters/options";
import { defineRecipe } from "./recipe";

const ks = layerRange({ full: true });

/** Of trained layers, where --k says nothing. */
const DEFAULT_KS = "3-9";

export const finetune = defineRecipe({
  method: "finetune",
  makes: "teachers",
  title: "Fine-tuning",
  summary: "train a task's top k layers, for one k or a sweep",
  description:
    "Trains each task's top k layers, pooler and head over the frozen layers below, whose activations are computed " +
    "once for the whole sweep. With --method those layers stay frozen too, and adapters or LoRA beside them are trained.\n" +
    "Repeating the command skips what is finished and goes on with what was stopped.",
  examples: [
    "finetune --task rte --k 3-9",
    "finetune --task rte,mrpc --k 4 --epochs 5 --seeds 5",
    "finetune --task all --k 1-6 --base sentence-transformers/all-MiniLM-L6-v2 --learning-rate 1e-4",
    "finetune --task rte --k 1-6 --epochs 4 --search halving",
    "finetune --task rte --method lora --rank 8 --learning-rate 5e-4",
    "finetune --task rte --method houlsby --k 6 --adapter-size 64 --learning-rate 1e-3",
    "finetune --tasks my-tasks.yaml --task support-intent --k 2 --dry-run",
    "finetune --config checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d/config.yaml",
  ],
  options: {
    k: optional(ks, {
      flag: "--k",
      short: "-k",
      value: "<layers>",
      help: `top layers to train: 3-9, 2, 1,2,3 or full (default ${DEFAULT_KS}, with --method all)`,
    }),
    search: option(choice(["full", "halving"]), {
      flag: "--search",
      value: "<full|halving>",
      help: "train every k to the end, or stop those early that lag behind",
      fallback: "full",
    }),
    ...adapterOptions,
  },
  inFile: {
    k: "required",
    ...{ method: "list", rank: "list", loraAlpha: "list", loraOn: "value", adapterSize: "list" },
  },

  settings(values, layers) {
    const { total, fitting } = layers;
    const adapted = adapterVariants(values, layers);
    return (
      adapted ?? placesOf(total, fitting("k", values.k ?? ks(DEFAULT_KS))).map((place) => ({ place, options: {} }))
    );
  },

  describe({ place, options }) {
    const [k, name] = [kOf(place), kName(place)];
    const adapter = adapterOf(options);
    if (!adapter) return { name, label: `k=${k}`, config: { k } };
    const size = sizeName(options);
    return { name: `${name}-${adapter.name}-${size}`, label: `k=${k} ${adapter.name} ${size}`, config: { k } };
  },

  halves: ({ search }) => search === "halving",

  prepare: async () => null,

  /** The base's layers under a new head, towards the labels. */
  async work(trial) {
    const { task, base, place, seed, options } = trial;
    const adapter = adapterOf(options);
    if (adapter) {
      const { adaptedWork } = await import("./adapters/adapted.js");
      return adaptedWork(trial, adapter);
    }
    const { branchOfBase } = await import("./trial/initial-branch.js");
    const { labelLoss } = await import("./losses.js");
    const head = headOf(task, base.config);
    return { initial: branchOfBase(base, place, head, seed), loss: labelLoss(await task.kind.head(base.config)) };
  },
});
