#!/usr/bin/env bash
# The virtual environment of the peers: PyTorch, transformers, and onnxruntime's Python package.
#
#   bench/peers/setup.sh FOLDER
set -euo pipefail
folder=${1:?usage: bench/peers/setup.sh FOLDER}
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.15.0 transformers==5.23.0 accelerate onnx onnxscript onnxruntime==1.30.0
