# SPDX-License-Identifier: Apache-2.0
"""How ranks get together in the caller's own ways: unique id, all-gather, store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import signccl
from signccl import Communicator
from support import run_threads


def sums(make: Callable[[int], Communicator], nranks: int = 3) -> list[Any]:
    """What every rank gets as the sum of all votes."""

    def rank_sum(rank: int) -> tuple[int, int]:
        with make(rank) as comm:
            total = int(signccl.all_reduce_avg(np.ones(1, "i1"), comm, dtype="i1")[0])
            comm.barrier()
            return comm.rank, total

    return run_threads([lambda rank=rank: rank_sum(rank) for rank in range(nranks)])


EXPECTED = [(0, 3), (1, 3), (2, 3)]


def test_unique_id() -> None:
    unique_id = signccl.get_unique_id()
    assert isinstance(unique_id, bytes) and len(unique_id) == 128
    assert sums(lambda rank: Communicator.from_unique_id(unique_id, rank, 3)) == EXPECTED
    assert signccl.get_unique_id() != unique_id


def test_numpy_integers_are_ranks() -> None:
    unique_id = bytearray(signccl.get_unique_id())
    assert sums(lambda rank: Communicator.from_unique_id(unique_id, np.int64(rank), np.int32(3))) == EXPECTED


class Gatherer:
    """An all-gather for threads."""

    def __init__(self, nranks: int) -> None:
        self.barrier = threading.Barrier(nranks, timeout=20)
        self.items: dict[int, bytes] = {}
        self.threads: dict[int, int] = {}
        self.nranks = nranks

    def of(self, rank: int) -> Callable[[bytes], list[bytes]]:
        def allgather(data: bytes) -> list[bytes]:
            self.items[rank] = data
            self.threads[rank] = threading.get_ident()
            self.barrier.wait()
            return [self.items[one] for one in range(self.nranks)]

        return allgather


def test_allgather() -> None:
    gatherer = Gatherer(3)
    callers = {}

    def make(rank: int) -> Communicator:
        callers[rank] = threading.get_ident()
        return Communicator.from_allgather(gatherer.of(rank), rank, 3)

    assert sums(make) == EXPECTED
    assert gatherer.threads == callers
    assert {len(item) for item in gatherer.items.values()} == {512}


def test_exception_of_an_allgather_is_the_cause() -> None:
    def broken(data: bytes) -> list[bytes]:
        raise KeyError("no such peer")

    for rank in (0, 1):
        with pytest.raises(signccl.SystemCallError, match=f"allgather raised KeyError on rank {rank}") as caught:
            Communicator.from_allgather(broken, rank, 2)
        assert isinstance(caught.value.__cause__, KeyError)


def test_interrupt_in_an_allgather_is_not_wrapped() -> None:
    def interrupted(data: bytes) -> list[bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Communicator.from_allgather(interrupted, 0, 2)


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        (None, TypeError, "allgather returned a NoneType, expected a list of bytes"),
        (b"all in one", TypeError, "allgather returned a bytes, expected a list of bytes"),
        ([], ValueError, "allgather returned 0 items, expected 2"),
        ([b"", b"", b""], ValueError, "allgather returned 3 items, expected 2"),
        ([1, 2], TypeError, "allgather returned a int for rank 0, expected bytes"),
        ([b"", b""], signccl.RemoteError, "rank 0 gave 0 bytes that hold no unique id"),
        ([b"+" + bytes(200), b""], signccl.InvalidArgumentError, "commId was not made by"),
        ([b"-no network" + bytes(10), b""], signccl.RemoteError, "rank 0 could not make a unique id: no network"),
    ],
)
def test_allgather_that_returns_something_else(returned: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Communicator.from_allgather(lambda data: returned, 1, 2, timeout=5)


def test_allgather_that_is_no_function() -> None:
    with pytest.raises(TypeError, match="allgather is of type list, expected a function"):
        Communicator.from_allgather([], 0, 1)


def test_rank_0_without_an_id_tells_the_others_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNCCL_COMM_ID", "nonsense")
    gatherer = Gatherer(2)
    errors: dict[int, Exception] = {}

    def make(rank: int) -> None:
        try:
            Communicator.from_allgather(gatherer.of(rank), rank, 2)
        except signccl.SignCCLError as error:
            errors[rank] = error

    run_threads([lambda rank=rank: make(rank) for rank in (0, 1)])
    assert "SIGNCCL_COMM_ID is 'nonsense'" in str(errors[0])
    assert str(errors[1]) == f"rank 0 could not make a unique id: {errors[0]}"


class DictStore:
    """A store that gives None for what is not there."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        self.items[key] = value

    def get(self, key: str) -> Any:
        return self.items.get(key)


class TorchLikeStore(DictStore):
    """One whose get() blocks, so that check() has to be asked first."""

    def check(self, keys: list[str]) -> bool:
        return all(key in self.items for key in keys)

    def get(self, key: str) -> Any:
        assert key in self.items, "would block"
        return self.items[key]


@pytest.mark.parametrize("kind", [DictStore, TorchLikeStore])
def test_store(kind: type[DictStore]) -> None:
    store = kind()
    for number in range(2):  # each communicator has a key of its own
        assert sums(lambda rank: Communicator.from_store(store, rank, 3, key=kind.__name__)) == EXPECTED
        assert sorted(store.items) == [f"{kind.__name__}/{one}" for one in range(number + 1)]


def test_exception_of_a_store_is_the_cause() -> None:
    class Broken(DictStore):
        def set(self, key: str, value: Any) -> None:
            raise OSError("disk full")

        get = set  # type: ignore[assignment]

    with pytest.raises(
        signccl.SystemCallError, match=r"the store's set\(\) raised OSError on rank 0: disk full"
    ) as caught:
        Communicator.from_store(Broken(), 0, 2, key="broken")
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(signccl.SystemCallError, match="on rank 1"):
        Communicator.from_store(Broken(), 1, 2, key="broken")


def test_store_that_stays_empty_times_out() -> None:
    with pytest.raises(signccl.OperationTimeoutError, match=r"rank 0 has not set 'empty/0' in the store within 0.1 s"):
        Communicator.from_store(DictStore(), 1, 2, key="empty", timeout=0.1)


def test_store_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match=r"store is of type dict, expected an object with set\(\) and get\(\)"):
        Communicator.from_store({}, 0, 1)
