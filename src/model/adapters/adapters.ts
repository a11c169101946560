// Every method by which `finetune --method` trains small tensors beside frozen layers, and what each adds to a branch. One more is a file
// and a line here.

import { modelError } from "../../errors/errors";
import type { EncoderConfig } from "../config";
import { families, familyOf } from "../families/families";
import { ownLayers, type Place } from "../place";
import { sizeOf } from "../tensors";
import type { Adapter, AdapterOptions, SmallTensor } from "./adapter";
import { houlsby } from "./houlsby";
import { lora } from "./lora";
import { pfeiffer } from "./pfeiffer";

const all = [lora, houlsby, pfeiffer] as const satisfies readonly Adapter[];

export type AdapterName = (typeof all)[number]["name"];

export const adapters: ReadonlyMap<string, Adapter> = new Map(all.map((adapter) => [adapter.name, adapter]));

/** What a run's or a trial's options hold. */
type Options = Readonly<Record<string, unknown>>;

/** The method of a run's or a trial's options; null where the layers themselves are trained. */
export const adapterOf = ({ method }: Options): Adapter | null => adapters.get(String(method)) ?? null;

/** Whether branches of a method, by its name, have tensors that other programs' classes do not know. */
export const staysBeside = (method: string): boolean => adapters.get(method)?.folded === undefined;

/** Throws modelError (4) for a family whose layers take no small tensors. */
function layerNamesOf(config: EncoderConfig, { name }: Adapter) {
  const { adapts, title } = familyOf(config);
  if (adapts) return adapts;
  const able = Object.values(families).filter((family) => family.adapts !== undefined);
  throw modelError(
    `--method ${name}: layers of ${title} take no small tensors; those of ${able.map((family) => family.title).join(", ")} do. ` +
      "Fine-tune without --method, or give another --base",
  );
}

/** The small tensors of every layer of a branch, under their whole names, from the lowest layer. Throws as {@link layerNamesOf}. */
export function smallTensors(
  adapter: Adapter,
  config: EncoderConfig,
  place: Place,
  options: Options,
): readonly SmallTensor[] {
  const names = layerNamesOf(config, adapter);
  const [from, to] = ownLayers(place);
  const ofLayer = adapter.tensors(config, names, options as AdapterOptions);
  return Array.from({ length: to - from }, (_, i) =>
    ofLayer.map((tensor) => ({ ...tensor, name: `${familyOf(config).names.layers}${from + i}.${tensor.name}` })),
  ).flat();
}

/** Names of the layers' own tensors that are trained with the small ones. */
export function trainedNorms(adapter: Adapter, config: EncoderConfig, place: Place): string[] {
  if (!adapter.norms) return [];
  const { attentionNorm, outputNorm } = layerNamesOf(config, adapter);
  const [from, to] = ownLayers(place);
  return Array.from({ length: to - from }, (_, i) => `${familyOf(config).names.layers}${from + i}.`).flatMap((layer) =>
    [attentionNorm, outputNorm].flatMap((norm) => [`${layer}${norm}.weight`, `${layer}${norm}.bias`]),
  );
}

/** Shapes, by name, of what such a branch holds when it is stored, beside its layers' own tensors and its head. */
export function storedBeside(
  config: EncoderConfig,
  place: Place,
  options: Options,
): ReadonlyMap<string, readonly number[]> {
  const adapter = adapterOf(options);
  if (!adapter || adapter.folded) return new Map();
  return new Map(smallTensors(adapter, config, place, options).map(({ name, shape }) => [name, shape]));
}

/**
 * Of a merged branch how many of its own numbers stand beside its layers', its head and norms not counted; 0 where they were added to these.
 * @param head parameters of its head
 */
export function numbersBeside(
  { method, trained }: { readonly method: string; readonly trained: number },
  head: number,
  config: EncoderConfig,
  place: Place,
): number {
  const adapter = adapters.get(method);
  if (!adapter || adapter.folded) return 0;
  return trained - head - trainedNorms(adapter, config, place).length * config.hiddenSize;
}

/** How many numbers of a branch's layers are its own: of one whose layers are frozen the small tensors and what is trained with them. */
export function ownLayerParameters(adapter: Adapter, config: EncoderConfig, place: Place, options: Options): number {
  const small = smallTensors(adapter, config, place, options);
  const norms = trainedNorms(adapter, config, place).length * config.hiddenSize;
  return small.reduce((sum, { shape }) => sum + sizeOf(shape), norms);
}
