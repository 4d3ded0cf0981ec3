# SPDX-License-Identifier: Apache-2.0
"""Communicators of threads: splits, small data, numbers of calls, counters, and how they end."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time

import numpy as np
import pytest

import signccl
from signccl import Communicator
from support import as_threads, eventually, expect_remote_error, outcomes_of_threads, run_threads


def ones(comm: Communicator, **options: object) -> np.ndarray:
    return signccl.all_reduce_vote(np.ones(100, "f4"), comm, **options)


def test_rank_and_size() -> None:
    assert as_threads(3, lambda comm: (comm.rank, comm.nranks, comm.name)) == [(0, 3, None), (1, 3, None), (2, 3, None)]


def test_constructor_says_what_to_use() -> None:
    with pytest.raises(TypeError, match=r"use Communicator\.from_env\(\)"):
        Communicator()


def test_split_by_color_and_key() -> None:
    def body(comm: Communicator) -> tuple[int, int, float]:
        part = comm.split(comm.rank % 2, key=-comm.rank, name=f"part {comm.rank % 2}")
        assert part is not None and part.name == f"part {comm.rank % 2}"
        mine = np.array([1.0 if comm.rank < 2 else -1.0])
        mean = signccl.all_reduce_avg(mine, part)
        return part.rank, part.nranks, float(mean[0])

    # Even ranks 4, 2, 0 in this order; odd ranks 3, 1.
    assert as_threads(5, body) == [
        (2, 3, np.mean([1, -1, -1])),
        (1, 2, 0.0),
        (1, 3, pytest.approx(-1 / 3)),
        (0, 2, 0.0),
        (0, 3, pytest.approx(-1 / 3)),
    ]


def test_split_without_a_color_is_none() -> None:
    def body(comm: Communicator) -> bool:
        return comm.split(None if comm.rank == 0 else 7) is None

    assert as_threads(3, body) == [True, False, False]


@pytest.mark.parametrize("wrong", [{"color": -1}, {"color": 2**31}, {"color": "a"}, {"color": 0, "key": 2**31}])
def test_split_with_wrong_numbers(wrong: dict) -> None:
    (comm,) = Communicator.all_in_process(1)
    with pytest.raises((TypeError, ValueError), match="expected"):
        comm.split(**wrong)
    assert comm.split(0).nranks == 1


def test_all_gather_takes_bytes_of_any_length() -> None:
    def body(comm: Communicator) -> None:
        assert comm.all_gather(b"x" * comm.rank) == [b"", b"x", b"xx"]
        assert comm.all_gather(bytearray([comm.rank, 0])) == [b"\0\0", b"\1\0", b"\2\0"]
        assert comm.all_gather(memoryview(np.array([comm.rank], "<u2"))) == [b"\0\0", b"\1\0", b"\2\0"]
        assert comm.all_gather(b"") == [b"", b"", b""]
        comm.barrier()

    as_threads(3, body)


def test_all_gather_of_too_many_bytes_fails_on_every_rank_and_harms_nothing() -> None:
    def body(comm: Communicator) -> str:
        with pytest.raises(ValueError, match="rank 1 gathers 20000000 bytes, expected at most 16777216 with 2 ranks"):
            comm.all_gather(bytes(20_000_000) if comm.rank == 1 else b"")
        return comm.all_gather(b"still works")[1].decode()

    assert as_threads(2, body) == ["still works"] * 2


def test_all_gather_of_no_bytes_is_an_error_of_this_rank_alone() -> None:
    (comm,) = Communicator.all_in_process(1)
    for wrong in ("text", 5, None, [1]):
        with pytest.raises(TypeError, match="bytes-like"):
            comm.all_gather(wrong)
    assert comm.all_gather(b"a") == [b"a"]


def test_call_number_counts_and_can_be_set() -> None:
    def body(comm: Communicator) -> tuple[int, bytes, bytes]:
        halves = np.where(np.arange(1000) % 2 == comm.rank, 1.0, -1.0)  # all ties
        first = signccl.all_reduce_vote(halves, comm).tobytes()
        assert comm.call_number == 1
        comm.call_number = 0
        again = signccl.all_reduce_vote(halves, comm).tobytes()
        comm.call_number = 2**64 - 1
        return comm.call_number, first, again

    for number, first, again in as_threads(2, body):
        assert number == 2**64 - 1 and first == again


@pytest.mark.parametrize("wrong", [-1, 2**64, "1", 1.5, None])
def test_wrong_call_number(wrong: object) -> None:
    (comm,) = Communicator.all_in_process(1)
    with pytest.raises((TypeError, ValueError), match="call_number is"):
        comm.call_number = wrong
    assert comm.call_number == 0


def test_ranks_with_different_call_numbers_disagree() -> None:
    def body(comm: Communicator) -> object:
        comm.call_number = 7 * comm.rank
        return ones(comm)

    for outcome in outcomes_of_threads(2, body):
        assert isinstance(outcome, signccl.InvalidUsageError) and "7" in str(outcome)


def test_ranks_with_different_shapes_disagree() -> None:
    def body(comm: Communicator) -> None:
        with pytest.raises(
            signccl.InvalidUsageError, match=r"9 on rank 0 and 10 on rank 1|10 on rank 1 and 9 on rank 0"
        ):
            signccl.all_reduce_vote(np.ones(9 + comm.rank), comm)
        assert isinstance(comm.error, signccl.InvalidUsageError)

    as_threads(2, body)


def test_stats_count() -> None:
    def body(comm: Communicator) -> signccl.Stats:
        before = comm.stats
        assert before.algorithm == "none" and before.collectives == 0
        ones(comm)
        return comm.stats

    for stats in as_threads(2, body):
        assert stats.collectives == 1 and stats.exchanges == 1
        assert stats.algorithm in ("oneshot", "direct", "ring", "tree", "knomial", "hierarchical")
        assert stats.kernels in ("scalar", "avx2", "avx512", "neon")
        assert stats.bytes_sent > 0 and stats.messages_received > 0


def test_settings_reach_the_library() -> None:
    unique_id = signccl.get_unique_id()

    def join(rank: int) -> str:
        with Communicator.from_unique_id(
            unique_id, rank, 3, algorithm="ring", name="rings", threads=1, timeout=20
        ) as comm:
            ones(comm)
            assert repr(comm) == f"<signccl.Communicator 'rings' rank {rank} of 3>"
            return comm.stats.algorithm

    assert run_threads([lambda rank=rank: join(rank) for rank in range(3)]) == ["ring"] * 3


def test_rank_that_does_not_come_is_named_after_the_timeout() -> None:
    unique_id = signccl.get_unique_id()
    with pytest.raises(signccl.OperationTimeoutError, match="1") as caught:
        Communicator.from_unique_id(unique_id, 0, 2, timeout=0.3)
    assert isinstance(caught.value, TimeoutError) and caught.value.result == 8


def test_collective_times_out() -> None:
    unique_id = signccl.get_unique_id()

    def join(rank: int) -> object:
        comm = Communicator.from_unique_id(unique_id, rank, 2, timeout=0.5)
        if rank == 1:
            return comm
        with pytest.raises(signccl.OperationTimeoutError, match="rank"):
            ones(comm)
        comm.close()
        return None

    run_threads([lambda: join(0), lambda: join(1)])


def test_close_is_final_and_can_be_repeated() -> None:
    (comm,) = Communicator.all_in_process(1)
    assert not comm.closed
    comm.close()
    comm.close()
    comm.abort()
    assert comm.closed and "closed" in repr(comm) and comm.rank == 0
    for use in (
        ones,
        lambda c: c.call_number,
        lambda c: c.stats,
        lambda c: c.error,
        lambda c: c.split(0),
        lambda c: c.barrier(),
    ):
        with pytest.raises(signccl.InvalidUsageError, match="the communicator is closed"):
            use(comm)


def test_rank_that_closes_fails_the_others() -> None:
    comms = Communicator.all_in_process(2)
    comms[1].close()
    with pytest.raises(signccl.RemoteError, match="rank 1") as caught:
        ones(comms[0])
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(comms[0].error, signccl.RemoteError) and "rank 1" in str(comms[0].error)


def test_abort_ends_a_call_in_another_thread() -> None:
    comms = Communicator.all_in_process(2)
    threading.Timer(0.2, comms[0].abort).start()
    with pytest.raises(signccl.RemoteError, match="rank 0"):
        ones(comms[0])
    with pytest.raises(signccl.RemoteError, match="rank 0"):
        ones(comms[1])


def test_exception_in_a_with_block_aborts() -> None:
    def body(comm: Communicator) -> object:
        try:
            with comm:
                if comm.rank == 1:
                    raise KeyError("mine")
                return ones(comm)
        finally:
            assert comm.closed

    first, second = outcomes_of_threads(2, body)
    expect_remote_error(first, "rank 1 aborted the communicator: KeyError: 'mine'")
    assert isinstance(second, KeyError)


@pytest.mark.parametrize(("code", "says"), [(0, "rank 1 destroyed"), (None, "rank 1 destroyed"), (1, "rank 1 aborted")])
def test_exit_in_a_with_block_aborts_only_if_it_is_a_failure(code: int | None, says: str) -> None:
    first, second = Communicator.all_in_process(2)
    with pytest.raises(SystemExit), second:
        raise SystemExit(code)
    with pytest.raises(signccl.RemoteError, match=says):
        ones(first)


def test_communicator_that_is_collected_is_closed() -> None:
    comms = Communicator.all_in_process(2)
    comms.pop()
    gc.collect()
    with pytest.raises(signccl.RemoteError, match="rank 1"):
        ones(comms[0])


def test_two_threads_at_one_communicator_wait_for_each_other() -> None:
    def body(comm: Communicator) -> list[bool]:
        return run_threads([lambda: bool((ones(comm) == 1).all()) for _ in range(8)])

    assert as_threads(2, body) == [[True] * 8] * 2


def test_close_waits_for_a_call_in_another_thread() -> None:
    comms = Communicator.all_in_process(2)
    results: list[object] = []
    waiting = threading.Thread(target=lambda: results.append(ones(comms[0])))
    waiting.start()
    assert eventually(lambda: comms[0]._lock.acquire(blocking=False) is False or comms[0]._lock.release())
    closing = threading.Thread(target=comms[0].close)
    closing.start()
    time.sleep(0.05)
    assert not comms[0].closed
    ones(comms[1])
    waiting.join(10)
    closing.join(10)
    assert len(results) == 1 and comms[0].closed


def test_communicator_cannot_be_copied_or_pickled() -> None:
    (comm,) = Communicator.all_in_process(1)
    for action in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="belongs to its process"):
            action(comm)


def test_errors_can_be_pickled() -> None:
    for kind in (
        signccl.RemoteError,
        signccl.OperationTimeoutError,
        signccl.SystemCallError,
        signccl.InvalidUsageError,
    ):
        again = pickle.loads(pickle.dumps(kind("what went wrong")))
        assert type(again) is kind and str(again) == "what went wrong"


def test_many_communicators_leave_no_threads() -> None:
    def threads() -> int:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))

    as_threads(3, ones)
    before = threads()
    for _ in range(20):
        as_threads(3, ones)
    assert eventually(lambda: threads() <= before)
