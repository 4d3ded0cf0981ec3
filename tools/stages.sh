# SPDX-License-Identifier: Apache-2.0
# Stages of a script: a line for each, quiet commands, and what went wrong. To be sourced by scripts that set `stages`, how
# many they have.
# shellcheck shell=bash disable=SC2154

# stage <text>: announces what comes next.
stage() {
  echo "[$((++stage_number))/$stages] $*"
}
stage_number=0

# quietly <log> <command>...: runs a command with its output in a log file; if it fails, shows the end of the log.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "failed: $* (whole log: $log)" >&2
    return 1
  fi
}

# show_tests <log> <ctest argument>...: runs tests; shows failures with their output and the closing lines. The log has a
# line for each test.
show_tests() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  ctest --parallel "$(nproc)" "$@" | tee "$log" |
    grep --line-buffered -vE '^ +Start +[0-9]+: | Passed +[0-9.]+ sec *$'
}
