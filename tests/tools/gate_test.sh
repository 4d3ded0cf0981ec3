#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests .ci/run with stages that do nothing: what it says and returns if one fails, is skipped, or is cut by the time limit.
# gate_test.sh <path of .ci/run>
# shellcheck disable=SC2016  # the commands of stages are expanded by those
set -euo pipefail
gate=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/.ci" "$work/tools"
cp "$gate" "$work/.ci/run"

# stages <command of tools/test>: all other tools succeed at once.
stages() {
  local tool
  for tool in abi check coverage newer_ucx sass test; do
    printf '#!/usr/bin/env bash\n%s\n' "$([[ $tool == test ]] && echo "$1" || echo true)" >"$work/tools/$tool"
    chmod +x "$work/tools/$tool"
  done
}

# expect <status> <line that the summary must have>
expect() {
  local status=0
  "$work/.ci/run" >"$work/log" 2>&1 || status=$?
  if [[ $status != "$1" ]] || ! grep -qE "$2" "$work/log"; then
    cat "$work/log"
    echo "the gate ended with $status, expected $1 and a line like '$2'" >&2
    exit 1
  fi
}

stages true
expect 0 '^all +passed'
stages '[[ ${1:-} != neon ]]'
expect 1 '^neon +FAILED'
grep -qE '^tsan +passed' "$work/log"  # a failure does not keep the others from running
stages '[[ ${1:-} != neon ]] || exit 77'
expect 0 '^neon +skipped'
stages '[[ ${1:-} != tsan ]] || sleep 60'
export SIGNCCL_GATE_SECONDS=5
expect 1 '^tsan +TIMEOUT'
