#!/bin/bash
# What `flexbert jobs submit --on kubernetes --dry-run` prints, against the API's published schema, without a cluster, and the
# container's command of every index run here by hand, with one folder as the volume.
#
#   bench/cluster/kubernetes.sh validate FILE.yaml     needs Go: kubeconform, and the OpenAPI file of the module k8s.io/kubernetes
#   bench/cluster/kubernetes.sh commands FILE.yaml PROJECT flexbert...
#
# `commands` runs, in a project folder that stands for the volume, what each Job's container would, index by index, Job after Job,
# with `flexbert` as the words behind it. Nothing of pods, retries, suspension or volumes is tried so.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=v1.34.2
work=${KUBERNETES_WORK:-${TMPDIR:-/tmp}/flexbert-kubernetes}

case "${1:-}" in
  validate)
    file=${2:?a file}
    grep -q '^kind:' "$file" || { echo "$file has no object in it" >&2; exit 1; }
    mkdir -p "$work/bin"
    [ -x "$work/bin/kubeconform" ] || GOBIN=$work/bin go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
    if [ ! -d "$work/schemas" ]; then
      source=$(cd "$work" && go mod download -json k8s.io/kubernetes@$version | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
      node "$here/kubernetes-schemas.mjs" "$source/api/openapi-spec/swagger.json" "$work/schemas"
    fi
    "$work/bin/kubeconform" -strict -summary -verbose \
      -schema-location "$work/schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$file"
    ;;
  commands)
    file=${2:?a file}
    project=${3:?the folder that stands for the volume}
    shift 3
    exec node "$here/kubernetes-commands.mjs" "$file" "$project" "$@"
    ;;
  *)
    sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'
    exit "$([ "${1:-}" = --help ] && echo 0 || echo 2)"
    ;;
esac
