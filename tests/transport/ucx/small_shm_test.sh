#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ranks where /dev/shm is too small, as in containers, or cannot be written: every rank says so and what to set, and what it
# says to set works. small_shm_test.sh <sign_all_reduce_perf>
set -uo pipefail
readonly program=$1
readonly run="$program -p 4 -b 8 -e 8 -n 1"

unshare --mount true 2>/dev/null || exit 77

# in_shm <options of mount> <command>
in_shm() { unshare --mount sh -c "mount -t tmpfs -o $1 none /dev/shm && $2" 2>&1; }

# expect_all_say <options of mount> <words>
expect_all_say() {
  local output lines
  output=$(in_shm "$1" "$run") && { echo "4 ranks ran with /dev/shm of $1" && exit 1; }
  lines=$(grep -cF "$2" <<<"$output")
  ((lines == 4)) || { echo "expected '$2' of 4 ranks, $lines said so: $output" && exit 1; }
}

expect_all_say size=8m 'of 8.4 MB free, and a rank takes 4.3: make it larger, in a container by --shm-size; or set UCX_TLS=^posix)'
expect_all_say size=64m,ro '(/dev/shm is read-only: make it writable; or set UCX_TLS=^posix)'
for options in size=8m size=64m,ro; do
  in_shm "$options" "UCX_TLS=^posix $run" >/dev/null || { echo "UCX_TLS=^posix does not help with $options" && exit 1; }
done
