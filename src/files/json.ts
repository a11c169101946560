// JSON out of a file that anybody may have written.

/** What nests deeper is nobody's document. JSON.parse takes any depth; JSON.stringify and whatever else calls itself do not. */
const DEEPEST = 500;

/** As JSON.parse, whose errors it throws; and a SyntaxError for what nests too deep to be handed on. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (text.length > 2 * DEEPEST && depthOf(text) > DEEPEST) {
    throw new SyntaxError(`it nests deeper than ${DEEPEST} levels`);
  }
  return value;
}

/** As parseJson, of a file in a format of ours; a SyntaxError, too, for keys that no such file has and that end a schema. */
export function parseOwnJson(text: string): unknown {
  const value = parseJson(text);
  if (!isPlainData(value)) throw new SyntaxError("a key in it is called toString or valueOf");
  return value;
}

/** Of a value in a document: an integer of at least 0. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Whether no object in a value has data in the place of what JavaScript calls to compare it: zod 4.6 compares lengths so. */
export function isPlainData(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return (
    !Object.hasOwn(value, "toString") && !Object.hasOwn(value, "valueOf") && Object.values(value).every(isPlainData)
  );
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** Of a text that is JSON. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      while (text.charCodeAt(++at) !== QUOTE) if (text.charCodeAt(at) === BACKSLASH) at++;
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
    else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--;
  }
  return deepest;
}
