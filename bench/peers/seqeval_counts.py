"""Random tag sequences and what seqeval counts in them, for test/tasks/span-metrics.test.ts.

    pip install seqeval==1.2.2
    python bench/peers/seqeval_counts.py test/fixtures/reference/seqeval.json
"""

import json
import random
import sys
import warnings

from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

warnings.filterwarnings("ignore")
PREFIXES = {"BIO": "BI", "BIOES": "BIES", "IO": "I"}
STRICT = {"BIO": IOB2, "BIOES": IOBES}


def sequences(labels, rows, random):
    """Runs of equal types, so that there are spans, with breaks anywhere."""
    made = []
    for _ in range(rows):
        row, last = [], 0
        for _ in range(random.randint(1, 9)):
            last = last if random.random() < 0.35 else random.randrange(len(labels))
            row.append(last)
        made.append(row)
    return made


def counts(entities):
    types = sorted({entity[1] for side in entities for entity in side})
    of = lambda side, name: {entity for entity in side if entity[1] == name}
    return {
        name: [len(of(entities[1], name) & of(entities[0], name)), len(of(entities[1], name)), len(of(entities[0], name))]
        for name in types
    }


def default_entities(rows):
    return {(i, *entity) for i, row in enumerate(rows) for entity in get_entities(row)}


def strict_entities(rows, scheme):
    return {(e.sent_id, e.tag, e.start, e.end) for one in Entities(rows, scheme).entities for e in one}


def case(scheme, rows, random):
    types = ["a", "b-c", "d"][: random.randint(1, 3)]
    labels = ["O"] + [f"{prefix}-{name}" for name in types for prefix in PREFIXES[scheme]]
    targets = sequences(labels, rows, random)
    predicted = [
        [tag if random.random() < 0.7 else random.randrange(len(labels)) for tag in row] for row in targets
    ]
    true, pred = ([[labels[tag] for tag in row] for row in side] for side in (targets, predicted))
    default = counts((default_entities(true), default_entities(pred)))
    strict = default
    strict_f1 = f1_score(true, pred)
    if scheme in STRICT:
        strict = counts(tuple(strict_entities(rows, STRICT[scheme]) for rows in (true, pred)))
        strict_f1 = f1_score(true, pred, mode="strict", scheme=STRICT[scheme])
    values = [precision_score(true, pred), recall_score(true, pred), f1_score(true, pred)]
    values += [f1_score(true, pred, average="macro"), f1_score(true, pred, average="weighted"), strict_f1]
    return {
        "scheme": scheme,
        "labels": labels,
        "targets": targets,
        "predicted": predicted,
        "counts": default,
        "strict": strict,
        "values": [float(value) for value in values],
    }


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    chance = random.Random(19)
    cases = [case(scheme, 40, chance) for scheme in PREFIXES for _ in range(9)]
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n")


main()
