# SPDX-License-Identifier: Apache-2.0
"""Lion steps of ranks that are threads or processes, bit for bit, against lion_reference.py."""

from __future__ import annotations

import numpy as np
import pytest

import lion_reference as reference
from lion_cases import RULES, Case, Job, Shape, at_random, supported_kernels, systematic
from support import Job as Processes
from support import as_threads

_RANKS = [1, 2, 3, 4, 5, 8]


def expect_exact(job: Job) -> None:
    wrong = as_threads(job.case.nranks, job.first_wrong)
    assert not any(wrong), f"seed {job.case.seed}: {wrong}, {job.case}"


@pytest.mark.parametrize("number", range(len(RULES)))
@pytest.mark.parametrize("nranks", _RANKS)
def test_100_steps_are_exact_on_every_instruction_set(
    nranks: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(systematic(number, nranks))
    for kernels in supported_kernels():
        monkeypatch.setenv("SIGNCCL_KERNELS", kernels)
        expect_exact(job)


@pytest.mark.parametrize("seed", range(300))
def test_random_cases_are_exact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng([seed, 3])
    monkeypatch.setenv("SIGNCCL_KERNELS", str(random.choice(supported_kernels())))
    monkeypatch.setenv("SIGNCCL_SLICE_BYTES", str(random.choice(["64", "256", "65536"])))
    monkeypatch.setenv("SIGNCCL_ALGO", str(random.choice(["", "oneshot", "direct", "ring", "tree", "knomial"])))
    expect_exact(Job(at_random(seed)))


@pytest.mark.parametrize("nranks", [4, 8])
def test_parameters_are_the_same_on_all_ranks_after_1000_steps(nranks: int) -> None:
    shapes = (Shape(67, offset=1), Shape(40, "bfloat16", "float32", "bfloat16", 1), Shape(9, "float16", "bfloat16"))
    expect_exact(
        Job(Case(0, nranks, 1000, shapes, reference.Rules(), (reference.Hyperparameters(1e-3),) * 2, ((0, 3),)))
    )


@pytest.mark.parametrize("nranks", [2, 4])
def test_processes_are_exact(nranks: int) -> None:
    with Processes(nranks, "exact_steps") as job:
        job.expect_success()


def test_the_reference_tells_a_step_of_another_learning_rate_apart() -> None:
    """The comparison can fail."""
    job = Job(systematic(0, 2, nsteps=3))
    other = Job(Case(**{**job.case.__dict__, "groups": (reference.Hyperparameters(0.011),) * 2}))
    job.expected_parameters = other.expected_parameters
    assert "step 0, rank 0" in as_threads(2, job.first_wrong)[0]


def test_the_reference_tells_a_byte_outside_of_the_tensors_apart() -> None:
    job = Job(systematic(0, 1, nsteps=1))
    spoilt = bytearray(job.expected_parameters[0])
    spoilt[-1] = 0
    job.expected_parameters[0] = bytes(spoilt)
    (wrong,) = as_threads(1, job.first_wrong)
    assert "between the tensors" in wrong
