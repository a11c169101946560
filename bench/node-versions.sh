#!/usr/bin/env bash
# The tensorflow engine as a newcomer meets it, on Node 20, 22 and 24 (binaries from npm): the packed flexbert installed in
# an empty folder, `engine install` into an empty cache by the first Node and the same build used by the others, doctor, a
# finetune, a distill and a merge; then PyTorch's reference values from the clone's tests under that Node. Ends at the first
# thing that fails. About 5 minutes on two cores. Needs what `engine install tensorflow` needs.
#
#   npm ci && bench/node-versions.sh [FOLDER]       (FOLDER: an empty one, kept; default a temporary one, removed)
set -euo pipefail
cd "$(dirname "$0")/.."
clone=$PWD
folder=${1:-}
if [ -z "$folder" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -z "$(ls -A "$folder")" ] || { echo "$folder is not empty. Name an empty folder" >&2; exit 2; }
export FLEXBERT_CACHE=$folder/cache
case $(uname -m) in aarch64) machine=arm64 ;; *) machine=x64 ;; esac

npm run --silent package -- --silent --pack-destination "$folder" >/dev/null
npm run --silent build # packing empties dist first
package=$(echo "$folder"/flexbert-*.tgz)
for major in 20 22 24; do
  version=$(npm view "node-linux-$machine@$major" version --json --loglevel=error | tr -d '[]", ' | grep . | sort -V | tail -1)
  mkdir -p "$folder/node-$major" "$folder/project-$major"
  npm install --silent --prefix "$folder/node-$major" "node-linux-$machine@$version"
  bin=$folder/node-$major/node_modules/node-linux-$machine/bin
  (
    export PATH=$bin:$PATH
    echo "== Node $(node --version)"
    cd "$folder/project-$major"
    npm install --silent --ignore-scripts --no-audit --no-fund "$package"
    flexbert() { node node_modules/flexbert/bin/flexbert.js "$@"; }
    flexbert engine install tensorflow --cpu
    flexbert pull sentence-transformers/all-MiniLM-L6-v2
    flexbert doctor
    sample=node_modules/flexbert/glue-data/sample
    common=(--base sentence-transformers/all-MiniLM-L6-v2 --tasks "$sample/tasks.yaml" --task sample-sentiment)
    common+=(--engine tensorflow --max-length 64 --batch-size 16)
    flexbert finetune "${common[@]}" --k 1-2 --epochs 2 --learning-rate 3e-4
    flexbert distill "${common[@]}" --student-layers 1 --epochs 4 --learning-rate 1e-3
    flexbert merge --base sentence-transformers/all-MiniLM-L6-v2 --tasks "$sample/tasks.yaml" --engine tensorflow --out merged/
    flexbert predict --model merged/ --engine tensorflow --text "the soup was cold and the waiter never came back"
    cd "$clone"
    node node_modules/jest/bin/jest.js test/engines/reference.test.ts test/engines/memory.test.ts -t tensorflow
    node node_modules/jest/bin/jest.js test/engines/precision.test.ts test/export/saved-model.test.ts
  )
done
# One build, one machine: the weights are the same to the byte.
weights() { (cd "$folder/project-$1" && find checkpoints -name model.safetensors | sort | xargs sha256sum); }
for major in 22 24; do diff <(weights 20) <(weights $major); done
echo "Node 20, 22 and 24: all of it, and the same weights"
