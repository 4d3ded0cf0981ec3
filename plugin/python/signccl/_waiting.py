# SPDX-License-Identifier: Apache-2.0
"""Waiting that Ctrl-C can end.

Python runs signal handlers in the main thread, between two of its own instructions, so that thread must not stay in
the C library for long. Other threads never get a KeyboardInterrupt and may.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from ._c import check, lib
from .errors import SignCCLError, reason_of

T = TypeVar("T")

_WAIT_MS = 100  # how late a signal handler may run
_SECONDS_TO_END = 5.0  # what a call is given to return once its communicator was aborted


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def wait(request: ctypes.c_void_p, comm: int) -> None:
    """Waits until a collective of `comm` is complete, and raises its error. `request` then is NULL.

    In the main thread a signal handler may raise, and then the request goes on: see finish().
    """
    if _is_main():
        _poll(request, comm, None)
    else:
        check(lib.signcclRequestWait(ctypes.byref(request)), comm)


def finish(request: ctypes.c_void_p, comm: int) -> bool:
    """Waits a few seconds for a request whose communicator was aborted, and says whether it is complete.

    If it is not, the library still uses its buffers.
    """
    try:
        return _poll(request, comm, time.monotonic() + _SECONDS_TO_END)
    except SignCCLError:  # that of the abort
        return request.value is None


def _poll(request: ctypes.c_void_p, comm: int, deadline: float | None) -> bool:
    """Waits for the request, in slices, until it is complete; False if the deadline comes first."""
    done = ctypes.c_int()
    while True:
        check(lib.signcclRequestWaitFor(ctypes.byref(request), _WAIT_MS, ctypes.byref(done)), comm)
        if done.value:
            return True
        if deadline is not None and time.monotonic() > deadline:
            return False


def call(
    function: Callable[[], T], abort: Callable[[str], None] | None = None, undo: Callable[[T], None] | None = None
) -> T:
    """Runs a function that blocks in the C library, and returns what it returns or raises what it raises.

    In the main thread it runs in a thread of its own, so that Ctrl-C is heeded at once. Then `abort` is called with the
    reason, which should make the function return, KeyboardInterrupt goes on to the caller, and what the function may
    still return is given to `undo`.
    """
    if not _is_main():
        return function()
    box = _Box(function, undo)
    thread = threading.Thread(target=box.run, name="signccl-call", daemon=True)
    try:
        thread.start()
        box.done.wait()
    except BaseException as error:
        if thread.ident is None:  # it could not be started
            raise
        box.abandon()
        if abort is not None:
            abort(reason_of(error))
            thread.join(_SECONDS_TO_END)
        raise
    return box.result()


class _Box(Generic[T]):
    """What a function in another thread came to."""

    def __init__(self, function: Callable[[], T], undo: Callable[[T], None] | None) -> None:
        self.done = threading.Event()
        self._function = function
        self._undo = undo
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._value: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            value = self._function()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                self._value = value
                is_abandoned = self._is_abandoned
            if is_abandoned and self._undo is not None:
                self._undo(value)
        self.done.set()

    def abandon(self) -> None:
        """Nobody waits for the result any more."""
        with self._lock:
            self._is_abandoned = True
            value, self._value = self._value, None
        if value is not None and self._undo is not None:
            self._undo(value)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return cast(T, self._value)
