"""Scores of fine-tuning the top layers of a frozen trunk in PyTorch, flexbert's recipe, for bench/seeds.mjs.

usage: top_layers.py BASE ROWS THREADS METRIC K SEED EPOCHS [LAYERS]    (ROWS as for full_finetune.py)
METRIC: matthews, accuracy, or pearson for a regression. LAYERS: of the base only so many from the bottom (default all),
a model as shallow as a student.

Batches of 32 padded to their longest row, learning rate 1e-4 with linear warm-up over a tenth of the steps and linear
decay, AdamW (weight decay 0.01 except for biases and layer norms), gradients clipped at norm 1, the base's dropout in
the trained layers alone. Prints {"scores": [dev score after each epoch], "seconds": ...}.
"""
import json
import sys
import time

import torch
from transformers import AutoTokenizer, BertForSequenceClassification, get_linear_schedule_with_warmup

base, rows_file, threads, metric, k, seed, epochs = sys.argv[1:8]
k, seed, epochs = int(k), int(seed), int(epochs)
shallow = {"num_hidden_layers": int(sys.argv[8])} if len(sys.argv) > 8 else {}
regression = metric == "pearson"
torch.set_num_threads(int(threads))
torch.manual_seed(seed)
with open(rows_file) as lines:
    rows = [json.loads(line) for line in lines]
tokenizer = AutoTokenizer.from_pretrained(base)
train = [row for row in rows if row["split"] == "train"]
dev = [row for row in rows if row["split"] == "dev"]
outputs = 1 if regression else len({row["label"] for row in train})
model = BertForSequenceClassification.from_pretrained(base, num_labels=outputs, **shallow)
label = float if regression else int
frozen = [model.bert.embeddings, *model.bert.encoder.layer[: len(model.bert.encoder.layer) - k]]
for module in frozen:
    module.requires_grad_(False)
trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
plain = ("bias", "LayerNorm.weight")
optimizer = torch.optim.AdamW(
    [
        {"params": [p for name, p in trained if not name.endswith(plain)], "weight_decay": 0.01},
        {"params": [p for name, p in trained if name.endswith(plain)], "weight_decay": 0.0},
    ],
    lr=1e-4, eps=1e-6,
)
steps = -(-len(train) // 32) * epochs
schedule = get_linear_schedule_with_warmup(optimizer, int(0.1 * steps), steps)


def encoded(chosen):
    pairs = None if chosen[0]["pair"] is None else [row["pair"] for row in chosen]
    return tokenizer([row["text"] for row in chosen], pairs, truncation=True, max_length=128, padding=True,
                     return_tensors="pt")


def dev_score():
    model.eval()
    right, predicted = [], []
    ordered = sorted(dev, key=lambda row: len(row["text"]))
    with torch.no_grad():
        for at in range(0, len(ordered), 32):
            chosen = ordered[at : at + 32]
            logits = model(**encoded(chosen)).logits
            predicted += (logits[:, 0] if regression else logits.argmax(-1)).tolist()
            right += [label(row["label"]) for row in chosen]
    if regression:
        return torch.corrcoef(torch.tensor([predicted, right]))[0, 1].item()
    if metric == "accuracy":
        return sum(a == b for a, b in zip(right, predicted)) / len(right)
    pairs = list(zip(right, predicted))
    tp, tn = pairs.count((1, 1)), pairs.count((0, 0))
    fp, fn = pairs.count((0, 1)), pairs.count((1, 0))
    below = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    return (tp * tn - fp * fn) / below if below else 0.0


scores, started = [], time.perf_counter()
for epoch in range(epochs):
    order = torch.randperm(len(train)).tolist()
    for at in range(0, len(train), 32):
        model.train()
        for module in frozen:
            module.eval()
        chosen = [train[i] for i in order[at : at + 32]]
        loss = model(**encoded(chosen), labels=torch.tensor([label(row["label"]) for row in chosen])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    scores.append(dev_score())
print(json.dumps({"scores": scores, "seconds": time.perf_counter() - started}), flush=True)
