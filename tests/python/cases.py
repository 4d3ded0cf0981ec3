# SPDX-License-Identifier: Apache-2.0
"""Every combination of types and rules, and a check of one rank's results; used for threads and for processes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
import signccl


@dataclass(frozen=True)
class Case:
    operation: str
    send: np.dtype[Any]
    receive: np.dtype[Any]
    zero: str
    tie: str = "random"


def all_cases() -> list[Case]:
    inputs = [*ref.ELEMENTS, ref.PACKED]
    votes = [
        Case("vote", *case)
        for case in itertools.product(inputs, inputs, ref.ZEROS, ref.TIES)
        if not (case[1] == ref.PACKED and case[3] == "zero")
    ]
    sums = [np.dtype(kind) for kind in ("int8", "int16", "int32")]
    means = [Case("avg", *case) for case in itertools.product(inputs, [*ref.FLOATS, *sums], ref.ZEROS)]
    return votes + means


def first_wrong(comm: signccl.Communicator, shapes: list[Any], cases: list[Case]) -> str:
    """Runs all cases and compares their bits with the reference; says which is wrong first, or nothing."""
    for shape, case in itertools.product(shapes, cases):
        wrong = _check(comm, shape, case)
        if wrong:
            return f"rank {comm.rank} of {comm.nranks}, shape {shape}, {case}: {wrong}"
    return ""


def _check(comm: signccl.Communicator, shape: Any, case: Case) -> str:
    is_packed = case.send == ref.PACKED
    kind = np.dtype("int8") if is_packed else case.send
    inputs = [ref.values(rank, shape, kind) for rank in range(comm.nranks)]
    zero = "binary" if is_packed else case.zero
    all_signs = [ref.signs(one, zero) for one in inputs]
    mine: np.ndarray = inputs[comm.rank]
    options: dict[str, Any] = {"zero": case.zero, "dtype": case.receive}
    if is_packed:
        all_signs = [one.ravel() for one in all_signs]
        mine = ref.pack(all_signs[comm.rank] > 0)
        options["count"] = all_signs[0].size
    before = mine.copy()
    call = comm.call_number
    if case.operation == "vote":
        got = signccl.all_reduce_vote(mine, comm, tie=case.tie, **options)
        expected = ref.vote(all_signs, case.tie, call)
        expected = ref.pack(expected > 0) if case.receive == ref.PACKED else expected.astype(case.receive)
    else:
        got = signccl.all_reduce_avg(mine, comm, **options)
        expected = ref.mean(all_signs, case.receive)
    if not ref.same_bits(mine, before):
        return "the input has changed"
    return "" if ref.same_bits(got, expected) else f"got {got.ravel()[:8]}, expected {expected.ravel()[:8]}"
