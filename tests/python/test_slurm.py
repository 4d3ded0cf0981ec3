# SPDX-License-Identifier: Apache-2.0
"""Communicator.from_env() in steps of a real Slurm, which this file starts where its packages are."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm import Slurm, SlurmIsMissing
from support import PROGRAMS, free_port

PLACE = [sys.executable, "-B", str(PROGRAMS / "place.py")]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    # Names of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder:
        try:
            daemons = Slurm(Path(folder))
        except SlurmIsMissing as why:
            pytest.skip(str(why))
        with daemons:
            yield daemons


@pytest.mark.parametrize("mpi", ["pmix", "pmi2", "none"])
def test_tasks_of_a_step_meet(slurm: Slurm, mpi: str) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} if mpi == "none" else {}
    run = slurm.srun(f"--mpi={mpi}", "--ntasks=3", *PLACE, "2", **address)
    assert run.returncode == 0, run.stderr
    assert sorted(run.stdout.splitlines()) == ["0 3 3", "0 3 3", "1 3 3", "1 3 3", "2 3 3", "2 3 3"]


def test_tasks_that_cannot_meet_are_told_what_to_set(slurm: Slurm) -> None:
    run = slurm.srun("--mpi=none", "--ntasks=2", *PLACE)
    assert run.returncode == 1
    assert "of 2 (from Slurm) does not know where to meet the others: set SIGNCCL_COMM_ID=host:port" in run.stderr


def test_task_that_is_killed_ends_the_step_with_its_rank(slurm: Slurm) -> None:
    program = (
        "import os, signal, numpy, signccl\n"
        "with signccl.Communicator.from_env(timeout=30) as comm:\n"
        "    ones = numpy.ones(5, numpy.int8)\n"
        "    signccl.all_reduce_vote(ones, comm)\n"
        "    if comm.rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    signccl.all_reduce_vote(ones, comm)\n"
    )
    run = slurm.srun("--mpi=pmi2", "--ntasks=2", "--kill-on-bad-exit=0", sys.executable, "-c", program)
    assert run.returncode != 0
    assert "rank 1" in run.stderr and "died" in run.stderr, run.stderr
