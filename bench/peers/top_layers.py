"""Scores of fine-tuning the top layers of a frozen trunk in PyTorch, flexbert's recipe (recipe.py), for bench/seeds.mjs.

usage: top_layers.py BASE ROWS THREADS METRIC K SEED EPOCHS [LAYERS]    (ROWS as for full_finetune.py)
METRIC: matthews, accuracy, or pearson for a regression. LAYERS: of the base only so many from the bottom (default all),
a model as shallow as a student.

Learning rate 1e-4. Prints {"scores": [dev score after each epoch], "seconds": ...}.
"""
import json
import sys
import time

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from recipe import Task, frozen_below, supervised, train

base, rows_file, threads, metric, k, seed, epochs = sys.argv[1:8]
shallow = {"num_hidden_layers": int(sys.argv[8])} if len(sys.argv) > 8 else {}
torch.set_num_threads(int(threads))
torch.manual_seed(int(seed))
task = Task(rows_file, metric, AutoTokenizer.from_pretrained(base))
model = BertForSequenceClassification.from_pretrained(base, num_labels=task.outputs, **shallow)
frozen = frozen_below(model, len(model.bert.encoder.layer) - int(k))
started = time.perf_counter()
scores = train(model, frozen, task, int(epochs), supervised(task))
print(json.dumps({"scores": scores, "seconds": time.perf_counter() - started}), flush=True)
