# SPDX-License-Identifier: Apache-2.0
"""The numbers by which compiled programs know communicators, and how those end.

A jitted call is dispatched: it returns before XLA has made it. So a communicator that is closed, or used from Python,
waits first for the calls that this thread has dispatched, and the interpreter does so before it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Sequence

import jax

from ..communicator import Communicator
from ..errors import SignCCLError, uncaught_reason
from . import _library

_lock = threading.Lock()
_calls: weakref.WeakKeyDictionary[Communicator, _Calls] = weakref.WeakKeyDictionary()
#: Numbers of their GPUs among those of this process.
_devices: weakref.WeakKeyDictionary[Communicator, int] = weakref.WeakKeyDictionary()
#: In the order in which they were first used: ranks that end together then do not wait for each other.
_registered: list[weakref.ref[Communicator]] = []


class _Calls:
    """The calls of jitted programs on communicators of this process."""

    def __init__(self, number: int, ranks: list[int]) -> None:
        self.number = number
        self.ranks = ranks

    def wait(self) -> None:
        # A call that failed says so where its result is used.
        with contextlib.suppress(Exception):
            jax.effects_barrier()

    def is_busy(self) -> bool:
        """Whether one is under way."""
        return _library.are_ranks_busy(self.number)

    def end(self) -> None:
        _library.remove_ranks(self.number)


def number_of(comms: Sequence[Communicator]) -> int:
    """The number of communicators that go together, of different ranks of one group.

    Raises InvalidUsageError if one of them is closed, ValueError if they were used in other groups before.
    """
    ranks = [comm.rank for comm in comms]
    with _lock:
        handles = [comm._peek() for comm in comms]
        known = {_calls[comm] for comm in comms if comm in _calls}
        if known:
            (calls, *others) = known
            if others or calls.ranks != ranks:
                raise ValueError(
                    f"ranks {ranks} of this process were used in a group with ranks {calls.ranks}, expected the same "
                    "group: give the DeviceCommunicators, with axis_name, and not one of its communicators"
                )
            return calls.number
        _register_exit()
        calls = _Calls(_library.add_ranks(handles, ranks, [_device_of(comm) for comm in comms]), ranks)
        for comm in comms:
            comm._has_streams = jax.default_backend() != "cpu"
            comm._dispatched = _calls[comm] = calls
            _registered.append(weakref.ref(comm, _registered.remove))
        return calls.number


def belongs_to(comm: Communicator, device: jax.Device) -> None:
    """Notes which device's rank a communicator is."""
    if device.platform != "cpu":
        _devices[comm] = device.local_hardware_id


def _device_of(comm: Communicator) -> int:
    return _devices.get(comm, -1)


@functools.cache
def _register_exit() -> None:
    """To be called after JAX has registered its own functions: the last one is called first."""
    atexit.register(_close_all)


def _close_all() -> None:
    """At the exit of the interpreter.

    The calls that the main thread has dispatched are made first, unless it ended by an exception that nobody caught:
    then the other ranks are not to wait. Daemon threads are not waited for.
    """
    reason = uncaught_reason()
    referred = [reference() for reference in _registered]
    # A child after fork() has its parent's.
    living = [comm for comm in referred if comm is not None and comm._pid == os.getpid()]
    for comm in living:
        calls = comm._dispatched
        if not isinstance(calls, _Calls):
            continue
        if reason is None:
            calls.wait()
        if reason is not None or calls.is_busy():
            comm.abort(reason)
    for comm in living:
        with contextlib.suppress(SignCCLError):
            comm.close()
