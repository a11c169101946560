"""Texts and a small vocabulary of our own, for bench/peers/reference.py.

The vocabulary has whole words, beginnings that more than one continuation can follow, upper and lower case, accents in
both normal forms, and a few characters of other scripts, so that most of the texts are words and some are [UNK].
"""

WORDS = """the a an and is was not very of in to it he she they film films book play good bad dull bright long short
quick slow old new read saw made liked a quiet story about rain snow river city night morning child walk walks Paris
Film The I un re over under""".split()
CONTINUATIONS = "##s ##ed ##ing ##ly ##er ##est ##ness ##able ##ful ##less ##al ##y ##it ##end ##é ##ς ##σ ##ο ##φ ##本".split()
CHARACTERS = [*"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", *"0123456789", *"abcdefghijklmnopqrstuvwxyz",
              *"éüñßøσς日本人я한€—…½"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MICRO_WORDS = [*SPECIAL, "the", "film", "is", "good", "##s", "é", "."]


def vocabulary():
    letters = [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    return list(dict.fromkeys([*SPECIAL, *CHARACTERS, *letters, *WORDS, *CONTINUATIONS]))


# The batch of the reference values: texts of several lengths, pairs and single ones.
ROWS = [
    ("The film was not very good.", "It is a dull story!"),
    ("She read the book.", None),
    ("a quiet morning in the city", "snow and rain"),
    ("He liked it", None),
    ("they walked over the old river of night", None),
    ("unfilmable", "overlong"),
    ("Is it bad? Not very: it is quick,", "new."),
    ("A child", "a play about a child"),
]

LONG = " ".join(["the quiet child walks over a bright river and"] * 8)

# Text and pair; None: a single text. Many are hostile.
CASES = [
    ("The film was not very good.", None),
    ("The film was not very good.", "It is a dull story!"),
    ("unfilmable, overlong & unreadable", None),
    ("", None),
    ("", "a film"),
    ("   ", None),
    ("\t\r\n", " "),
    ("film", " \u3000 "),
    ("  two   spaces \t and a tab  ", None),
    ("Café déjà vu — naïve résumé", "Cafe\u0301 de\u0301ja\u0300"),
    ("Ångström Å ñandú İstanbul ıI", None),
    ("ΣΟΦΟΣ σοφός ς", "ὈΔΥΣΣΕΎΣ"),
    ("ß ẞ STRASSE straße", None),
    ("DŽ Dž dž ﬁlm ﬀ Ⅷ ½ ²", None),
    ("日本人 in 日本, 中文字符", "한국어 문장입니다 한"),
    ("𠀀𪚥 𫝀 \u9fff\uf900 \U0002f800", None),
    ("Привет, я читаю книгу", None),
    ("שלום עולם", "مرحبا بالعالم"),
    ("हिन्दी भाषा", "ไทย ภาษา"),
    ("film🎬film 👩\u200d👩\u200d👧 👍🏽", None),
    ("zero\u200bwidth \u200cnon\u200djoiner \ufeffmark", None),
    ("soft\u00adhyphen and no\u00a0break", None),
    ("nul\x00in text \x01\x1f\x7f\x85 end", None),
    ("replacement \ufffd character", None),
    ("line\u2028and\u2029paragraph\x0bvertical\x0cform", None),
    ("\u202eright to left\u202c \u2066isolated\u2069", None),
    ("private \ue000 use \U000f0000 and unassigned \u0378", None),
    ("[CLS] the [SEP] film [MASK] [PAD] [UNK]", None),
    ("a[SEP]b[MASK]c", "[SEP]"),
    ("[cls] [Sep] [ SEP ] [SE\u200bP] [unused0] [unused1]", None),
    ("##s ## #film# ##ing", None),
    ("!?!?!? ... --- '\"'", None),
    ("don't won't it's 'quoted' \u2018curly\u2019 \u201cquotes\u201d", None),
    ("a-b_c/d\\e|f~g`h^i", None),
    ("$5 \u20ac10 \u00a3\u00a5 +-*/= <>", None),
    ("¡Hola! ¿Qué? «non» ‹oui› §¶†‡•·", None),
    ("3.14 1,000 12345678901234567890", None),
    ("\u0660\u0661\u0662 \uff11\uff12 Ｆｉｌｍ", None),
    ("http://example.org/a?b=c&d=%20#e", "name@example.org"),
    ("<b>bold</b> &amp; {\"json\": [1, 2]}", None),
    ("a" * 100, None),
    ("a" * 101, None),
    ("x" * 100 + "y z", "é" * 101),
    ("𝒳" * 30, None),
    ("\u0301 \u0301\u0302a \u0327", None),
    ("e\u0301\u0301 n\u0303 u\u0308 o\u0338", None),
    ("q\u0307\u0323 q\u0323\u0307", "\u1e69 s\u0323\u0307 s\u0307\u0323"),
    ("\u212b \u2126 \u1fbe \u03d2\u0301", None),
    ("한 \u1112\u1161\u11ab \u1112\u1161", None),
    ("が か\u3099 ガ ｶﾞ", None),
    ("The THE the Film FILM film Paris PARIS paris", None),
    ("i I İ ı i\u0307 I\u0307", None),
    ("films filming filmed filmly filmless unfilm refilm", None),
    ("readend readit readable readablé unread", "undernessly"),
    (LONG, None),
    (LONG, "a short story"),
    ("a short story", LONG),
    (LONG, LONG),
    ("unaffable " * 20, "book " * 21),
    ("😀" * 60, "日" * 60),
]
