# SPDX-License-Identifier: Apache-2.0
# Debian packages of the tools in this folder, and their installation. To be sourced.
# shellcheck shell=bash disable=SC2034

# What the library, its benchmarks and its examples are built with.
build_packages=(g++ cmake ninja-build pkg-config libasio-dev libbenchmark-dev libcli11-dev libspdlog-dev libucx-dev
  nlohmann-json3-dev)

# What the tests need beside them; qemu-user shows that a program starts on a processor without AVX2, and abigail-tools
# compares the interface with the last release's.
test_packages=(abigail-tools libgmock-dev libgtest-dev qemu-user)

# Tests under preset neon: cross compiler, and the sources of GoogleTest to build for Arm.
neon_packages=(g++-aarch64-linux-gnu googletest)

# What perf/baselines measures for comparison; without it, it is left out.
baseline_packages=(openmpi-bin libopenmpi-dev)

# Launchers whose jobs the tests start, and what compiles the programs of MPI that the preload library is tested with. The
# gate installs them; a test whose launcher is missing is skipped.
launcher_packages=(gfortran libmpich-dev libopenmpi-dev mpich munge openmpi-bin slurm-client slurmctld slurmd)

# What tools/hosts makes hosts with, and its test; without them the test is skipped.
hosts_packages=(iproute2 procps python3)

# What tools/gpu carries to a machine without a network.
gpu_packages=(libasio-dev libbenchmark-dev libbenchmark1debian libcli11-dev libfmt-dev libfmt9 libgmock-dev libgtest-dev
  libnuma1 libspdlog-dev libspdlog1.10 libucx-dev libucx0 nlohmann-json3-dev)

# What tools/check needs beside its virtual environment.
check_packages=(git python3-venv shellcheck)

# The second compiler: its sanitizers, libFuzzer and the report of the lines that ran. For presets asan and fuzz.
clang_packages=(clang libclang-rt-14-dev llvm-14)

# Installs those of the named packages that are missing; needs root or sudo only if there are any.
install_missing_packages() {
  local package
  local missing=()
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  echo "      apt-get install ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
