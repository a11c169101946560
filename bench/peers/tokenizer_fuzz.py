"""flexbert's tokenizers against the native `tokenizers` on random texts: ids, types and offsets in code points.

    npm run build && python bench/peers/tokenizer_fuzz.py FOLDER... [--texts 20000] [--seed 1] [--glue ../shared/data/glue] [--json FILE]

FOLDER: a base with a tokenizer.json (config.json is not read). Texts are sentences of GLUE, as they are and with characters
thrown in, and made ones: characters of all planes, controls, combining marks, emoji with joiners, CJK and Hangul, the
tokenizer's own special tokens inside texts, long words, runs of white space, nothing. A third are pairs; each is cut to a
length of its own. One line a folder says how many differ, with the first few; exits 1 where ids or types do.
"""

import argparse
import json
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import tokenizers

SHOWN = 5
LENGTHS = [4, 8, 16, 48, 128, 512, 4096]
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
BEYOND = ["\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\ufeff", "\ufffd", "\u00ad", "\u180e", "\ufe0f", "\u20e3"]
EMOJI = [*"😀🎉👍🏽👩💻🚀❤☎🇩🇪🏳🌈👨👧", "\u200d", "\ufe0f"]


def planes():
    """Every code point but surrogates, unassigned ones of the last planes too."""
    point = random.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
    code = random.randrange(point)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)


ASSIGNED = [c for c in map(chr, range(0x80, 0x30000)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
MARKS = [c for c in ASSIGNED if unicodedata.category(c).startswith("M")]
BASES = [*"aeioucnAEOUN ", *[c for c in ASSIGNED if unicodedata.decomposition(c)]]
CJK = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3040, 0x30FF), (0xFF00, 0xFFEF), (0x2F00, 0x2FDF), (0x3200, 0x33FF)]


def cjk():
    return chr(random.randint(*random.choice(CJK)))


def ascii_word():
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789'-_.,!$%&<>[]") for _ in range(random.randint(1, 12)))


class Texts:
    def __init__(self, sentences, special):
        self.sentences = sentences
        self.special = special or ["[MASK]"]
        self.kinds = [
            self.sentence, self.sentence, self.mutated, self.mutated, self.any_plane, self.assigned, self.controls,
            self.marks, self.emoji, self.asian, self.specials, self.specials, self.long_word, self.spaces, self.letters, self.empty,
        ]

    def draw(self):
        kind = random.choice(self.kinds)
        return kind.__name__, kind()

    def several(self, draw, most=24):
        return "".join(draw() for _ in range(random.randint(1, most)))

    def sentence(self):
        return random.choice(self.sentences)

    def mutated(self):
        text = list(self.sentence())
        for _ in range(random.randint(1, 6)):
            thrown = random.choice([planes, cjk, ascii_word, lambda: random.choice(MARKS), lambda: random.choice(SPACES), lambda: random.choice(EMOJI), lambda: random.choice(BASES)])()
            text.insert(random.randint(0, len(text)), thrown)
        text = "".join(text)
        return random.choice([text, text, text.upper(), text.title(), unicodedata.normalize("NFD", text)])

    def any_plane(self):
        return self.several(lambda: random.choice([planes, planes, ascii_word, lambda: " "])())

    def assigned(self):
        return self.several(lambda: random.choice([*random.choices(ASSIGNED, k=4), " ", ascii_word()]), 40)

    def controls(self):
        return self.several(lambda: random.choice([chr(random.randrange(32)), chr(random.randrange(0x7F, 0xA0)), random.choice(BEYOND), ascii_word(), " "]))

    def marks(self):
        return self.several(lambda: random.choice(BASES) + "".join(random.choices(MARKS, k=random.randint(0, 4))), 12)

    def emoji(self):
        return self.several(lambda: random.choice([random.choice(EMOJI), random.choice(EMOJI), ascii_word(), " "]))

    def asian(self):
        return self.several(lambda: random.choice([cjk(), cjk(), cjk(), ascii_word(), " ", "。", "、", "\u3099"]), 40)

    def specials(self):
        def one():
            token = random.choice(self.special)
            return random.choice([token, token, token.lower(), token.upper(), token[:-1], f" {token} ", f"x{token}", f"{token}{token}", f"\u3000{token}\n"])
        return self.several(lambda: random.choice([one(), one(), " ", "  ", ascii_word(), random.choice(SPACES)]), 16)

    def long_word(self):
        letter = random.choice([lambda: random.choice("abcdefghij"), lambda: "a", cjk, planes, lambda: random.choice("_-=*."), lambda: random.choice("0123456789")])
        return "".join(letter() for _ in range(random.choice([99, 100, 101, 150, 300, 1000])))

    def spaces(self):
        return self.several(lambda: random.choice([random.choice(SPACES) * random.randint(1, 5), " " * random.randint(1, 30), ascii_word(), "a", "1"]))

    def letters(self):
        """One script's neighbours, with digits and apostrophes."""
        start = random.choice([0xC0, 0x370, 0x400, 0x590, 0x600, 0x900, 0xE00, 0x10A0, 0x1E00, 0x2100, 0x2460, 0xA640, 0xFB00, 0xFE70, 0x1D400, 0x1F100])
        return self.several(lambda: random.choice([chr(start + random.randrange(0x100)), chr(start + random.randrange(0x100)), " ", "'s", "'ll", "7", "½"]), 40)

    def empty(self):
        return random.choice(["", " ", "\n", "\u200b", "\x00", "\u0301", "▁", "Ġ", " ▁ ", "\ufffd"])


def sentences_of(glue):
    found = []
    for file in ["SST-2/dev.tsv", "MRPC/dev.tsv", "RTE/dev.tsv", "STS-B/dev.tsv", "CoLA/dev.tsv"]:
        path = glue / file
        if path.exists():
            for line in path.read_text(encoding="utf8").split("\n")[1:]:
                found += [field for field in line.split("\t") if len(field) > 12]
    return found or ["The quick brown fox jumps over the lazy dog.", "naïve façade 's ol' o'clock"]


def compare(folder, options):
    random.seed(options.seed)
    path = Path(folder) / "tokenizer.json"
    native = tokenizers.Tokenizer.from_file(str(path))
    native.no_padding()
    special = [token["content"] for token in json.loads(path.read_text(encoding="utf8"))["added_tokens"]]
    texts = Texts(sentences_of(options.glue), special)
    rows, expected = [], []
    for _ in range(options.texts):
        kind, text = texts.draw()
        pair = texts.draw()[1] if random.random() < 1 / 3 else ""
        length = random.choice(LENGTHS)
        native.enable_truncation(length, strategy="longest_first")
        found = native.encode(text, pair) if pair else native.encode(text)
        rows.append({"kind": kind, "text": text, "pair": pair or None, "length": length})
        expected.append({"ids": found.ids, "types": found.type_ids, "offsets": [list(o) for o in found.offsets]})
    node = subprocess.run(
        ["node", str(Path(__file__).with_name("tokenizer-lines.mjs")), folder],
        input="".join(json.dumps(row) + "\n" for row in rows), capture_output=True, text=True, encoding="utf8",
    )
    if node.returncode != 0:
        sys.exit(node.stderr)
    different, kinds = {"ids": 0, "types": 0, "offsets": 0}, Counter()
    shown = []
    for row, own, theirs in zip(rows, map(json.loads, node.stdout.split("\n")), expected, strict=False):
        wrong = [key for key in different if own[key] != theirs[key]]
        for key in wrong:
            different[key] += 1
        if wrong:
            kinds[f"{row['kind']}: {wrong[0]}"] += 1
            if len(shown) < SHOWN or (wrong[0] == "ids" and len(shown) < 2 * SHOWN):
                shown.append({**row, "native": theirs[wrong[0]], "flexbert": own[wrong[0]], "in": wrong[0], "tokens": [native.id_to_token(i) for i in theirs["ids"]][:60]})
    tokens = sum(len(theirs["ids"]) for theirs in expected)
    print(f"{folder}: {options.texts} texts, {tokens} tokens; different ids {different['ids']}, types {different['types']}, offsets {different['offsets']}", flush=True)
    for kind, count in kinds.most_common():
        print(f"  {kind} {count}")
    for one in shown:
        print("  " + json.dumps(one, ensure_ascii=True)[:1500])
    return {"folder": Path(folder).name, "texts": options.texts, "tokens": tokens, **different}


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folders", nargs="+")
    options.add_argument("--texts", type=int, default=20000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--glue", type=Path, default=Path("../shared/data/glue"))
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    results = [compare(folder, given) for folder in given.folders]
    if given.json:
        given.json.write_text(json.dumps({"tokenizers": tokenizers.__version__, "seed": given.seed, "results": results}, indent=2) + "\n")
    sys.exit(any(result["ids"] or result["types"] for result in results))


if __name__ == "__main__":
    main()
