#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What ranks on several hosts compute, and what they say when a host falls silent or a rank is killed:
# fault_hosts_test.sh <path of tools/hosts> <path of sign_all_reduce_perf>. Exit status 77 if no hosts can be made here.
# Single quotes are meant: what they hold is expanded in the hosts.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=tests/tools/hosts_expectations.sh
source "${0%/*}/hosts_expectations.sh"
readonly perf=$work/perf # names our processes
ln -s "$2" "$perf"

# results_are_exact <option of sign_all_reduce_perf>...
results_are_exact() {
  expect "results are right with: $*" 0 "$(status_of hosts run --per-host 2 --timeout 50 --quiet \
    "$perf" -b 1K -e 1M -f 32 -n 2 -c 2 -o all "$@")"
  expect_match "no element is wrong with: $*" 'Out of bounds values : 0 OK' "$(<"$work/out")"
  expect_match "there are eight ranks on four hosts with: $*" "Rank  7 [^[:cntrl:]]* on +$setup-h3 " "$(<"$work/out")"
  [[ -s $work/err ]] && sed 's/^/  says: /' "$work/err"
}

sent_bytes() { hosts bytes | awk '{ print $2 }'; }

# Every host has sent more than it takes to meet.
all_send() {
  paste "$work/sent" <(sent_bytes) | awk '$2 - $1 < 3000000 { exit 1 }'
}

# Votes without end, in the background; returns once they are under way.
start_votes() {
  sent_bytes >"$work/sent"
  "$tool" --name "$setup" run --per-host 2 --timeout 90 \
    sh -c '"$@"; status=$?; echo "ends with $status"; exit $status' sh "$perf" -b 1M -e 1M -n 1000000 -c 0 \
    >"$work/run.out" 2>"$work/run.err" &
  run=$!
  for _ in {1..300}; do
    if all_send; then break; fi
    sleep 0.1
  done
  expect "all hosts send" 0 "$(status_of all_send)"
  SECONDS=0
}

# process_of <rank>: the shell's child, as seen from here.
process_of() {
  local shell child
  shell=$(hosts pids | awk -v rank="$1" '$1 == rank { print $3 }')
  read -r child _ <"/proc/$shell/task/$shell/children"
  echo "$child"
}

# expect_end <what happened> <digits of the ranks that are gone> <of those that were killed>: all others end with an
# error that names one that is gone. To ranks that are cut off it is the others who are gone.
expect_end() {
  local what=$1 gone=$2 killed=${3:-none} status=0 rank lost
  wait "$run" || status=$?
  expect "$what: the run fails" 1 $((status != 0))
  expect "$what: it ends within 30 s" yes "$( ((SECONDS <= 30)) && echo yes || echo "after $SECONDS s")"
  expect "$what: no process remains" "" "$(pgrep -fa "^$perf")"
  for rank in {0..7}; do
    if [[ $rank == ["$killed"] ]]; then
      expect "$what: rank $rank was killed" "[$rank]:ends with 137" "$(grep -F "[$rank]:ends" "$work/run.out")"
      continue
    fi
    expect "$what: rank $rank ends with an error" "[$rank]:ends with 1" "$(grep -F "[$rank]:ends" "$work/run.out")"
    lost=$gone
    [[ $rank != ["$gone"] ]] || lost="^$gone"
    expect_match "$what: rank $rank names who is gone" \
      "sign_all_reduce_perf: rank $rank: .*[^0-9]rank [$lost][ ,]" "$(grep -F "[$rank]:" "$work/run.err")"
  done
}

a_link_that_is_pulled_is_an_error_everywhere() {
  start_votes
  hosts link h1 down
  expect_end "pulled link" 23
  hosts link h1 up
}

# The host keeps its carrier, and what it sends and what is sent to it vanishes.
a_host_that_falls_silent_is_an_error_everywhere() {
  local host=$1 gone=$2
  start_votes
  hosts exec sw ip link set "v$host" nomaster
  expect_end "black hole around host $host" "$gone"
  hosts exec sw ip link set "v$host" master br0
}

a_killed_rank_is_named_everywhere() {
  start_votes
  kill -KILL "$(process_of "$1")"
  expect_end "killed rank $1" "$1" "$1"
}

status=$(status_of hosts up 4 1gbit)
if ((status == 77)); then cat "$work/err" && exit 77; fi
expect "up" 0 "$status"
results_are_exact
results_are_exact --algo hierarchical
expect_match "the algorithm is hierarchical" ' hierarchical$' "$(grep ' vote ' "$work/out" | head -n 1)"
a_killed_rank_is_named_everywhere 5
a_killed_rank_is_named_everywhere 0
a_link_that_is_pulled_is_an_error_everywhere
a_host_that_falls_silent_is_an_error_everywhere 3 67
a_host_that_falls_silent_is_an_error_everywhere 0 01
results_are_exact --algo ring
finish
