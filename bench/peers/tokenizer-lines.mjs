// For bench/peers/tokenizer_fuzz.py: JSON lines { text, pair, length } from stdin, and for each { ids, types, offsets } with offsets
// in code points, as the native library counts. Both ways of encoding must give the same ids.
//
//   node bench/peers/tokenizer-lines.mjs FOLDER < LINES
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { createTokenizer } = require("../../dist/tokenizer/tokenizer.js");
const { readBaseTokenizer } = require("../../dist/checkpoints/bases/base-tokenizer.js");

showUsage(import.meta.url);

const [folder] = process.argv.slice(2);
const { settings } = await readBaseTokenizer(folder, folder, { vocabSize: Number.POSITIVE_INFINITY });
const tokenizer = createTokenizer(settings);

/** Of each UTF-16 unit, the code points before it. */
function codePoints(text) {
  const before = new Uint32Array(text.length + 1);
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    before[at] = count;
    if (text.codePointAt(at) > 0xffff) before[++at] = count;
    count++;
  }
  before[text.length] = count;
  return before;
}

const out = [];
for (const line of readFileSync(0, "utf8").split("\n")) {
  if (line === "") continue;
  const { text, pair, length } = JSON.parse(line);
  const { ids, typeIds, offsets } = tokenizer.encodeWithOffsets(text, pair, length);
  assert.deepEqual(tokenizer.encode(text, pair, length).ids, ids, line);
  const places = [codePoints(text), codePoints(pair ?? "")];
  out.push(
    JSON.stringify({
      ids: [...ids],
      types: [...typeIds],
      offsets: offsets.map((one) => (one ? [places[one.text][one.start], places[one.text][one.end]] : [0, 0])),
    }),
  );
}
process.stdout.write(out.join("\n"));
