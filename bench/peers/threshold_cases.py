"""Scores of labels with the thresholds that do best, for test/tasks/thresholds.test.ts.

    pip install scikit-learn==1.9.1
    python bench/peers/threshold_cases.py test/fixtures/reference/thresholds.json

Of each label `f1` is the most that precision_recall_curve has, and `macro` the macro F1 with every label at such a threshold, as
f1_score counts it. `micro` is the most of f1_score over every choice of one threshold a label, tried one by one.
"""

import itertools
import json
import random
import sys
import warnings

import numpy as np
from sklearn.metrics import f1_score, precision_recall_curve

warnings.filterwarnings("ignore")


def case(labels, rows, chance):
    """Rounded scores, so that some are equal; some labels have no row, or every one."""
    rates = [chance.choice([0, 0.1, 0.3, 0.6, 1]) for _ in range(labels)]
    targets = np.array([[int(chance.random() < rate) for rate in rates] for _ in range(rows)])
    digits = chance.choice([1, 2, 6])
    shift = [chance.uniform(-0.3, 0.3) for _ in range(labels)]
    scores = np.array(
        [
            [min(0.99, max(0.01, round(0.35 + 0.2 * has + shift[i] + chance.gauss(0, 0.2), digits))) for i, has in enumerate(row)]
            for row in targets
        ]
    )
    f1, thresholds = [], []
    for own, has in zip(scores.T, targets.T):
        if has.sum() == 0:
            f1.append(0.0)
            thresholds.append(0.5)
            continue
        precision, recall, at = precision_recall_curve(has, own)
        sums = precision + recall
        values = np.divide(2 * precision * recall, sums, out=np.zeros_like(sums), where=sums > 0)
        f1.append(float(values.max()))
        thresholds.append(float(at[values[:-1].argmax()]))
    # Every label at one of its scores, or above all of them; one that no row has stays at 0.5.
    choices = [[0.5] if has.sum() == 0 else [*sorted(set(own)), 1.1] for own, has in zip(scores.T, targets.T)]
    micro = max(
        f1_score(targets, (scores >= np.array(chosen)).astype(int), average="micro", zero_division=0)
        for chosen in itertools.product(*choices)
    )
    untuned = (scores >= 0.5).astype(int)
    tuned = (scores >= np.array(thresholds)).astype(int)
    return {
        "targets": targets.tolist(),
        "scores": scores.tolist(),
        "f1": f1,
        "macro": float(f1_score(targets, tuned, average="macro", zero_division=0)),
        "micro": float(micro),
        "untuned": [float(f1_score(targets, untuned, average=of, zero_division=0)) for of in ("macro", "micro")],
    }


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    chance = random.Random(2014)
    cases = [case(labels, rows, chance) for labels, rows in ((2, 9), (2, 14), (3, 7), (3, 10)) for _ in range(6)]
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]\n")


main()
