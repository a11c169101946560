// How deep a YAML text may nest, from its characters alone. yaml 2.9 calls itself at each level: at ten thousand it gives up,
// at sixty thousand V8 has no stack left to compile yaml's patterns with and ends the process. Apart from yaml-file.ts, which
// loads yaml.

/** Nobody's file goes beyond a hundred. Brackets inside of texts count too. */
const DEEPEST = 400;

/** Whether brackets, indicators of a line or its indentation are more levels than are read. */
export function nestsTooDeep(text: string): boolean {
  let [brackets, line] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\n") line = 0;
    else if (character === "[" || character === "{") brackets++;
    else if (character === "]" || character === "}") brackets = Math.max(0, brackets - 1);
    else if (line >= 0) line = " -?:\t".includes(character as string) ? line + 1 : Number.NEGATIVE_INFINITY;
    if (brackets > DEEPEST || line > 2 * DEEPEST) return true;
  }
  return false;
}
