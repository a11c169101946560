// Tokens that somebody added to a vocabulary: read whole wherever a text has them, as Hugging Face's tokenizers library
// does (added_vocabulary.rs). Three files may hold them: added_tokens.json, tokenizer_config.json, tokenizer.json.

import { modelError } from "../errors/errors";
import { shown } from "../errors/printable";

export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Looked for in the normalised text, in its own normalised form: [E1] is [e1] where the model lower-cases. */
  readonly normalized: boolean;
  /** Not within a longer word. */
  readonly singleWord: boolean;
  readonly special: boolean;
  /** The white space beside it that it takes with it, if any (lstrip, rstrip). */
  readonly strips?: { readonly left: boolean; readonly right: boolean };
}

/** What one file adds. */
export interface AddedTokenFile {
  readonly name: string;
  readonly tokens: readonly AddedToken[];
}

/** The tokens that a tokenizer of BERT's kind reads whole in any case. [MASK] may be missing from a vocabulary. */
export const SPECIAL: readonly string[] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/** added_tokens.json: ids by content. `special` lists those that another file calls special. */
export function countedTokens(json: unknown, special: readonly string[]): AddedToken[] {
  return Object.entries(Object(json)).map(([content, id]) => {
    const isSpecial = special.includes(content) || SPECIAL.includes(content);
    return token(content, id, { normalized: !isSpecial, special: isSpecial });
  });
}

/** tokenizer_config.json's added_tokens_decoder: tokens by id. */
export const decodedTokens = (json: unknown): AddedToken[] =>
  Object.entries(Object(json)).map(([id, entry]) => token(Object(entry).content, Number(id), Object(entry)));

/** tokenizer.json's added_tokens, a list. */
export const listedTokens = (json: unknown): AddedToken[] =>
  [json ?? []].flat().map((entry) => token(Object(entry).content, Object(entry).id, Object(entry)));

/** Contents of tokenizer_config.json's additional_special_tokens: texts or objects. */
export const specialContents = (json: unknown): string[] =>
  [json ?? []].flat().flatMap((entry) => {
    const content = typeof entry === "string" ? entry : Object(entry).content;
    return typeof content === "string" && content !== "" ? [content] : [];
  });

function token(content: unknown, id: unknown, flags: Readonly<Record<string, unknown>>): AddedToken {
  if (typeof content !== "string" || content === "" || !Number.isSafeInteger(id) || (id as number) < 0) {
    throw modelError(`an added token is ${shown(content)} with the id ${shown(id)}`);
  }
  const special = flags["special"] === true;
  const normalized = typeof flags["normalized"] === "boolean" ? flags["normalized"] : !special;
  const strips = { left: flags["lstrip"] === true, right: flags["rstrip"] === true };
  return {
    ...{ content, id: id as number, normalized, singleWord: flags["single_word"] === true, special },
    ...(strips.left || strips.right ? { strips } : {}),
  };
}

/**
 * The tokens that the files add to a vocabulary, by id; `own`, which are BERT's special ones, are none unless a file says
 * other than usual of them. A file counts before those behind it in what it says of a token. `special` are taken to be
 * added behind the last where no file gives them an id.
 * Throws modelError (4) where ids contradict each other or the vocabulary, or leave a hole behind it.
 */
export function addedTokens(
  vocabulary: readonly string[],
  files: readonly AddedTokenFile[],
  special: readonly string[] = [],
  own: readonly string[] = SPECIAL,
): AddedToken[] {
  const ids = new Map(vocabulary.map((content, id) => [content, id]));
  const byContent = new Map<string, AddedToken & { readonly file: string }>();
  for (const { name, tokens } of files) {
    for (const added of tokens) {
      const [known, before] = [ids.get(added.content), byContent.get(added.content)];
      const expected = known ?? before?.id ?? added.id;
      if (expected !== added.id || (known === undefined && added.id < vocabulary.length)) {
        const other = expected !== added.id ? `is ${expected}` : `is "${vocabulary[added.id]}" in the vocabulary`;
        throw modelError(
          `${name} gives the added token "${added.content}" the id ${added.id}, which elsewhere ${other}`,
        );
      }
      if (before || (own.includes(added.content) && isPlain(added))) continue;
      byContent.set(added.content, { ...added, file: name });
    }
  }
  let next = Math.max(vocabulary.length, ...[...byContent.values()].map(({ id }) => id + 1));
  for (const content of special) {
    if (byContent.has(content) || own.includes(content)) continue;
    const id = ids.get(content) ?? next++;
    byContent.set(content, { content, id, normalized: false, singleWord: false, special: true, file: "" });
  }
  const added = [...byContent.values()].sort((a, b) => a.id - b.id);
  for (const [i, { content, id, file }] of added.filter(({ id }) => id >= vocabulary.length).entries()) {
    if (id === vocabulary.length + i) continue;
    throw modelError(
      `${file} gives the added token "${content}" the id ${id}; behind a vocabulary of ${vocabulary.length} words ids go on from ${vocabulary.length} without holes`,
    );
  }
  return added.map(({ file: _, ...token }) => token);
}

const isPlain = ({ normalized, singleWord, strips }: AddedToken) => !normalized && !singleWord && !strips;

/** tokenizer_config.json's added_tokens_decoder, which transformers and decodedTokens read. */
export const decoderJson = (added: readonly AddedToken[]): Record<string, unknown> =>
  Object.fromEntries(
    added.map(({ content, id, normalized, singleWord, special, strips = { left: false, right: false } }) => [
      String(id),
      { content, lstrip: strips.left, normalized, rstrip: strips.right, single_word: singleWord, special },
    ]),
  );
