# SPDX-License-Identifier: Apache-2.0
"""Ranks of signccl.jax that are processes: results, and what goes wrong between them."""

from __future__ import annotations

import pytest

from support import Job

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("nranks", "share", "meeting"),
    [(1, 1, "launcher"), (2, 2, "distributed"), (3, 3, "broadcast"), (4, 3, "launcher"), (8, 17, "launcher")],
)
def test_results_are_exact(nranks: int, share: int, meeting: str) -> None:
    with Job(nranks, "jax_exact", share, meeting) as job:
        for rank in job.ranks:
            status, output, errors = rank.end(100)
            assert status == 0, f"exit status {status}:\n{output}\n{errors}"


def test_rank_that_is_killed_is_named() -> None:
    with Job(3, "jax_faults", "killed") as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        job[1].process.kill()
        for rank in (0, 2):
            _, output, errors = job[rank].end()
            assert "rank 1" in output and "no error" not in output, output + errors


def test_ranks_that_disagree_get_both_values() -> None:
    with Job(2, "jax_faults", "mixed") as job:
        for rank in job.ranks:
            _, output, errors = rank.end()
            lines = output.splitlines()
            assert len(lines) == 6, errors
            assert all("rank 0" in line and "rank 1" in line for line in lines), lines
            assert "8" in lines[0] and "9" in lines[0]
            assert "float16" in lines[1] and "float32" in lines[1]


def test_process_that_ends_makes_its_votes_first() -> None:
    with Job(2, "jax_faults", "exit") as job:
        for rank in job.ranks:
            status, output, errors = rank.end()
            assert (status, output) == (0, "bye\n"), errors
            assert "Error" not in errors


@pytest.mark.parametrize(("how", "status"), [("raise", 1), ("daemon", 0)])
def test_process_that_ends_does_not_wait_for_votes_of_its_daemon_threads(how: str, status: int) -> None:
    with Job(2, "jax_faults", how) as job:
        for rank in job.ranks:
            rank.expect_line("waiting")
        ended, _, errors = job[0].end(30)
        assert ended == status, errors
        assert ("KeyError: 'the program itself'" in errors) == (how == "raise")
