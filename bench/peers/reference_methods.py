"""Makes test/fixtures/reference/methods.json with PyTorch, beside what reference.py makes: what the methods of `distill --method`
compare of a whole student's layers and its teacher's.

usage: reference_methods.py FOLDER    (the folder that holds tiny-bert)

Values and gradients of each loss on small tensors; and of each method ten steps of a student of two layers, embeddings and all,
taught by tiny-bert, from its first two layers under its pooler and classifier; and ten steps of tiny-bert as a joint model of two tasks.
"""
import copy
import json
import sys
from pathlib import Path

import torch
from reference import HEADS, HIDDEN, LAYERS, SEED, Reference, rounded, train
from reference_teaching import gradients, hard_loss, leaf, soft_loss
from torch.nn.functional import cosine_embedding_loss, cross_entropy, kl_div, mse_loss, normalize

ROWS, LENGTH, WIDTH, SIZE = 3, 4, 6, 5
TOKENS = [4, 2, 3]  # real ones of each row
ROW_WEIGHTS = [1.0, 1.0, 0.0]  # the last row is filler
STEPS, STUDENT = 10, 2
ALPHA, TEMPERATURE = 0.7, 3.0
BETA = {"vanilla-kd": 0.0, "distilbert": 0.8, "pkd": 100.0, "minilm": 1.5, "tinybert": 0.6}
FIRST_STAGE = 0.5
# Of each step, which of its two blocks of the teacher's layers the student's layer replaces.
REPLACED = [[0, 1], [1, 0], [1, 1], [0, 1], [1, 0], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]]
BLOCKS = [(0, 2), (2, 3)]
# Of each step of a joint model, which task has its turn; the rows of the two tasks, and the values of the second.
TURNS = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0]
ROWS_OF_TASKS = [(0, 5), (3, 8)]
SCORES = [0.0, 0.4, -0.3, 1.2, 0.8, -0.6, 0.1, 0.9]
MASKED = -1e9


def token_mask():
    return torch.tensor([[float(i < count) for i in range(LENGTH)] for count in TOKENS])


def real_positions():
    return (token_mask() * torch.tensor(ROW_WEIGHTS)[:, None]).bool()


def masked_softmax(scores, keys):
    return torch.softmax(scores + MASKED * (1 - keys[:, None, None, :].float()), -1)


def relations(values, keys):
    return masked_softmax(values @ values.transpose(-1, -2) / values.shape[-1] ** 0.5, keys)


def divergence(student, teacher, weights):
    """Mean over heads and real positions of KL(teacher, student), each row of the batch and position on its own."""
    terms = []
    for row, position in weights.nonzero().tolist():
        keep = teacher[row, :, position] > 0
        for head in range(student.shape[1]):
            p, q = teacher[row, head, position][keep[head]], student[row, head, position][keep[head]]
            terms.append(kl_div(q.log(), p, reduction="sum"))
    return torch.stack(terms).mean()


def score_error(student, teacher, weights, keys):
    pairs = (weights.bool()[:, None, :, None] & keys.bool()[:, None, None, :]).expand_as(student)
    return mse_loss(student[pairs], teacher[pairs])


def cosine_error(student, teacher, real):
    return cosine_embedding_loss(student[real], teacher[real], torch.ones(int(real.sum())))


def losses():
    keys, real = token_mask(), real_positions()
    states, taught = leaf(ROWS, LENGTH, WIDTH), torch.randn(ROWS, LENGTH, WIDTH)
    scores, taught_scores = leaf(ROWS, HEADS, LENGTH, LENGTH), torch.randn(ROWS, HEADS, LENGTH, LENGTH)
    values, taught_values = leaf(ROWS, HEADS, LENGTH, SIZE), torch.randn(ROWS, HEADS, LENGTH, SIZE)
    attention, taught_attention = masked_softmax(scores, keys), masked_softmax(taught_scores, keys)
    return {
        "mask": keys.int().tolist(), "row_weights": ROW_WEIGHTS,
        "states": rounded(states), "teacher_states": rounded(taught),
        "scores": rounded(scores), "teacher_scores": rounded(taught_scores),
        "values": rounded(values), "teacher_values": rounded(taught_values),
        "cosine": gradients(cosine_error(states, taught, real), states=states),
        "patience": gradients(mse_loss(normalize(states[real], dim=-1), normalize(taught[real], dim=-1)), states=states),
        "attention": gradients(divergence(attention, taught_attention, real), scores=scores),
        "relations": gradients(divergence(relations(values, keys), relations(taught_values, keys), real), values=values),
        "score_error": gradients(score_error(scores, taught_scores, real, keys), scores=scores),
    }


class Seen:
    """What a model of transformers gives on the batch, with the scores and values that it does not hand out."""

    def __init__(self, model, reference):
        outputs = reference.forward(model)
        self.logits, self.hidden, self.attention = outputs.logits, outputs.hidden_states, outputs.attentions
        heads = lambda x: x.view(*x.shape[:2], HEADS, HIDDEN // HEADS).transpose(1, 2)
        parts = [layer.attention.self for layer in model.bert.encoder.layer]
        self.values = [heads(part.value(below)) for part, below in zip(parts, self.hidden)]
        self.scores = [heads(part.query(below)) @ heads(part.key(below)).transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5
                       for part, below in zip(parts, self.hidden)]


def patience(student, teacher, layers):
    own = torch.stack([student.hidden[at][:, 0] for at, _ in layers], 1)
    taught = torch.stack([teacher.hidden[at][:, 0] for _, at in layers], 1)
    return mse_loss(normalize(own, dim=2), normalize(taught, dim=2))


def comparisons(mask):
    """The student's layers against the teacher's, of two and of three layers; hidden states count from the embeddings."""
    real = mask.bool()
    return {
        "vanilla-kd": lambda s, t: s.logits.sum() * 0,
        "distilbert": lambda s, t: cosine_error(s.hidden[2], t.hidden[3], real),
        "pkd": lambda s, t: patience(s, t, [(1, 2)]),
        "minilm": lambda s, t: divergence(s.attention[1], t.attention[2], real)
        + divergence(relations(s.values[1], mask), relations(t.values[2], mask), real),
        "tinybert": lambda s, t: sum(mse_loss(s.hidden[own][real], t.hidden[at][real]) for own, at in [(0, 0), (1, 2), (2, 3)])
        + sum(score_error(s.scores[own], t.scores[at], mask, mask) for own, at in [(0, 1), (1, 2)]),
    }


def curve(reference, name):
    teacher_model, rows = reference.load(), torch.ones(len(reference.labels))
    model = copy.deepcopy(teacher_model)
    model.bert.encoder.layer = model.bert.encoder.layer[:STUDENT]
    with torch.no_grad():
        teacher = Seen(teacher_model, reference)
    compare = comparisons(reference.mask)[name]

    def loss(step):
        student = Seen(model, reference)
        error = BETA[name] * compare(student, teacher)
        outputs = ALPHA * soft_loss(student.logits, teacher.logits, rows, TEMPERATURE) + (1 - ALPHA) * hard_loss(
            student.logits, reference.labels, rows, rows)
        first = float(step < FIRST_STAGE * STEPS)
        staged = name in ("minilm", "tinybert")
        return first * error + (1 - first) * outputs if staged else error + outputs

    return {"beta": BETA[name], **train(list(model.named_parameters()), STEPS, loss)}


def replacing(reference):
    """The teacher with blocks of its layers replaced: only the student's layers are trained, towards the labels."""
    teacher, rows = reference.load(), torch.ones(len(reference.labels))
    layers = copy.deepcopy(teacher.bert.encoder.layer[:STUDENT])
    padding = MASKED * (1 - reference.mask[:, None, None, :].float())
    batch = {name: reference.batch[name] for name in ("input_ids", "token_type_ids")}

    def run(layer, hidden):
        output = layer(hidden, padding)
        return output[0] if isinstance(output, tuple) else output

    def loss(step):
        hidden = teacher.bert.embeddings(**batch)
        for own, (first, past), stands in zip(layers, BLOCKS, REPLACED[step]):
            kept = hidden
            for layer in teacher.bert.encoder.layer[first:past]:
                kept = run(layer, kept)
            hidden = stands * run(own, hidden) + (1 - stands) * kept
        logits = teacher.classifier(teacher.bert.pooler(hidden))
        return hard_loss(logits, reference.labels, rows, rows)

    return {"replaced": REPLACED, **train(list(layers.named_parameters()), STEPS, loss)}


def joint(reference):
    """One encoder and pooler under the output layers of two tasks, a batch of one of them a step: the other's layer takes no step."""
    model, scale = reference.load(), torch.nn.Linear(HIDDEN, 1)
    with torch.no_grad():
        scale.weight.normal_(0.0, 0.15)
        scale.bias.normal_(0.0, 0.1)
    layer = {"weight": rounded(scale.weight), "bias": rounded(scale.bias)}

    def loss(step):
        of = TURNS[step]
        first, past = ROWS_OF_TASKS[of]
        pooled = model.bert(**{name: values[first:past] for name, values in reference.batch.items()}).pooler_output
        if of == 0:
            return cross_entropy(model.classifier(pooled), reference.labels[first:past])
        return mse_loss(scale(pooled).squeeze(1), torch.tensor(SCORES)[first:past])

    trained = [*model.named_parameters(), *((f"scale.{name}", p) for name, p in scale.named_parameters())]
    return {"turns": TURNS, "rows": ROWS_OF_TASKS, "scores": SCORES, "layer": layer, **train(trained, STEPS, loss)}


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(SEED)
    assert LAYERS == 3
    reference = Reference(folder / "tiny-bert")
    content = {
        "alpha": ALPHA, "temperature": TEMPERATURE, "student_layers": STUDENT, "first_stage": FIRST_STAGE,
        "losses": losses(),
        "curves": {**{name: curve(reference, name) for name in BETA}, "theseus": replacing(reference)},
        "joint": joint(reference),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    (folder / "methods.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
