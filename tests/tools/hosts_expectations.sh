# SPDX-License-Identifier: Apache-2.0
# What tests on hosts share: a setup of tools/hosts of their own that is removed at the end, and expectations. Sourced
# with the path of tools/hosts in $1.
# shellcheck shell=bash
readonly tool=$1
readonly setup=t$$
nfailed=0

hosts() { timeout 60 "$tool" --name "$setup" "$@"; }

work=$(mktemp -d)
# shellcheck disable=SC2317 # called by the trap
remove_all() {
  hosts down
  rm -rf "$work"
}
trap remove_all EXIT

# expect <sentence> <what should be> <what is>
expect() {
  if [[ $2 != "$3" ]]; then
    printf 'FAILED: %s\n  expected: %s\n  is:       %s\n' "$1" "${2@Q}" "${3@Q}"
    ((++nfailed))
  fi
}

# expect_match <sentence> <regular expression> <text>
expect_match() {
  if [[ ! $3 =~ $2 ]]; then
    printf 'FAILED: %s\n  expected: /%s/\n  is:       %s\n' "$1" "$2" "${3@Q}"
    ((++nfailed))
  fi
}

# status_of <command>...: its exit status; its output is in $work/out and $work/err.
status_of() {
  local status=0
  "$@" >"$work/out" 2>"$work/err" || status=$?
  echo "$status"
}

# finish: ends the test, with an error if an expectation was not met.
finish() {
  if ((nfailed)); then echo "$nfailed expectations failed" && exit 1; fi
  echo "all well"
  exit 0
}
