"""BertForSequenceClassification folders, one a task, in PyTorch, for bench/exports.mjs: a line of JSON asks, a line answers.

{"run": {"input_ids": [[...]], ...}, "calls": n} -> {"outputs": {task: [[...]]}, "ms": the best call of all tasks}
"""

import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import torch  # noqa: E402
from transformers import AutoModelForSequenceClassification  # noqa: E402

root, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
models = {
    name: AutoModelForSequenceClassification.from_pretrained(os.path.join(root, name)).eval()
    for name in sorted(os.listdir(root))
    if os.path.exists(os.path.join(root, name, "config.json"))
}
for line in sys.stdin:
    asked = json.loads(line)
    inputs = {name: torch.tensor(rows) for name, rows in asked["run"].items()}
    best = float("inf")
    with torch.no_grad():
        for _ in range(asked["calls"]):
            started = time.perf_counter()
            outputs = {name: model(**inputs).logits for name, model in models.items()}
            best = min(best, time.perf_counter() - started)
    answers.write(json.dumps({"outputs": {k: v.tolist() for k, v in outputs.items()}, "ms": best * 1000}) + "\n")
    answers.flush()
