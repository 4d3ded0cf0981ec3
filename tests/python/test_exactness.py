# SPDX-License-Identifier: Apache-2.0
"""Results of ranks that are threads, bit for bit, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import reference as ref
import signccl
from cases import all_cases, first_wrong
from support import as_threads

SHAPES = [(0,), (1,), (63,), (64,), (65,), (3, 5, 7), ()]


@pytest.mark.parametrize("nranks", [1, 2, 3, 4])
def test_every_type_and_rule_is_exact(nranks: int) -> None:
    wrong = as_threads(nranks, lambda comm: first_wrong(comm, SHAPES, all_cases()))
    assert wrong == [""] * nranks


@pytest.mark.parametrize("nranks", [2, 3])
def test_large_vectors_are_exact(nranks: int) -> None:
    cases = [case for case in all_cases() if case.send == np.float32 and case.receive in (np.float32, np.int8)]
    wrong = as_threads(nranks, lambda comm: first_wrong(comm, [(300_003,)], cases))
    assert wrong == [""] * nranks


def test_reference_knows_the_golden_words_of_random_ties() -> None:
    for call, word, expected in (
        (0, 0, 0xDDC674B689F3F0CE),
        (0, 1, 0xAA9D0D8EA75465E2),
        (1, 0, 0x9988D1EDB8BA268F),
        (1, 1, 0x6C76A78E58F4CF4B),
    ):
        assert ref.pack(ref.random_ties(call, 128) > 0)[word] == expected


def test_reference_notices_a_wrong_element() -> None:
    def off_by_one(comm: signccl.Communicator) -> str:
        comm.call_number = 5
        return first_wrong(comm, [(1000,)], [case for case in all_cases() if case.tie == "random"][:1])

    assert as_threads(2, off_by_one) == ["", ""]  # the number of the call is read, not assumed
    votes = [ref.signs(ref.values(rank, 1000, np.dtype("f4")), "binary") for rank in range(2)]
    assert not ref.same_bits(ref.vote(votes, "random", 5), ref.vote(votes, "random", 6))


def test_out_is_filled_and_returned() -> None:
    def body(comm: signccl.Communicator) -> None:
        mine = ref.values(comm.rank, (4, 8), np.dtype("f4"))
        out = np.full((4, 8), 9, np.int8)
        assert signccl.all_reduce_vote(mine, comm, out, tie="positive") is out
        votes = [ref.signs(ref.values(rank, (4, 8), np.dtype("f4")), "binary") for rank in range(3)]
        assert ref.same_bits(out, ref.vote(votes, "positive", 0).astype(np.int8))

    as_threads(3, body)


@pytest.mark.parametrize("dtype", ref.ELEMENTS, ids=str)
def test_in_place(dtype: np.dtype) -> None:
    def body(comm: signccl.Communicator) -> None:
        mine = ref.values(comm.rank, 1001, dtype)
        assert signccl.all_reduce_vote(mine, comm, out=mine, tie="negative", zero="ternary") is mine
        votes = [ref.signs(ref.values(rank, 1001, dtype), "ternary") for rank in range(2)]
        assert ref.same_bits(mine, ref.vote(votes, "negative", 0).astype(dtype))

    as_threads(2, body)


def test_packed_signs_of_a_result_have_no_padding_bits() -> None:
    def body(comm: signccl.Communicator) -> np.ndarray:
        return signccl.all_reduce_vote(np.full(2, 2**64 - 1, np.uint64), comm, count=65)

    for packed in as_threads(2, body):
        assert packed.tolist() == [2**64 - 1, 1]


def test_mean_of_integers_is_float32_unless_asked() -> None:
    def body(comm: signccl.Communicator) -> None:
        mine = np.array([1, -1, 1 - 2 * comm.rank], np.int8)
        mean = signccl.all_reduce_avg(mine, comm)
        assert mean.dtype == np.float32 and mean.tolist() == [1, -1, 0]
        packed = signccl.all_reduce_avg(np.array([1], np.uint64), comm, count=2)
        assert packed.dtype == np.float32 and packed.tolist() == [1, -1]

    as_threads(2, body)
