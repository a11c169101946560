// LoRA (Hu et al. 2022, section 4): beside a frozen weight W [out, in] a product of low rank, so that x goes through
// W + alpha / rank x B A, with A [rank, in] normal and B [out, rank] zero at first; of a layer query and value by default (section 4.2).
// What training leaves is added to W: the branch is served as any other. Of A the paper says "random Gaussian" and no deviation: it has
// that of the authors' code (microsoft/LoRA, loralib/layers.py: uniform within 1 / sqrt(in)). Left out: dropout before A
// (loralib's lora_dropout), and the start from MNLI's weights that the paper's runs of MRPC, RTE and STS-B have.

import type { EncoderConfig } from "../config";
import type { LayerNames } from "../families/family";
import { LORA_SCALING, loraNames } from "../families/small-names";
import { float32, type HostTensor, type HostTensors } from "../tensors";
import type { Adapter, AdapterOptions } from "./adapter";

/** What --lora-on calls a layer's products. */
export const loraProducts = {
  query: "query",
  key: "key",
  value: "value",
  attention: "attentionOutput",
  intermediate: "intermediate",
  output: "output",
} as const satisfies Readonly<Record<string, keyof LayerNames>>;

export type LoraProduct = keyof typeof loraProducts;

const defaults = { rank: 8, loraAlpha: 8, loraOn: "query,value" };

export const lora = {
  name: "lora",
  short: "LoRA",
  meaning: "frozen layers with products of low rank beside their weights, added to these for serving",
  defaults,
  norms: false,

  tensors(config, names, { rank = defaults.rank, loraOn = defaults.loraOn }) {
    return loraOn.split(",").flatMap((product) => {
      const [out, width] = sizesOf(product as LoraProduct, config);
      const [a, b] = loraNames(names[loraProducts[product as LoraProduct]]);
      return [
        { name: a, shape: [rank, width], deviation: 1 / Math.sqrt(3 * width) },
        { name: b, shape: [out, rank], deviation: 0 },
      ];
    });
  },

  constants: (options) => ({ [LORA_SCALING]: float32([], Float32Array.of(scalingOf(options))) }),

  folded(branch, options) {
    const scaling = scalingOf(options);
    const whole: HostTensors = {};
    for (const [name, tensor] of Object.entries(branch)) {
      const product = name.replace(/\.weight$/, "");
      const [a, b] = loraNames(product).map((own) => branch[own]);
      if (a && b && name === `${product}.weight`) whole[name] = added(tensor, a, b, scaling);
      else if (!isLora(name)) whole[name] = tensor;
    }
    return whole;
  },
} as const satisfies Adapter;

const isLora = (name: string) => /\.lora_[AB]\.weight$/.test(name);

const scalingOf = ({ rank = defaults.rank, loraAlpha = defaults.loraAlpha }: AdapterOptions) => loraAlpha / rank;

function sizesOf(product: LoraProduct, { hiddenSize: hidden, intermediateSize: wide }: EncoderConfig) {
  if (product === "intermediate") return [wide, hidden] as const;
  return product === "output" ? ([hidden, wide] as const) : ([hidden, hidden] as const);
}

/** weight + scaling x B A, each element summed in double precision. */
function added(weight: HostTensor, a: HostTensor, b: HostTensor, scaling: number): HostTensor {
  const [out, width] = weight.shape as [number, number];
  const rank = a.shape[0] as number;
  const values = new Float32Array(weight.data.length);
  const row = new Float64Array(width);
  for (let o = 0; o < out; o++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = scaling * (b.data[o * rank + r] as number);
      for (let i = 0; i < width; i++) row[i] = (row[i] as number) + factor * (a.data[r * width + i] as number);
    }
    for (let i = 0; i < width; i++) values[o * width + i] = (weight.data[o * width + i] as number) + (row[i] as number);
  }
  return float32(weight.shape, values);
}
