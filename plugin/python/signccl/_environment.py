# SPDX-License-Identifier: Apache-2.0
"""How the processes of a launched job meet, as their environment says: what Communicator.from_env() does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Callable, TypeVar, cast

from . import _launcher, _pmi, _pmix
from ._bootstrap import Store, by_launcher, by_store, default_seconds, get_unique_id
from ._waiting import call
from .errors import InvalidUsageError, SignCCLError, SystemCallError, error_for

T = TypeVar("T")

_COMM_ID = "SIGNCCL_COMM_ID"
_STORE_KEY = "signccl/from_env"

#: join(unique_id, rank, nranks, what must live as long as the communicator)
Join = Callable[[bytes, int, int, Any], T]


def meet(join: Join[T], timeout: float | None) -> T:
    """Finds this process's place and gets a unique id by the first way that there is, and joins with it.

    A process without a launcher is a job of one. Raises ValueError for variables that contradict each other, and
    InvalidUsageError, which says what to set, where nothing says where to meet.
    """
    place = _launcher.place()
    if place is None:
        return join(get_unique_id(), 0, 1, None)
    rank, nranks = place.rank, _pmix_size() if place.nranks is None else place.nranks
    if nranks == 1 or os.environ.get(_COMM_ID, "").strip():
        # With SIGNCCL_COMM_ID each process makes the same id.
        return join(get_unique_id(), rank, nranks, None)
    point = _launcher.meeting_point()
    if point is not None:
        store = _torch_store(rank, nranks, timeout)
        if store is not None:
            # Another job that shares the address must not find the id of this one.
            key = "/".join(filter(None, (_STORE_KEY, _launcher.job_name())))
            return join(by_store(store, rank, key, timeout), rank, nranks, store)
        with _meeting_at(point):
            return join(get_unique_id(), rank, nranks, None)
    if "PMIX_NAMESPACE" in os.environ:
        return join(_by_pmix(rank), rank, nranks, None)
    if place.origin == "PMI" and "PMI_FD" in os.environ:
        return join(_by_pmi(rank), rank, nranks, None)
    raise InvalidUsageError(_nowhere(place, nranks))


def _nowhere(place: _launcher.Place, nranks: int) -> str:
    return (
        f"process {place.rank} of {nranks} (from {place.origin}) does not know where to meet the others: set "
        "SIGNCCL_COMM_ID=host:port, or MASTER_ADDR and MASTER_PORT, to the host of process 0 and a free port "
        "there, the same on all processes; or use Communicator.from_allgather() with what the processes have in "
        "common, such as mpi4py"
    )


def _pmix_size() -> int:
    try:
        with _pmix.Session() as session:
            return session.size()
    except _pmix.PmixError as error:
        raise SystemCallError(f"PMIX_RANK is set, but the number of processes cannot be found out: {error}") from error


def _by_pmix(rank: int) -> bytes:
    try:
        with _pmix.Session() as session:
            return by_launcher(session, rank)
    except _pmix.PmixError as error:
        raise _cannot_meet("PMIx", error) from error


def _by_pmi(rank: int) -> bytes:
    try:
        return by_launcher(_pmi.session(os.environ["PMI_FD"], rank), rank)
    except _pmi.PmiError as error:
        raise _cannot_meet("PMI", error) from error


def _cannot_meet(store: str, error: Exception) -> SystemCallError:
    return SystemCallError(
        f"the processes cannot meet through {store}: {error}. SIGNCCL_COMM_ID=host:port, with the host of process 0 "
        "and a free port there, does without"
    )


def _torch_store(rank: int, nranks: int, timeout: float | None) -> Store | None:
    """The store that torch.distributed has at MASTER_ADDR and MASTER_PORT; None where torch cannot be imported.

    It is that of the agent under torchrun. Else rank 0 opens it, and a process group that is made later in this
    process shares it.
    """
    try:
        import torch.distributed as dist  # it takes seconds, and is only needed here
        from torch.distributed.rendezvous import rendezvous
    except ImportError:
        return None
    if not dist.is_available():
        return None
    # Rank and size are in the address since not every launcher has the variables RANK and WORLD_SIZE.
    address = f"env://?rank={rank}&world_size={nranks}"
    limit = timedelta(seconds=default_seconds() if timeout is None else timeout)
    try:
        store, _, _ = call(lambda: next(rendezvous(address, timeout=limit)))
    except Exception as error:
        raise SystemCallError(
            f"torch.distributed opened no store at MASTER_ADDR and MASTER_PORT on rank {rank}: {error}"
        ) from error
    return cast(Store, store)


_environment_lock = threading.RLock()


@contextmanager
def _meeting_at(point: str) -> Iterator[None]:
    """Sets SIGNCCL_COMM_ID meanwhile, which is how the library learns where ranks meet without a unique id.

    Errors that name the port say where it comes from, since the user may never have named that port.
    """
    with _environment_lock:
        os.environ[_COMM_ID] = point
        try:
            yield
        except SignCCLError as error:
            origin = _launcher.origin_of_port(point, str(error))
            if not origin:
                raise
            raise error_for(error.result, f"{error}{origin}") from error
        finally:
            os.environ.pop(_COMM_ID, None)


def _forget_lock() -> None:
    """In a child after fork(): another thread of the parent may have held the lock."""
    global _environment_lock
    _environment_lock = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)
