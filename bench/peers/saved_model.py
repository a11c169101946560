"""A SavedModel in TensorFlow, for bench/exports.mjs: a line of JSON asks, a line answers.

{"run": {"input_ids": [[...]], ...}, "calls": n} -> {"outputs": {task: [[...]]}, "ms": the best call}
"""

import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[2]))
loaded = tf.saved_model.load(sys.argv[1])
serve = loaded.signatures["serving_default"]
dtypes = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}
for line in sys.stdin:
    asked = json.loads(line)
    inputs = {name: tf.constant(rows, dtype=dtypes[name]) for name, rows in asked["run"].items()}
    best = float("inf")
    for _ in range(asked["calls"]):
        started = time.perf_counter()
        outputs = {name: value.numpy() for name, value in serve(**inputs).items()}
        best = min(best, time.perf_counter() - started)
    answers.write(json.dumps({"outputs": {k: v.tolist() for k, v in outputs.items()}, "ms": best * 1000}) + "\n")
    answers.flush()
