#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests tools/abi: which changes of the public header it lets pass. changed.sh <C compiler> <tools/abi> <include> <version.h>
set -euo pipefail
compiler=$1 abi=$2 include=$3 version=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build <sed script>: a library whose functions do nothing, from the public header after the change.
build() {
  rm -rf "$work/include" && mkdir -p "$work/include"
  cp -r "$include/signccl" "$work/include/signccl"
  cp "$version" "$work/include/signccl/version.h"
  sed -E -i "$1" "$work"/include/signccl/{types,comm,collectives,lion}.h
  # Every declaration becomes a definition.
  {
    echo '#include "signccl/lion.h"'
    cat "$work"/include/signccl/{comm,collectives,lion}.h | tr '\n' ' ' | grep -oE 'SIGNCCL_EXPORT (const char\*|signcclResult_t) [A-Za-z]+\([^)]*\);' |
      sed -E 's/^SIGNCCL_EXPORT (.*);$/\1 { return 0; }/'
  } >"$work/api.c"
  echo 'SIGNCCL_0.1 { global: signccl*; local: *; };' >"$work/api.map"
  "$compiler" -g -fPIC -shared -w -Wl,-soname,libsignccl.so.0.1 -Wl,--version-script="$work/api.map" -I"$work/include" \
    "$work/api.c" -o "$work/libsignccl.so"
}

passes() {
  build "$2"
  "$abi" "$work/libsignccl.so" >"$work/log" 2>&1 || { cat "$work/log" && echo "refused: $1" >&2 && exit 1; }
}
fails() {
  build "$2"
  ! "$abi" "$work/libsignccl.so" >"$work/log" 2>&1 || { cat "$work/log" && echo "passed: $1" >&2 && exit 1; }
}

passes "the header as it is" ''
passes "a new function" 's/^(SIGNCCL_EXPORT .*)signcclGroupStart\(void\);/&\n\1signcclGroupNew(void);/'
passes "a new field at the end of a struct" 's/^\} signcclSignConfig_t;/int added; int also; \n&/'
passes "a new element type" 's/^  signcclInt16 = 64,/  signcclNew = 66, &/'
fails "a field less" '/^  int zeroRule;/d'
fails "a field of another type" 's/^  int timeoutMs;/  long timeoutMs;/'
fails "a field in the middle" 's/^  int zeroRule;/int added; &/'
fails "fields that changed places" 's/^  uint64_t bytesSent;/  uint64_t swap;/; s/^  uint64_t bytesReceived;/  uint64_t bytesSent;/; s/^  uint64_t swap;/  uint64_t bytesReceived;/'
fails "a function less" '/^SIGNCCL_EXPORT .*signcclGroupStart\(void\);/d'
fails "a parameter of another type" 's/signcclCommCount\(signcclComm_t comm, int\* count\)/signcclCommCount(signcclComm_t comm, long* count)/'
fails "another value of a result" 's/signcclTimeout = 8/signcclTimeout = 10/'
