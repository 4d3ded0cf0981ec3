# SPDX-License-Identifier: Apache-2.0
"""fork() and the exit of the interpreter, with communicators that are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import Job, Program


@pytest.mark.parametrize("ranks", ["threads", "processes"])
def test_forked_child_harms_nothing(ranks: str) -> None:
    if ranks == "threads":
        with Program("fork", "threads") as program:
            assert program.expect_success().splitlines()[-1] == "works"
        return
    with Job(2, "fork", "processes") as job:
        for output in job.expect_success():
            assert output.splitlines()[-1] == "works"


@pytest.mark.parametrize("how", ["return", "raise", "sys.exit", "thread", "daemon", "request", "cycle"])
def test_exit_without_close_is_quick_and_quiet(how: str, tmp_path: Path) -> None:
    all_have_voted = tmp_path / "all have voted"
    with Job(2, "exit", how, all_have_voted) as job:
        for rank in job.ranks:
            rank.expect_line("bye")
        all_have_voted.touch()
        for rank in job.ranks:
            status, _, errors = rank.end(20)
            if how == "raise":
                assert status == 1 and errors.rstrip().endswith("KeyError: 'the program itself'")
            else:
                assert (status, errors) == (0, "")
