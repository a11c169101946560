"""Makes test/fixtures/reference/adapters.json with PyTorch, beside what reference.py makes: what the methods of `finetune --method`
add to frozen layers.

usage: reference_adapters.py FOLDER    (the folder that holds tiny-bert)

Of each method, with small tensors that are far from the identity: what tiny-bert's layer FIRST makes of random states, and the gradients
of a weighted sum of it; and ten steps of the top layers' small tensors, pooler and classifier (Houlsby: layer norms too), everything else
frozen.
"""
import json
import sys
from pathlib import Path

import torch
from reference import HIDDEN, LAYERS, SEED, TRAINED, Reference, rounded, train
from torch import nn
from torch.nn.functional import gelu, linear, relu

STEPS, RANK, ALPHA, SIZE = 10, 2, 6.0, 5
ROWS, LENGTH = 2, 4
TOKENS = [4, 3]  # real ones of each row
FIRST = LAYERS - TRAINED
MASKED = -1e9
SPREAD = 0.15


class LowRank(nn.Module):
    """A linear layer with alpha / rank x B A beside it (Hu et al. 2022, section 4.1)."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.lora_A = nn.Parameter(SPREAD * torch.randn(RANK, HIDDEN))
        self.lora_B = nn.Parameter(SPREAD * torch.randn(HIDDEN, RANK))

    def forward(self, x):
        return self.inner(x) + ALPHA / RANK * linear(linear(x, self.lora_A), self.lora_B)


class Bottleneck(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.down, self.up = nn.Linear(HIDDEN, SIZE), nn.Linear(SIZE, HIDDEN)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0.0, SPREAD)

    def forward(self, x):
        return self.up(self.activation(self.down(x)))


class HoulsbyOutput(nn.Module):
    """BertSelfOutput or BertOutput with an adapter before what enters is added (google-research/adapter-bert, modeling.py)."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.adapter = inner, Bottleneck(lambda x: gelu(x, approximate="tanh"))

    def forward(self, hidden, entering):
        projected = self.inner.dense(hidden)
        return self.inner.LayerNorm(self.adapter(projected) + projected + entering)


class PfeifferOutput(nn.Module):
    """BertOutput as AdapterHub's SeqBnConfig has it: the adapter reads the normalised sum, the same norm follows it."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.adapter = inner, Bottleneck(relu)

    def forward(self, hidden, entering):
        residual = self.inner.dense(hidden)
        normed = self.inner.LayerNorm(residual + entering)
        return self.inner.LayerNorm(self.adapter(normed) + residual + entering)


def lora(layer):
    attention = layer.attention.self
    attention.query, attention.value = LowRank(attention.query), LowRank(attention.value)
    return {f"attention.self.{name}.lora_{part}.weight": getattr(getattr(attention, name), f"lora_{part}")
            for name in ("query", "value") for part in "AB"}


def parts(name, adapter):
    return {f"{name}.{part}": parameter for part, parameter in adapter.named_parameters()}


def houlsby(layer):
    layer.attention.output, layer.output = HoulsbyOutput(layer.attention.output), HoulsbyOutput(layer.output)
    norms = {f"{name}.LayerNorm.{part}": getattr(output.inner.LayerNorm, part)
             for name, output in (("attention.output", layer.attention.output), ("output", layer.output))
             for part in ("weight", "bias")}
    return {**parts("attention_adapter", layer.attention.output.adapter), **parts("output_adapter", layer.output.adapter), **norms}


def pfeiffer(layer):
    layer.output = PfeifferOutput(layer.output)
    return parts("normed_adapter", layer.output.adapter)


METHODS = {"lora": lora, "houlsby": houlsby, "pfeiffer": pfeiffer}


def adapted(reference, method):
    """A model with every tensor frozen but those of its top layers that the method trains, by flexbert's names, and its head's."""
    model = reference.load()
    model.requires_grad_(False)
    own = {}
    for index in range(FIRST, LAYERS):
        for name, parameter in METHODS[method](model.bert.encoder.layer[index]).items():
            own[f"bert.encoder.layer.{index}.{name}"] = parameter
    for parameter in [*own.values(), *model.bert.pooler.parameters(), *model.classifier.parameters()]:
        parameter.requires_grad_(True)
    return model, own


def is_small(name):
    return "LayerNorm" not in name


def one_layer(model, own):
    mask = torch.tensor([[float(i < count) for i in range(LENGTH)] for count in TOKENS])
    states, weights = torch.randn(ROWS, LENGTH, HIDDEN), torch.randn(ROWS, LENGTH, HIDDEN)
    output = model.bert.encoder.layer[FIRST](states, MASKED * (1 - mask[:, None, None, :]))
    output = output[0] if isinstance(output, tuple) else output
    leaves = {name: parameter for name, parameter in own.items() if f".layer.{FIRST}." in name}
    found = torch.autograd.grad((output * weights).sum(), list(leaves.values()))
    return {"layer": FIRST, "mask": mask.int().tolist(), "states": rounded(states), "weights": rounded(weights),
            "output": rounded(output), "gradients": {name: rounded(g) for name, g in zip(leaves, found)}}


def curve(reference, model, own):
    head = [(name, p) for name, p in model.named_parameters() if "pooler" in name or "classifier" in name]
    found = train([*own.items(), *head], STEPS, lambda _: reference.label_loss(reference.forward(model)))
    with torch.no_grad():
        logits = reference.forward(model).logits
    return {**found, "logits": rounded(logits)}


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(SEED)
    reference = Reference(folder / "tiny-bert")
    content = {"rank": RANK, "lora_alpha": ALPHA, "adapter_size": SIZE}
    for method in METHODS:
        model, own = adapted(reference, method)
        tensors = {name: rounded(parameter) for name, parameter in own.items() if is_small(name)}
        content[method] = {"tensors": tensors, "one_layer": one_layer(model, own), "curve": curve(reference, model, own)}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / "adapters.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
