# SPDX-License-Identifier: Apache-2.0
"""How the ranks of a new communicator get the unique id that rank 0 makes.

Rank 0 gives the others an offer: the id, or why it could not make one, so that they fail with that reason instead of
waiting.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Callable, Protocol

from ._c import check, lib
from ._c_types import UNIQUE_ID_BYTES, UniqueId
from .errors import InvalidUsageError, OperationTimeoutError, RemoteError, SignCCLError, SystemCallError

_OFFER_BYTES = 512  # of all ranks, since some all-gathers want equal sizes
_STORED_BYTES = 480  # in hexadecimal digits, of which PMI takes 1,023
_GOOD, _BAD = b"+", b"-"
_DEFAULT_SECONDS = 600.0
_POLL_SECONDS = 0.01

AllGather = Callable[[bytes], Sequence[bytes]]


class Store(Protocol):
    """What a store must have: as torch.distributed.Store, or any map that all ranks see."""

    def set(self, key: str, value: Any, /) -> Any: ...

    def get(self, key: str, /) -> Any: ...


def get_unique_id() -> bytes:
    """Makes a unique id: 128 bytes that bring the ranks of one communicator together.

    One process calls it, usually that of rank 0, hands the bytes to the others by its own means, and stays alive as
    long as the communicator does. From then on it listens for the ranks; if none has come after 10 minutes
    (``SIGNCCL_TIMEOUT``), it stops. The id holds a random secret: who knows it can join. Each id is good for one
    communicator. Any thread.
    """
    unique_id = UniqueId()
    check(lib.signcclGetUniqueId(ctypes.byref(unique_id)))
    return bytes(unique_id)


class _Pledge:
    """What rank 0 gives the others: the unique id, or the error that it got instead."""

    def __init__(self) -> None:
        self._error: SignCCLError | None = None
        try:
            self.offer = _GOOD + get_unique_id()
        except SignCCLError as error:
            self._error = error
            self.offer = (_BAD + str(error).encode())[:_OFFER_BYTES]

    def keep(self) -> bytes:
        """The unique id, once the others have the offer. Raises the error that there was instead."""
        if self._error is not None:
            raise self._error
        return _accept(self.offer)


def _accept(offer: bytes) -> bytes:
    """The unique id of an offer. Raises RemoteError if it is none."""
    if offer[:1] == _GOOD and len(offer) > UNIQUE_ID_BYTES:
        return offer[1 : 1 + UNIQUE_ID_BYTES]
    if offer[:1] == _BAD:
        text = offer[1:].rstrip(b"\0").decode("utf-8", errors="replace")
        raise RemoteError(f"rank 0 could not make a unique id: {text}")
    raise RemoteError(f"rank 0 gave {len(offer)} bytes that hold no unique id, expected those of signccl on rank 0")


def by_allgather(allgather: AllGather, rank: int, nranks: int) -> bytes:
    """The unique id, through the caller's all-gather, which is called once on every rank, in the calling thread."""
    pledge = _Pledge() if rank == 0 else None
    mine = pledge.offer if pledge else b""
    try:
        gathered = allgather(mine.ljust(_OFFER_BYTES, b"\0"))
    except Exception as error:
        raise SystemCallError(f"allgather raised {type(error).__name__} on rank {rank}: {error}") from error
    if pledge:
        pledge.keep()
    if isinstance(gathered, (bytes, str)) or not isinstance(gathered, Sequence):
        raise TypeError(f"allgather returned a {type(gathered).__name__}, expected a list of bytes, one per rank")
    if len(gathered) != nranks:
        raise ValueError(f"allgather returned {len(gathered)} items, expected {nranks}, one per rank")
    first = gathered[0]
    if not isinstance(first, (bytes, bytearray, memoryview)):
        raise TypeError(f"allgather returned a {type(first).__name__} for rank 0, expected bytes")
    return _accept(bytes(first))


def by_store(store: Store, rank: int, key: str, timeout: float | None) -> bytes:
    """The unique id, through a store: rank 0 sets a key, the others read it."""
    name = _next_meeting(key, rank)
    if rank == 0:
        pledge = _Pledge()
        _of_store(store.set, rank, name, pledge.offer)
        return pledge.keep()
    seconds = default_seconds() if timeout is None else timeout
    deadline = time.monotonic() + seconds
    # get() of torch's stores blocks for minutes and is deaf to Ctrl-C meanwhile; check() returns at once.
    is_there = getattr(store, "check", None)
    while True:
        if is_there is None or _of_store(is_there, rank, [name]):
            offer = _of_store(store.get, rank, name)
            if offer is not None:
                return _accept(offer.encode("latin-1") if isinstance(offer, str) else bytes(offer))
        if time.monotonic() > deadline:
            raise OperationTimeoutError(f"rank 0 has not set '{name}' in the store within {seconds:g} s (rank {rank})")
        time.sleep(_POLL_SECONDS)


def _of_store(method: Callable[..., Any], rank: int, *arguments: Any) -> Any:
    try:
        return method(*arguments)
    except Exception as error:
        name = getattr(method, "__name__", "a method")
        raise SystemCallError(f"the store's {name}() raised {type(error).__name__} on rank {rank}: {error}") from error


class LauncherSession(Protocol):
    """The key-value store of a launcher: _pmix.Session or _pmi.Session."""

    @property
    def rank(self) -> int: ...

    def publish(self, key: str, text: str) -> None: ...

    def fence(self) -> None: ...

    def read(self, rank: int, key: str, /) -> str: ...


def by_launcher(session: LauncherSession, rank: int) -> bytes:
    """The unique id, through the launcher's store. Every process of the job calls it, as often as the others."""
    name = _next_meeting("signccl.python", rank)
    if session.rank != rank:
        raise InvalidUsageError(
            f"the launcher's store calls this process {session.rank}, its variables {rank}: expected the same number"
        )
    pledge = _Pledge() if rank == 0 else None
    if pledge:
        session.publish(name, pledge.offer[:_STORED_BYTES].hex())
    session.fence()
    return pledge.keep() if pledge else _accept(bytes.fromhex(session.read(0, name)))


_meetings: dict[tuple[str, int], int] = {}
_meetings_lock = threading.Lock()


def _next_meeting(key: str, rank: int) -> str:
    """A name that no earlier communicator of this rank used: stores keep what was set."""
    with _meetings_lock:
        number = _meetings.get((key, rank), 0)
        _meetings[key, rank] = number + 1
    return f"{key}/{number}"


def default_seconds() -> float:
    """How long ranks wait for each other if the caller does not say: as long as the library would."""
    try:
        seconds = float(os.environ.get("SIGNCCL_TIMEOUT", ""))
    except ValueError:
        return _DEFAULT_SECONDS
    return seconds if 0 < seconds < float("inf") else _DEFAULT_SECONDS


def _forget_lock() -> None:
    """In a child after fork(): another thread of the parent may have held the lock."""
    global _meetings_lock
    _meetings_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
