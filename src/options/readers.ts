// Readers: from what a flag (text) or a config file (YAML values) gave to a checked value. Each throws an Error whose
// message completes "it takes ...".

import { asText } from "../errors/printable";
import { didYouMean } from "../messages/nearest";

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

const describeBounds = ({ min, max }: Bounds): string => {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? "" : ` of at most ${max}`;
};

function toNumber(given: unknown): number {
  if (typeof given === "number") return given;
  return typeof given === "string" && given.trim() !== "" ? Number(given) : Number.NaN;
}

const within = (value: number, { min, max }: Bounds) => value >= (min ?? -Infinity) && value <= (max ?? Infinity);

export function integer(bounds: Bounds = {}) {
  return (given: unknown): number => {
    const value = toNumber(given);
    if (!Number.isSafeInteger(value) || !within(value, bounds))
      throw new Error(`a whole number${describeBounds(bounds)}`);
    return value;
  };
}

export function decimal(bounds: Bounds = {}) {
  return (given: unknown): number => {
    const value = toNumber(given);
    if (!Number.isFinite(value) || !within(value, bounds)) throw new Error(`a number${describeBounds(bounds)}`);
    return value;
  };
}

/** What `read` takes, or null for nothing of the kind. */
export function orNull<T>(read: (given: unknown) => T) {
  return (given: unknown): T | null => (given === null ? null : read(given));
}

/** 2, "1,2.5" or a YAML list, as a list. */
export function decimals(bounds: Bounds = {}) {
  const read = decimal(bounds);
  return (given: unknown): number[] => {
    const parts = Array.isArray(given) ? given : asText(given).split(",");
    try {
      return parts.map(read);
    } catch {
      throw new Error(`a list such as 1,2.5, of numbers${describeBounds(bounds)}`);
    }
  };
}

/** true or false, in a file or as a flag's text. */
export function truth(given: unknown): boolean {
  if (given === true || given === "true") return true;
  if (given === false || given === "false") return false;
  throw new Error("true or false");
}

export function text(given: unknown): string {
  if (typeof given === "number") return String(given);
  if (typeof given !== "string" || given === "") throw new Error("a text that is not empty");
  return given;
}

export function choice<const T extends readonly string[]>(allowed: T) {
  return (given: unknown): T[number] => {
    if (!allowed.includes(given as string)) {
      throw new Error(`one of ${allowed.join(", ")}${didYouMean(asText(given), allowed)}`);
    }
    return given as T[number];
  };
}

/** A name, a comma list or a YAML list, as one comma list. */
export function names(given: unknown): string {
  const joined = Array.isArray(given) ? asText(given) : given;
  return text(joined);
}

/** A comma list, or a YAML list whose items may have commas in them. */
export function list(given: unknown): string[] {
  const parts = Array.isArray(given) ? given.map(asText) : text(given).split(",");
  const items = parts.map((part) => part.trim());
  if (items.length === 0 || items.includes("")) throw new Error("a list such as yes,no, without empty names");
  return items;
}

/** 4GiB, 500MB, 2.5 GB, 800000 (bytes), or 25% of `total` where there is one. In bytes. */
export function bytes(total?: () => number) {
  const units: Record<string, number> = {
    b: 1,
    kb: 1e3,
    mb: 1e6,
    gb: 1e9,
    tb: 1e12,
    kib: 2 ** 10,
    mib: 2 ** 20,
    gib: 2 ** 30,
  };
  return (given: unknown): number => {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*|%)\s*$/i.exec(asText(given));
    const amount = Number(match?.[1]);
    const unit = (match?.[2] ?? "").toLowerCase();
    if (total && match && unit === "%" && amount <= 100) return Math.floor((total() * amount) / 100);
    const factor = units[unit === "" ? "b" : unit];
    if (!match || factor === undefined)
      throw new Error(total ? "a size such as 4GiB, 500MB or 25%" : "a size such as 100MB or 2GiB");
    return Math.floor(amount * factor);
  };
}

/** 90s, 30m, 1h, 7d, 1.5h, or seconds without a unit. In ms. */
export function duration(given: unknown): number {
  const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
  const match = /^\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*$/i.exec(asText(given));
  const factor = units[(match?.[2] || "s").toLowerCase()];
  if (!match || factor === undefined) throw new Error("a time such as 90s, 30m, 1h or 7d");
  return Number(match[1]) * factor * 1000;
}
