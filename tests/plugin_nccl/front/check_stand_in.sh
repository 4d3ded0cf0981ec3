#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks what the stand-in shows and asks for: the names of the list and its own mark, NCCL's SONAME, libc alone, and
# that it is never unloaded.
# check_stand_in.sh <stand-in> <list of names>
set -euo pipefail
stand_in=$1 list=$2

fail() {
  printf '%s: %s\n' "$stand_in" "$*" >&2
  exit 1
}

exported=$(nm --dynamic --defined-only --format=posix "$stand_in" | awk '{ print $1 }' | sort)
expected=$(grep -v '^#' "$list" | { cat && echo signcclNcclStandIn; } | sort)
difference=$(diff <(echo "$expected") <(echo "$exported") || true)
[[ -z $difference ]] || fail "exports other names than the list has: $difference"
[[ $(grep -c '^p\?nccl' "$list") -ge 193 ]] || fail "the list has fewer names than NCCL 2.32.3"

dynamic=$(readelf --dynamic --wide "$stand_in")
[[ $(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' <<<"$dynamic") == libnccl.so.2 ]] || fail "has another SONAME"
grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "can be unloaded; expected -z nodelete"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
[[ $needed =~ ^libc\.so\.[0-9]+$ ]] || fail "needs '$needed', expected libc alone"
[[ $(readelf --segments --wide "$stand_in") != *TLS* ]] || fail "has thread-local memory"
