"""Reference values of test/tokenizer/other-tokenizers.test.ts: two small tokenizers and what the native library makes of texts.

    python bench/peers/tokenizer_reference.py test/fixtures/tokenizers      needs tokenizers and sentencepiece

bytes.json: byte-level BPE with NFC and added tokens of every kind. pieces.json: Unigram with a precompiled map of SentencePiece,
made of the rules below.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from reference_texts import CASES
from tokenizer_fuzz import Texts

COUNT = 150
LENGTHS = [6, 12, 24, 64]
WORDS = "a moving film that n't they're 12 dogs barked at the café naïve façade touché über 日本語 한국어 привет мир".split()
SENTENCES = [" ".join(WORDS[i:] + WORDS[:i]) + "." for i in range(len(WORDS))] + [text for text in CASES if isinstance(text, str)]

# Source and target code points: full width, a ligature, a letter with its mark, controls, one character for many, many for one.
RULES = [
    *[(chr(0xFF01 + i), chr(0x21 + i)) for i in range(94)],
    *[("\ufb01", "fi"), ("\u2026", "..."), ("①", "1"), ("e\u0301", "\u00e9"), ("\u304b\u3099", "\u304c"), ("\u3000", " "), ("\t", " ")],
    *[("\n", " "), ("\r", " "), ("\u0001", ""), ("\u200b", ""), ("\u00ad", ""), ("\u212b", "\u00c5"), ("\u0344", "\u0308\u0301"), ("ß", "ss")],
]


def trained_bytes():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    file = json.loads(tokenizer.to_str())
    mask = next(token for token in file["added_tokens"] if token["content"] == "[MASK]")
    mask["lstrip"] = True
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in (4, 3, 2)])
    tokenizer.add_tokens([AddedToken("e\u0301x", normalized=True), AddedToken("dog", single_word=True), AddedToken("@@", rstrip=True)])
    around = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False), around])
    return tokenizer


def trained_pieces(folder):
    rules = folder / "rules.tsv"
    codes = lambda text: " ".join(f"{ord(one):X}" for one in text)
    rules.write_text("".join(f"{codes(a)}\t{codes(b)}\n" for a, b in RULES))
    (folder / "text").write_text("\n".join(SENTENCES * 3))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(folder / "model"), vocab_size=220, model_type="unigram",
        normalization_rule_tsv=str(rules), hard_vocab_limit=False, minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((folder / "model.model").read_bytes())
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces = [*special, *[(piece.piece, piece.score) for piece in proto.pieces][3:], ("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), " "),
    ])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def cases(tokenizer):
    random.seed(1)
    texts = Texts(SENTENCES, [token.content for token in tokenizer.get_added_tokens_decoder().values()])
    found = []
    while len(found) < COUNT:
        text, pair = texts.draw()[1], texts.draw()[1] if random.random() < 1 / 3 else None
        if len(text) + len(pair or "") > 160:
            continue
        length = random.choice(LENGTHS)
        tokenizer.enable_truncation(length)
        encoding = tokenizer.encode(text, pair) if pair else tokenizer.encode(text)
        found.append({"text": text, "pair": pair, "length": length, "ids": encoding.ids, "types": encoding.type_ids, "offsets": encoding.offsets})
    return found


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        for name, tokenizer in (("bytes", trained_bytes()), ("pieces", trained_pieces(Path(made)))):
            found = cases(tokenizer)
            lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in found)
            (folder / f"{name}.json").write_text(f'{{"file": {tokenizer.to_str()},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
