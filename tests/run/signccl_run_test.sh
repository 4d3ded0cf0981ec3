#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs signccl-run as a user does, from a tree like the installed one.
# signccl_run_test.sh <signccl-run> <library> <static program>
# shellcheck disable=SC2016  # what stands in single quotes is for the programs that are started
set -euo pipefail
readonly program=$1 library=$2 static=$3

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/lib/signccl/preload"
cp "$program" "$tree/bin/signccl-run"
cp "$library" "$tree/lib/libsignccl_mpi.so"
cp "$library" "$tree/lib/signccl/preload/libnccl.so.2"
readonly run=$tree/bin/signccl-run
cat >"$tree/good.json" <<'EOF'
{"version": 1, "rules": [ // one rule
  {"name": "signs", "match": {"op": "sum"}, "action": "sign_sum"}]}
EOF
echo '{"version": 1, "rules": [{"match": {"type": "fp16"}, "action": "sum"}]}' >"$tree/bad.json"
unset LD_PRELOAD RANK OMPI_COMM_WORLD_RANK PMI_RANK PMIX_RANK SLURM_PROCID "${!SIGNCCL_@}"

# expect <status> <pattern of standard error> <command...>; standard output goes to $tree/out
expect() {
  local wanted=$1 pattern=$2 status=0
  shift 2
  "$@" >"$tree/out" 2>"$tree/err" || status=$?
  if ((status != wanted)) || { [[ -n $pattern ]] && ! grep -qE -- "$pattern" "$tree/err"; }; then
    printf '%s\nhas status %s, expected %s and /%s/ in:\n' "$*" "$status" "$wanted" "$pattern" >&2
    cat "$tree/err" >&2
    exit 1
  fi
}

expect_out() {
  grep -qxF -- "$1" "$tree/out" || { printf 'found %s, expected %s\n' "$(cat "$tree/out")" "$1" >&2 && exit 1; }
}

expect 0 "preloads $tree/lib/libsignccl_mpi.so:$tree/lib/signccl/preload/libnccl.so.2 into /bin/sh" \
  "$run" --rules "$tree/good.json" -- /bin/sh -c 'echo "$LD_PRELOAD $SIGNCCL_RULES"'
expect_out "$tree/lib/libsignccl_mpi.so:$tree/lib/signccl/preload/libnccl.so.2 $tree/good.json"

# The status is the program's, and so are its arguments.
expect 9 "sign_sum" "$run" --rules "$tree/good.json" /bin/sh -c 'echo "$0 $*"; exit 9' "a b" "" "-c"
expect_out "a b  -c"
expect 7 "it is linked statically" "$run" --rules "$tree/good.json" --mpi "$static"

expect 1 'bad.json: /rules/0/match/type: "fp16"; expected one of' "$run" --rules "$tree/bad.json" true
expect 1 'bad.json: /rules/0/action: "sum"; expected one of' "$run" --rules "$tree/bad.json" true
expect 1 '^signccl-run: --rules .*/nofile.json: cannot read the rules file: No such file' \
  "$run" --rules "$tree/nofile.json" true
expect 2 'no such option' "$run" --loud true
expect 127 'no folder of PATH has it' "$run" --rules "$tree/good.json" no_such_program
expect 126 'Permission denied|is no file' "$run" --rules "$tree/good.json" "$tree/good.json"
chmod +x "$tree/bad.json" && echo garbage >"$tree/garbage" && chmod +x "$tree/garbage"
expect 127 '' "$run" --rules "$tree/good.json" "$tree/garbage"

# Of a job, rank 0 says what happens, and each rank that fails says why.
expect 0 'rules of' env RANK=0 "$run" --rules "$tree/good.json" true
expect 0 '' env OMPI_COMM_WORLD_RANK=1 "$run" --rules "$tree/good.json" true
[[ ! -s $tree/err ]] || { echo "rank 1 says: $(cat "$tree/err")" >&2 && exit 1; }
expect 0 '' "$run" --quiet --rules "$tree/good.json" true
[[ ! -s $tree/err ]] || { echo "--quiet says: $(cat "$tree/err")" >&2 && exit 1; }
expect 1 'rank 1: .*bad.json: /rules/0' env PMI_RANK=1 "$run" --rules "$tree/bad.json" true

# A launcher with PMI is asked to end the job: it would wait for ranks that wait for this one.
expect 1 'rank 1: .*bad.json: /rules/0' env PMI_RANK=1 PMI_FD=9 "$run" --rules "$tree/bad.json" true 9>"$tree/pmi"
[[ $(<"$tree/pmi") == "cmd=abort exitcode=1" ]] || { echo "the launcher reads: $(cat "$tree/pmi")" >&2 && exit 1; }
expect 0 '' env PMI_RANK=1 PMI_FD=9 "$run" --rules "$tree/good.json" true 9>"$tree/pmi"
[[ ! -s $tree/pmi ]] || { echo "the launcher reads: $(cat "$tree/pmi")" >&2 && exit 1; }

expect 0 '' "$run" --help
expect_out "  --dry          take nothing, and report what the rules would take"

rm "$tree/lib/libsignccl_mpi.so"
expect 0 "preloads $tree/lib/signccl/preload/libnccl.so.2 into" "$run" --rules "$tree/good.json" true
expect 1 "$tree/lib/libsignccl_mpi.so: No such file" "$run" --rules "$tree/good.json" --mpi true
