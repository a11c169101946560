// Linear warm-up, then linear decay to zero: transformers' `get_linear_schedule_with_warmup`, step for step.

/**
 * The learning rate of a step. The first step of a warm-up has rate 0, as in BERT's own code.
 * @param step from 1 to `total`
 * @param warmup share of all steps, 0 to 1
 */
export function learningRateAt(step: number, total: number, peak: number, warmup: number): number {
  const warm = Math.ceil(total * warmup);
  const done = step - 1;
  if (done < warm) return (peak * done) / warm;
  return (peak * (total - done)) / Math.max(1, total - warm);
}
