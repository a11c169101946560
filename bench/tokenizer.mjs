// Sentences a second of the tokenizer on SST-2's training sentences: one process, one core, the best of five runs. Each
// run makes a tokenizer of its own, so its word cache (65,536 words) starts empty. The second line adds " — café" to each
// sentence: text beyond ASCII takes another path.
//
//   npm run build && node bench/tokenizer.mjs [GLUE_FOLDER] [BASE...]        default ../shared/data/glue, no base
//
// BASE: a folder with a tokenizer.json, measured beside BERT's. The peer is @huggingface/tokenizers whole, with the same
// tokenizer.json; its ids are compared too.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { createTokenizer } = require("../dist/tokenizer/tokenizer.js");
const { readBaseTokenizer } = require("../dist/checkpoints/bases/base-tokenizer.js");
const { embeddedVocabulary } = require("../dist/tokenizer/vocabulary.js");

showUsage(import.meta.url);

const RUNS = 5;
const MAX_LENGTH = 128;
const [glue = "../shared/data/glue", ...bases] = process.argv.slice(2);
const file = path.join(glue, "SST-2/train.tsv");
if (!existsSync(file)) {
  console.error(`${file} is absent. Run: node bench/tokenizer.mjs GLUE_FOLDER`);
  process.exit(3);
}
const sentences = readFileSync(file, "utf8")
  .split("\n")
  .slice(1, -1)
  .map((line) => line.slice(0, line.lastIndexOf("\t")));
const accented = sentences.map((sentence) => `${sentence} — café`);
const tokens = embeddedVocabulary();

const flexbert = (settings) => () => {
  const tokenizer = createTokenizer(settings);
  return (text) => tokenizer.encode(text, null, MAX_LENGTH).ids;
};

const huggingFace = (json) => () => {
  const { Tokenizer } = require("@huggingface/tokenizers");
  const tokenizer = new Tokenizer(json, {});
  return (text) => tokenizer.encode(text).ids;
};

/** bert-base-uncased's tokenizer.json. */
function bertJson() {
  const special = (content) => ({ id: tokens.indexOf(content), content, special: true, normalized: false });
  const normalizer = { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase: true };
  const [cls, sep] = ["[CLS]", "[SEP]"].map((id) => ({ SpecialToken: { id, type_id: 0 } }));
  return {
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(special),
    normalizer: { ...normalizer, strip_accents: null },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [cls, { Sequence: { id: "A", type_id: 0 } }, sep],
      pair: [],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [tokens.indexOf("[CLS]")], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [tokens.indexOf("[SEP]")], tokens: ["[SEP]"] },
      },
    },
    decoder: null,
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** Best seconds over all texts, and the tokens that they gave. */
function measure(create, texts) {
  let best = { seconds: Number.POSITIVE_INFINITY, count: 0 };
  for (let run = 0; run < RUNS; run++) {
    const encode = create();
    const started = performance.now();
    let count = 0;
    for (const text of texts) count += encode(text).length;
    const seconds = (performance.now() - started) / 1000;
    if (seconds < best.seconds) best = { seconds, count };
  }
  return best;
}

function report(name, create, texts) {
  const { seconds, count } = measure(create, texts);
  const perSecond = (amount) => Math.round(amount / seconds).toLocaleString("en-US");
  console.log(`${name}: ${perSecond(texts.length)} sentences/s, ${perSecond(count)} tokens/s (${count} tokens)`);
}

console.log(`${sentences.length} sentences of ${file}, best of ${RUNS} runs, Node ${process.version}`);
const bert = { tokens, lowerCase: true };
compare("BERT's", bert, bertJson());
for (const folder of bases) {
  const { settings } = await readBaseTokenizer(folder, folder, { vocabSize: Number.POSITIVE_INFINITY });
  compare(path.basename(folder), settings, JSON.parse(readFileSync(path.join(folder, "tokenizer.json"), "utf8")));
}

function compare(name, settings, json) {
  report(`${name}, flexbert`, flexbert(settings), sentences);
  report(`${name}, flexbert, accents`, flexbert(settings), accented);
  report(`${name}, @huggingface/tokenizers`, huggingFace(json), sentences);
  report(`${name}, @huggingface/tokenizers, accents`, huggingFace(json), accented);
  const [ours, theirs] = [flexbert(settings)(), huggingFace(json)()];
  const ends = (ids) => [...ids].slice(0, MAX_LENGTH - 1).join();
  const equal = sentences.filter((text) => ends(ours(text)) === ends(theirs(text))).length;
  console.log(`the same ids for ${equal} of ${sentences.length} sentences`);
}
