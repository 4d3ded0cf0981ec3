# SPDX-License-Identifier: Apache-2.0
"""A program of mpi4py that is not changed gives the same losses with and without the preload library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

pytest.importorskip("mpi4py")

RULES = '{"version": 1, "rules": [{"name": "signs", "match": {"type": "int8", "op": "sum"}, "action": "sign_sum"}]}'
# The build folder of the library under test has the launcher too.
BUILD = Path(os.environ.get("SIGNCCL_LIBRARY", "/nowhere/src/api/libsignccl.so")).parents[2]
SIGNCCL_RUN = BUILD / "plugin" / "run" / "signccl-run"
PROGRAM = ROOT / "examples" / "mpi_signum.py"
MPIRUN = shutil.which("mpirun.openmpi")

pytestmark = pytest.mark.skipif(MPIRUN is None or not SIGNCCL_RUN.exists(), reason="needs Open MPI and signccl-run")


def train(*launcher: str) -> tuple[str, str]:
    """Runs the example on two ranks; what it prints, and what the log says."""
    mpirun = [str(MPIRUN), "-n", "2", "--oversubscribe", "--allow-run-as-root"]
    ended = subprocess.run(
        [*mpirun, *launcher, sys.executable, str(PROGRAM), "--hidden", "256", "--steps", "10"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "SIGNCCL_DEBUG": "INFO", "SIGNCCL_DEBUG_SUBSYS": "INTERPOSE"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    losses = [line for line in ended.stdout.splitlines() if line.startswith("step ")]
    return "\n".join(losses), ended.stdout + ended.stderr


def test_losses_are_those_without_the_preload_to_the_last_bit() -> None:
    plain, log = train()
    assert re.fullmatch(r"step 5: loss [0-9.]+\nstep 10: loss [0-9.]+", plain)
    assert "SIGNCCL" not in log
    taken, log = train(str(SIGNCCL_RUN), "--quiet", "--rules", RULES, "--")
    assert taken == plain
    # Of 30 sums two in three have enough elements; the first of a communicator is forwarded.
    assert "rule 'signs': 20 calls matched, 19 taken, 0 fallen back, 1 forwarded" in log
