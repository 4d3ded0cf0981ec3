#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the example lion_mpi as jobs of two processes of Open MPI. run_lion_mpi.sh <lion_mpi>
# Exit status 77: mpirun does not run here.
set -euo pipefail
program=$1

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
run=(mpirun --oversubscribe --bind-to none -np 2)
if ! "${run[@]}" true >/dev/null 2>&1; then
  echo "mpirun does not run here, or is not that of Open MPI; skipped"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "$*" >&2
  exit 1
}

"${run[@]}" "$program" 200 "$work/whole" | tee "$work/log"
grep -q '^step 0: -1 -1$' "$work/log" || fail "the loss is low before the first step"
grep -q '^step 150: +1 +1$' "$work/log" || fail "the loss is not low after 150 steps"

# A job that was saved and resumed has the bits of one that never stopped; 75 is between two groups of votes.
"${run[@]}" "$program" 75 "$work/halves" >/dev/null
"${run[@]}" "$program" 200 "$work/halves" >/dev/null
for rank in 0 1; do
  cmp "$work/whole.$rank" "$work/halves.$rank"
done
! cmp -s "$work/whole.0" "$work/whole.1" || fail "the momenta of the ranks are the same"

# Ranks that would start from different parameters are refused.
"${run[@]}" "$program" 75 "$work/other" >/dev/null
cp "$work/whole.1" "$work/other.1"
if "${run[@]}" "$program" 200 "$work/other" >"$work/log" 2>&1; then fail "replicas that differ were not refused"; fi
grep -q 'starts from other parameters' "$work/log" || fail "no word about replicas that differ: $(cat "$work/log")"
