#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a program that calls NCCL over the stand-in, its back and the library, with rules and without.
# preloaded_test.sh <program> <NCCL behind the stand-in> <kernels for the fake driver> <stand-in>
set -euo pipefail
program=$1 nccl=$2 kernels=$3 stand_in=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SIGNCCL_NCCL_LIBRARY=$nccl SIGNCCL_CUDA_LIBRARY=$kernels SIGNCCL_TIMEOUT=20
unset SIGNCCL_RULES SIGNCCL_INTERPOSE SIGNCCL_DEBUG LD_PRELOAD

# expect <title> <text that the output must have>... : of what the program prints with the variables of the call
expect() {
  local title=$1 text
  shift
  "$program" >"$work/out" 2>&1 || { cat "$work/out" && echo "$title: the program failed" && exit 1; }
  for text in "$@"; do
    grep -qF -- "$text" "$work/out" || { cat "$work/out" && echo "$title: expected '$text'" && exit 1; }
  done
}
readonly vote='{"version": 1, "rules": [{"match": {}, "action": "vote", "options": {"lossy": true}}]}'
readonly sum="element 6" sign="element 1"

expect "without rules" "$sum"
SIGNCCL_RULES=$vote SIGNCCL_INTERPOSE=off expect "switched off" "$sum"
SIGNCCL_RULES=$vote expect "with a rule" "$sign"
SIGNCCL_RULES=$vote SIGNCCL_DEBUG=INFO expect "the report" "$sign" "NCCL is $nccl: SIGNCCL_NCCL_LIBRARY names it" \
  "2 taken"
SIGNCCL_RULES=$vote SIGNCCL_INTERPOSE=dry SIGNCCL_DEBUG=INFO expect "a dry run" "$sum"
SIGNCCL_RULES='{"version": 1, "rules": [{"match": {}, "action": "sign_sum"}]}' SIGNCCL_DEBUG=INFO \
  expect "a sum of what are no signs" "$sum" "element 0 of this rank is 3" "2 fallen back"
SIGNCCL_RULES='{"version": 1, "rules": [{"match": {}, "action": "sign_sum"}]}' SIGNCCL_INTERPOSE=dry \
  SIGNCCL_DEBUG=INFO expect "a dry run of a sum" "$sum" "would fall back: element 0 of this rank is 3" \
  "0 calls match no rule"
printf '%s' "$vote" >"$work/rules.json"
SIGNCCL_RULES=$work/rules.json expect "rules in a file" "$sign"
SIGNCCL_RULES='{"version": 1, "rules": [{"match": {"typ": "int8"}, "action": "forward"}]}' \
  expect "bad rules" "error 5: SignCCL: SIGNCCL_RULES: /rules/0/match/typ: \"int8\"; expected no such key"
SIGNCCL_RULES=/nowhere/rules.json expect "no rules file" "error 5: SignCCL:" "/nowhere/rules.json"

# A stand-in without a back beside it.
mkdir -p "$work/signccl/preload"
cp "$stand_in" "$work/signccl/preload"
export LD_PRELOAD=$work/signccl/preload/libnccl.so.2
expect "without rules no back is needed" "$sum"
SIGNCCL_RULES=$vote expect "no back" "error 2:" "libsignccl_nccl_preload.so cannot be loaded"
