# Stages of a script: a line for each, quiet commands, and what went wrong. To be sourced.

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
