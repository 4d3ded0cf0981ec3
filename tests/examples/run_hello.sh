#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the example hello as three processes, with the variables of torchrun. run_hello.sh <hello>
set -euo pipefail
program=$1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Below the ports that the kernel gives to others.
SIGNCCL_COMM_ID=127.0.0.1:$((20000 + RANDOM % 10000))
export SIGNCCL_COMM_ID SIGNCCL_TIMEOUT=60 WORLD_SIZE=3
children=()
for rank in 0 1 2; do
  RANK=$rank "$program" >"$work/$rank" &
  children+=($!)
done
for child in "${children[@]}"; do wait "$child"; done
for rank in 0 1 2; do echo "rank $rank of 3: -1 -1 -1 +1 -1 +1 +1 +1"; done | diff - <(cat "$work"/[012])
