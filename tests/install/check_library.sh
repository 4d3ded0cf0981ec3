#!/usr/bin/env bash
# Checks what a shared library shows and asks for: it exports the functions of the C API alone, carries its SONAME, and
# needs no library that is not part of every system. check_library.sh <library>
set -euo pipefail
library=$1

fail() {
  printf '%s: %s\n' "$library" "$*" >&2
  exit 1
}

exported=$(nm --dynamic --defined-only --format=posix "$library" | cut -d ' ' -f 1)
grep -qx signcclAllReduceVote <<<"$exported" || fail "does not export signcclAllReduceVote"
strangers=$(grep -v '^signccl' <<<"$exported" || true)
[[ -z $strangers ]] || fail "exports what is not of the C API: $strangers"

dynamic=$(readelf --dynamic --wide "$library")
soname=$(sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' <<<"$dynamic")
[[ $soname == "$(basename "$library")" ]] || fail "has the SONAME '$soname'"
while read -r needed; do
  case $needed in
    libc.so.* | libm.so.* | libgcc_s.so.* | libstdc++.so.* | ld-linux-*) ;;
    *) fail "needs $needed" ;;
  esac
done < <(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
