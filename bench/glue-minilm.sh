#!/usr/bin/env bash
# The pipeline on real GLUE data with MiniLM-L6, through the command line: k = 2 and 4, students of one layer, the
# merge of four tasks, and merged against separate scores. About 35 minutes on two idle cores with the TensorFlow
# engine.
#
#   npm run build && bench/glue-minilm.sh [GLUE_FOLDER] [OUT_FOLDER]
set -euo pipefail
glue=${1:-../shared/data/glue}
out=${2:-bench-out}
flexbert() { node "$(dirname "$0")/../bin/flexbert.js" "$@"; }
base=sentence-transformers/all-MiniLM-L6-v2
common=(--base "$base" --glue-data "$glue" --checkpoints "$out/checkpoints" --learning-rate 1e-4 --seed 1)

flexbert pull "$base"
# RTE has four epochs, as the PyTorch figures beside it.
flexbert finetune "${common[@]}" --task rte --k 2,4 --epochs 4
flexbert finetune "${common[@]}" --task mrpc,stsb,cola --k 2,4 --epochs 3
flexbert distill "${common[@]}" --task rte --student-layers 1 --epochs 4
flexbert distill "${common[@]}" --task mrpc,stsb,cola --student-layers 1 --epochs 3
flexbert status --checkpoints "$out/checkpoints"
for select in teacher kd-1; do
  flexbert merge --base "$base" --checkpoints "$out/checkpoints" --task rte,mrpc,stsb,cola --select "$select" --out "$out/merged-$select"
  flexbert eval --model "$out/merged-$select" --glue-data "$glue" --predictions "$out/merged-$select.jsonl" --json > "$out/merged-$select.json"
  node "$(dirname "$0")/merged-against-separate.mjs" "$out/merged-$select" "$out/checkpoints" "$glue"
done
