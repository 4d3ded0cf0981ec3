# SPDX-License-Identifier: Apache-2.0
"""A handle of the C API, and how it ends: closed, aborted, interrupted, forked, forgotten, or left over at exit."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Callable, Protocol, TypeVar

from ._c import check, lib
from ._c_types import Result
from ._waiting import call, finish, wait
from .errors import InvalidUsageError, SignCCLError, reason_of, uncaught_reason

_SECONDS_TO_END = 5.0
_SECONDS_TO_DRAIN = 1.0
_POLL_SECONDS = 0.001

#: Those of this process that are not closed, in the order in which they were made: ranks that end together then leave
#: them in the same order, and do not wait for each other.
_live: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
_numbers = itertools.count()
#: Requests and buffers of interrupted collectives that the library has not finished with.
_orphans: list[tuple[ctypes.c_void_p, object]] = []

Self = TypeVar("Self", bound="Handle")


class Dispatched(Protocol):
    """Calls on a communicator that a framework makes later, in threads of its own."""

    def wait(self) -> None:
        """Returns when those that this thread has dispatched are done. Raises nothing."""

    def end(self) -> None:
        """Lets none begin any more, and returns when none is under way."""


class Handle:
    """A signcclComm_t of this process, with a lock for its calls. The base of Communicator."""

    nranks: int
    _dispatched: Dispatched | None = None

    def __init__(self, handle: int, keep: object) -> None:
        """`keep` lives until it is closed."""
        self._handle: int | None = handle
        self._keep = keep
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._number = next(_numbers)
        self._has_streams = False  #: whether calls on CUDA streams may be under way
        _live[self._number] = self

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._handle is None

    def abort(self, reason: str | None = None) -> None:
        """Makes calls on it raise RemoteError at once, here in any thread and on all other ranks, with this rank's
        number and `reason` in the text. Waits for no call, but until the others are told, a second at most. Any thread.

        It then has to be closed. Does nothing if it is closed.
        """
        handle = self._handle
        if handle is not None and self._pid == os.getpid():
            _abort(handle, reason)

    def _abort_for(self, error: BaseException) -> None:
        """Tells the other ranks that this one raised `error` instead of taking part in their call, for which they
        would wait. A rank that is alone has nobody to tell and stays usable."""
        if self.nranks > 1:
            self.abort(reason_of(error))

    @contextlib.contextmanager
    def _taking_part(self) -> Iterator[None]:
        """Goes around what a rank does in a collective, the checks of its arguments included: see _abort_for()."""
        try:
            yield
        except BaseException as error:
            self._abort_for(error)
            raise

    def close(self) -> None:
        """Leaves the group. Does nothing the second time. Ranks that still wait for this one get RemoteError."""
        if self._handle is None:
            return
        if self._pid != os.getpid():
            self._handle = None  # the parent's
            return
        if self._dispatched is not None:
            self._dispatched.wait()
            self._dispatched.end()
            self._dispatched = None
        with self._lock:
            handle, self._handle = self._handle, None
            _live.pop(self._number, None)
            if handle is not None:
                _destroy(handle)
        self._keep = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        is_exit = isinstance(error, SystemExit) and not error.code
        if error is not None and not is_exit:
            self.abort(reason_of(error))  # the others are not to wait for a rank that has failed
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is None:
            return
        with contextlib.suppress(Exception):  # nobody could catch it
            self.close()

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Communicator belongs to its process and cannot be copied or pickled: pass its rank and make one there"
        )

    def _open(self) -> int:
        """The handle, for a call that is made now. Raises InvalidUsageError if it is closed, or of the parent
        process."""
        handle = self._peek()
        if self._dispatched is not None:
            self._dispatched.wait()
        return handle

    def _peek(self) -> int:
        """:meth:`_open` without waiting for calls that were dispatched."""
        if self._pid != os.getpid():
            raise InvalidUsageError(
                f"the communicator belongs to process {self._pid}; process {os.getpid()} is a child after fork(), "
                "which cannot use it: make a new communicator here"
            )
        if self._handle is None:
            raise InvalidUsageError("the communicator is closed")
        return self._handle

    def _run(self, function: Callable[..., int], *arguments: Any, keep: object) -> None:
        """Calls a non-blocking collective of the C API, `function(*arguments, comm, stream, request)`, and waits for
        it.

        `keep` holds the buffers of `arguments` alive until the library is done with them, also if the wait is
        interrupted.
        """
        with self._lock:
            handle = self._open()
            request = ctypes.c_void_p()
            try:
                check(function(*arguments, handle, None, ctypes.byref(request)), handle)
                wait(request, handle)
            except BaseException as error:
                self._abort_for(error)
                if request.value is not None:
                    self._interrupt(request, handle, keep)
                raise

    def _enqueue(self, function: Callable[..., int], *arguments: Any, stream: int) -> None:
        """Calls a collective of the C API on a CUDA stream, `function(*arguments, comm, stream)`. Returns once it is
        enqueued: its buffers are the caller's to keep.

        In the calling thread, since a handle may mean a stream of that thread. It waits for other ranks of this process
        alone, as they do for it, until the deadline.
        """
        with self._lock:
            handle = self._open()
            try:
                check(function(*arguments, handle, stream), handle)
            except BaseException as error:
                self._abort_for(error)
                raise
            self._has_streams = True

    def _interrupt(self, request: ctypes.c_void_p, handle: int, keep: object) -> None:
        """Ends a collective that goes on in the library."""
        orphan = (request, keep)
        _orphans.append(orphan)
        lib.signcclCommAbort(handle)
        if finish(request, handle):
            _orphans.remove(orphan)

    def _is_left_amid(self, handle: int) -> bool:
        """Whether this process ends amid a step. A stream that has its results may be ahead of the communicator by what
        the other ranks still take from this one, which gets a second."""
        deadline = time.monotonic() + _SECONDS_TO_DRAIN
        while _is_busy(handle):
            if not self._has_streams or time.monotonic() > deadline:
                return True
            time.sleep(_POLL_SECONDS)
        return False


def _abort(handle: int, reason: str | None) -> None:
    lib.signcclCommAbortWithReason(handle, None if reason is None else reason.encode(errors="replace"))


def _is_busy(handle: int) -> bool:
    """Whether buckets of a step are under way."""
    state = ctypes.c_int()
    lib.signcclCommGetAsyncError(handle, ctypes.byref(state))
    return state.value == Result.IN_PROGRESS


def _destroy(handle: int) -> None:
    """Frees a communicator. Buckets that are under way are waited for, and Ctrl-C ends that."""
    if _is_busy(handle):
        call(lambda: check(lib.signcclCommDestroy(handle)), lambda reason: _abort(handle, reason))
    else:
        check(lib.signcclCommDestroy(handle))


def _close_all() -> None:
    """At the exit of the interpreter, which nothing may hold up. A communicator is aborted first if another thread is
    waiting at it, or if this process ends amid a step or by an exception that nobody caught: the others are told it."""
    reason = uncaught_reason()
    for handle in list(_live.values()):
        if handle._pid != os.getpid():
            continue
        if not handle._lock.acquire(blocking=False):
            handle.abort(reason)
            if not handle._lock.acquire(timeout=_SECONDS_TO_END):
                continue
        try:
            if handle._handle is not None and handle._is_left_amid(handle._handle):
                handle.abort(reason or "its process ended amid a step")
            elif reason is not None and handle.nranks > 1:
                handle.abort(reason)
            handle.close()
        except SignCCLError:
            pass
        finally:
            handle._lock.release()


def _after_fork() -> None:
    """In a child: other threads of the parent may have held locks, and its communicators are not the child's."""
    for handle in list(_live.values()):
        handle._lock = threading.RLock()
    _live.clear()
    _orphans.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
