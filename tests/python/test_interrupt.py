# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a rank waits for others."""

from __future__ import annotations

import signal
import time

import pytest

from support import Job, Program


@pytest.mark.parametrize("call", ["vote", "large", "gather", "split"])
def test_ctrl_c_ends_a_call_at_once_and_fails_the_others(call: str) -> None:
    with Job(3, "wait", call) as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        time.sleep(0.3)  # until rank 0 waits in the library
        job[0].process.send_signal(signal.SIGINT)
        status, output, errors = job[0].end(20)
        assert output.endswith("interrupted RemoteError\n"), errors
        assert status == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt"), errors
        status, output, errors = job[2].end(20)
        last = output.splitlines()[-1]  # UCX may have written before
        assert status == 3 and last.startswith("RemoteError") and "rank 0" in last, errors


def test_ctrl_c_ends_joining() -> None:
    with Program("wait", "join") as rank:
        rank.expect_line("waiting")
        time.sleep(0.3)
        rank.process.send_signal(signal.SIGINT)
        status, output, errors = rank.end(20)
        assert output == "interrupted\n"
        assert status == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt"), errors


def test_second_ctrl_c_is_no_worse() -> None:
    with Job(2, "wait", "large") as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        time.sleep(0.3)
        for _ in range(3):
            job[0].process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        status, _, errors = job[0].end(20)
        assert status in (1, -signal.SIGINT) and "KeyboardInterrupt" in errors
        assert "Segmentation" not in errors


@pytest.mark.parametrize("call", ["retry", "finish", "close", "forget"])
def test_ctrl_c_ends_what_waits_for_a_step_and_fails_the_others(call: str) -> None:
    with Job(3, "wait_in_step", call) as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        time.sleep(0.3)
        job[0].process.send_signal(signal.SIGINT)
        status, output, errors = job[0].end(20)
        assert output.endswith("interrupted\n"), errors
        assert status == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt"), errors
        if call in ("retry", "finish"):  # the others only wait for their own end
            status, output, errors = job[2].end(20)
            last = output.splitlines()[-1]
            assert status == 3 and last.endswith("rank 0 aborted the communicator: KeyboardInterrupt"), output


def test_a_process_that_ends_amid_a_step_waits_for_nobody() -> None:
    with Job(3, "wait_in_step", "exit") as job:
        job[1].expect_line("waiting")
        for rank in (0, 2):
            status, output, errors = job[rank].end(20)
            assert status == 0 and output.endswith("waiting\n"), errors
