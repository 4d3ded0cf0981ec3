# SPDX-License-Identifier: Apache-2.0
"""Ranks for tests: threads of this process, or processes that run a program of tests/python/programs."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import signccl

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
DEADLINE = 40.0  # seconds; less than that of a test

#: Settings of launchers and of the library that a test must not inherit.
_FOREIGN = (
    "RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_USE_AGENT_STORE",
    "SIGNCCL_COMM_ID",
    "PMIX_RANK",
    "PMIX_NAMESPACE",
)


def as_threads(nranks: int, body: Callable[[signccl.Communicator], Any]) -> list[Any]:
    """What body(comm) returns on every rank. Raises the first error of a rank, after all have ended."""
    outcomes = outcomes_of_threads(nranks, body, abort_on_error=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    # An error that another rank's abort caused is not the one to show.
    for error in sorted(errors, key=lambda error: isinstance(error, signccl.RemoteError)):
        raise error
    return outcomes


def outcomes_of_threads(
    nranks: int, body: Callable[[signccl.Communicator], Any], *, abort_on_error: bool = False
) -> list[Any]:
    """What body(comm) returns or raises on every rank. All communicators stay open until all ranks have ended."""

    def outcome(comm: signccl.Communicator) -> Any:
        try:
            return body(comm)
        except Exception as error:
            if abort_on_error:
                comm.abort()
            return error

    comms = signccl.Communicator.all_in_process(nranks)
    try:
        return run_threads([lambda comm=comm: outcome(comm) for comm in comms])
    finally:
        for comm in comms:
            comm.close()


def run_threads(bodies: list[Callable[[], Any]]) -> list[Any]:
    """What each of the functions returns, each in a thread of its own. Raises the first error, after all have ended."""
    results: list[Any] = [None] * len(bodies)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = bodies[index]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "a rank has not ended"
    if errors:
        raise errors[0]
    return results


def expect_remote_error(outcome: Any, *texts: str) -> None:
    """The outcome of a rank must be the error that another one has caused, with these texts."""
    assert isinstance(outcome, signccl.RemoteError), repr(outcome)
    for text in texts:
        assert text in str(outcome)


def free_port() -> int:
    """One below those that the system gives to others by itself."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**variables: str) -> dict[str, str]:
    """This process's, without launchers, with `variables`."""
    inherited = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**inherited, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONFAULTHANDLER": "1", **variables}


class Program:
    """A process that runs a program of tests/python/programs. A context manager that kills it at its end."""

    def __init__(self, name: str, *arguments: object, interpreter: list[str] | None = None, **variables: str) -> None:
        command = [*(interpreter or [sys.executable]), "-B", str(PROGRAMS / f"{name}.py"), *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what it has started too
        self.process.communicate(timeout=10)

    def expect_line(self, line: str) -> None:
        """Waits until the program writes that line."""
        assert self.process.stdout is not None
        read = self.process.stdout.readline().rstrip("\n")
        assert read == line, f"wrote {read!r}, expected {line!r}: {self.end()}"

    def end(self, seconds: float = DEADLINE) -> tuple[int, str, str]:
        """Exit status, standard output and errors."""
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler says where it hangs
            output, errors = self.process.communicate(timeout=10)
            raise AssertionError(f"has not ended after {seconds} s:\n{output}\n{errors}") from None
        return self.process.returncode, output, errors

    def expect_success(self) -> str:
        status, output, errors = self.end()
        assert status == 0, f"exit status {status}:\n{output}\n{errors}"
        return output


class Job:
    """Processes that run one program as the ranks of a job, as torchrun would start them. A context manager."""

    def __init__(self, nranks: int, name: str, *arguments: object, **variables: str) -> None:
        point = f"127.0.0.1:{free_port()}"
        self.ranks = [
            Program(
                name,
                *arguments,
                **{"RANK": str(rank), "WORLD_SIZE": str(nranks), "SIGNCCL_COMM_ID": point, **variables},
            )
            for rank in range(nranks)
        ]

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        for rank in self.ranks:
            rank.__exit__()

    def __getitem__(self, rank: int) -> Program:
        return self.ranks[rank]

    def expect_success(self) -> list[str]:
        return [rank.expect_success() for rank in self.ranks]


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition becomes true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
