// SentencePiece's precompiled character map, as XLM-R's tokenizer.json carries it: a double-array trie (Yata et al., Darts)
// from UTF-8 to places in a table of replacements, read as Hugging Face's spm_precompiled and tokenizers 0.23 read it. Their
// oddities decide ids and are kept: a grapheme below 6 bytes is replaced as a whole by what its shortest known beginning
// becomes. @huggingface/tokenizers has a few rules of its own in its place.

import { modelError } from "../errors/errors";
import { shown } from "../errors/printable";
import { type Change, type Traced, transformed } from "./traced";

export interface CharacterMap {
  plain(text: string): string;
  traced(from: Traced): Traced;
}

/** Longer graphemes are read character by character. */
const LONGEST_GRAPHEME = 5;

/** Without any of these each character is a grapheme, or one of a grapheme of 6 bytes and more. */
const joining =
  /[\p{Grapheme_Extend}\p{Mc}\p{Cf}\p{Emoji_Modifier}\u0e33\u0eb3\u0d4e\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]|\r\n/u;

const encoder = new TextEncoder();

/** Throws modelError (4) for what is no such map. @param given base64 */
export function readCharacterMap(given: unknown): CharacterMap {
  const { units, table } = parse(given);
  const known = new Map<string, string | null>();
  /** What a character or grapheme becomes; null where the map has it not. */
  const lookup = (text: string): string | null => {
    let found = known.get(text);
    if (found === undefined) {
      found = search(units, table, encoder.encode(text));
      if (known.size < 65_536) known.set(text, found);
    }
    return found;
  };
  const graphemes = segmenter();
  const each = (text: string, take: (part: string, becomes: string | null) => void) => {
    const parts = joining.test(text) ? graphemes(text) : text;
    for (const part of parts) {
      const whole = isShort(part) ? lookup(part) : null;
      if (whole !== null) take(part, whole);
      else for (const character of part) take(character, lookup(character));
    }
  };
  return {
    plain(text) {
      let normal = "";
      each(text, (part, becomes) => {
        normal += becomes ?? part;
      });
      return normal;
    },
    traced(from) {
      const changes: [string, number][] = [];
      let isChanged = false;
      each(from.text, (part, becomes) => {
        if (becomes === null) changes.push([part, 0]);
        else {
          isChanged = true;
          replace(changes, part, becomes);
        }
      });
      return isChanged ? transformed(from, changes as readonly Change[]) : from;
    },
  };
}

/** Appends what stands for a part: its last characters are inserted, or its last takes what is left of the part with it. */
function replace(changes: [string, number][], part: string, becomes: string): void {
  const characters = Array.from(becomes);
  const difference = characters.length - Array.from(part).length;
  const replacing = difference > 0 ? characters.length - difference : characters.length;
  for (const [i, character] of characters.entries()) changes.push([character, i < replacing ? 0 : 1]);
  const last = changes.at(-1);
  if (difference < 0 && last) last[1] += difference;
}

function isShort(part: string): boolean {
  return part.length <= LONGEST_GRAPHEME && Buffer.byteLength(part) <= LONGEST_GRAPHEME;
}

/** Made when it is first asked for: it takes 10 ms. */
function segmenter(): (text: string) => Iterable<string> {
  let made: Intl.Segmenter | undefined;
  return function* (text) {
    made ??= new Intl.Segmenter("en", { granularity: "grapheme" });
    for (const { segment } of made.segment(text)) yield segment;
  };
}

function parse(given: unknown): { readonly units: Uint32Array; readonly table: Buffer } {
  const damaged = (why: string) =>
    modelError(`tokenizer.json: the normalizer's precompiled_charsmap is damaged: ${why}. Fetch the model again`);
  if (typeof given !== "string") throw damaged(`it is ${shown(given)}`);
  const bytes = Buffer.from(given, "base64");
  const size = bytes.length < 4 ? 0 : bytes.readUInt32LE(0);
  if (size === 0 || size % 4 !== 0 || 4 + size > bytes.length) throw damaged("its trie does not fit in it");
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  return { units, table: bytes.subarray(4 + size) };
}

/** A unit of the trie: its label in bits 0 to 7, whether it ends a key in bit 8, the way to its children above. */
const childrenOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);

function search(units: Uint32Array, table: Buffer, key: Uint8Array): string | null {
  let at = childrenOf(units[0] as number);
  for (const byte of key) {
    if (byte === 0) return null;
    at ^= byte;
    const unit = units[at];
    // A label with its highest bit set is a value, no byte.
    if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return null;
    at ^= childrenOf(unit);
    if ((unit & 0x100) === 0) continue;
    const start = (units[at] ?? 0) & 0x7fffffff;
    const end = table.indexOf(0, start);
    return table.toString("utf8", start, end < 0 ? table.length : end);
  }
  return null;
}
