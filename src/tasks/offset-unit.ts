// What offsets in a text count: code points, as files and HTTP have them and most languages' strings do, or UTF-16 units, as
// JavaScript's strings do.

export const offsetUnits = ["codepoint", "utf16"] as const;
export type OffsetUnit = (typeof offsetUnits)[number];

/** Turns UTF-16 offsets of a text into offsets of a unit. Half a surrogate pair counts to its beginning. */
export function offsetsIn(text: string, unit: OffsetUnit): (utf16: number) => number {
  const starts = unit === "utf16" ? null : codePointStarts(text);
  if (starts === null) return (at) => at;
  return (at) => {
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) < at) low = middle + 1;
      else high = middle;
    }
    return starts[low] === at || low === 0 ? low : (starts[low] ?? text.length) > at ? low - 1 : low;
  };
}

/** The other way; null for an offset behind the text's end, or that is no whole number. */
export function offsetsFrom(text: string, unit: OffsetUnit): (given: number) => number | null {
  const starts = unit === "utf16" ? null : codePointStarts(text);
  const length = starts ? starts.length : text.length;
  return (given) => {
    if (!Number.isSafeInteger(given) || given < 0 || given > length) return null;
    return starts ? (starts[given] ?? text.length) : given;
  };
}

/** null where every code point is one unit. */
function codePointStarts(text: string): number[] | null {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return null;
  const starts: number[] = [];
  for (let at = 0; at < text.length; at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1) starts.push(at);
  return starts;
}
