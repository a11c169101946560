"""Makes test/fixtures/reference/exits.json with PyTorch, beside what reference.py makes: DeeBERT's two stages on tiny-bert. The first
is fine-tuning of the top layers; the second trains ramps (a pooler and a classifier at the first position) on every layer under
the top, all else frozen, towards the sum of their cross-entropies.

usage: reference_exits.py FOLDER    (the folder that holds tiny-bert)
"""
import copy
import json
import sys
from pathlib import Path

import torch
from reference import LABELS, LAYERS, SEED, TRAINED, Reference, rounded, train
from torch.nn.functional import cross_entropy

STEPS = 10


class Ramp(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.pooler, self.classifier = copy.deepcopy(model.bert.pooler), copy.deepcopy(model.classifier)

    def forward(self, hidden):
        return self.classifier(self.pooler(hidden))


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(SEED)
    reference = Reference(folder / "tiny-bert")
    model = reference.load()
    for module in [model.bert.embeddings, *model.bert.encoder.layer[: LAYERS - TRAINED]]:
        module.requires_grad_(False)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    one = train(trained, STEPS, lambda _: cross_entropy(model(**reference.batch).logits, reference.labels))

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        states = model(**reference.batch, output_hidden_states=True).hidden_states
    layers = list(range(1, LAYERS))
    ramps = {layer: Ramp(model) for layer in layers}
    for ramp in ramps.values():
        ramp.requires_grad_(True)
    names = {"pooler.dense": "bert.pooler.dense", "classifier": "classifier"}

    def named(layer, ramp):
        for name, p in ramp.named_parameters():
            module, kind = name.rsplit(".", 1)
            yield f"ramp/{layer}/{names[module]}.{kind}", p

    parameters = [pair for layer, ramp in ramps.items() for pair in named(layer, ramp)]

    def loss():
        return sum(cross_entropy(ramps[layer](states[layer]), reference.labels) for layer in layers)

    gradients = dict(zip(dict(parameters), torch.autograd.grad(loss(), [p for _, p in parameters])))
    two = train(parameters, STEPS, lambda _: loss())
    logits = torch.cat([ramps[layer](states[layer]) for layer in layers], -1)
    assert logits.shape[-1] == LABELS * len(layers)
    content = {
        "layers": layers, "stage_one": one, "stage_two": two,
        "gradients": {name: {"norm": rounded(g.norm()), "first": rounded(g.flatten()[:4])} for name, g in gradients.items()},
        "logits": rounded(logits),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / "exits.json").write_text("{\n" + lines + "\n}\n")


main()
