# SPDX-License-Identifier: Apache-2.0
"""Communicators: one rank's handle on a group of ranks."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, NamedTuple

from . import _bootstrap, _environment, _ucx
from ._arguments import Settings, make_config, whole_number
from ._c import check, last_error, lib
from ._c_types import (
    ALL_GATHER_MAX_BYTES,
    MAX_RANKS,
    SPLIT_NOCOLOR,
    UNIQUE_ID_BYTES,
    CommStats,
    Config,
    Result,
    UniqueId,
)
from ._handle import Handle
from ._waiting import call
from .errors import SignCCLError, SystemCallError, error_for

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LARGEST_INT = 2**31 - 1
_LARGEST_UINT64 = 2**64 - 1
_LENGTH = struct.Struct("<Q")


class Stats(NamedTuple):
    """Counters of one rank since it joined."""

    collectives: int  #: completed collectives
    exchanges: int  #: completed exchanges; collectives that travel together share one
    bytes_sent: int  #: payload handed to the transport
    bytes_received: int  #: payload received from it
    messages_sent: int  #: messages handed to the transport
    messages_received: int  #: messages received from it
    scratch_bytes: int  #: memory held for exchanges
    algorithm: str  #: algorithm of the last exchange, "none" before the first
    kernels: str  #: kernels in use: scalar, avx2, avx512 or neon


class Communicator(Handle):
    """One rank's handle on a group of ranks, which are threads of one process, or processes of one host or of
    several.

    Made by one of the ``from_...`` methods, by :meth:`all_in_process` or by :meth:`split`. All ranks call the same
    collectives in the same order; a rank that fails, leaves or calls something else makes the others raise instead of
    wait.

    Settings that these methods take as keyword arguments, each of which an environment variable overrides:

    - ``name``: for logs and traces.
    - ``timeout``: seconds that one operation may take, joining included; 600 by default (``SIGNCCL_TIMEOUT``).
    - ``algorithm``: oneshot, direct, ring, tree, knomial or hierarchical, the same on every rank; chosen by size by
      default (``SIGNCCL_ALGO``).
    - ``threads``: threads that run kernels for this rank, the caller's included, 1 to 1024; by default the cores of
      the machine are shared among its ranks (``SIGNCCL_NTHREADS``).
    - ``nccl_comm``: the address of a communicator of NCCL (``ncclComm_t``) of the same ranks, on every rank or on none:
      votes of arrays on devices then travel over one that is split from it in the first of them
      (``SIGNCCL_TRANSPORT``). It must live until then, and nobody else may use it meanwhile.

    **Threads.** Calls on one communicator from several threads wait for each other. :meth:`abort` waits for no call.

    **Ctrl-C** in the main thread ends a call that waits for other ranks: the communicator is aborted, so that the
    other ranks raise :class:`RemoteError`, and KeyboardInterrupt is raised. Only :meth:`close` is left to do then.

    **fork().** A communicator belongs to the process that made it. In a child its methods raise
    :class:`InvalidUsageError`, except :meth:`close`, which does nothing; the parent's communicator goes on working.

    **The end.** A context manager closes it. One that is not closed is closed when it is collected, or when the
    interpreter exits. It waits up to a second for the other ranks to do the same, no longer.
    """

    rank: int  #: number of this rank, 0 to nranks - 1
    nranks: int  #: number of ranks
    name: str | None  #: as it was given

    def __init__(self) -> None:
        raise TypeError(
            "Communicator() joins no ranks: use Communicator.from_env(), from_unique_id(), from_allgather(), "
            "from_store() or all_in_process()"
        )

    # ------------------------------------------------------------------------------------------ how ranks join

    @classmethod
    def from_env(
        cls,
        **settings: Unpack[Settings],
    ) -> Communicator:
        """Joins the processes that a launcher has started, one rank each; a process without a launcher is alone.

        Rank and size come from the variables of torchrun, Open MPI, PMI (MPICH, Intel MPI), Slurm or PMIx. The
        processes meet by the first of these that there is:

        1. ``SIGNCCL_COMM_ID=host:port``, an address of process 0 with a free port.
        2. ``MASTER_ADDR`` and ``MASTER_PORT``. If torch can be imported, its store carries a unique id: that of
           torchrun, or one that rank 0 opens there, as ``init_process_group()`` would. Without torch the processes
           meet there themselves, as with ``SIGNCCL_COMM_ID``; at the port after it under torchrun, whose agent
           listens at the first.
        3. PMIx, under ``mpirun`` of Open MPI and ``srun --mpi=pmix``.
        4. PMI, under ``mpiexec`` of MPICH and Intel MPI and ``srun --mpi=pmi2``, unless mpi4py is imported.

        Called again, it makes another communicator of the same processes, in the same order on all of them.

        Raises ValueError for variables that contradict each other, and InvalidUsageError if none says where to meet.
        """
        config = make_config(settings)

        def join(unique_id: bytes, rank: int, nranks: int, keep: object) -> Communicator:
            return cls._join(unique_id, rank, nranks, config, keep)

        return _environment.meet(join, settings.get("timeout"))

    @classmethod
    def from_unique_id(
        cls,
        unique_id: bytes,
        rank: int,
        nranks: int,
        **settings: Unpack[Settings],
    ) -> Communicator:
        """Joins with the id that one rank got from :func:`get_unique_id` and gave to the others.

        Returns when all ranks have joined. Ranks that are threads of one process each call it in a thread of their
        own.
        """
        rank, nranks = _checked_place(rank, nranks)
        return cls._join(unique_id, rank, nranks, make_config(settings))

    @classmethod
    def from_allgather(
        cls,
        allgather: Callable[[bytes], Sequence[bytes]],
        rank: int,
        nranks: int,
        **settings: Unpack[Settings],
    ) -> Communicator:
        """Joins through an all-gather that the ranks have already, such as ``MPI.COMM_WORLD.allgather`` of mpi4py.

        ``allgather(data)`` is called once, in the calling thread, with 512 bytes on every rank. It returns the bytes
        of all ranks in rank order, or raises; then SystemCallError is raised with that exception as its cause.
        """
        rank, nranks = _checked_place(rank, nranks)
        config = make_config(settings)
        if not callable(allgather):
            raise TypeError(f"allgather is of type {type(allgather).__name__}, expected a function of bytes")
        return cls._join(_bootstrap.by_allgather(allgather, rank, nranks), rank, nranks, config)

    @classmethod
    def from_store(
        cls,
        store: _bootstrap.Store,
        rank: int,
        nranks: int,
        *,
        key: str = "signccl",
        **settings: Unpack[Settings],
    ) -> Communicator:
        """Joins through a key-value store that all ranks reach, such as a ``torch.distributed.Store``.

        The store has ``set(key, value)`` and ``get(key)``; a ``get`` that gives None for a key that is not there yet
        is asked again. Its exceptions become the cause of a SystemCallError.

        Each call uses a new key, ``key/0``, ``key/1`` and so on. All ranks therefore make their calls with one `key`
        in the same order, and groups with different members have different keys.
        """
        rank, nranks = _checked_place(rank, nranks)
        config = make_config(settings)
        if not (hasattr(store, "set") and hasattr(store, "get")):
            raise TypeError(f"store is of type {type(store).__name__}, expected an object with set() and get()")
        unique_id = _bootstrap.by_store(store, rank, key, settings.get("timeout"))
        return cls._join(unique_id, rank, nranks, config, store)

    @classmethod
    def all_in_process(cls, nranks: int) -> list[Communicator]:
        """Makes all communicators of a group whose ranks are threads of this process: item i for rank i.

        Each is then used by a thread of its own, since a collective waits for the others. No network, no UCX.
        """
        nranks = whole_number("nranks", nranks, 1, MAX_RANKS)
        handles = (ctypes.c_void_p * nranks)()
        check(lib.signcclCommInitAll(handles, nranks, None))
        return [cls._adopt(one) for one in handles if one is not None]

    @classmethod
    def _join(cls, unique_id: bytes, rank: int, nranks: int, config: Config, keep: object = None) -> Communicator:
        """`keep` lives as long as the communicator."""
        if not isinstance(unique_id, (bytes, bytearray)) or len(unique_id) != UNIQUE_ID_BYTES:
            given = f"{len(unique_id)} bytes" if isinstance(unique_id, (bytes, bytearray)) else type(unique_id).__name__
            raise ValueError(f"unique_id is {given}, expected the {UNIQUE_ID_BYTES} bytes of get_unique_id()")
        if nranks > 1:
            _ucx.share()
        passed = UniqueId.from_buffer_copy(unique_id)

        def init() -> int | None:
            made = ctypes.c_void_p()
            check(lib.signcclCommInitRankConfig(ctypes.byref(made), nranks, passed, rank, ctypes.byref(config)))
            return made.value

        try:
            handle = call(init, undo=_discard)
        except SystemCallError as error:
            if not _ucx.is_missed(str(error)):
                raise
            raise SystemCallError(f"{error}; in Python, 'pip install signccl[ucx]' does as well") from None
        assert handle is not None
        return cls._adopt(handle, config, keep)

    @classmethod
    def _adopt(cls, handle: int, config: Config | None = None, keep: object = None) -> Communicator:
        self = cls.__new__(cls)
        Handle.__init__(self, handle, keep)
        number = ctypes.c_int()
        check(lib.signcclCommUserRank(handle, ctypes.byref(number)), handle)
        self.rank = number.value
        check(lib.signcclCommCount(handle, ctypes.byref(number)), handle)
        self.nranks = number.value
        self.name = config.commName.decode() if config is not None and config.commName is not None else None
        return self

    def split(
        self,
        color: int | None,
        key: int = 0,
        **settings: Unpack[Settings],
    ) -> Communicator | None:
        """Makes new communicators, one for each `color`; their ranks are ordered by `key`, then by old rank.

        All ranks call it. A rank with color None is in no new communicator and gets None. Settings that are not given
        are those of this communicator.
        """
        with self._taking_part():
            chosen = SPLIT_NOCOLOR if color is None else whole_number("color", color, 0, _LARGEST_INT)
            order = whole_number("key", key, -_LARGEST_INT - 1, _LARGEST_INT)
            config = make_config(settings)
        with self._lock:
            handle = self._open()

            def split() -> int | None:
                made = ctypes.c_void_p()
                check(lib.signcclCommSplit(handle, chosen, order, ctypes.byref(made), ctypes.byref(config)), handle)
                return made.value

            made = call(split, self.abort, _discard)
        return None if made is None else type(self)._adopt(made, config, self._keep)

    # ------------------------------------------------------------------------------------------------ small data

    def all_gather(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Gives every rank the bytes of all ranks, in rank order; each rank may give another length.

        For small data: names, checksums, settings to compare. All of it passes through one process, and the longest
        `data` times the number of ranks may be 32 MiB.
        """
        with self._taking_part():
            mine = bytes(memoryview(data))
        lengths = [_LENGTH.unpack(item)[0] for item in self._gather(_LENGTH.pack(len(mine)))]
        longest = max(lengths)
        if longest * self.nranks > ALL_GATHER_MAX_BYTES:
            raise ValueError(
                f"rank {lengths.index(longest)} gathers {longest} bytes, expected at most "
                f"{ALL_GATHER_MAX_BYTES // self.nranks} with {self.nranks} ranks"
            )
        gathered = self._gather(mine.ljust(longest, b"\0"))
        return [item[:length] for item, length in zip(gathered, lengths)]

    def barrier(self) -> None:
        """Returns once all ranks have called it."""
        self._gather(b"")

    def _gather(self, mine: bytes) -> list[bytes]:
        """Every rank gives as many bytes."""
        size = len(mine)
        with self._lock:
            handle = self._open()
            received = ctypes.create_string_buffer(max(1, size * self.nranks))
            call(lambda: check(lib.signcclCommAllGather(mine, received, size, handle), handle), self.abort)
        gathered = received.raw
        return [gathered[rank * size : (rank + 1) * size] for rank in range(self.nranks)]

    # ------------------------------------------------------------------------------------------------------ state

    @property
    def call_number(self) -> int:
        """Number of the next collective; the first has 0. It keys the ties that ``tie="random"`` breaks.

        A job that saves it and sets it on all ranks when it resumes goes on to the bit as if it had not stopped.
        Ranks with different numbers get InvalidUsageError at the next collective.
        """
        number = ctypes.c_uint64()
        with self._lock:
            handle = self._open()
            check(lib.signcclCommGetCallNumber(handle, ctypes.byref(number)), handle)
        return number.value

    @call_number.setter
    def call_number(self, number: int) -> None:
        number = whole_number("call_number", number, 0, _LARGEST_UINT64)
        with self._lock:
            handle = self._open()
            check(lib.signcclCommSetCallNumber(handle, number), handle)

    @property
    def stats(self) -> Stats:
        """Counters of this rank since it joined."""
        raw = CommStats()
        with self._lock:
            handle = self._open()
            check(lib.signcclCommGetStats(handle, ctypes.byref(raw)), handle)
        return Stats(
            raw.collectives,
            raw.exchanges,
            raw.bytesSent,
            raw.bytesReceived,
            raw.messagesSent,
            raw.messagesReceived,
            raw.scratchBytes,
            raw.algorithm.decode(),
            raw.kernels.decode(),
        )

    @property
    def error(self) -> SignCCLError | None:
        """The error that made this communicator unusable; None while it is usable. Never waits."""
        handle = self._peek()
        state = ctypes.c_int()
        check(lib.signcclCommGetAsyncError(handle, ctypes.byref(state)), handle)
        if state.value in (Result.SUCCESS, Result.IN_PROGRESS):
            return None
        return error_for(state.value, last_error(handle))

    def __repr__(self) -> str:
        name = "" if self.name is None else f" '{self.name}'"
        return f"<signccl.Communicator{name} rank {self.rank} of {self.nranks}{', closed' if self.closed else ''}>"


def _checked_place(rank: int, nranks: int) -> tuple[int, int]:
    nranks = whole_number("nranks", nranks, 1, MAX_RANKS)
    return whole_number("rank", rank, 0, nranks - 1), nranks


def _discard(handle: int | None) -> None:
    """Gives up a communicator that came too late: its caller was interrupted."""
    if handle is not None:
        lib.signcclCommAbort(handle)
        lib.signcclCommDestroy(handle)
