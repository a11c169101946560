// Texts that look the same to people and are not: in another Unicode form, or with characters that nobody sees.

/** How two different texts differ where people see no difference: "in Unicode form only"; null where they see one. */
export function unseenDifference(a: string, b: string): string | null {
  if (a === b || (isPlain(a) && isPlain(b))) return null;
  if (a.normalize("NFC") === b.normalize("NFC")) return "in Unicode form only (NFC and NFD)";
  if (visible(a) !== visible(b)) return null;
  const unseen = [...new Set([...unseenIn(a), ...unseenIn(b)])];
  return `in invisible characters only (${unseen.join(", ")})`;
}

/** Printed ASCII with single spaces: two of these that differ are seen to. */
const isPlain = (text: string) => /^[\x21-\x7e]*( [\x21-\x7e]+)*$/.test(text);

/** Format and control characters are not seen, and all spaces look alike. */
const visible = (text: string) =>
  text
    .normalize("NFC")
    .replace(/[\p{Cf}\p{Cc}]/gu, (character) => (/\s/.test(character) && character !== "\uFEFF" ? " " : ""))
    .replace(/\s+/g, " ")
    .trim();

const unseenIn = (text: string): string[] =>
  [...text]
    .filter((character) => /[\p{Cf}\p{Cc}\p{Z}]/u.test(character) && character !== " ")
    .map((character) => `U+${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")}`);
