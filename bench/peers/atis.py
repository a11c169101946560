"""ATIS intents or slots in PyTorch, flexbert's recipe (recipe.py), for bench/atis.mjs.

usage: atis.py BASE ATIS THREADS TASK K SEED EPOCHS RATE LABELS    (ATIS: the folder of train, valid and test)
TASK: intents (BertForSequenceClassification) or slots (BertForTokenClassification, the loss on first pieces). LABELS: a JSON
list, in the order of the outputs. Slots are scored by seqeval; predictions are each word's likeliest tag.
Prints {"scores": [dev score after each epoch], "test": of the last epoch, "seconds": ...}.
"""
import json
import sys
import time
from pathlib import Path

import torch
from recipe import BATCH, LENGTH, frozen_below, train
from seqeval.metrics import f1_score
from transformers import AutoTokenizer, BertForSequenceClassification, BertForTokenClassification

IGNORED = -100


class Atis:
    def __init__(self, folder, name, labels, tokenizer):
        self.name, self.names, self.tokenizer = name, labels, tokenizer
        self.ids = {label: i for i, label in enumerate(labels)}
        self.train, self.dev, self.test = (self.read(Path(folder) / split) for split in ("train", "valid", "test"))

    def read(self, folder):
        lines = lambda file: (folder / file).read_text().splitlines()
        labels = lines("seq.out" if self.name == "slots" else "label")
        return [{"words": text.split(), "label": label} for text, label in zip(lines("seq.in"), labels, strict=True)]

    def encoded(self, rows):
        return self.tokenizer([row["words"] for row in rows], is_split_into_words=True, truncation=True, max_length=LENGTH,
                              padding=True, return_tensors="pt")

    def first_pieces(self, inputs, rows):
        """[rows, length]: the word of which a token is the first piece, else -1."""
        words = torch.full(inputs["input_ids"].shape, -1)
        for i in range(len(rows)):
            before = None
            for at, word in enumerate(inputs.word_ids(i)):
                if word is not None and word != before:
                    words[i, at] = word
                before = word
        return words

    def loss(self, logits, inputs, rows):
        if self.name == "intents":
            return torch.nn.functional.cross_entropy(logits, torch.tensor([self.ids[row["label"]] for row in rows]))
        words = self.first_pieces(inputs, rows)
        tags = torch.full(words.shape, IGNORED)
        for i, row in enumerate(rows):
            own = row["label"].split()
            for at in (words[i] >= 0).nonzero().flatten().tolist():
                tags[i, at] = self.ids[own[words[i, at]]]
        return torch.nn.functional.cross_entropy(logits.view(-1, len(self.names)), tags.view(-1), ignore_index=IGNORED)

    def score(self, model, rows):
        model.eval()
        right, predicted = [], []
        with torch.no_grad():
            for at in range(0, len(rows), BATCH):
                chosen = rows[at : at + BATCH]
                inputs = self.encoded(chosen)
                best = model(**inputs).logits.argmax(-1)
                if self.name == "intents":
                    predicted += [self.names[i] for i in best.tolist()]
                    right += [row["label"] for row in chosen]
                    continue
                words = self.first_pieces(inputs, chosen)
                predicted += [[self.names[i] for i in best[row][words[row] >= 0].tolist()] for row in range(len(chosen))]
                right += [row["label"].split() for row in chosen]
        if self.name == "slots":
            return f1_score(right, predicted)
        return sum(a == b for a, b in zip(right, predicted)) / len(right)

    def dev_score(self, model):
        return self.score(model, self.dev)


def main():
    base, folder, threads, name, k, seed, epochs, rate, labels = sys.argv[1:10]
    torch.set_num_threads(int(threads))
    torch.manual_seed(int(seed))
    task = Atis(folder, name, json.loads(labels), AutoTokenizer.from_pretrained(base, use_fast=True))
    kind = BertForTokenClassification if name == "slots" else BertForSequenceClassification
    model = kind.from_pretrained(base, num_labels=len(task.names))
    frozen = frozen_below(model, len(model.bert.encoder.layer) - int(k))
    started = time.perf_counter()
    scores = train(model, frozen, task, int(epochs), task.loss, float(rate))
    seconds = time.perf_counter() - started
    print(json.dumps({"scores": scores, "test": task.score(model, task.test), "seconds": seconds}), flush=True)


main()
