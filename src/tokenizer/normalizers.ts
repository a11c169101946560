// The normalizers of a tokenizer.json beside BERT's, by type: what each makes of a text, with and without the places that
// it came from. One that is not here is refused by name.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { readCharacterMap } from "./precompiled";
import { type Change, replaced, slice, type Traced, transformed } from "./traced";
import { type Form, normalized, normalizedTrace } from "./unicode-forms";

export interface Normalizer {
  plain(text: string): string;
  traced(from: Traced): Traced;
}

type Json = Readonly<Record<string, unknown>>;

const unicode =
  (form: Form): (() => Normalizer) =>
  () => ({
    plain: (text) => normalized(text, form),
    traced: (from) => normalizedTrace(from, form),
  });

const kinds: Readonly<Record<string, (json: Json) => Normalizer>> = {
  NFC: unicode("NFC"),
  NFD: unicode("NFD"),
  NFKC: unicode("NFKC"),
  NFKD: unicode("NFKD"),
  Precompiled: (json) => readCharacterMap(json["precompiled_charsmap"]),
  Lowercase: () => ({
    plain: (text) => Array.from(text, (character) => character.toLowerCase()).join(""),
    traced: (from) => transformed(from, [...from.text].flatMap(lowered)),
  }),
  Strip: strip,
  Replace: replacing,
  Sequence: (json) => {
    const steps = [json["normalizers"] ?? []].flat().map(readNormalizer);
    return {
      plain: (text) => steps.reduce((normal, step) => step.plain(normal), text),
      traced: (from) => steps.reduce((normal, step) => step.traced(normal), from),
    };
  },
};

/** A normalizer of tokenizer.json; null is none. Throws modelError (4) for one that flexbert does not know. */
export function readNormalizer(json: unknown): Normalizer {
  if (json === null || json === undefined) return { plain: (text) => text, traced: (from) => from };
  const type = Object(json).type;
  const read = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (read) return read(json as Json);
  throw modelError(
    `tokenizer.json has the normalizer ${asText(type)}; flexbert reads ${Object.keys(kinds).join(", ")} and, with WordPiece, BertNormalizer`,
  );
}

/** Each by itself: a final sigma is a sigma, as in Rust. */
const lowered = (character: string): Change[] =>
  [...character.toLowerCase()].map((one, i): Change => [one, i === 0 ? 0 : 1]);

function strip(json: Json): Normalizer {
  const [left, right] = [json["strip_left"] !== false, json["strip_right"] !== false];
  const bounds = (text: string): [number, number] => {
    const start = left ? (/^\p{White_Space}*/u.exec(text)?.[0].length ?? 0) : 0;
    let end = text.length;
    if (right) while (end > start && /\p{White_Space}/u.test(text[end - 1] as string)) end--;
    return [start, end];
  };
  return {
    plain: (text) => text.slice(...bounds(text)),
    traced: (from) => slice(from, ...bounds(from.text)),
  };
}

/** Texts, and the patterns that convert SentencePiece's models: one character or \s, repeated. */
function replacing(json: Json): Normalizer {
  const { String: text, Regex: pattern } = Object(json["pattern"]) as { String?: unknown; Regex?: unknown };
  const content = json["content"];
  const simple = typeof pattern === "string" && /^(?:[^\\^$.|?*+()[\]{}]|\\s)+(?:\{\d+(?:,\d*)?\}|\+)?$/u.test(pattern);
  if (typeof content !== "string" || (typeof text !== "string" && !simple) || text === "") {
    throw modelError(
      `tokenizer.json replaces ${shown(json["pattern"])} by ${shown(content)}; flexbert reads a text, or a pattern such as " {2,}"`,
    );
  }
  const source =
    typeof text === "string"
      ? text.replace(/[\\^$.|?*+()[\]{}/-]/g, (one) => (one === "-" ? one : `\\${one}`))
      : String(pattern).replaceAll("\\s", "\\p{White_Space}");
  const wanted = new RegExp(source, "gu");
  return {
    plain: (given) => given.replace(wanted, () => content),
    traced: (from) => replaced(from, wanted, content),
  };
}
