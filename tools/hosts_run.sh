# SPDX-License-Identifier: Apache-2.0
# Running ranks in all hosts and watching them: the command `run` of tools/hosts, which sources this file. One launcher
# a host (tools/hosts_launch) starts the ranks and reports through a pipe; this half counts and decides.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables of tools/hosts

# free_port <process in the host>: one that no socket of the host has, below those that the kernel gives out itself.
free_port() {
  local port hex
  while true; do
    port=$((20000 + RANDOM % 10000))
    printf -v hex ':%04X ' "$port"
    grep -qsF "$hex" "/proc/$1/net/tcp" "/proc/$1/net/tcp6" || break
  done
  echo "$port"
}

# start_launcher <host> <output> <command>...: sets launchers[host].
start_launcher() {
  local host=$1
  shift
  # All that runs in the launcher's space of processes ends with it, and the launcher ends with this script.
  # shellcheck disable=SC2016
  setpriv --pdeathsig KILL nsenter --target "$(<"$state/h$host.pid")" --mount --uts --ipc --net -- \
    unshare --pid --fork --kill-child --mount-proc \
    sh -c 'cd "$0" && exec "$@" 2>&9 9>&-' "$PWD" "$tools/hosts_launch" "$run" "$host" "$@" 8>&- &
  launchers[host]=$!
  echo $! >"$run/launcher.$host"
}

# signal_launchers <signal>
signal_launchers() {
  local launcher pid
  for launcher in "${launchers[@]}"; do
    if pid=$(child_of "$launcher" 2>/dev/null); then kill "-$1" "$pid" 2>/dev/null || true; fi
  done
}

end_run() {
  signal_launchers KILL
  kill -KILL "${launchers[@]}" || true
  wait || true
  rm -rf "$run"
}

# fail <status>: the first one counts.
fail() {
  ((result != 0)) || result=$1
  [[ ${option[--fail-fast]:-} != yes ]] || stop_ranks
}

stop_ranks() {
  [[ $stopping == no ]] || return 0
  stopping=yes
  deadline=$((${EPOCHREALTIME/[.,]/} + 3000000))
  signal_launchers TERM
}

# Ranks whose launcher is gone cannot report: somebody killed the host. Called whenever no event has come for a while; what
# a launcher reported before it ended is read by the second time at the latest.
bury_hosts() {
  local host rank
  for host in "${!launchers[@]}"; do
    ! kill -0 "${launchers[host]}" 2>/dev/null || continue
    if [[ ! ${gone[host]:-} ]]; then
      gone[host]=yes
      continue
    fi
    for ((rank = host * LOCAL_WORLD_SIZE; rank < (host + 1) * LOCAL_WORLD_SIZE; ++rank)); do
      [[ ${running[rank]:-} ]] || continue
      unset "running[$rank]"
      echo "tools/hosts: rank $rank is gone with its host, which somebody else has removed" >&9
      fail 137
    done
  done
}

# Returns when all ranks have ended, or cannot be ended. Sets result; deadline is in microseconds, 0 for none.
watch_ranks() {
  local event rank status nstarted=0
  while ((${#running[@]})); do
    if read -r -t 0.5 -u 8 event rank status; then
      if [[ $event == exited ]]; then
        unset "running[$rank]"
        ((status == 0)) || fail "$status"
      elif ((++nstarted == WORLD_SIZE)); then
        touch "$run/started"
      fi
    else
      bury_hosts
    fi
    ((deadline == 0 || ${EPOCHREALTIME/[.,]/} < deadline)) || {
      [[ $stopping == no ]] || return 0
      echo "tools/hosts: timed out after ${option[--timeout]} s; still running: ranks ${!running[*]}" >&9
      ((result != 0)) || result=124
      stop_ranks
    }
  done
}

run_ranks() {
  parse "--per-host --timeout --fail-fast --no-prefix --quiet" "$@"
  local per_host=${option[--per-host]} timeout=${option[--timeout]} output=labelled host
  ((${#words[@]})) || wrong "run expects a command"
  [[ $per_host =~ ^[1-9][0-9]{0,2}$ ]] || wrong "--per-host '$per_host' is not a number of ranks, 1 to 999"
  [[ $timeout =~ ^[0-9]{1,6}$ ]] || wrong "--timeout '$timeout' is not a number of seconds"
  [[ -z ${option[--no-prefix]:-} ]] || output=plain
  [[ -z ${option[--quiet]:-} ]] || output=quiet
  find_state && require_setup
  export LOCAL_WORLD_SIZE=$per_host WORLD_SIZE=$((nhosts * per_host)) MASTER_ADDR=$subnet.1 MASTER_PORT
  MASTER_PORT=$(free_port "$(<"$state/h0.pid")")
  if [[ -e $state/link_mbit ]]; then
    export SIGNCCL_LINK_MBIT=${SIGNCCL_LINK_MBIT:-$(<"$state/link_mbit")}
  fi
  local stale
  for stale in "$state"/run.*; do
    kill -0 "${stale##*.}" 2>/dev/null || rm -rf "$stale"
  done
  launchers=() gone=() running=() result=0 stopping=no deadline=0
  run=$state/run.$$
  mkdir "$run"
  trap end_run EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  ln -sfn "$run" "$state/latest"
  mkfifo "$run/events"
  exec 8<>"$run/events"
  # The shell and unshare remark on processes that are killed; 9 is for what is meant to be read.
  exec 9>&2 2>"$run/log"
  for ((rank = 0; rank < WORLD_SIZE; ++rank)); do running[rank]=yes; done
  ((10#$timeout == 0)) || deadline=$((${EPOCHREALTIME/[.,]/} + 10#$timeout * 1000000))
  for ((host = 0; host < nhosts; ++host)); do start_launcher "$host" "$output" "${words[@]}"; done
  watch_ranks
  # Launchers end by themselves once the last lines are out.
  ((${#running[@]})) || wait "${launchers[@]}" || true
  exit "$result"
}

