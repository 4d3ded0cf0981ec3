# SPDX-License-Identifier: Apache-2.0
"""Ranks for the tests of signccl.torch: processes that take one job after another. And what they train."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

import signccl
from signccl.torch import DistributedLion
from support import DEADLINE

#: What a launcher that started the tests may have left, which their processes must not take for their own.
_FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SIGNCCL_COMM_ID", "PMIX_RANK")


def fresh_processes() -> Any:
    """The context of processes that are not children of this one by fork(): a server that has imported torch, once,
    makes them. Their main threads get KeyboardInterrupt, as those of programs do."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "torch.distributed.fsdp", "signccl.torch"])
    return context


def _serve(pipe: Connection, rank: int) -> None:
    """A process that runs the jobs it is sent."""
    for name in _FOREIGN:
        os.environ.pop(name, None)
    torch.set_num_threads(1)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            result: tuple[str, Any] = ("result", _run_job(rank, *job))
        except BaseException as error:
            result = ("error", f"rank {rank}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
        try:
            pipe.send(result)
        except OSError:
            return


def _run_job(rank: int, nranks: int, path: str, body: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(path, nranks), rank=rank, world_size=nranks
    )
    try:
        return body(rank, *arguments)
    finally:
        from signccl.torch import groups

        for _, comm in groups._communicators.values():
            comm.close()
        groups._communicators.clear()
        torch.distributed.destroy_process_group()


class Processes:
    """Processes that are ranks. They are started when they are needed first, and again after a job that failed."""

    def __init__(self) -> None:
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []

    def run(self, nranks: int, body: Callable[..., Any], *arguments: Any, seconds: float = DEADLINE) -> list[Any]:
        """What body(rank, *arguments) returns on every rank, with a Gloo group of `nranks`. `body` is a function of a
        module. Raises AssertionError with the first rank's traceback if any fails, or does not end."""
        self._start(nranks)
        with tempfile.TemporaryDirectory() as folder:
            for rank in range(nranks):
                self._pipes[rank].send((nranks, os.path.join(folder, "store"), body, arguments))
            results: dict[int, Any] = {}
            while len(results) < nranks:
                waiting = [self._pipes[rank] for rank in range(nranks) if rank not in results]
                ready = wait(waiting, seconds)
                if not ready:
                    missing = [rank for rank in range(nranks) if rank not in results]
                    self.close()
                    raise AssertionError(f"ranks {missing} have not ended")
                for pipe in ready:
                    self._take(self._pipes.index(pipe), results)
            return [results[rank] for rank in range(nranks)]

    def _take(self, rank: int, results: dict[int, Any]) -> None:
        try:
            kind, value = self._pipes[rank].recv()
        except EOFError:
            kind, value = "error", f"rank {rank} has died"
        if kind == "error":
            self.close()
            raise AssertionError(value)
        results[rank] = value

    def _start(self, nranks: int) -> None:
        context = fresh_processes()
        while len(self._processes) < nranks:
            mine, its = context.Pipe()
            process = context.Process(target=_serve, args=(its, len(self._processes)), daemon=True)
            process.start()
            its.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def close(self) -> None:
        """Ends them."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.kill()
            process.join()
        self._pipes.clear()
        self._processes.clear()


_shared = Processes()  # daemons: they end with this process


def run_processes(nranks: int, body: Callable[..., Any], *arguments: Any, seconds: float = DEADLINE) -> list[Any]:
    """:meth:`Processes.run` of processes that all tests share."""
    return _shared.run(nranks, body, *arguments, seconds=seconds)


def bits(tensor: torch.Tensor) -> bytes:
    """The elements of a tensor in their logical order, to be compared to the bit."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def all_bits(tensors: Any) -> list[bytes]:
    """:func:`bits` of each."""
    return [bits(tensor) for tensor in tensors]


def tiny_model(seed: int = 0) -> torch.nn.Module:
    """Some layers, the same ones for the same seed, in any thread."""
    generator = torch.Generator().manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.4, 0.4, generator=generator)
    return model


def alone() -> signccl.Communicator:
    """The only rank of a communicator."""
    return signccl.Communicator.all_in_process(1)[0]


def train(
    comm: signccl.Communicator,
    steps: int = 4,
    around: Callable[[DistributedLion, torch.nn.Module, int], None] | None = None,
    **settings: Any,
) -> list[bytes]:
    """Parameters after some steps. `around` makes a step instead of backward() and step()."""
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), **{"lr": 0.01, "comm": comm, **settings})
    for step in range(steps):
        optimizer.zero_grad()
        if around is None:
            backward(model, comm.rank, step)
            optimizer.step()
        else:
            around(optimizer, model, step)
    return all_bits(model.parameters())


def expect_equal_replicas(results: list[list[bytes]]) -> list[bytes]:
    """What all ranks have."""
    for other in results[1:]:
        assert other == results[0]
    return results[0]


def backward(model: torch.nn.Module, rank: int, step: int, scale: float = 1.0) -> None:
    """Adds gradients that depend on rank and step."""
    generator = torch.Generator().manual_seed(1000 * step + rank)
    loss = model(torch.randn(5, 6, generator=generator)).square().mean()
    (loss * scale).backward()


def train_on(model: torch.nn.Module, optimizer: DistributedLion, first: int, last: int) -> None:
    """Makes the steps from `first` up to `last`."""
    for step in range(first, last):
        optimizer.zero_grad()
        backward(model, optimizer.comm.rank, step)
        optimizer.step()


def momenta(optimizer: DistributedLion) -> list[torch.Tensor]:
    """Those of all parameters, in their order."""
    return [optimizer.state[p]["momentum"] for group in optimizer.param_groups for p in group["params"]]
