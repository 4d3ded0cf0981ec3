# SPDX-License-Identifier: Apache-2.0
"""Lets a process have one UCX only.

Ranks in several processes talk over UCX, which the C library loads when the first of them joins: the UCX that is in
the process already, else that of ``SIGNCCL_UCX_LIBRARY``, else the system's. Python has UCX in a package of its own,
``libucx-cu12`` or ``libucx-cu13`` (module ``libucx``), which other packages such as ucxx use. If that is installed it
is loaded first, so that all of them share it, whichever comes first.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = range(1, 32)  # without those for real time
_SIGACTION_BYTES = 512  # more than struct sigaction has anywhere
_USER_WANTS_HANDLERS = ("UCX_ERROR_SIGNALS", "UCX_HANDLE_ERRORS", "UCX_DEBUG_SIGNO")

_lock = threading.Lock()
_done = False


def share() -> None:
    """Loads the UCX of the libucx package, unless there is none, a UCX is loaded, or the user named another one.

    To be called before a communicator that may have ranks in other processes. Does its work once per process. A
    package that cannot be loaded is warned of, and left alone.
    """
    global _done
    with _lock:
        if _done:
            return
        _done = True
        if os.environ.get("SIGNCCL_UCX_LIBRARY") or is_loaded():
            return
        if importlib.util.find_spec("libucx") is None:
            return
        try:
            _load_package()
        except Exception as error:
            warnings.warn(
                f"the UCX of the libucx package cannot be loaded, the system's is used: {error}", stacklevel=2
            )


def is_missed(error: str) -> bool:
    """Whether the library's text says that there is no UCX; the result code says less."""
    return "need UCX, which was not found" in error and not is_loaded()


def is_loaded() -> bool:
    """Whether a UCX is loaded in this process, also one that a package has renamed."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return any(line.rstrip().rpartition("/")[2].startswith(("libucp.so", "libucp-")) for line in maps)
    except OSError:
        return False


def _load_package() -> None:
    libucx = importlib.import_module("libucx")
    if any(name in os.environ for name in _USER_WANTS_HANDLERS):
        libucx.load_library()
        return
    with _signals_kept():
        for library in libucx.load_library():
            # UCX is not to set its handlers again at its end.
            give_up = getattr(library, "ucs_debug_disable_signals", None)
            if give_up is not None:
                give_up.argtypes, give_up.restype = [], None
                give_up()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Puts back the signal handlers that UCX replaces when it is loaded: SIGHUP would no longer end the process."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = {}
    for number in _SIGNALS:
        action = ctypes.create_string_buffer(_SIGACTION_BYTES)
        if libc.sigaction(number, None, action) == 0:
            before[number] = action
    try:
        yield
    finally:
        now = ctypes.create_string_buffer(_SIGACTION_BYTES)
        for number, action in before.items():
            if libc.sigaction(number, None, now) == 0 and now.raw != action.raw:
                libc.sigaction(number, action, None)


def _forget_lock() -> None:
    """In a child after fork(): another thread of the parent may have held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
