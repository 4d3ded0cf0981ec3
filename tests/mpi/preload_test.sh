#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Preloads libsignccl_mpi.so into jobs of an MPI.
#   preload_test.sh <openmpi|mpich> <case> <folder of the libraries> <launcher> [<runtime of a sanitizer>]
# Runs beside the programs, in the folder that has them. Exit status 77: the MPI does not run here.
set -euo pipefail
readonly mpi=$1 case=$2 front=$3/libsignccl_mpi.so launcher=$4
sources=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
readonly sources

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export SIGNCCL_RULES=$sources/rules.json SIGNCCL_TIMEOUT=60 SIGNCCL_INTERPOSE_TIMEOUT=2
export SIGNCCL_DEBUG=INFO SIGNCCL_DEBUG_SUBSYS=INTERPOSE
unset SIGNCCL_INTERPOSE
in_front=""
if [[ -n ${5-} ]]; then
  in_front=$5:$PWD/libkeep_libraries.so:
  export SIGNCCL_INTERPOSE_TIMEOUT=60
  # Whole stacks, which suppressions look at: an MPI is compiled without frame pointers.
  export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=1:fast_unwind_on_malloc=0
  export LSAN_OPTIONS=suppressions=$sources/lsan.supp:print_suppressions=0
  export TSAN_OPTIONS=suppressions=$sources/tsan.supp
fi
readonly in_front
start=("$launcher" -np 3)
[[ $mpi == mpich ]] || start+=(--oversubscribe --bind-to none)
if ! "${start[@]}" true >/dev/null 2>&1; then
  echo "$launcher does not run here; skipped"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly log=$work/log

fail() {
  cat "$log" >&2
  echo "FAILED: $*" >&2
  exit 1
}

# run <preload> <program>...: three ranks, the program alone preloaded. What they print is in $log.
run() {
  local preload=$1
  shift
  "${start[@]}" env "LD_PRELOAD=$in_front$preload" "$@" >"$log" 2>&1
}

# on_rank_1 <shell commands>: a program that runs the job `calls`, on rank 1 after these commands.
on_rank_1() {
  # shellcheck disable=SC2016 # the program expands it
  printf '#!/bin/sh\nif [ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 1 ]; then %s; fi\nexec %s\n' "$1" "$PWD/calls" \
    >"$work/program"
  chmod +x "$work/program"
}

# says <pattern>: the log has such a line.
says() { grep -qE -- "$1" "$log" || fail "no line is like: $1"; }

# is_refused <preload> <program>: the job fails, and by itself.
is_refused() {
  local status=0
  timeout 30 "${start[@]}" env "LD_PRELOAD=$in_front$1" "$2" >"$log" 2>&1 || status=$?
  ((status != 0 && status != 124)) || fail "the job ended with status $status, expected an error"
}

case $case in
  # All sums are those of MPI, with tools before and behind; the one behind sees what is forwarded alone.
  calls)
    run "$PWD/libtool_before.so:$front:$PWD/libtool_behind.so" "$PWD/calls" || fail "the job failed"
    says '^all sums are right$'
    says "^rank 0: tool before saw 48 calls$"
    says "^rank 0: tool behind saw 23 calls$"
    says "\[0\].*rule 'votes': 1 calls matched, 1 taken"
    says "\[0\].*rule 'means': 1 calls matched, 1 taken"
    says "\[0\].*rule 'signs': 37 calls matched, 21 taken, 5 fallen back, 11 forwarded"
    ;;
  fortran)
    run "$front" "$PWD/fortran" || fail "the job failed"
    says 'all sums are right'
    says "\[0\].*rule 'signs': 6 calls matched, 5 taken, 0 fallen back, 1 forwarded"
    ;;
  dry)
    export SIGNCCL_INTERPOSE=dry SIGNCCL_DEBUG_SUBSYS=INTERPOSE,INIT
    run "$front" "$PWD/fortran" || fail "the job failed"
    says 'all sums are right'
    says "\[0\].*rule 'signs': 6 calls matched"
    says "\[0\].* 0 calls match no rule that takes calls"
    ! grep -q 'communicator .* of 3 ranks' "$log" || fail "a dry run made a communicator"
    export SIGNCCL_RULES='{"version": 1, "rules": [{"match": {"count": {"min": 65537}}, "action": "sign_sum"}]}'
    run "$front" "$PWD/fortran" || fail "the job failed"
    says "\[0\].*: 6 with fewer elements than any of them takes \(the largest has 65536\)"
    ;;
  # Without rules, and switched off, all calls go straight on; so they do where there is no back for the MPI.
  off)
    SIGNCCL_INTERPOSE=off run "$front" "$PWD/fortran" || fail "the job failed"
    [[ $(<"$log") == *"all sums are right" && $(wc -l <"$log") == 1 ]] || fail "more is printed than the job prints"
    SIGNCCL_RULES="" run "$front" "$PWD/fortran" || fail "the job failed"
    [[ $(<"$log") == *"all sums are right" && $(wc -l <"$log") == 1 ]] || fail "more is printed than the job prints"
    cp "$front" "$work"
    run "$work/libsignccl_mpi.so" "$PWD/fortran" || fail "the job failed without a back"
    says 'all sums are right'
    says "WARN .*libsignccl_mpi_$mpi.so: cannot open shared object file.*is forwarded"
    (($(grep -c WARN "$log") == 1)) || fail "the ranks all warn"
    ;;
  a_rank_without_preload)
    on_rank_1 'unset LD_PRELOAD'
    is_refused "$front" "$work/program"
    says 'within 2 s .*is every rank started with signccl-run, or has every rank libsignccl_mpi.so in LD_PRELOAD'
    ;;
  a_rank_with_other_rules)
    on_rank_1 'SIGNCCL_RULES="{\"version\": 1, \"rules\": [{\"match\": {}, \"action\": \"forward\"}]}"'
    is_refused "$front" "$work/program"
    says 'rank 1 follows other rules than rank 0'
    ;;
  bad_rules)
    export SIGNCCL_RULES='{"version": 1, "rules": [{"match": {"type": "fp16"}, "action": "sign_sum"}]}'
    is_refused "$front" "$PWD/calls"
    says 'ERROR SIGNCCL_RULES: /rules/0/match/type: "fp16"; expected one of int8, float16'
    ;;
  *)
    echo "there is no case $case" >&2
    exit 2
    ;;
esac
