// How `finetune --method` asks for small tensors beside frozen layers, by one of model/adapters. At their defaults no run that trains its
// layers has any of this in its id.

import { usageError } from "../../errors/errors";
import type { Adapter, AdapterOptions } from "../../model/adapters/adapter";
import { adapters } from "../../model/adapters/adapters";
import { type LoraProduct, loraProducts } from "../../model/adapters/lora";
import { placesOf } from "../../model/place";
import { option, optional, silentDefault, type Values } from "../../options/option";
import { choice, decimal, integer, list } from "../../options/readers";
import type { Layers, Variant } from "../recipe";

/** The layers themselves are trained. */
const OWN = "flexbert";

const products = Object.keys(loraProducts) as LoraProduct[];
const oneProduct = choice(products);

/** A list of products as one text, in the order of a layer. */
function productList(given: unknown): string {
  const named = list(given).map(oneProduct);
  return products.filter((product) => named.includes(product)).join(",");
}

export const adapterOptions = {
  method: silentDefault(
    option(choice([OWN, ...adapters.keys()]), {
      flag: "--method",
      value: "<name>",
      help: `flexbert trains the layers; over frozen ones small tensors alone: ${[...adapters.keys()].join(", ")}`,
      fallback: OWN,
    }),
  ),
  rank: optional(integer({ min: 1, max: 4096 }), {
    flag: "--rank",
    value: "<r>",
    help: `of lora's products (default ${adapters.get("lora")?.defaults.rank})`,
  }),
  loraAlpha: optional(decimal({ min: 0.001 }), {
    flag: "--lora-alpha",
    value: "<alpha>",
    help: `lora's products are multiplied by alpha / rank (default ${adapters.get("lora")?.defaults.loraAlpha})`,
  }),
  loraOn: optional(productList, {
    flag: "--lora-on",
    value: "<products>",
    help: `which of a layer's: ${products.join(", ")} (default ${adapters.get("lora")?.defaults.loraOn})`,
  }),
  adapterSize: optional(integer({ min: 1, max: 65536 }), {
    flag: "--adapter-size",
    value: "<m>",
    help: `of the bottlenecks (default houlsby ${adapters.get("houlsby")?.defaults.adapterSize}, pfeiffer ${adapters.get("pfeiffer")?.defaults.adapterSize})`,
  }),
};

type AdapterValues = Values<typeof adapterOptions> & {
  readonly k: Parameters<Layers["fitting"]>[1] | undefined;
  readonly search: "full" | "halving";
};

/** The variants that options ask for; null where the layers are trained. Throws usageError (2). */
export function adapterVariants(values: AdapterValues, { total, fitting }: Layers): Variant[] | null {
  const adapter = adapters.get(values.method);
  refuseOthers(values, adapter);
  if (!adapter) return null;
  if (values.search === "halving") {
    throw usageError(
      `--search halving: it compares the k of trained layers, not those of --method ${adapter.name}. Leave it out`,
    );
  }
  const options = { method: adapter.name, ...ownOptions(adapter, values) };
  // Embeddings are frozen whatever k is: of all layers they are what is shared.
  const ks = values.k ? fitting("k", values.k).map((k) => (k === "full" ? total : k)) : [total];
  return placesOf(total, ks).map((place) => ({ place, options }));
}

const ownOptions = ({ defaults }: Adapter, values: AdapterValues): AdapterOptions =>
  Object.fromEntries(
    (Object.keys(defaults) as (keyof AdapterOptions)[]).map((name) => [name, values[name] ?? defaults[name]]),
  );

function refuseOthers(values: AdapterValues, adapter: Adapter | undefined): void {
  const { method: _, ...own } = adapterOptions;
  for (const [name, { flag }] of Object.entries(own)) {
    if (values[name as keyof AdapterOptions] === undefined || (adapter && name in adapter.defaults)) continue;
    const having = [...adapters.values()].filter(({ defaults }) => name in defaults).map((one) => one.name);
    throw usageError(`${flag}: it is an option of --method ${having.join(" and ")}. Leave it out, or give that method`);
  }
}

/** What tells sizes of one method apart: "r8", "m64". */
export function sizeName({ rank, adapterSize }: AdapterOptions): string {
  return rank === undefined ? `m${adapterSize}` : `r${rank}`;
}
