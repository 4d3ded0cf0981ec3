# SPDX-License-Identifier: Apache-2.0
"""Ranks that are processes, over shared memory and over TCP: results, ranks that disagree, ranks that die."""

from __future__ import annotations

import signal

import pytest

from support import Job, Program, free_port

#: What UCX may use. Without a value it takes what is fastest, which is shared memory within a host.
TRANSPORTS = {"shm": {}, "tcp": {"UCX_TLS": "tcp,self"}}


@pytest.mark.parametrize("nranks", [1, 2, 3, 4])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_results_are_exact(nranks: int, transport: str) -> None:
    with Job(nranks, "exact", 1 if nranks == 2 else 7, **TRANSPORTS[transport]) as job:
        job.expect_success()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("call", ["vote", "large", "gather"])
def test_rank_that_is_killed_is_named(call: str, transport: str) -> None:
    with Job(3, "wait", call, **TRANSPORTS[transport]) as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        job[1].process.kill()
        for rank in (0, 2):
            status, output, errors = job[rank].end(20)
            assert status == 3, errors
            last = output.splitlines()[-1]  # UCX may have written before
            assert last.startswith("RemoteError") and "rank 1" in last


def test_exception_that_ends_a_rank_is_told_to_the_others() -> None:
    with Job(3, "raise") as job:
        status, _, errors = job[1].end(20)
        assert status == 1 and errors.splitlines()[-1] == "LookupError: no such file of data"
        for rank in (0, 2):
            status, output, errors = job[rank].end(20)
            assert status == 3, errors
            told = "RemoteError rank 1 aborted the communicator: LookupError: no such file of data"
            assert output.splitlines()[-1] == told


def test_rank_that_ends_before_it_joins_is_missed() -> None:
    point = f"127.0.0.1:{free_port()}"
    settings = {"RANK": "0", "WORLD_SIZE": "2", "SIGNCCL_COMM_ID": point, "SIGNCCL_TIMEOUT": "1"}
    with Program("place", **settings) as alone:
        status, _, errors = alone.end()
    assert status == 1
    assert "OperationTimeoutError" in errors and "rank" in errors.splitlines()[-1]


def test_faulthandler_of_python_stays_in_charge() -> None:
    with Job(2, "wait", "vote") as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        job[1].process.send_signal(signal.SIGSEGV)
        status, _, errors = job[1].end()
        assert status == -signal.SIGSEGV
        assert errors.startswith("Fatal Python error: Segmentation fault")
