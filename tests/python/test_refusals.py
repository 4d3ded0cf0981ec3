# SPDX-License-Identifier: Apache-2.0
"""What one rank alone refuses ends the call on the others, with its number and the cause, while it lives on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import signccl
from support import expect_remote_error, outcomes_of_threads

ONES = np.ones(100, "f4")

#: What rank 1 does where the others take part, and the error that it gets.
REFUSED: dict[str, tuple[Callable[[signccl.Communicator], Any], type[Exception], str]] = {
    "dtype": (
        lambda comm: signccl.all_reduce_vote(np.ones(100, "c8"), comm),
        TypeError,
        "array has dtype complex64, expected",
    ),
    "rule": (
        lambda comm: signccl.all_reduce_vote(ONES, comm, tie="coin"),
        ValueError,
        "tie is 'coin', expected one of",
    ),
    "out": (
        lambda comm: signccl.all_reduce_vote(ONES, comm, out=np.ones(99, "f4")),
        ValueError,
        "out has shape (99,), expected (100,)",
    ),
    "mean": (
        lambda comm: signccl.all_reduce_avg(ONES, comm, dtype="u8"),
        TypeError,
        "the result has dtype uint64, expected for a mean",
    ),
    "library": (
        lambda comm: signccl.all_reduce_vote(ONES[:80], comm, out=ONES[10:90]),
        signccl.InvalidArgumentError,
        "overlap",
    ),
    "gather": (lambda comm: comm.all_gather("text"), TypeError, "memoryview"),
    "color": (lambda comm: comm.split(-1), ValueError, "color is -1, expected 0 to"),
    "settings": (lambda comm: comm.split(0, threads=0), ValueError, "threads is 0, expected 1 to"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_the_others_are_told_what_a_rank_refuses(kind: str) -> None:
    refuse, error, text = REFUSED[kind]
    calls = {"gather": lambda comm: comm.all_gather(b"x"), "color": lambda comm: comm.split(0)}
    others = calls.get(kind, calls["color"] if kind == "settings" else lambda comm: signccl.all_reduce_vote(ONES, comm))
    outcomes = outcomes_of_threads(3, lambda comm: refuse(comm) if comm.rank == 1 else others(comm))
    assert type(outcomes[1]) is error
    assert text in str(outcomes[1])
    for outcome in (outcomes[0], outcomes[2]):
        expect_remote_error(outcome, f"rank 1 aborted the communicator: {error.__name__}: {outcomes[1]}")


def test_a_rank_that_is_alone_goes_on_after_a_refusal() -> None:
    with signccl.Communicator.all_in_process(1)[0] as comm:
        for refuse, error, _ in REFUSED.values():
            with pytest.raises(error):
                refuse(comm)
        assert comm.error is None
        assert signccl.all_reduce_vote(ONES, comm).all()


def test_a_reason_for_an_abort_reaches_all_ranks_in_any_script() -> None:
    reason = "Größe 3 ≠ 4: 形が違う"
    comms = signccl.Communicator.all_in_process(2)
    comms[1].abort(reason)
    for comm in comms:
        expect_remote_error(comm.error, f"rank 1 aborted the communicator: {reason}")
        comm.close()
    comms[1].abort("closed ones are left alone")
