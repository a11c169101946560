// How sure it is that a risk is small: p-values against "the mean loss is above alpha" from losses of rows that chose neither stops
// nor threshold. Losses of 0 and 1 have the binomial's own; others the bound of Hoeffding and Bentkus (Bates et al. 2021,
// "Distribution-free, risk-controlling prediction sets", section 3.1.2), which holds for any in [0, 1].

/** Losses of so many rows, each from 0 to 1. */
export interface Losses {
  readonly rows: number;
  readonly sum: number;
  /** Whether each is 0 or 1. */
  readonly binary: boolean;
}

/** The probability of losses as small as these or smaller, were their mean alpha or more. 1 for no rows. */
export function pValue({ rows, sum, binary }: Losses, alpha: number): number {
  if (rows === 0) return 1;
  if (binary) return binomialCdf(sum, rows, alpha);
  const mean = sum / rows;
  const hoeffding = mean >= alpha ? 1 : Math.exp(-rows * divergence(mean, alpha));
  return Math.min(1, hoeffding, Math.E * binomialCdf(Math.ceil(sum), rows, alpha));
}

/** Rows of which none may lose anything that a promise needs at least. */
export const fewestRows = (alpha: number, delta: number): number => Math.ceil(Math.log(delta) / Math.log1p(-alpha));

/** P(X <= k) of X ~ Binomial(n, p). Terms are summed as logarithms: (1 - p)^n underflows. */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k >= n) return 1;
  if (p <= 0) return 1;
  if (p >= 1) return 0;
  let term = n * Math.log1p(-p);
  let sum = Math.exp(term);
  for (let i = 1; i <= k; i++) {
    term += Math.log((n - i + 1) / i) + Math.log(p) - Math.log1p(-p);
    sum += Math.exp(term);
  }
  return Math.min(1, sum);
}

/** Between coins: a log(a / b) + (1 - a) log((1 - a) / (1 - b)). */
const divergence = (a: number, b: number): number =>
  (a === 0 ? 0 : a * Math.log(a / b)) + (a === 1 ? 0 : (1 - a) * Math.log((1 - a) / (1 - b)));
