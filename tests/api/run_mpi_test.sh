#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs mpi_test as a job of two processes of Open MPI over UCX. run_mpi_test.sh <mpi_test>
# Exit status 77: this Open MPI cannot run over UCX here.
set -euo pipefail
program=$1

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Where there is no fast network, Open MPI takes UCX only if it may use any transport and device.
run=(mpirun --oversubscribe --bind-to none -np 2 --mca pml ucx --mca pml_ucx_tls any --mca pml_ucx_devices any)
if ! "${run[@]}" true >/dev/null 2>&1; then
  echo "mpirun does not run here, or is not Open MPI with UCX; skipped"
  exit 77
fi
"${run[@]}" "$program"
