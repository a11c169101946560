// Numbers as the page shows them.

export const ms = (value: number | null): string =>
  value === null ? "–" : `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export const rate = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(2)));

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
