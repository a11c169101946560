"""Makes test/fixtures/reference's checkpoint of TensorFlow, of the model that reference.py wrote before.

usage: reference_tf1.py FOLDER    (in an environment of tensorflow==2.21.0 and safetensors; not beside PyTorch in one
                                   process: both bring an LLVM)

Reads FOLDER/micro-bert and writes FOLDER/micro-bert-tf1: the same weights but for the classifier as a checkpoint of
google-research/bert, in TensorFlow's own writing: variables by Google's names, kernels as [in, out].
"""
import json
import os
import re
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
from safetensors.numpy import load_file

# What bert_config.json of google-research/bert has.
GOOGLE = ["attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size", "initializer_range",
          "intermediate_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "type_vocab_size",
          "vocab_size"]

source, folder = Path(sys.argv[1], "micro-bert"), Path(sys.argv[1], "micro-bert-tf1")
folder.mkdir(parents=True, exist_ok=True)
shutil.copyfile(source / "vocab.txt", folder / "vocab.txt")
config = json.loads((source / "config.json").read_text())
(folder / "bert_config.json").write_text(json.dumps({key: config[key] for key in GOOGLE}, indent=2) + "\n")

variables = {}
for name, tensor in load_file(source / "model.safetensors").items():
    if name.startswith("classifier."):
        continue
    kernel = name.endswith(".weight") and "LayerNorm" not in name and "embeddings" not in name
    spelled = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    spelled = re.sub(r"_embeddings\.weight$", "_embeddings", re.sub(r"layer\.(\d+)", r"layer_\1", spelled))
    spelled = spelled.removesuffix(".weight") + ".kernel" if kernel else spelled
    variables[spelled.replace(".", "/")] = tf.constant(tensor.T if kernel else tensor)
tf.raw_ops.SaveV2(
    prefix=str(folder / "bert_model.ckpt"), tensor_names=list(variables), shape_and_slices=[""] * len(variables),
    tensors=list(variables.values()),
)
