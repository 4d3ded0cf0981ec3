# SPDX-License-Identifier: Apache-2.0
"""examples/jax_digits.py as its users start it: by a launcher, by jax.distributed, and with a killed process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from support import ROOT, environment, free_port

pytestmark = pytest.mark.timeout(120)

EXAMPLE = str(ROOT / "examples" / "jax_digits.py")


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-B", EXAMPLE, *arguments],
        env=environment(JAX_PLATFORMS="cpu", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(nranks: int, *arguments: str) -> list[subprocess.Popen[str]]:
    """As mpirun or torchrun would."""
    point = f"127.0.0.1:{free_port()}"
    return [start(*arguments, RANK=str(rank), WORLD_SIZE=str(nranks), SIGNCCL_COMM_ID=point) for rank in range(nranks)]


def accuracy_of(ranks: list[subprocess.Popen[str]]) -> float:
    """What rank 0 says in the end."""
    output = ""
    for rank in reversed(ranks):
        output, errors = rank.communicate(timeout=100)
        assert rank.returncode == 0, errors
    found = re.search(r"processes: ([\d.]+) % of the digits held out, replicas equal to the bit", output)
    assert found, output
    return float(found[1])


def test_four_processes_train_to_the_accuracy_of_the_example_in_cpp() -> None:
    """examples/digits/README.md: random ties, own shards, 4 workers, the lowest of ten seeds."""
    assert accuracy_of(launch(4)) >= 95.49


def test_processes_of_jax_distributed_train() -> None:
    point = f"127.0.0.1:{free_port()}"
    common = ("--coordinator", point, "--processes", "2", "--steps", "20", "--aggregation", "avg")
    assert accuracy_of([start(*common, "--process", str(number)) for number in range(2)]) > 20


def test_job_whose_process_is_killed_ends_with_its_rank() -> None:
    ranks = launch(2, "--steps", "100000", "--report-every", "10")
    assert ranks[0].stdout is not None
    assert ranks[0].stdout.readline().startswith("step")
    ranks[1].send_signal(signal.SIGKILL)
    _, errors = ranks[0].communicate(timeout=60)
    ranks[1].communicate()
    assert ranks[0].returncode == 1
    assert re.search(r"RuntimeError: .*rank 1", errors), errors
