#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks what libsignccl_cuda.so shows and asks for: it exports one function, is never unloaded since the driver keeps
# the address of its image, and needs no library but that of C. check_image.sh <library>
set -euo pipefail
library=$1

fail() {
  printf '%s: %s\n' "$library" "$*" >&2
  exit 1
}

exported=$(nm --dynamic --defined-only --format=posix "$library" | awk '$2 != "A" { print $1 }' | paste -sd ' ')
[[ $exported == signcclCudaImage ]] || fail "exports $exported, expected signcclCudaImage alone"

dynamic=$(readelf --dynamic --wide "$library")
grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "can be unloaded under the driver; expected -z nodelete"
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic" | grep -v '^libc\.so\.' | paste -sd ' ' || true)
[[ -z $needed ]] || fail "needs $needed"

# The stack of a process must not become executable by loading it.
readelf --program-headers --wide "$library" | grep -q 'GNU_STACK.* RW ' || fail "asks for an executable stack"
