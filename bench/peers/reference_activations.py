"""Makes test/fixtures/reference/activations.json with PyTorch and transformers, beside what reference.py makes.

usage: reference_activations.py FOLDER    (the folder that holds tiny-bert)

For each value of hidden_act: the function and its derivative at some points, tiny-bert's logits with it in place of GELU
on the batch of its expected.json, and the norm of its parameters' gradients of the mean cross-entropy with class_ids.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import BertForSequenceClassification
from transformers.activations import ACT2FN

NAMES = ["gelu", "gelu_python", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "silu", "swish"]
POINTS = [-30.0, -8.0, -5.0, -3.0, -2.0, -1.5, -1.0, -0.7, -0.3, -0.01, 0.0, 0.01, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 30.0]

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def rounded(values):
    values = values.detach().tolist()
    shorten = lambda value: [shorten(v) for v in value] if isinstance(value, list) else float(f"{value:.8g}")
    return shorten(values)


def measure(folder, name, expected):
    points = torch.tensor(POINTS, requires_grad=True)
    values = ACT2FN[name](points)
    values.sum().backward()
    model = BertForSequenceClassification.from_pretrained(folder, hidden_act=name, attn_implementation="eager").eval()
    batch = {key: torch.tensor(expected[key]) for key in ("input_ids", "attention_mask", "token_type_ids")}
    outputs = model(**batch, labels=torch.tensor(expected["class_ids"]))
    outputs.loss.backward()
    norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
    return {"values": rounded(values), "derivatives": rounded(points.grad), "logits": rounded(outputs.logits),
            "loss": rounded(outputs.loss), "grad_norm": rounded(norm)}


def main():
    folder = Path(sys.argv[1])
    expected = json.loads((folder / "tiny-bert/expected.json").read_text())
    members = [("points", POINTS), *((name, measure(folder / "tiny-bert", name, expected)) for name in NAMES)]
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in members)
    (folder / "activations.json").write_text("{\n" + lines + "\n}\n")


main()
