#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests tools/subject: which first lines of commit messages it lets pass. subject_test.sh <path of tools/subject>
set -euo pipefail
subject=$1
message=$(mktemp)
trap 'rm -f "$message"' EXIT

# passes|fails <first line>
passes() {
  printf '%s\n\nthe body\n' "$1" >"$message"
  "$subject" "$message" || { echo "refused: $1" >&2 && exit 1; }
}
fails() {
  printf '%s\n\nthe body\n' "$1" >"$message"
  ! "$subject" "$message" 2>/dev/null || { echo "passed: $1" >&2 && exit 1; }
}

long=$(printf "x%.0s" {1..65})  # with "exec: ", 71 characters
passes "exec: $long"
passes "kernels/cpu, tests: what is different"
passes "Merge branch 'work'"
passes "fixup! exec: x"
fails "exec: x$long"
fails "what is different, without an area"
fails "exec:no space"
fails "exec: "
fails ""
