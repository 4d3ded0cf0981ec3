#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures the project where no nvcc is found, or one that does not work, with SIGNCCL_CUDA as named: without an error
# under AUTO, which says why there are no kernels for GPUs, and OFF, and with one that says what is missing under ON.
# without_nvcc_test.sh <cmake> <source folder> auto|off|on
set -euo pipefail
cmake=$1 source=$2 setting=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All programs of PATH but nvcc.
mkdir "$work/bin"
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
  [[ -d $folder ]] || continue
  find "$folder/" -maxdepth 1 ! -type d ! -name 'nvcc*' -exec ln -s -t "$work/bin" {} + 2>/dev/null || true
done

# configure <option>...: its output is in $work/log. A folder of its own for each call.
configure() {
  rm -rf "$work/build"
  PATH=$work/bin "$cmake" -G Ninja -S "$source" -B "$work/build" -DBUILD_TESTING=OFF -DSIGNCCL_PERF=OFF \
    -DSIGNCCL_EXAMPLES=OFF -DSIGNCCL_CUDA_FOLDERS=/nowhere "$@" >"$work/log" 2>&1
}

# says <text>: the output has it, whatever the line breaks of CMake.
says() {
  tr -s ' \n' ' ' <"$work/log" | grep -qF -- "$1" || fail "does not say '$1'"
}

fail() {
  cat "$work/log"
  echo "configuring with SIGNCCL_CUDA=${setting^^} $*" >&2
  exit 1
}

# A compiler that works like that of a toolkit whose parts do not belong together.
cat >"$work/broken" <<'END'
#!/bin/sh
case $1 in
  --version) echo "Cuda compilation tools, release 13.0, V13.0.88" ;;
  --list-gpu-code) echo sm_75 ;;
  --help) ;;
  *) echo "ptxas fatal: Unsupported .version 9.5" >&2 && exit 1 ;;
esac
END
sed 's/sm_75/sm_10/' "$work/broken" >"$work/ancient"
chmod +x "$work/broken" "$work/ancient"

case $setting in
  off)
    configure -DSIGNCCL_CUDA=OFF || fail "fails"
    ;;
  auto)
    configure -DSIGNCCL_CUDA=AUTO || fail "fails"
    says "no kernels for NVIDIA GPUs: there is no nvcc in PATH or /nowhere, and SIGNCCL_NVCC names none"
    configure -DSIGNCCL_CUDA=AUTO "-DSIGNCCL_NVCC=$work/broken" || fail "and a broken nvcc fails"
    says "does not compile an empty kernel: ptxas fatal: Unsupported .version 9.5"
    configure -DSIGNCCL_CUDA=AUTO "-DSIGNCCL_NVCC=$work/ancient" || fail "and an old nvcc fails"
    says "knows none of the architectures"
    ;;
  on)
    ! configure -DSIGNCCL_CUDA=ON || fail "succeeds without nvcc"
    says "SIGNCCL_CUDA is ON, but there is no nvcc in PATH or /nowhere, and SIGNCCL_NVCC names none"
    ! configure -DSIGNCCL_CUDA=ON -DSIGNCCL_NVCC=/bin/true || fail "succeeds with another program as nvcc"
    says "SIGNCCL_CUDA is ON, but /bin/true does not say its version, as nvcc does"
    ;;
esac
if [[ $setting != on ]]; then
  ! grep -q signccl_cuda "$work/build/build.ninja" || fail "builds libsignccl_cuda.so"
  grep -q libsignccl.so "$work/build/build.ninja" || fail "does not build libsignccl.so"
fi
