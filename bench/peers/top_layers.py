"""Scores of fine-tuning the top layers of a frozen trunk, or all of a model, in PyTorch, flexbert's recipe (recipe.py), for bench/seeds.mjs.

usage: top_layers.py BASE ROWS THREADS METRIC K SEED EPOCHS [LAYERS|all [RATE]]    (ROWS as for full_finetune.py)
BASE: of any family. METRIC: matthews, accuracy, or pearson for a regression. K: so many top layers, or full, with the embeddings.
LAYERS: of the base only so many from the bottom (default all), a model as shallow as a student. RATE: default 1e-4.

Prints {"scores": [dev score after each epoch], "seconds": ...}.
"""
import json
import sys
import time

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recipe import Task, frozen_below, supervised, train

base, rows_file, threads, metric, k, seed, epochs = sys.argv[1:8]
layers, rate = [*sys.argv[8:10], *["all", "1e-4"][len(sys.argv[8:10]) :]]
shallow = {} if layers == "all" else {"num_hidden_layers": int(layers)}
torch.set_num_threads(int(threads))
torch.manual_seed(int(seed))
task = Task(rows_file, metric, AutoTokenizer.from_pretrained(base))
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=task.outputs, **shallow)
frozen = [] if k == "full" else frozen_below(model, model.config.num_hidden_layers - int(k))
started = time.perf_counter()
scores = train(model, frozen, task, int(epochs), supervised(task), float(rate))
print(json.dumps({"scores": scores, "seconds": time.perf_counter() - started}), flush=True)
