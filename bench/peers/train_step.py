"""One PyTorch train step of the top layers of a BERT, for bench/train-step.mjs: a line in, a line out.

usage: train_step.py HIDDEN INTERMEDIATE HEADS LAYERS TRAINED BATCH LENGTH THREADS [DEVICE [PRECISION]]
DEVICE: cpu (default) or cuda. PRECISION, of matrix products: float32 (default), tf32, bf16 or float16; float16 scales the loss.
DROPOUT in the environment is the rate of all dropout (0).
Each line read from stdin runs one step; the answer is {"ms": ..., "peak": bytes}.
"""
import json
import os
import resource
import sys
import time

import torch
from transformers import BertConfig, BertForSequenceClassification

hidden, intermediate, heads, layers, trained, batch, length, threads = map(int, sys.argv[1:9])
device = sys.argv[9] if len(sys.argv) > 9 else "cpu"
precision = sys.argv[10] if len(sys.argv) > 10 else "float32"
torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
lower = {"bf16": torch.bfloat16, "float16": torch.float16}.get(precision)
dropout = float(os.environ.get("DROPOUT", "0"))
torch.set_num_threads(threads)
torch.manual_seed(1)
config = BertConfig(
    hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads, num_hidden_layers=layers,
    hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, num_labels=2,
)
model = BertForSequenceClassification(config).train().to(device)
for part in [model.bert.embeddings, *model.bert.encoder.layer[: layers - trained]]:
    part.requires_grad_(False)
parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=2e-5, eps=1e-6, weight_decay=0.01, fused=device == "cuda")
scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
ids = torch.randint(1000, 30000, (batch, length)).to(device)
mask = torch.ones_like(ids)
labels = torch.randint(0, 2, (batch,)).to(device)


def step() -> float:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(device, dtype=lower, enabled=lower is not None):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    scaler.step(optimizer)
    scaler.update()
    if device == "cuda":
        torch.cuda.synchronize()
    return loss.item()


print(json.dumps({"ready": f"PyTorch {torch.__version__}"}), flush=True)
for _ in sys.stdin:
    started = time.perf_counter()
    loss = step()
    ms = 1000 * (time.perf_counter() - started)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"ms": ms, "loss": loss, "peak": peak}), flush=True)
