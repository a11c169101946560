"""Train steps and inference of any family of encoders in PyTorch, for bench/families.mjs: a line in, a line out.

usage: family.py CONFIG K BATCH LENGTH THREADS    (CONFIG: config.json's text)

The top K layers, the pooler and the head are trained in float32 with AdamW and clipping, the rest is frozen. A line "train" runs
one step, a line "infer BATCH LENGTH" one forward pass without gradients; the answer is {"ms": ..., "peak": bytes}. Attention
is the one that transformers takes by itself.
"""
import json
import resource
import sys
import time

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification

config = json.loads(sys.argv[1])
k, batch, length, threads = map(int, sys.argv[2:6])
torch.set_num_threads(threads)
torch.manual_seed(1)
family = config.pop("model_type")
model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, num_labels=2, **config))
encoder = model.base_model
count = model.config.num_hidden_layers
layers = next(m for m in encoder.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
for p in encoder.parameters():
    p.requires_grad_(False)
# What stands behind the last layer is trained with the branch.
own = [m for name, m in encoder.named_children() if name in ("pooler", "final_norm")]
for module in [*layers[count - k :], *own]:
    for p in module.parameters():
        p.requires_grad_(True)
parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=2e-5, eps=1e-6, weight_decay=0.01)


def texts(rows, tokens):
    ids = torch.randint(1000, model.config.vocab_size, (rows, tokens))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


rows, labels = texts(batch, length), torch.randint(0, 2, (batch,))


def train():
    model.train()
    optimizer.zero_grad(set_to_none=True)
    loss = model(**rows, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def infer(given):
    model.eval()
    return model(**given).logits[0, 0].item()


names = f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {model.config._attn_implementation}"
trained = sum(p.numel() for p in parameters)
print(json.dumps({"ready": names, "trained": trained}), flush=True)
for line in sys.stdin:
    kind, *sizes = line.split()
    given = texts(*map(int, sizes)) if kind == "infer" else None
    started = time.perf_counter()
    value = infer(given) if kind == "infer" else train()
    ms = 1000 * (time.perf_counter() - started)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"ms": ms, "value": value, "peak": peak}), flush=True)
