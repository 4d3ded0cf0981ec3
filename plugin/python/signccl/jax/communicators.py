# SPDX-License-Identifier: Apache-2.0
"""Which ranks vote: one for each process, or one for each device."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._bootstrap import get_unique_id
from ..communicator import Communicator
from . import _ranks

_KEY = "signccl/jax"
_POLL_MS = 200  # how late a signal of the interpreter, such as Ctrl-C, may be heeded

_default: Communicator | None = None
_default_lock = threading.Lock()


def communicator(**settings: Any) -> Communicator:
    """The communicator of all processes of the job, one rank each; the same one at every call.

    The processes are those of ``jax.distributed.initialize()``, which then let them meet; where that was not called,
    what :meth:`signccl.Communicator.from_env` says: the processes of a launcher, or this process alone.

    The first call is a collective: all processes make it. ``settings`` are those of :class:`signccl.Communicator`
    (name, timeout, algorithm, threads, nccl_comm), and are those of the first call.
    """
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            _default = _join(settings) if jax.distributed.is_initialized() else Communicator.from_env(**settings)
        return _default


class DeviceCommunicators:
    """One rank for each device, of which this process holds those of its own devices.

    For collectives inside ``jax.shard_map``, which are told the device's rank by ``axis_name``. Made by
    :func:`device_communicators`. A context manager closes it.
    """

    def __init__(self, comms: Sequence[Communicator], nranks: int) -> None:
        self.comms = list(comms)  #: one for each device of this process, in the order of their ranks
        self.nranks = nranks

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return all(comm.closed for comm in self.comms)

    def close(self) -> None:
        """Leaves the group, when the calls that this thread has dispatched are done. Does nothing the second time."""
        for comm in self.comms:
            comm.close()

    def __enter__(self) -> DeviceCommunicators:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            for comm in self.comms:
                comm.abort()
        self.close()

    def __repr__(self) -> str:
        ranks = ", ".join(str(comm.rank) for comm in self.comms)
        return f"<signccl.jax.DeviceCommunicators ranks {ranks} of {self.nranks}{', closed' if self.closed else ''}>"


def device_communicators(devices: Any = None, **settings: Any) -> DeviceCommunicators:
    """Makes a group with one rank for each device, in their order. All processes call it with the same devices.

    Args:
        devices: in the order of the axis that they vote along, such as ``mesh.devices`` of a one-dimensional mesh.
            None: ``jax.devices()``.
        settings: of :class:`signccl.Communicator`, where there are several processes.

    Raises ValueError if a process has none of the devices.
    """
    chosen = list(np.asarray(jax.devices() if devices is None else devices, dtype=object).ravel())
    mine = [rank for rank, device in enumerate(chosen) if device.process_index == jax.process_index()]
    if not mine:
        raise ValueError(f"none of the {len(chosen)} devices belongs to process {jax.process_index()}")
    if len(mine) == len(chosen):
        return _made(Communicator.all_in_process(len(chosen)), chosen)
    # The processes meet through the communicator that they have as processes.
    processes = communicator(**settings)
    unique_id = processes.all_gather(get_unique_id() if processes.rank == 0 else b"")[0]
    return _made(_join_as_threads(unique_id, mine, len(chosen), settings), chosen)


def _made(comms: list[Communicator], devices: list[Any]) -> DeviceCommunicators:
    """Those of this process's devices; `devices` are the ones of all ranks."""
    for comm in comms:
        _ranks.belongs_to(comm, devices[comm.rank])
    return DeviceCommunicators(comms, len(devices))


def _join_as_threads(unique_id: bytes, ranks: list[int], nranks: int, settings: dict[str, Any]) -> list[Communicator]:
    """Joins several ranks of this process, which wait for each other. Raises the first error."""
    outcomes: list[Any] = [None] * len(ranks)

    def join(place: int) -> None:
        try:
            outcomes[place] = Communicator.from_unique_id(unique_id, ranks[place], nranks, **settings)
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=join, args=(place,), daemon=True) for place in range(len(ranks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


# ------------------------------------------------------------------------------------------------- jax.distributed


def _join(settings: dict[str, Any]) -> Communicator:
    """Through the key-value store of jax.distributed; where this version of JAX hides it, through a broadcast."""
    state = _distributed_state()
    if state is None:
        rank, nranks = jax.process_index(), jax.process_count()
        return Communicator.from_allgather(lambda mine: [_broadcast(mine)] * nranks, rank, nranks, **settings)
    return Communicator.from_store(_Store(state.client), state.process_id, state.num_processes, key=_KEY, **settings)


def _distributed_state() -> Any:
    """What jax.distributed.initialize() made, which JAX keeps in a private module; None if it is not there."""
    try:
        from jax._src.distributed import global_state
    except ImportError:
        return None
    names = ("key_value_set_bytes", "blocking_key_value_get_bytes")
    if any(not hasattr(global_state, name) for name in ("client", "process_id", "num_processes")):
        return None
    return global_state if all(hasattr(global_state.client, name) for name in names) else None


def _broadcast(mine: bytes) -> bytes:
    """The bytes of process 0."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(np.frombuffer(mine, np.uint8))).tobytes()


class _Store:
    """The key-value store of jax.distributed as Communicator.from_store() wants it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def set(self, key: str, value: bytes, /) -> None:
        self._client.key_value_set_bytes(key, value)

    def get(self, key: str, /) -> bytes | None:
        """None if it is not there after a while."""
        try:
            return bytes(self._client.blocking_key_value_get_bytes(key, _POLL_MS))
        except Exception as error:
            if "DEADLINE_EXCEEDED" in str(error) or "NOT_FOUND" in str(error):
                return None
            raise


def checked(comm: Any) -> tuple[list[Communicator], bool]:
    """The communicators of this process that `comm=` means, and whether a device must say which is its own.

    Raises TypeError.
    """
    if comm is None:
        return [communicator()], False
    if isinstance(comm, Communicator):
        return [comm], False
    if isinstance(comm, DeviceCommunicators):
        return comm.comms, True
    raise TypeError(
        f"comm is of type {type(comm).__name__}, expected a signccl.Communicator, or the "
        "signccl.jax.DeviceCommunicators of device_communicators()"
    )
