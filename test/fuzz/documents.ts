// Changes of a document of keys and values, written as JSON or as YAML: keys left out, doubled, renamed, swapped, values of
// another type, too large, too deep.

import fc from "fast-check";
import { stringify } from "yaml";
import { asText } from "../../src/errors/printable";
import { hostileText, laughs, rawValues, yamlValues } from "./hostile";

type Path = readonly (string | number)[];

/** A change of the value at one of the places of a document, or of its text. */
export interface Edit {
  readonly place: number;
  readonly kind: string;
  readonly text: string;
  readonly number: number;
}

/** Stands in the written document where a piece of text that is no value goes. */
const mark = (raw: string) => `@@${Buffer.from(raw).toString("hex")}@@`;
const marks = /"?@@([0-9a-f]*)@@"?/g;

const kinds = [
  ...["drop", "drop", "drop", "null", "number", "number", "text", "text", "text", "boolean", "list", "object"],
  ...[
    "raw",
    "raw",
    "raw",
    "raw",
    "rename",
    "rename",
    "near",
    "swap",
    "swap",
    "wrap",
    "double",
    "empty",
    "longer",
    "key",
    "own",
    "own",
  ],
];

export const edits = fc.array(
  fc.record({
    place: fc.nat(),
    kind: fc.constantFrom(...kinds),
    text: hostileText,
    number: fc.oneof(fc.integer(), fc.double(), fc.nat(12), fc.constantFrom(-1, 0, 1, 2 ** 31, 2 ** 53, 1e300)),
  }),
  { minLength: 1, maxLength: 3 },
);

function placesOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [at];
  const inner = Object.keys(value).flatMap((key) =>
    placesOf((value as Record<string, unknown>)[key], [...at, Array.isArray(value) ? Number(key) : key]),
  );
  return [at, ...inner];
}

/** What String, await, JSON.stringify and lists ask of an object, as data. */
const ownMethods =
  '{"toString": 1, "valueOf": "x", "toJSON": 1, "then": 1, "length": 1e9, "constructor": null, "name": []}';

interface Holder {
  root: unknown;
}

function holderOf(root: Holder, at: Path): { parent: Record<string | number, unknown>; key: string | number } {
  let parent = root as unknown as Record<string | number, unknown>;
  let key: string | number = "root";
  for (const next of at) {
    parent = parent[key] as Record<string | number, unknown>;
    key = next;
  }
  return { parent, key };
}

function apply(root: Holder, { place, kind, text, number }: Edit, raw: readonly string[]): void {
  const places = placesOf(root.root);
  const at = places[place % places.length] as Path;
  const { parent, key } = holderOf(root, at);
  const value = parent[key];
  const put = (next: unknown) => {
    parent[key] = next;
  };
  const rename = (next: string) => {
    if (Array.isArray(parent) || at.length === 0) return;
    const entries = Object.entries(parent).map(([name, one]) => [name === key ? next : name, one] as const);
    for (const name of Object.keys(parent)) delete parent[name];
    for (const [name, one] of entries)
      Object.defineProperty(parent, name, { value: one, enumerable: true, writable: true, configurable: true });
  };
  const edit: Record<string, () => void> = {
    drop: () => (Array.isArray(parent) ? parent.splice(key as number, 1) : delete parent[key]),
    null: () => put(null),
    number: () => put(number),
    text: () => put(text),
    boolean: () => put(number > 0),
    list: () => put([text, number]),
    object: () => put({ [text]: number }),
    raw: () => put(mark(raw[place % raw.length] as string)),
    rename: () => rename(text),
    near: () => rename(`${String(key).slice(0, -1)}x`),
    key: () => rename(mark(`"${String(key)}\\u001b[31m"`)),
    swap: () => {
      const nth = Number.isFinite(number) ? Math.abs(Math.trunc(number)) : 0;
      const other = holderOf(root, places[nth % places.length] as Path);
      put(structuredClone(other.parent[other.key]));
    },
    wrap: () => put([value]),
    double: () => put(mark(`{"a": ${JSON.stringify(value) ?? "null"}, "a": ${JSON.stringify(text)}}`)),
    own: () => put(JSON.parse(ownMethods)),
    empty: () => put(Array.isArray(value) ? [] : typeof value === "object" ? {} : ""),
    longer: () =>
      put(Array.isArray(value) ? Array.from({ length: 300 }, () => value[0] ?? text) : `${asText(value)}${text}`),
  };
  edit[kind]?.();
}

/** The parsed document with the edits, as JSON. */
export function editedJson(document: unknown, changes: readonly Edit[]): string {
  return written(document, changes, rawValues, (value) => JSON.stringify(value, null, 2) ?? "");
}

/** The parsed document with the edits, as YAML. */
export function editedYaml(document: unknown, changes: readonly Edit[]): string {
  const text = written(
    document,
    changes,
    [...rawValues, ...yamlValues],
    (value) => stringify(value, { lineWidth: 0 }) ?? "",
  );
  return (changes[0]?.place ?? 0) % 40 === 0 ? `${text}${laughs}` : text;
}

function written(
  document: unknown,
  changes: readonly Edit[],
  raw: readonly string[],
  write: (value: unknown) => string,
): string {
  const root: Holder = { root: structuredClone(document) };
  for (const change of changes) apply(root, change, raw);
  return write(root.root).replace(marks, (_, hex: string) => Buffer.from(hex, "hex").toString());
}
