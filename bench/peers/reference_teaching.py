"""Makes test/fixtures/reference/teaching.json with PyTorch, beside what reference.py makes: what distillation compares beside
softened outputs and labels.

usage: reference_teaching.py FOLDER    (the folder that holds tiny-bert and its targets.safetensors)

Values and gradients of each loss on small tensors, and curves of tiny-bert's top layers as in expected.json.
"""
import json
import sys
from pathlib import Path

import torch
from reference import ALPHA, LABELS, SEED, TEMPERATURE, Reference, rounded
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, kl_div, linear, mse_loss

ROWS, LENGTH, HIDDEN, WIDTH = 4, 5, 6, 8
TOKENS = [5, 3, 1, 4]  # real ones of each row
ROW_WEIGHTS = [1.0, 1.0, 1.0, 0.0]  # the last row is filler
LABEL_WEIGHTS = [1.0, 0.0, 1.0, 0.0]  # the second has no label
CURVE_LABELLED = [1, 1, 0, 1, 0, 0, 1, 0]
MATCH_WEIGHT = 0.7
STEPS = 5
ALPHA_END = 0.1


def gradients(value, **leaves):
    found = torch.autograd.grad(value, list(leaves.values()))
    return {"value": rounded(value), "gradients": {name: rounded(g) for name, g in zip(leaves, found)}}


def leaf(*shape):
    return (torch.randn(*shape)).requires_grad_()


def token_mask():
    return torch.tensor([[float(i < count) for i in range(LENGTH)] for count in TOKENS])


def soft_loss(student, teacher, weights, temperature=TEMPERATURE):
    each = kl_div(torch.log_softmax(student / temperature, -1), torch.log_softmax(teacher / temperature, -1),
                  reduction="none", log_target=True).sum(-1)
    return temperature**2 * (each * weights).sum() / weights.sum()


def hard_loss(student, labels, weights, label_weights):
    """The labels' part of the mean over all rows."""
    return (cross_entropy(student, labels, reduction="none") * label_weights).sum() / weights.sum()


def state_losses():
    """tokens, cls and a projection, each as mse_loss over the positions that count and nothing else."""
    mask, rows = token_mask(), torch.tensor(ROW_WEIGHTS)
    student, teacher, wide = leaf(ROWS, LENGTH, HIDDEN), torch.randn(ROWS, LENGTH, HIDDEN), torch.randn(ROWS, LENGTH, WIDTH)
    real = (mask * rows[:, None]).bool()
    tokens = mse_loss(student[real], teacher[real])
    first = mse_loss(student[rows.bool(), 0], teacher[rows.bool(), 0])
    weight, bias = leaf(WIDTH, HIDDEN), leaf(WIDTH)
    projected = mse_loss(linear(student, weight, bias)[real], wide[real])
    return {
        "mask": mask.int().tolist(), "row_weights": ROW_WEIGHTS,
        "student": rounded(student), "teacher": rounded(teacher), "wide_teacher": rounded(wide),
        "tokens": gradients(tokens, student=student),
        "first": gradients(first, student=student),
        "projected": {**gradients(projected, student=student, weight=weight, bias=bias),
                      "weight": rounded(weight), "bias": rounded(bias)},
    }


def unlabelled_rows():
    weights, label_weights = torch.tensor(ROW_WEIGHTS), torch.tensor(LABEL_WEIGHTS)
    logits, teacher, labels = leaf(ROWS, LABELS), torch.randn(ROWS, LABELS) * 2, torch.tensor([2, 0, 1, 0])
    soft = soft_loss(logits, teacher, weights)
    value = ALPHA * soft + (1 - ALPHA) * hard_loss(logits, labels, weights, label_weights)
    return {
        "logits": rounded(logits), "teacher_logits": rounded(teacher), "labels": labels.tolist(),
        "row_weights": ROW_WEIGHTS, "label_weights": LABEL_WEIGHTS,
        "some": gradients(value, logits=logits),
        "none": gradients(ALPHA * soft_loss(logits, teacher, weights), logits=logits),
    }


def curves(reference, targets):
    """tiny-bert's top layers towards a teacher's outputs and one of its states; and by an alpha that falls."""
    rows = torch.ones(len(reference.labels))
    teacher = torch.randn(len(reference.labels), LABELS) * 2
    real = reference.mask.bool()
    pooled = torch.tanh(targets[:, 0])
    labelled = torch.tensor(CURVE_LABELLED).float()
    # The model of a curve is made inside it: its pooler is found by a hook.
    seen = {}
    load = reference.load

    def hooked():
        model = load()
        model.bert.pooler.register_forward_hook(lambda _, __, output: seen.update(pooled=output))
        return model

    reference.load = hooked
    match = {
        "pooled": lambda outputs: mse_loss(seen["pooled"], pooled),
        "cls": lambda outputs: mse_loss(outputs.hidden_states[-1][:, 0], targets[:, 0]),
        "tokens": lambda outputs: mse_loss(outputs.hidden_states[-1][real], targets[real]),
    }

    def taught(outputs, alpha=ALPHA, label_weights=rows):
        soft = soft_loss(outputs.logits, teacher, rows)
        return alpha * soft + (1 - alpha) * hard_loss(outputs.logits, reference.labels, rows, label_weights)

    alphas = iter([ALPHA + (ALPHA_END - ALPHA) * step / (STEPS - 1) for step in range(STEPS)])
    return {
        "teacher_logits": rounded(teacher), "pooled_state": rounded(pooled), "label_weights": CURVE_LABELLED,
        "match": {name: reference.curve(lambda outputs: taught(outputs) + MATCH_WEIGHT * error(outputs), STEPS)
                  for name, error in match.items()},
        "unlabelled": reference.curve(lambda outputs: taught(outputs, label_weights=labelled), STEPS),
        "alpha_end": {**reference.curve(lambda outputs: taught(outputs, next(alphas)), STEPS), "end": ALPHA_END},
    }


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(SEED)
    reference = Reference(folder / "tiny-bert")
    targets = load_file(folder / "tiny-bert/targets.safetensors")["hidden_states"]
    content = {
        "alpha": ALPHA, "temperature": TEMPERATURE, "match_weight": MATCH_WEIGHT,
        "states": state_losses(), "unlabelled": unlabelled_rows(), "curves": curves(reference, targets),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / "teaching.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
