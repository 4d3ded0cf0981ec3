#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/line_checks finds what is wrong, says where, and lets the rest pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect <status> <output> <arguments of line_checks>...
expect() {
  local status=0 said
  said=$(tools/line_checks "${@:3}" 2>&1) || status=$?
  if ((status != $1)) || [[ $said != "$2" ]]; then
    printf 'line_checks %s\n  status %d, expected %d\n  said     %s\n  expected %s\n' "${*:3}" "$status" "$1" "$said" "$2"
    ((++failures))
  fi
}

readonly licence='// SPDX-License-Identifier: Apache-2.0'
exactly=$(printf '%120s' '' | tr ' ' x)
printf '%s\n' "$licence" "$exactly" >"$folder/good.cc"
printf '%s\n' "$exactly" "${exactly}x" >"$folder/bad.cc"
printf '  typedef int Old;\nusing New = int;  // no typedef\n' >"$folder/old.cc"
: >"$folder/empty.py"

expect 0 '' width "$folder/good.cc"
expect 1 "$folder/bad.cc:2: wider than 120 columns" width "$folder/good.cc" "$folder/bad.cc"
expect 0 '' licence "$folder/good.cc" "$folder/empty.py"
expect 1 "$folder/bad.cc: has no line SPDX-License-Identifier: Apache-2.0" licence "$folder/bad.cc" "$folder/good.cc"
expect 0 '' typedef "$folder/good.cc"
expect 1 "$folder/old.cc:1: typedef; expected using" typedef "$folder/good.cc" "$folder/old.cc"
expect 2 "tools/line_checks: 'spelling'; expected width, licence or typedef" spelling "$folder/good.cc"
expect 2 'usage: tools/line_checks width|licence|typedef FILE...' width
((failures == 0))
