"""flexbert's recipe in PyTorch, for scripts that compare scores: batches of 32 padded to their longest row, linear warm-up over
a tenth of the steps and linear decay, AdamW (weight decay 0.01 except for biases and layer norms), gradients clipped at
norm 1, the base's dropout in the trained layers alone.
"""
import json

import torch
from transformers import get_linear_schedule_with_warmup

BATCH = 32
LENGTH = 128


class Task:
    """The rows of a task, JSON lines of split, text, pair, label (bench/peers/rows.mjs), and its metric: matthews, accuracy, pearson."""

    def __init__(self, rows_file, metric, tokenizer):
        with open(rows_file) as lines:
            rows = [json.loads(line) for line in lines]
        self.train = [row for row in rows if row["split"] == "train"]
        self.dev = [row for row in rows if row["split"] == "dev"]
        self.metric, self.tokenizer = metric, tokenizer
        self.is_regression = metric == "pearson"
        self.outputs = 1 if self.is_regression else len({row["label"] for row in self.train})

    def encoded(self, rows):
        pairs = None if rows[0]["pair"] is None else [row["pair"] for row in rows]
        texts = [row["text"] for row in rows]
        return self.tokenizer(texts, pairs, truncation=True, max_length=LENGTH, padding=True, return_tensors="pt")

    def labels(self, rows):
        return torch.tensor([(float if self.is_regression else int)(row["label"]) for row in rows])

    def dev_score(self, model):
        model.eval()
        right, predicted = [], []
        ordered = sorted(self.dev, key=lambda row: len(row["text"]))
        with torch.no_grad():
            for at in range(0, len(ordered), BATCH):
                chosen = ordered[at : at + BATCH]
                logits = model(**self.encoded(chosen)).logits
                predicted += (logits[:, 0] if self.is_regression else logits.argmax(-1)).tolist()
                right += self.labels(chosen).tolist()
        if self.is_regression:
            return torch.corrcoef(torch.tensor([predicted, right]))[0, 1].item()
        if self.metric == "accuracy":
            return sum(a == b for a, b in zip(right, predicted)) / len(right)
        pairs = list(zip(right, predicted))
        tp, tn = pairs.count((1, 1)), pairs.count((0, 0))
        fp, fn = pairs.count((0, 1)), pairs.count((1, 0))
        below = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
        return (tp * tn - fp * fn) / below if below else 0.0


def frozen_below(model, layers):
    """Freezes the embeddings and so many layers of a model of any family, with what layers share, and returns them: they run without dropout."""
    base = model.base_model
    stack = next(m for m in base.modules() if isinstance(m, torch.nn.ModuleList))  # no family has another before its layers
    # What stands behind the last layer is trained with the branch.
    behind = [module for name, module in base.named_children() if name in ("pooler", "final_norm")]
    kept = {m for top in [*stack[layers:], *behind] for m in top.modules()}
    frozen = [m for m in base.modules() if kept.isdisjoint(m.modules())]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def train(model, frozen, task, epochs, loss_of, rate=1e-4):
    """Dev scores after each epoch. loss_of(logits, inputs, rows) is a batch's loss."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    plain = ("bias", "norm.weight")
    groups = [
        {"params": [p for name, p in trained if not name.lower().endswith(plain)], "weight_decay": 0.01},
        {"params": [p for name, p in trained if name.lower().endswith(plain)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, eps=1e-6)
    steps = -(-len(task.train) // BATCH) * epochs
    schedule = get_linear_schedule_with_warmup(optimizer, int(0.1 * steps), steps)
    scores = []
    for _ in range(epochs):
        order = torch.randperm(len(task.train)).tolist()
        for at in range(0, len(order), BATCH):
            model.train()
            for module in frozen:
                module.eval()
            chosen = [task.train[i] for i in order[at : at + BATCH]]
            inputs = task.encoded(chosen)
            loss_of(model(**inputs).logits, inputs, chosen).backward()
            torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        scores.append(task.dev_score(model))
    return scores


def supervised(task):
    """The loss against labels, as transformers has it."""
    loss = torch.nn.functional.mse_loss if task.is_regression else torch.nn.functional.cross_entropy

    def loss_of(logits, _inputs, rows):
        return loss(logits[:, 0] if task.is_regression else logits, task.labels(rows))

    return loss_of
