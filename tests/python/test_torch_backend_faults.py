# SPDX-License-Identifier: Apache-2.0
"""Backend "signccl" of torch.distributed when a rank is late, dies, or aborts."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist

import signccl
import signccl.torch.backend
from torch_support import Failure, Ranks, meet, meeting

pytestmark = pytest.mark.timeout(120)  # ranks import torch


def absent(rank: int, nranks: int, call: str) -> float:
    dist.init_process_group("signccl", **meeting(), timeout=timedelta(seconds=3))
    group: Any = dist.group.WORLD
    group.all_reduce_vote(torch.ones(4))
    dist.barrier()
    began = time.monotonic()
    try:
        if rank == 1:
            time.sleep(5)
        elif call == "vote":
            group.all_reduce_vote(torch.ones(4))
        else:
            dist.all_reduce(torch.ones(4))
        return 0.0
    finally:
        if rank == 0:
            assert 2 < time.monotonic() - began < 30


@pytest.mark.parametrize(("call", "kind"), [("vote", "OperationTimeoutError"), ("all_reduce", "RuntimeError")])
def test_timeout_of_the_group_holds_for_every_collective(call: str, kind: str) -> None:
    with Ranks(2) as ranks:
        ranks.start(absent, call)
        first = ranks.outcomes()[0]
    assert isinstance(first, Failure) and kind in first.kinds, first


def killed(rank: int, nranks: int, call: str) -> None:
    dist.init_process_group("signccl", **meeting())
    group: Any = dist.group.WORLD
    group.all_reduce_vote(torch.ones(4))
    meet("voted")
    if rank == 1:
        os.kill(os.getpid(), 9)
    if call == "vote":
        group.all_reduce_vote(torch.ones(4))
    else:
        dist.barrier()


@pytest.mark.parametrize(("call", "kind"), [("vote", "RemoteError"), ("barrier", "RuntimeError")])
def test_rank_that_is_killed_ends_the_others(call: str, kind: str) -> None:
    with Ranks(3) as ranks:
        ranks.start(killed, call)
        first, second, third = ranks.outcomes()
    assert second is None
    for outcome in (first, third):
        assert isinstance(outcome, Failure) and kind in outcome.kinds, outcome
        if call == "vote":
            assert "rank 1" in outcome.text


def aborted(rank: int, nranks: int) -> None:
    dist.init_process_group("signccl", **meeting())
    group: Any = dist.group.WORLD
    group.all_reduce_vote(torch.ones(4))
    meet("voted")
    if rank == 1:
        time.sleep(0.3)  # until the other one waits
        group.abort()
        return
    with pytest.raises(signccl.RemoteError):
        group.all_reduce_vote(torch.ones(4))


def test_abort_frees_ranks_that_wait() -> None:
    with Ranks(2) as ranks:
        ranks.run(aborted)
