"""Makes test/fixtures/reference/tagging.json with PyTorch, beside what reference.py makes: tiny-bert's top layers under a head
that reads every token (BertForTokenClassification), towards tags and towards a teacher's outputs.

usage: reference_tagging.py FOLDER    (the folder that holds tiny-bert)
"""
import json
import sys
from pathlib import Path

import torch
from reference import ALPHA, LABELS, SEED, TEMPERATURE, Reference, rounded
from torch.nn.functional import cross_entropy, kl_div
from transformers import BertForTokenClassification

STEPS = 5
IGNORED = -100


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(SEED)
    reference = Reference(folder / "tiny-bert")
    reference.load = lambda: BertForTokenClassification.from_pretrained(
        reference.folder, num_labels=LABELS, attn_implementation="eager"
    ).eval()
    real = reference.mask.bool()
    tags = torch.randint(0, LABELS, real.shape)
    tags[(torch.rand(real.shape) < 0.4) | ~real] = IGNORED
    tags[-1] = IGNORED  # as a filler row is
    teacher = torch.randn(*real.shape, LABELS) * 2
    labelled = tags != IGNORED

    def label_loss(outputs):
        return cross_entropy(outputs.logits.view(-1, LABELS), tags.view(-1), ignore_index=IGNORED)

    def taught(outputs):
        log = torch.log_softmax
        each = kl_div(log(outputs.logits / TEMPERATURE, -1), log(teacher / TEMPERATURE, -1), reduction="none", log_target=True)
        soft = TEMPERATURE**2 * each.sum(-1)[labelled].mean()
        return ALPHA * soft + (1 - ALPHA) * label_loss(outputs)

    content = {
        "tags": torch.where(labelled, tags, -1).tolist(), "teacher_logits": rounded(teacher),
        "alpha": ALPHA, "temperature": TEMPERATURE,
        "labels": reference.curve(label_loss, STEPS), "distill": reference.curve(taught, STEPS),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / "tagging.json").write_text("{\n" + lines + "\n}\n")


main()
