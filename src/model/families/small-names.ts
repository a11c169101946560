// Names of the small tensors that a layer may have beside its own (adapters/), as layers look for them and files hold them. Those of LoRA
// are what peft calls them.

/** Beside a product: what its input is brought down by, and up to its outputs again. */
export const loraNames = (product: string) => [`${product}.lora_A.weight`, `${product}.lora_B.weight`] as const;

/** What every product of low rank is multiplied by: a scalar of no layer. */
export const LORA_SCALING = "lora_scaling";

/** Bottlenecks of a layer, behind its own name: Houlsby's two, and Pfeiffer's, which reads what the layer's last norm leaves. */
export const ATTENTION_ADAPTER = "attention_adapter";
export const OUTPUT_ADAPTER = "output_adapter";
export const NORMED_ADAPTER = "normed_adapter";

/** Parts of a bottleneck, each a product with an offset. */
export const bottleneckNames = (name: string) => ({ down: `${name}.down`, up: `${name}.up` }) as const;

/**
 * Whether a tensor of this name within its layer is part of a bottleneck of layers of this hidden size: one whose size is whatever its
 * tensors have.
 */
export function isOfBottleneck(name: string, shape: readonly number[], hidden: number): boolean {
  const bottleneck = [ATTENTION_ADAPTER, OUTPUT_ADAPTER, NORMED_ADAPTER].find((one) => name.startsWith(`${one}.`));
  if (bottleneck === undefined) return false;
  const size = shape[name.endsWith(".up.weight") ? 1 : 0] ?? 0;
  const tensors = bottleneckTensors(bottleneck, hidden, size, 0);
  return tensors.some((tensor) => tensor.name === name && String(tensor.shape) === String(shape));
}

/** @param deviation of the products' normal values at first; offsets are zero */
export function bottleneckTensors(name: string, hidden: number, size: number, deviation: number) {
  const { down, up } = bottleneckNames(name);
  return [
    { name: `${down}.weight`, shape: [size, hidden], deviation },
    { name: `${down}.bias`, shape: [size], deviation: 0 },
    { name: `${up}.weight`, shape: [hidden, size], deviation },
    { name: `${up}.bias`, shape: [hidden], deviation: 0 },
  ];
}
