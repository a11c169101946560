// Sentences a second of the tokenizer on SST-2's training sentences, on one core. The word cache is filled anew in each
// run: every run makes a tokenizer of its own.
//
//   npm run build && node bench/tokenizer.mjs [GLUE_FOLDER]            default ../shared/data/glue
//
// Beside it @huggingface/tokenizers (0.2.0, JavaScript), where HF_TOKENIZERS names a folder in which it is installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const { createTokenizer } = require("../dist/tokenizer/tokenizer.js");
const { embeddedVocabulary } = require("../dist/tokenizer/vocabulary.js");

const RUNS = 5;
const file = path.join(process.argv[2] ?? "../shared/data/glue", "SST-2/train.tsv");
const sentences = readFileSync(file, "utf8")
  .split("\n")
  .slice(1, -1)
  .map((line) => line.slice(0, line.lastIndexOf("\t")));
const tokens = embeddedVocabulary();

const sides = {
  flexbert() {
    const tokenizer = createTokenizer({ tokens, lowerCase: true });
    return (text) => tokenizer.encode(text, null, 128).ids.length;
  },
};
const peer = process.env.HF_TOKENIZERS;
if (peer) {
  const { Tokenizer } = createRequire(path.join(path.resolve(peer), "package.json"))("@huggingface/tokenizers");
  const json = {
    version: "1.0",
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map((content) => ({
      id: tokens.indexOf(content),
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [
        { SpecialToken: { id: "[CLS]", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "[SEP]", type_id: 0 } },
      ],
      pair: [],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [101], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [102], tokens: ["[SEP]"] },
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
  sides["@huggingface/tokenizers"] = () => {
    const tokenizer = new Tokenizer(json, {});
    return (text) => tokenizer.encode(text).ids.length;
  };
} else {
  console.log("@huggingface/tokenizers: skipped, HF_TOKENIZERS names no folder where it is installed");
}

const best = {};
for (let run = 0; run < RUNS; run++) {
  for (const [name, make] of Object.entries(sides)) {
    const length = make();
    const started = performance.now();
    let count = 0;
    for (const sentence of sentences) count += length(sentence);
    const seconds = (performance.now() - started) / 1000;
    if (!(best[name]?.seconds < seconds)) best[name] = { seconds, count };
  }
}
for (const [name, { seconds, count }] of Object.entries(best)) {
  console.log(
    `${name}: ${Math.round(sentences.length / seconds)} sentences a second, ${Math.round(count / seconds)} tokens a second, ${count} tokens (best of ${RUNS})`,
  );
}
