"""Scores of a student above a frozen trunk in PyTorch, flexbert's recipe and losses, for bench/student-seeds.mjs.

usage: student.py BASE ROWS THREADS METRIC TEACHER FORK LAYERS SEED EPOCHS RATE    (ROWS as for full_finetune.py)
TEACHER: the weights of a run of `flexbert finetune`, a safetensors file of its own layers, pooler and head over BASE.

The student is FORK layers of the base, frozen, and LAYERS above them, which begin as the teacher's layers at the same depth,
the base's where it has none of its own there; pooler and head from the teacher. Half of the loss is the teacher's: mean
squared error of a regression, else T^2 KL at T = 2. Prints {"teacher": dev score, "scores": [after each epoch], "seconds": ...}.
"""
import copy
import json
import sys
import time

import torch
from safetensors.torch import load_file
from torch.nn.functional import kl_div, log_softmax, mse_loss, softmax
from transformers import AutoTokenizer, BertForSequenceClassification

from recipe import Task, frozen_below, supervised, train

ALPHA = 0.5
TEMPERATURE = 2.0

base, rows_file, threads, metric, teacher_file, fork, layers, seed, epochs, rate = sys.argv[1:11]
torch.set_num_threads(int(threads))
torch.manual_seed(int(seed))
task = Task(rows_file, metric, AutoTokenizer.from_pretrained(base))
teacher = BertForSequenceClassification.from_pretrained(base, num_labels=task.outputs)
own = load_file(teacher_file)
_, unknown = teacher.load_state_dict(own, strict=False)
if unknown or "classifier.weight" not in own:
    raise SystemExit(f"{teacher_file} is no branch of {base}: {unknown}")

student = copy.deepcopy(teacher)
pretrained = BertForSequenceClassification.from_pretrained(base, num_labels=task.outputs)
depth = int(fork) + int(layers)
student.bert.encoder.layer = torch.nn.ModuleList(
    (pretrained if at < int(fork) else teacher).bert.encoder.layer[at] for at in range(depth)
)
student = copy.deepcopy(student)
frozen = frozen_below(student, int(fork))
teacher.eval().requires_grad_(False)
labelled = supervised(task)


def loss_of(logits, inputs, rows):
    with torch.no_grad():
        taught = teacher(**inputs).logits
    if task.is_regression:
        distilled = mse_loss(logits, taught)
    else:
        distilled = TEMPERATURE**2 * kl_div(
            log_softmax(logits / TEMPERATURE, -1), softmax(taught / TEMPERATURE, -1), reduction="batchmean"
        )
    return ALPHA * distilled + (1 - ALPHA) * labelled(logits, inputs, rows)


started = time.perf_counter()
scores = train(student, frozen, task, int(epochs), loss_of, float(rate))
print(json.dumps({"teacher": task.dev_score(teacher), "scores": scores, "seconds": time.perf_counter() - started}), flush=True)
