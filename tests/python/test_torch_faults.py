# SPDX-License-Identifier: Apache-2.0
"""Processes that train and are interrupted or killed amid a step: the others raise, and nothing hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

import signccl
from signccl.torch import DistributedLion, communicator, momenta, sync_buffers
from signccl.torch import optimizer as optimizer_module
from support import DEADLINE
from torch_jobs import all_bits, backward, fresh_processes, tiny_model

pytestmark = pytest.mark.timeout(90)


class Job:
    """Processes that call body(pipe, rank, option), each as the main program of a rank. A context manager."""

    def __init__(self, nranks: int, body: Callable[..., None], folder: Path, option: Any) -> None:
        context = fresh_processes()
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        for rank in range(nranks):
            mine, its = context.Pipe()
            arguments = (body, its, rank, nranks, str(folder / "store"), option)
            process = context.Process(target=_main, args=arguments, daemon=True)
            process.start()
            its.close()
            self.pipes.append(mine)
            self.processes.append(process)

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.join()

    def expect(self, rank: int, what: str, seconds: float = DEADLINE) -> Any:
        """The next message of a rank, which must be of that kind."""
        assert self.pipes[rank].poll(seconds), f"rank {rank} has not said {what!r} within {seconds} s"
        kind, value = self.pipes[rank].recv()
        assert kind == what, f"rank {rank} says {kind!r}: {value}"
        return value

    def interrupt(self, rank: int) -> None:
        """Ctrl-C for a rank, which is waiting by then; a little later or earlier must not matter."""
        time.sleep(0.5)
        os.kill(self.processes[rank].pid, signal.SIGINT)
        self.expect(rank, "interrupted", 2.0)


def _main(body: Callable[..., None], pipe: Connection, rank: int, nranks: int, path: str, option: Any) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(path, nranks), rank=rank, world_size=nranks
    )
    body(pipe, rank, option)
    pipe.poll(DEADLINE)  # until the test ends this process


def train_until(pipe: Connection, rank: int, overlap: bool, *, last: int) -> tuple[Any, DistributedLion]:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, overlap=overlap, bucket_mb=1e-6)
    for step in range(last):
        optimizer.zero_grad()
        backward(model, rank, step)
        optimizer.step()
    optimizer.zero_grad()
    backward(model, rank, last)
    pipe.send(("ready", None))
    return model, optimizer


def wait_in_step(pipe: Connection, rank: int, overlap: bool) -> None:
    """Rank 1 goes on only when it is told to."""
    _, optimizer = train_until(pipe, rank, overlap, last=2)
    if rank == 1:
        pipe.recv()
    try:
        optimizer.step()
        optimizer.step()
        pipe.send(("stepped", None))
    except KeyboardInterrupt:
        pipe.send(("interrupted", None))
    except signccl.RemoteError as error:
        pipe.send(("remote", str(error)))
    try:
        optimizer.step()
        pipe.send(("stepped", None))
    except signccl.SignCCLError as error:
        pipe.send(("raised", str(error)))


def test_ctrl_c_ends_a_step_and_the_other_ranks_raise(tmp_path: Path) -> None:
    """Rank 0 had sent its signs, so that rank 1 may have made this step; not the next one."""
    with Job(2, wait_in_step, tmp_path, False) as job:
        job.expect(0, "ready")
        job.expect(1, "ready")
        job.interrupt(0)
        job.expect(0, "raised")
        job.pipes[1].send("go on")
        assert "rank 0" in job.expect(1, "remote")
        job.expect(1, "raised")


def die_in_step(pipe: Connection, rank: int, overlap: bool) -> None:
    """Rank 1 computes no gradients in the last step, so that nobody gets a result."""
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, overlap=overlap, bucket_mb=1e-6)
    before = all_bits(model.parameters())
    pipe.send(("ready", None))
    try:
        if rank != 1:
            backward(model, rank, 0)
            optimizer.step()
        pipe.recv()
    except signccl.RemoteError as error:
        pipe.send(("remote", (str(error), all_bits(model.parameters()) == before)))
    except KeyboardInterrupt:
        pipe.send(("interrupted", None))


@pytest.mark.parametrize("overlap", [False, True])
def test_a_killed_rank_is_named_by_all_others(overlap: bool, tmp_path: Path) -> None:
    with Job(3, die_in_step, tmp_path, overlap) as job:
        for rank in range(3):
            job.expect(rank, "ready")
        time.sleep(0.5)
        job.processes[1].kill()
        for rank in (0, 2):
            text, is_unchanged = job.expect(rank, "remote")
            assert "rank 1" in text
            assert is_unchanged


@pytest.mark.parametrize("overlap", [False, True])
def test_ctrl_c_ends_a_step_that_waits_for_a_rank_without_gradients(overlap: bool, tmp_path: Path) -> None:
    with Job(2, die_in_step, tmp_path, overlap) as job:
        for rank in range(2):
            job.expect(rank, "ready")
        job.interrupt(0)


def wait_for_rank_0(pipe: Connection, rank: int, call: str) -> None:
    """Rank 1 makes a call that goes through Gloo; rank 0 does not come."""
    model = torch.nn.BatchNorm1d(3)
    if call != "join":
        optimizer = DistributedLion(model.parameters())
    calls: dict[str, Callable[[], object]] = {
        "join": communicator,
        "sync_buffers": lambda: sync_buffers(model),
        "consolidate": lambda: optimizer.consolidate_state_dict(to=1),
    }
    pipe.send(("ready", None))
    try:
        if rank == 1:
            calls[call]()
        pipe.recv()
    except KeyboardInterrupt:
        pipe.send(("interrupted", None))


@pytest.mark.parametrize("call", ["join", "sync_buffers", "consolidate"])
def test_ctrl_c_ends_what_waits_in_gloo(call: str, tmp_path: Path) -> None:
    with Job(2, wait_for_rank_0, tmp_path, call) as job:
        for rank in range(2):
            job.expect(rank, "ready")
        job.interrupt(1)


def die_in_exchange_of_momenta(pipe: Connection, rank: int, place: str) -> None:
    """Rank 1 ends after the step, where its momenta would be averaged: before the ranks meet, or after that."""
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, momentum_sync_every=1)
    backward(model, rank, 0)
    if rank == 1:
        setattr(momenta if place == "_mean" else optimizer_module, place, lambda *_: os._exit(1))
    try:
        optimizer.step()
        pipe.send(("stepped", None))
    except signccl.RemoteError as error:
        pipe.send(("remote", str(error)))


@pytest.mark.parametrize("place", ["average_momenta", "_mean"])
def test_a_rank_that_ends_while_momenta_are_averaged_is_named(place: str, tmp_path: Path) -> None:
    with Job(3, die_in_exchange_of_momenta, tmp_path, place) as job:
        for rank in (0, 2):
            assert "rank 1" in job.expect(rank, "remote")
