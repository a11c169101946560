// How much doubt is left in outputs, for kinds that say when a row may leave below the top of its way.

/** -sum p log p over classes, as DeeBERT has it: ln sum exp z - sum z exp z / sum exp z (Xin et al. 2020, section 3.3). */
export function softmaxEntropy(logits: Float32Array): number {
  const most = logits.reduce((high, logit) => Math.max(high, logit), Number.NEGATIVE_INFINITY);
  let [sum, weighted] = [0, 0];
  for (const logit of logits) {
    const mass = Math.exp(logit - most);
    sum += mass;
    weighted += mass * (logit - most);
  }
  return Math.max(0, Math.log(sum) - weighted / sum);
}

/** Of one label that holds with this probability. */
export const binaryEntropy = (p: number): number =>
  p <= 0 || p >= 1 ? 0 : -p * Math.log(p) - (1 - p) * Math.log(1 - p);

/** The latest of a row's outputs; a row is asked about after it has passed a ramp. */
export const latest = (outputs: readonly Float32Array[]): Float32Array => outputs[outputs.length - 1] as Float32Array;

export function variance(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / Math.max(1, all.length);
  return all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, all.length);
}
