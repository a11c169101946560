// Names of ramps' tensors: a ramp is a head of its own at the first position of what leaves an encoder layer. Apart from
// ramps.ts, which loads tfjs.

const PREFIX = "ramp/";

export const isRamp = (name: string): boolean => name.startsWith(PREFIX);

/** Of the ramp that stands on `layer` encoder layers. */
export const rampName = (layer: number, name: string): string => `${PREFIX}${layer}/${name}`;

/** Whether a tensor is of the ramp that stands on `layer` encoder layers. */
export const isRampOf = (name: string, layer: number): boolean => name.startsWith(rampName(layer, ""));

/** The layers under the top of a way through `top` encoder layers: a ramp may stand on each. */
export const rampLayers = (top: number): number[] => Array.from({ length: top - 1 }, (_, i) => i + 1);

/** One ramp's tensors among those of all, under the head's own names. */
export function rampTensors<T>(tensors: Readonly<Record<string, T>>, layer: number): Record<string, T> {
  const prefix = rampName(layer, "");
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Ramps that begin as one head does. */
export const rampsOf = <T>(head: Readonly<Record<string, T>>, layers: readonly number[]): Record<string, T> =>
  Object.fromEntries(
    layers.flatMap((layer) => Object.entries(head).map(([name, tensor]) => [rampName(layer, name), tensor])),
  );

/** What of a task's own tensors is its branch. */
export const withoutRamps = <T>(tensors: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => !isRamp(name)));
