// Which parameters an encoder of a given config has, and their shapes: what a checkpoint is checked against.

import { modelError } from "../../errors/errors";
import type { EncoderConfig } from "../../model/config";
import { familyOf, layerOf } from "../../model/families/families";
import { baseParameters } from "../../model/parameters";
import type { HostTensor } from "../../model/tensors";

/** Shapes of the embeddings, the encoder and what of a head comes with it, by our names; weights are [out, in]. */
export const parameterShapes = (config: EncoderConfig): ReadonlyMap<string, readonly number[]> =>
  new Map(baseParameters(config).map(({ name, shape }) => [name, shape]));

/** The tensors of a fine-tuned model's head, over texts or over tokens, whose number of outputs the config does not say. */
function classifierShapes(config: EncoderConfig, outputs: number): ReadonlyMap<string, readonly number[]> {
  const { head, tokenHead } = familyOf(config);
  const both = [tokenHead, head].flatMap((one) => one.parameters(config, outputs));
  return new Map(both.filter(({ ofBase }) => !ofBase).map(({ name, shape }) => [name, shape]));
}

/** Tells the tensors of a fine-tuned model's head. */
export function classifierOf(config: EncoderConfig): (name: string) => boolean {
  const names = classifierShapes(config, 1);
  return (name) => names.has(name);
}

/** Whether a checkpoint's tensor belongs to a layer that the config does not have. */
export const isSurplusLayer = (name: string, config: EncoderConfig): boolean =>
  name.startsWith(familyOf(config).names.layers) && layerOf(name) >= config.numHiddenLayers;

/**
 * Checks a checkpoint's tensors, by our names, against its config. What of a head comes with the base may be
 * absent, as a whole, but for what no base is without.
 * Throws modelError (4) naming the source and the tensors that are missing or have another shape or dtype.
 */
export function checkParameters(
  tensors: Readonly<Record<string, Pick<HostTensor, "dtype" | "shape">>>,
  config: EncoderConfig,
  source: string,
): void {
  const shapes = parameterShapes(config);
  const { head, tokenHead, title } = familyOf(config);
  const optional = head.parameters(config, 1).filter(({ required }) => !required);
  const ofHead = new Set(optional.map(({ name }) => name));
  const hasHead = [...shapes.keys()].some((name) => ofHead.has(name) && tensors[name]);
  const missing = [...shapes.keys()].filter((name) => !tensors[name] && (hasHead || !ofHead.has(name)));
  if (missing.length > 0) {
    const shown = missing.slice(0, 3).join(", ");
    throw modelError(
      `${source} lacks ${missing.length} of ${shapes.size} tensors of a ${title} of ${config.numHiddenLayers} layers: ${shown}${missing.length > 3 ? ", ..." : ""}. Give a whole checkpoint`,
    );
  }
  const [outputs = 0] = [head, tokenHead].flatMap(({ output }) =>
    ["weight", "bias"].flatMap((part) => tensors[`${output}.${part}`]?.shape[0] ?? []),
  );
  const heads = classifierShapes(config, outputs);
  for (const [name, tensor] of Object.entries(tensors)) {
    const expected = shapes.get(name) ?? heads.get(name);
    if (!expected) throw new Error(`${name} is no parameter of a ${title}`);
    if (String(tensor.shape) !== String(expected) || tensor.shape.length !== expected.length) {
      throw modelError(
        `${source}: ${name} has the shape [${tensor.shape}], its config gives [${expected}]. Config and weights belong to different models`,
      );
    }
    if (tensor.dtype !== "float32") throw modelError(`${source}: ${name} holds integers, weights are floating-point`);
  }
}
