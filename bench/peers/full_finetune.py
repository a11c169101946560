"""One epoch of conventional fine-tuning, all layers, with transformers' Trainer, for bench/search.mjs.

usage: full_finetune.py BASE ROWS THREADS    (ROWS: JSON lines of split, text, pair, label; label is a class or a number)

Trainer's own settings, every batch padded to 128 tokens. Prints {"train": seconds of one epoch, "eval": seconds,
"steps": ...}. Loading the model and tokenizing are not timed.
"""
import json
import os
import sys
import tempfile
import time

import torch
from transformers import AutoTokenizer, BertForSequenceClassification, Trainer, TrainingArguments

base, rows_file, threads = sys.argv[1:4]
torch.set_num_threads(int(threads))
with open(rows_file) as lines:
    rows = [json.loads(line) for line in lines]
classes = {row["label"] for row in rows}
regression = any(isinstance(label, float) and label != int(label) for label in classes)
tokenizer = AutoTokenizer.from_pretrained(base)


def encoded(split):
    chosen = [row for row in rows if row["split"] == split]
    texts = [row["text"] for row in chosen]
    pairs = None if chosen[0]["pair"] is None else [row["pair"] for row in chosen]
    batch = tokenizer(texts, pairs, truncation=True, max_length=128, padding="max_length")
    labels = [float(row["label"]) if regression else int(row["label"]) for row in chosen]
    return [{**{name: values[i] for name, values in batch.items()}, "labels": labels[i]} for i in range(len(labels))]


model = BertForSequenceClassification.from_pretrained(base, num_labels=1 if regression else len(classes))
arguments = TrainingArguments(
    output_dir=os.path.join(tempfile.gettempdir(), "flexbert-bench"), num_train_epochs=1, learning_rate=1e-4,
    per_device_train_batch_size=32, per_device_eval_batch_size=32, save_strategy="no", report_to="none",
    disable_tqdm=True, use_cpu=True, seed=1, warmup_steps=0.1, logging_strategy="no",
)
train, dev = encoded("train"), encoded("dev")
trainer = Trainer(model=model, args=arguments, train_dataset=train, eval_dataset=dev)
started = time.perf_counter()
result = trainer.train()
train_seconds = time.perf_counter() - started
started = time.perf_counter()
trainer.evaluate()
eval_seconds = time.perf_counter() - started
print(json.dumps({"train": train_seconds, "eval": eval_seconds, "steps": result.global_step}), flush=True)
