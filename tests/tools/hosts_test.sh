#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of tools/hosts: hosts_test.sh <path of tools/hosts>. Exit status 77 if no hosts can be made here.
# Single quotes are meant: what they hold is expanded in the hosts.
# shellcheck disable=SC2016
set -uo pipefail
readonly nap=7$$ # seconds that nobody waits; names our processes
readonly helper=${0%/*}/hosts_test_peer.py
# shellcheck source=tests/tools/hosts_expectations.sh
source "${0%/*}/hosts_expectations.sh"

wrong_arguments_say_what_is_expected() {
  local words
  while IFS='|' read -r words message; do
    # shellcheck disable=SC2086 # words
    expect "wrong arguments end with 2: $words" 2 "$(status_of hosts $words)"
    expect_match "the message of: $words" "$message" "$(<"$work/err")"
  done <<'END'
|is no command
upp|'upp' is no command
up 3|a number of hosts and a rate
up 0 1gbit|expected 1 to 250
up 251 1gbit|expected 1 to 250
up 3 fast|RATE 'fast' is neither none nor a rate
up 3 1gbit --racks 2|not a number of switches and a rate
up 3 1gbit --racks 4:none|4 switches for 3 hosts
up 3 1gbit --queue 1mb|not two sizes
up 3 1gbit --per-host 2|up does not take --per-host
run|expects a command
run --timeout soon true|not a number of seconds
run --per-host 0 true|not a number of ranks
run --timeout|--timeout needs a value
link h0 sideways|up or down
exec h0|a host and a command
down now|takes no 'now'
END
}

without_a_setup_commands_say_so() {
  expect "run without a setup fails" 1 "$(status_of hosts run true)"
  expect_match "and says how to make one" "no setup '$setup' is up; make one with" "$(<"$work/err")"
  expect "down without a setup is no error" 0 "$(status_of hosts down)"
}

ranks_know_their_place() {
  local ports
  hosts run --per-host 2 --no-prefix sh -c \
    'echo "$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $MASTER_ADDR $(hostname) $PWD"' >"$work/out"
  expect "ranks have torchrun's variables, a host of their own and the caller's folder" \
    "$(for rank in 0 1 2 3 4 5; do
      echo "$rank/6 $((rank % 2))/2 10.99.0.1 $setup-h$((rank / 2)) $PWD"
    done)" "$(sort "$work/out")"
  ports=$(hosts run --no-prefix sh -c 'echo $MASTER_PORT' | sort -u)
  expect_match "all ranks have the same port" '^[0-9]+$' "$ports"
  expect "they know the rate of their link, which its interface does not" 1000 \
    "$(hosts run --quiet sh -c 'echo $SIGNCCL_LINK_MBIT')"
  expect "unless the caller knows better" 7 "$(SIGNCCL_LINK_MBIT=7 hosts run --quiet sh -c 'echo $SIGNCCL_LINK_MBIT')"
}

hosts_share_no_ipc_and_no_processes() {
  hosts run --per-host 2 --no-prefix sh -c 'echo $(readlink /proc/self/ns/ipc) $(readlink /proc/self/ns/pid)' >"$work/out"
  expect "two ranks of a host share their IPC and process spaces, hosts do not" "2 2 2" \
    "$(sort "$work/out" | uniq -c | awk '{ print $1 }' | xargs)"
  hosts exec h0 touch "/dev/shm/$setup"
  expect "hosts have shared memory of their own" 1 "$(status_of hosts exec h1 test -e "/dev/shm/$setup")"
}

output_is_labelled_by_rank() {
  hosts run sh -c 'echo "line $RANK"; printf "no end $RANK"; echo "bad $RANK" >&2' >"$work/out" 2>"$work/err"
  expect "whole lines have the rank before them" "[0]:line 0,[0]:no end 0,[1]:line 1,[1]:no end 1,[2]:line 2,[2]:no end 2" \
    "$(sort "$work/out" | paste -sd,)"
  expect "standard error too" "[0]:bad 0,[1]:bad 1,[2]:bad 2" "$(sort "$work/err" | paste -sd,)"
  expect "--quiet lets rank 0 alone speak" "line 0" "$(hosts run --quiet sh -c 'echo line $RANK')"
  expect "no line is lost" 60000 "$(hosts run seq 1 20000 | wc -l)"
}

exit_status_is_that_of_the_first_failure() {
  expect "all well" 0 "$(status_of hosts run true)"
  expect "the first failure in time counts, and the others go on" 7 "$(status_of hosts run sh -c \
    'case $RANK in 0) sleep 0.6; exit 8;; 1) exit 7;; 2) sleep 0.3; echo done;; esac')"
  expect "the others went on" "[2]:done" "$(<"$work/out")"
  expect "--fail-fast kills the others" 9 "$(status_of hosts run --fail-fast sh -c \
    'test $RANK = 1 && exit 9; sleep '$nap' & wait')"
  expect "a command that is not there" 127 "$(status_of hosts run /no/such/command)"
  expect "a rank that was killed" 137 "$(status_of hosts run sh -c 'test $RANK != 1 || kill -KILL $$')"
}

time_ends_a_run() {
  expect "a run that takes too long ends with 124" 124 "$(status_of hosts run --timeout 1 sh -c \
    'echo begin; test $RANK = 1 || { setsid sleep '$nap' & sleep '$nap'; }')"
  expect_match "it says which ranks were left" 'timed out after 1 s; still running: ranks 0 2$' "$(<"$work/err")"
  expect "what ranks said before is there" 3 "$(grep -c begin "$work/out")"
}

# start_run <command>...: in the background; its process id is in $run.
start_run() {
  "$tool" --name "$setup" run --timeout 30 "$@" >"$work/run.out" 2>"$work/run.err" &
  run=$!
}

pids_name_the_ranks() {
  local pids
  start_run --per-host 2 sleep $nap
  pids=$(hosts pids)
  expect "there is a line for each rank" "0 h0,1 h0,2 h1,3 h1,4 h2,5 h2" "$(cut -d ' ' -f 1,2 <<<"$pids" | paste -sd,)"
  expect "the process of rank 4 is what was run" sleep \
    "$(cat "/proc/$(awk '$1 == 4 { print $3 }' <<<"$pids")/comm")"
  kill -STOP "$(awk '$1 == 4 { print $3 }' <<<"$pids")"
  kill -KILL "$(awk '$1 == 5 { print $3 }' <<<"$pids")"
  for _ in {1..50}; do
    pids=$(hosts pids)
    (($(wc -l <<<"$pids") > 5)) || break
  done
  expect "a killed rank is no longer there, a stopped one is" "0 1 2 3 4" "$(cut -d ' ' -f 1 <<<"$pids" | xargs)"
  kill -TERM "$run"
  wait "$run"
  expect "TERM ends a run" 143 $?
}

nothing_survives_its_run() {
  start_run sh -c "setsid sleep $nap & wait"
  hosts pids >/dev/null
  kill -KILL "$run"
  wait "$run" 2>/dev/null
  for _ in {1..100}; do
    pgrep -f "^sleep $nap$" >/dev/null || return 0
    sleep 0.02
  done
  expect "processes end with a run that was killed" "" "$(pgrep -fa "^sleep $nap$")"
}

links_carry_bytes_and_can_be_pulled() {
  local before after
  before=$(hosts bytes | awk '$1 == "h0" { print $3 }')
  expect "each host sends a million bytes to the first" 0 "$(status_of hosts run python3 "$helper" 1000000 10)"
  after=$(hosts bytes | awk '$1 == "h0" { print $3 }')
  expect "h0 has received two million bytes, headers, and little else" yes \
    "$( ((after - before > 2000000 && after - before < 2300000)) && echo yes || echo $((after - before)))"
  hosts link h1 down
  expect "a host without its link reaches nobody" 1 "$(status_of hosts run --fail-fast python3 "$helper" 1000 1)"
  expect "its carrier is gone" 0 "$(hosts exec h1 cat /sys/class/net/eth0/carrier)"
  expect "that of the others is not" 1 "$(hosts exec h2 cat /sys/class/net/eth0/carrier)"
  hosts link h1 up
  expect "and it does again afterwards" 0 "$(status_of hosts run python3 "$helper" 1000 10)"
}

racks_are_joined() {
  hosts down
  expect "up with racks" 0 "$(status_of hosts up 4 1gbit --racks 2:100mbit)"
  expect "hosts in different racks reach each other" 0 "$(status_of hosts run python3 "$helper" 1000 10)"
  expect "the trunk is shaped at both ends" 2 "$(hosts exec sw tc qdisc show | grep -c 'tbf.* rate 100Mbit')"
  expect "so are the links of the hosts" 4 "$(hosts exec sw tc qdisc show | grep -c 'tbf.* rate 1Gbit')"
  hosts down
  expect "three racks" 0 "$(status_of hosts up 3 none --racks 3:none)"
  expect "hosts in three racks reach each other" 0 "$(status_of hosts run python3 "$helper" 1000 10)"
}

down_removes_everything() {
  local processes
  start_run sleep "$nap"
  processes=$(hosts pids | cut -d ' ' -f 3 | paste -sd,)
  hosts down
  wait "$run" 2>/dev/null
  expect "no namespace is left" "" "$(ip netns list | grep "^$setup-")"
  expect "no process is left" "" "$(ps -o pid= -p "$processes")"
  expect "no state is left" "" "$(ls -d "/tmp/signccl-hosts-$EUID/$setup" 2>/dev/null)"
}

wrong_arguments_say_what_is_expected
status=$(status_of hosts up 3 1gbit)
if ((status == 77)); then cat "$work/err" && exit 77; fi
hosts down
without_a_setup_commands_say_so
expect "up" 0 "$(status_of hosts up 3 1gbit)"
expect "a second up refuses" 1 "$(status_of hosts up 3 1gbit)"
ranks_know_their_place
hosts_share_no_ipc_and_no_processes
output_is_labelled_by_rank
exit_status_is_that_of_the_first_failure
time_ends_a_run
pids_name_the_ranks
nothing_survives_its_run
links_carry_bytes_and_can_be_pulled
racks_are_joined
down_removes_everything
finish
