"""A BERT encoder as ONNX, for bench/inference.mjs, by torch.onnx.export (the dynamo exporter).

usage: export.py BASE OUT [HIDDEN INTERMEDIATE HEADS LAYERS]

With sizes, OUT/base becomes a random BERT of those sizes with BASE's tokenizer; without them BASE itself is exported.
Writes OUT/model.onnx and OUT/optimized.onnx (onnxruntime's own transformer optimizer, as optimum's levels 2 and up use
it). Inputs and output as Hugging Face names them; batch and length are dynamic.
"""
import os
import shutil
import sys

import torch
from onnxruntime.transformers import optimizer
from transformers import BertConfig, BertModel

base, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
torch.manual_seed(1)
if len(sys.argv) > 3:
    hidden, intermediate, heads, layers = map(int, sys.argv[3:7])
    model = BertModel(BertConfig(
        hidden_size=hidden, intermediate_size=intermediate, num_attention_heads=heads, num_hidden_layers=layers,
    ))
    model.save_pretrained(os.path.join(out, "base"))
    for name in os.listdir(base):
        if name.startswith("token") or name.startswith("special") or name == "vocab.txt":
            shutil.copy(os.path.join(base, name), os.path.join(out, "base", name))
else:
    model = BertModel.from_pretrained(base)
model = model.eval()
heads, hidden = model.config.num_attention_heads, model.config.hidden_size


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


names = ["input_ids", "attention_mask", "token_type_ids"]
ids = torch.randint(1000, 30000, (2, 16))
example = (ids, torch.ones_like(ids), torch.zeros_like(ids))
batch, length = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("length", min=2, max=512)
file = os.path.join(out, "model.onnx")
torch.onnx.export(
    Encoder(), example, file, input_names=names, output_names=["last_hidden_state"], dynamo=True,
    dynamic_shapes=tuple({0: batch, 1: length} for _ in names), external_data=False,
)
optimized = optimizer.optimize_model(file, model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0)
optimized.save_model_to_file(os.path.join(out, "optimized.onnx"))
print(optimized.get_fused_operator_statistics(), flush=True)
