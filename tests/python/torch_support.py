# SPDX-License-Identifier: Apache-2.0
"""Ranks for tests of PyTorch: processes that stay, so that torch is imported once, and that run functions of tests."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from signccl.torch import groups

DEADLINE = 50.0  # seconds; less than that of a test

_MASK = 2**64 - 1
_FOREIGN = ("SIGNCCL_COMM_ID", "PMIX_RANK", "PMIX_NAMESPACE", "TORCHELASTIC_USE_AGENT_STORE")


class Failure(Exception):
    """What a function raised on a rank: the names of the exception's classes, and its text."""

    def __init__(self, kinds: list[str], text: str, trace: str) -> None:
        super().__init__(kinds, text, trace)
        self.kinds, self.text, self.trace = kinds, text, trace

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.kinds[0]}: {self.text}\n{self.trace}"


class Ranks:
    """Processes that are the ranks of jobs, one job after the other. A context manager that ends them."""

    def __init__(self, nranks: int) -> None:
        self.nranks = nranks
        self.processes: list[Any] = []
        self._pipes: list[Connection] = []
        self._folder = tempfile.TemporaryDirectory(prefix="signccl-test-")
        self._njobs = 0
        self._begin()

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        for rank in range(self.nranks):
            mine, other = context.Pipe()
            process = context.Process(target=_serve, args=(other, rank, self.nranks), daemon=True)
            process.start()
            other.close()
            self._pipes.append(mine)
            self.processes.append(process)

    def _end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join(10)
        self.processes.clear()
        self._pipes.clear()

    def start(self, body: Callable[..., Any], *arguments: Any) -> None:
        """Begins body(rank, nranks, *arguments) on every rank, with rank, size and meeting() set."""
        # A file: a port that is free now may be taken when a rank opens it.
        self._njobs += 1
        place = Path(self._folder.name) / f"store-{self._njobs}"
        for pipe in self._pipes:
            pipe.send((place.as_uri(), body, arguments))

    def outcomes(self, seconds: float = DEADLINE) -> list[Any]:
        """What the function returned, or a Failure, on every rank; None for a rank that has died."""
        deadline = time.monotonic() + seconds
        results: dict[int, Any] = {}
        while len(results) < self.nranks:
            waiting = {pipe: rank for rank, pipe in enumerate(self._pipes) if rank not in results}
            ready = wait(list(waiting), max(0.0, deadline - time.monotonic()))
            if not ready:
                self._fail(seconds, results)
            for pipe in ready:
                try:
                    results[waiting[pipe]] = pipe.recv()  # type: ignore[index,union-attr]
                except EOFError:
                    results[waiting[pipe]] = None  # type: ignore[index]
        return [results[rank] for rank in range(self.nranks)]

    def _fail(self, seconds: float, results: dict[int, Any]) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGABRT)  # faulthandler says where they hang
        raise AssertionError(f"ranks have not ended after {seconds} s; those that have: {results}")

    def run(self, body: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What body(rank, nranks, *arguments) returns on every rank. Raises AssertionError with what failed.

        Processes that failed are replaced.
        """
        try:
            self.start(body, *arguments)
            results = self.outcomes()
            failures = [f"rank {rank}: {result}" for rank, result in enumerate(results) if isinstance(result, Failure)]
            assert not failures, "\n".join(failures)
        except BaseException:
            self._end()
            self._begin()
            raise
        return results


def _serve(pipe: Connection, rank: int, nranks: int) -> None:
    faulthandler.enable()
    torch.set_num_threads(1)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    while True:
        try:
            place, body, arguments = pipe.recv()
        except EOFError:
            return
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(nranks), LOCAL_RANK=str(rank), SIGNCCL_TEST_PLACE=place)
        try:
            result = body(rank, nranks, *arguments)
        except BaseException as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            result = Failure(kinds, str(error), traceback.format_exc())
        sys.stdout.flush()
        pipe.send(result)


# ------------------------------------------------------------------------------------- what docs/semantics.md says


def signs(values: torch.Tensor, zero: str) -> np.ndarray:
    """-1, 0 or +1 of each element, as int64."""
    wide = values.double().numpy()
    result = (wide > 0).astype(np.int64) - (wide < 0)
    return np.where(result == 0, 1, result) if zero == "binary" else result


def expected_vote(inputs: list[torch.Tensor], zero: str = "binary", tie: str = "random", call: int = 0) -> torch.Tensor:
    """The vote of the inputs of all ranks, as int64."""
    result = np.sign(np.sum([signs(one, zero) for one in inputs], axis=0))
    ties = {"random": random_ties(call, result.size), "positive": 1, "negative": -1, "zero": 0}[tie]
    flat = result.reshape(-1)
    return torch.from_numpy(np.where(flat == 0, ties, flat).reshape(result.shape))


def expected_mean(inputs: list[torch.Tensor], dtype: torch.dtype, zero: str = "binary") -> torch.Tensor:
    """The mean of the inputs' signs, or the sum if `dtype` is an integer."""
    total = np.sum([signs(one, zero) for one in inputs], axis=0)
    # Of so few ranks no quotient is near the middle between two 16-bit numbers, so rounding twice is rounding once.
    return torch.from_numpy(np.asarray(total / len(inputs) if dtype.is_floating_point else total)).to(dtype)


def random_ties(call: int, count: int) -> np.ndarray:
    """+1 or -1 for every element of a call."""
    z = (call + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    key = z ^ (z >> 31)
    result = np.empty(count, np.int64)
    for index in range(count):
        x = (index // 64 * 0x9E3779B97F4A7C15 & _MASK) ^ key
        p = (x & 0xFFFFFFFF) * (x >> 32)
        y = x ^ (((p & 0xFFFFFFFF) << 32) + (p >> 32) & _MASK)
        word = y ^ ((y & 0xFFFFFFFF) * 0xD2511F52 & _MASK)
        result[index] = 1 if word >> index % 64 & 1 else -1
    return result


def values(rank: int, shape: Any, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    """Random elements of a rank, many of them zeros, with NaN and infinities where the type has them."""
    generator = torch.Generator().manual_seed(1000 * seed + rank)
    result = torch.randint(-2, 3, shape, generator=generator)
    if not dtype.is_floating_point:
        return result.to(dtype)
    floats = result * torch.rand(result.shape, generator=generator)
    if floats.numel() >= 8:
        floats.view(-1)[:6] = torch.tensor([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-40])
    return floats.to(dtype)


def assert_same(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal in shape, dtype and every element; NaN equals nothing."""
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def meeting(again: str = "") -> dict[str, Any]:
    """Arguments of init_process_group by which the ranks of this job meet; `again`: at another place."""
    place = os.environ["SIGNCCL_TEST_PLACE"] + again
    return {"init_method": place, "rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}


def meet(name: str) -> None:
    """Returns once every rank of the default group has come here, so that none is in an earlier collective any more.

    A collective cannot tell: a rank that returns from it does not know that the others have. Once per name and job.
    """
    store = dist.distributed_c10d._get_default_store()
    store.add(name, 1)
    while store.add(name, 0) < dist.get_world_size():
        time.sleep(0.01)


@contextlib.contextmanager
def job(name: str = "signccl", again: str = "", **options: Any) -> Iterator[Any]:
    """The default group of torch.distributed, as a program makes it and ends it."""
    dist.init_process_group(name, **meeting(again), **options)
    try:
        yield dist.group.WORLD
        dist.barrier()
    finally:
        for _, comm in list(groups._communicators.values()):
            comm.close()
        groups._communicators.clear()
        dist.destroy_process_group()
