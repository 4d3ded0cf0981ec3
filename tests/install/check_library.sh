#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks what a shared library shows and asks for: it exports the functions of the C API alone, with the version of their
# interface, carries its SONAME, is never unloaded, and needs no library that is not part of every system.
# check_library.sh <library>
set -euo pipefail
library=$1

fail() {
  printf '%s: %s\n' "$library" "$*" >&2
  exit 1
}

# The version node itself is a symbol (A) too.
exported=$(nm --dynamic --defined-only --with-symbol-versions --format=posix "$library" | awk '$2 != "A" { print $1 }')
grep -qE '^signcclAllReduceVote\b' <<<"$exported" || fail "does not export signcclAllReduceVote"
strangers=$(grep -v '^signccl' <<<"$exported" || true)
[[ -z $strangers ]] || fail "exports what is not of the C API: $strangers"

unversioned=$(grep -vE '@@SIGNCCL_[0-9]+(\.[0-9]+)?$' <<<"$exported" || true)
[[ -z $unversioned ]] || fail "exports without a version: $unversioned"

dynamic=$(readelf --dynamic --wide "$library")
soname=$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' <<<"$dynamic")
[[ $soname == "$(basename "$library")" ]] || fail "has the SONAME '$soname'"
grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "can be unloaded under its own threads; expected -z nodelete"
while read -r needed; do
  case $needed in
    libc.so.* | libm.so.* | libgcc_s.so.* | libstdc++.so.* | ld-linux-*) ;;
    *) fail "needs $needed" ;;
  esac
done < <(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
