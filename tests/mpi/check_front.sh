#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is preloaded into every program that a job starts must suit all of them: it needs the C library alone, shows MPI's
# names alone, and changes nothing in a program that has no MPI. check_front.sh <libsignccl_mpi.so>
set -euo pipefail
front=$1

fail() {
  echo "$front: $*" >&2
  exit 1
}

needed=$(readelf --dynamic --wide "$front" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[[ $needed == libc.so.6 ]] || fail "needs $needed, expected libc.so.6 alone"
strangers=$(nm --dynamic --defined-only --format=posix "$front" | awk '{ print $1 }' | grep -viE '^mpi_(init|allreduce)' || true)
[[ -z $strangers ]] || fail "exports what is no function of MPI: $strangers"
wanted=$(nm --dynamic --undefined-only --format=posix "$front" | grep -i mpi || true)
[[ -z $wanted ]] || fail "a program without MPI lacks $wanted"
said=$(LD_BIND_NOW=1 LD_PRELOAD=$front SIGNCCL_RULES='{' bash -c '/bin/true && echo fine' 2>&1) || fail "bash fails: $said"
[[ $said == fine ]] || fail "bash says: $said"
