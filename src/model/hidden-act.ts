// config.json's hidden_act: which names stand for which function (activations.ts computes them).

/** Of transformers' names of one function the first; "gelu" is the exact one. */
const names = {
  gelu: ["gelu", "gelu_python"],
  gelu_new: ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"],
  relu: ["relu"],
  silu: ["silu", "swish"],
} as const;

/** What is not exact GELU, which configs leave out. */
export type Activation = Exclude<keyof typeof names, "gelu">;

/** All values of config.json's hidden_act that are read. */
export const hiddenActs: readonly string[] = Object.values(names).flat();

/** The function that a config.json's hidden_act names, or null for one that is not computed here. */
export function activationOf(hiddenAct: unknown): keyof typeof names | null {
  const found = Object.entries(names).find(([, same]) => (same as readonly unknown[]).includes(hiddenAct));
  return (found?.[0] as keyof typeof names | undefined) ?? null;
}
