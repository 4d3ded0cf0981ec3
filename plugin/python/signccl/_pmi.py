# SPDX-License-Identifier: Apache-2.0
"""The key-value space of PMI-1, through which the processes of MPICH's Hydra, Intel's mpiexec and srun --mpi=pmi2 meet.

The launcher gives each process a socket (PMI_FD) and answers requests, a line each. The programs of this repository do
the same (launch/pmi_store.cc).
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from contextlib import suppress

from ._waiting import call

_FENCE_SECONDS = 60.0
_LONGEST_LINE = 8192


class PmiError(RuntimeError):
    """The launcher cannot be asked, or answered with an error."""


class Session:
    """The conversation of this process with its launcher, of which there is one. Methods raise PmiError."""

    def __init__(self, descriptor: str, rank: int) -> None:
        self.rank = rank
        self._process = os.getpid()
        self._lock = threading.Lock()
        if not (descriptor.isascii() and descriptor.isdigit()):
            raise PmiError(f"PMI_FD is '{descriptor}', expected the number of a descriptor")
        try:
            self._socket = socket.socket(fileno=os.dup(int(descriptor)))
        except OSError as error:
            raise PmiError(f"PMI_FD is {descriptor}, which is no socket: {error}") from error
        try:
            self._ask("cmd=init pmi_version=1 pmi_subversion=1", "response_to_init")
            self._space = self._ask("cmd=get_my_kvsname", "my_kvsname").get("kvsname", "")
        except PmiError:
            self._socket.close()
            raise
        # A launcher takes a process that ends without this for one that crashed.
        atexit.register(self._finalize)

    def publish(self, key: str, text: str) -> None:
        """Gives `text`, letters and digits alone, to all processes, once they have all called fence()."""
        self._ask(f"cmd=put kvsname={self._space} key={key} value={text}", "put_result")

    def fence(self) -> None:
        """Waits for all processes of the job to call it, for a minute at most."""
        call(lambda: self._ask("cmd=barrier_in", "barrier_out"))

    def read(self, _rank: int, key: str) -> str:
        """What was published under a key."""
        return self._ask(f"cmd=get kvsname={self._space} key={key}", "get_result").get("value", "")

    def _ask(self, request: str, kind: str) -> dict[str, str]:
        """The fields of the launcher's answer, which is of this kind and reports no error."""
        with self._lock:
            try:
                self._socket.settimeout(_FENCE_SECONDS)
                self._socket.sendall(f"{request}\n".encode())
                line = self._receive(request)
            except TimeoutError as error:
                raise PmiError(
                    f"the launcher has not answered '{request}' within {_FENCE_SECONDS:g} s, which it does once all "
                    "processes of the job have come that far"
                ) from error
            except OSError as error:
                raise PmiError(f"the launcher cannot be asked through PMI_FD: {error}") from error
        answer = dict(field.split("=", 1) for field in line.split(" ") if "=" in field)
        if answer.get("cmd") != kind or answer.get("rc", "0") != "0":
            raise PmiError(f"the launcher answered '{line}' to '{request}', expected cmd={kind} of PMI 1 and no error")
        return answer

    def _receive(self, request: str) -> str:
        deadline = time.monotonic() + _FENCE_SECONDS
        line = b""
        while not line.endswith(b"\n"):
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self._socket.recv(1024)
            if not received or len(line) > _LONGEST_LINE:
                raise PmiError(f"the launcher ended the connection of PMI_FD instead of answering '{request}'")
            line += received
        return line[:-1].decode(errors="replace")

    def _finalize(self) -> None:
        if os.getpid() != self._process:  # a child after fork() has its parent's socket
            return
        with self._socket, suppress(PmiError):
            self._ask("cmd=finalize", "finalize_ack")


_session: Session | None = None
_session_lock = threading.Lock()


def session(descriptor: str, rank: int) -> Session:
    """The session of this process, begun by the first call. Raises PmiError."""
    global _session
    with _session_lock:
        if _session is None or _session._process != os.getpid():
            if "mpi4py.MPI" in sys.modules:
                raise PmiError(
                    "mpi4py speaks with the launcher in this process: use "
                    "Communicator.from_allgather(MPI.COMM_WORLD.allgather, rank, nranks)"
                )
            _session = Session(descriptor, rank)
        return _session


def _forget_lock() -> None:
    """In a child after fork(): another thread of the parent may have held the lock."""
    global _session_lock
    _session_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
