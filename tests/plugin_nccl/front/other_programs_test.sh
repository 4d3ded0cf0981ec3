#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs that the stand-in is loaded into and that do not call NCCL go on as before: shells, Python, and a program
# with AddressSanitizer, which also calls it.
# other_programs_test.sh <stand-in> <an old NCCL> <C compiler>
set -euo pipefail
stand_in=$1 plain=$2 compiler=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_PRELOAD=$stand_in SIGNCCL_NCCL_LIBRARY=$plain SIGNCCL_RULES='this is no file'

fail() {
  echo "$*" >&2
  exit 1
}

[[ $(bash -c 'echo "$((6 * 7))"; sh -c "echo of a child"' 2>&1) == $'42\nof a child' ]] || fail "bash is disturbed"
if command -v python3 >/dev/null; then
  said=$(python3 -c 'import subprocess; print(subprocess.check_output(["echo", "child"]).decode().strip())' 2>&1)
  [[ $said == child ]] || fail "python3 says '$said'"
fi

# GCC's runtime of AddressSanitizer must be the first library of all, unless it is linked in, as Clang's is.
cat >"$work/checked.c" <<'PROGRAM'
#include <stdio.h>
#include <stdlib.h>
int ncclGetVersion(int*);
int main(void) {
  int* const version = malloc(sizeof(int));
  printf("%d", ncclGetVersion(version));
  printf(" %d\n", *version);
  free(version);
  return 0;
}
PROGRAM
unset LD_PRELOAD SIGNCCL_RULES
for flag in -static-libasan ""; do
  if "$compiler" -fsanitize=address $flag -o "$work/checked" "$work/checked.c" "$stand_in" 2>"$work/log"; then
    [[ $(LD_PRELOAD=$stand_in ASAN_OPTIONS=detect_leaks=0 "$work/checked" 2>&1) == "0 21803" ]] ||
      fail "a program with AddressSanitizer is disturbed"
    exit 0
  fi
done
echo "the compiler has no AddressSanitizer: not tried"
exit 77
