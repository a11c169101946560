// Times and counts as people read them, the same in tables, progress lines and reports.

/** 42 s, 3 min 5 s, 2 h 10 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 10 && seconds > 0 ? seconds.toFixed(1) : whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** 66.1 M, 12.3 k. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(1)} k` : String(Math.round(count));
}

/** A score in points, or another text where it is undefined. */
export const formatScore = (score: number | null, none = "-"): string =>
  score === null ? none : (100 * score).toFixed(1);

/** "accuracy 58.8, f1 undefined": points, as scores are shown everywhere. */
export const formatMetrics = (metrics: readonly (readonly [string, number | null])[]): string =>
  metrics.map(([name, value]) => `${name} ${formatScore(value, "undefined")}`).join(", ");

/** "at 0.5 micro_f1 58.8": beside the same with thresholds that were chosen on these rows. */
export const formatUntuned = ({
  threshold,
  metrics,
}: {
  readonly threshold: number;
  readonly metrics: Readonly<Record<string, number | null>>;
}): string => `at ${threshold} ${formatMetrics(Object.entries(metrics))}`;

/** "7 shared + 26 task layers". */
export const formatLayers = ({ shared, layers }: { readonly shared: number; readonly layers: number }): string =>
  `${shared} shared + ${layers - shared} task layers`;

/** A fraction: "99 %", "99.9 %". */
export const formatPercent = (share: number): string => `${Number((100 * share).toPrecision(6))} %`;
