#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests where the stand-in finds the real library, and what calls do without one.
# real_library_test.sh <stand-in> <an old NCCL> <program that calls NCCL>
set -euo pipefail
stand_in=$1 plain=$2 caller=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset SIGNCCL_RULES SIGNCCL_NCCL_LIBRARY LD_LIBRARY_PATH
export LD_PRELOAD=$stand_in

# expect <title> <text that the output must have>... : of the file $work/out
expect() {
  local title=$1 text
  shift
  for text in "$@"; do
    grep -qF -- "$text" "$work/out" || {
      printf '%s: expected "%s" in\n' "$title" "$text" >&2
      cat "$work/out" >&2
      exit 1
    }
  done
}
readonly of_plain="version 0 21803"

if [[ $(LD_PRELOAD='' ldconfig -p 2>/dev/null) != *libnccl.so.2* ]]; then
  "$caller" >"$work/out" 2>&1
  expect "without a real library" "version 2 0" "window 2" "set SIGNCCL_NCCL_LIBRARY to its path" \
    "signccl: SignCCL's stand-in for NCCL finds no real libnccl.so.2"
  [[ $(grep -c '^signccl:' "$work/out") == 1 ]] || { echo "it is said more than once" >&2 && exit 1; }
fi

SIGNCCL_NCCL_LIBRARY=$plain "$caller" >"$work/out" 2>&1
expect "a file is named" "$of_plain" "last the last error of the old library"
expect "an old library" "window 2" "error an error of the old library" \
  "signccl: $plain has no function ncclCommWindowDeregister"
SIGNCCL_NCCL_LIBRARY=${plain%/*} "$caller" >"$work/out" 2>&1
expect "a folder is named" "$of_plain"
SIGNCCL_NCCL_LIBRARY=$plain "$caller" open >"$work/out" 2>&1
expect "dlopen and dlsym" "$of_plain"
if grep -q "not the stand-in" "$work/out"; then echo "dlopen gives another library" >&2 && exit 1; fi
SIGNCCL_NCCL_LIBRARY=/nowhere LD_LIBRARY_PATH=${plain%/*} "$caller" >"$work/out" 2>&1
expect "nothing is named" "version 2 0" "SIGNCCL_NCCL_LIBRARY=/nowhere: expected the path of NVIDIA's libnccl.so.2"

LD_LIBRARY_PATH=${plain%/*} "$caller" >"$work/out" 2>&1
expect "by LD_LIBRARY_PATH" "$of_plain"
LD_PRELOAD="$stand_in $plain" "$caller" >"$work/out" 2>&1
expect "preloaded behind the stand-in" "$of_plain"

# The program's own search path has the folder lib beside the program.
cp "$caller" "$work/program"
mkdir "$work/lib" "$work/other"
cp "$plain" "$work/lib/libnccl.so.2"
"$work/program" >"$work/out" 2>&1
expect "by the program's RUNPATH" "$of_plain"

# A second copy of the stand-in is no real library, and does not forward to the first for ever.
cp "$stand_in" "$work/other/libnccl.so.2"
SIGNCCL_NCCL_LIBRARY=$work/other "$caller" >"$work/out" 2>&1
expect "another stand-in" "version 2 0" "expected the path of NVIDIA's"

# Rules, and no back beside this copy: nothing is forwarded silently.
LD_PRELOAD=$work/other/libnccl.so.2 SIGNCCL_NCCL_LIBRARY=$plain SIGNCCL_RULES='{}' "$caller" >"$work/out" 2>&1
expect "calls that rules cannot touch need no back" "$of_plain"
