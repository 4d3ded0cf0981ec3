# SPDX-License-Identifier: Apache-2.0
"""Backend "signccl" of torch.distributed: process groups with votes, and Gloo for everything else.

::

    import signccl.torch                             # not needed from PyTorch 2.14 on, which finds the backend itself
    torch.distributed.init_process_group("signccl")  # or "cpu:signccl"
    group = torch.distributed.group.WORLD
    group.all_reduce_vote_(tensor)                   # signccl.torch.all_reduce_vote_(tensor) does the same
    torch.distributed.all_reduce(tensor)             # by Gloo

Any other backend serves votes as well: functions of :mod:`signccl.torch` take its groups. This one saves the import
and the question which group it is, and gives the communicator the timeout of the group.

A group is a Python subclass of torch.distributed.ProcessGroup over a ProcessGroupGloo for tensors of the CPU. Its
methods for collectives hand their arguments on to a plain ProcessGroup over the same Gloo. PyTorch 2.13 makes such a
group serve one device type: with ``"cpu:signccl,cuda:nccl"`` the group has no backend for CUDA; use
``"cpu:gloo,cuda:nccl"`` there.

Let a DistributedDataParallel module go before destroy_process_group(), as with Gloo alone: in PyTorch 2.13 a module
that is the last to hold a group joins Gloo's threads with the GIL held, and one of them may be waiting for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import ProcessGroup, Store

from .._arguments import SETTINGS
from ..communicator import Communicator
from . import groups, ops

_c10d: Any = dist.distributed_c10d

NAME = "signccl"
_HAS = (
    "it has all_reduce_vote(), all_reduce_vote_(), all_reduce_avg() and all_reduce_avg_() of its own, and for tensors "
    "of the CPU broadcast, all_reduce, reduce, all_gather, gather, scatter, reduce_scatter, all_to_all, send, recv and "
    "barrier by Gloo"
)


class SignCCLProcessGroup(ProcessGroup):
    """A group of torch.distributed with votes. Made by init_process_group() and new_group(), not by its users."""

    def __init__(
        self, store: Store, rank: int, size: int, timeout: timedelta, settings: dict[str, Any] | None = None
    ) -> None:
        """Joins the ranks by Gloo.

        Args:
            store: of this group alone; kept.
            rank, size: place of this rank, 0 to size - 1, and number of ranks.
            timeout: of one collective, votes included.
            settings: of the communicator, those of :class:`signccl.Communicator`: name, timeout, algorithm, threads,
                nccl_comm.
        """
        super().__init__(rank, size)  # type: ignore[call-arg]  # the form that Python can subclass
        self._inner = ProcessGroup(store, rank, size)
        self._store = store
        self._timeout = timeout
        self._settings = dict(settings or {})
        self._nsplits = 0
        gloo = dist.ProcessGroupGloo(_c10d.PrefixStore("gloo/", store), rank, size, timeout)
        for group in (self._inner, self):  # torch asks this one for the backend of a device
            group._set_default_backend(ProcessGroup.BackendType.GLOO)
            group._register_backend(torch.device("cpu"), ProcessGroup.BackendType.GLOO, gloo)
        gloo._set_sequence_number_for_group()

    # ------------------------------------------------------------------------------------------------------- votes

    def all_reduce_vote(self, tensor: torch.Tensor, **options: Any) -> torch.Tensor:
        """:func:`signccl.torch.all_reduce_vote` of the ranks of this group: a new tensor, or ``out=``."""
        return ops.all_reduce_vote(tensor, process_group=self, **options)

    def all_reduce_vote_(self, tensor: torch.Tensor, **options: Any) -> torch.Tensor:
        """:func:`signccl.torch.all_reduce_vote_` of the ranks of this group: in place."""
        return ops.all_reduce_vote_(tensor, process_group=self, **options)

    def all_reduce_avg(self, tensor: torch.Tensor, **options: Any) -> torch.Tensor:
        """:func:`signccl.torch.all_reduce_avg` of the ranks of this group: a new tensor, or ``out=``."""
        return ops.all_reduce_avg(tensor, process_group=self, **options)

    def all_reduce_avg_(self, tensor: torch.Tensor, **options: Any) -> torch.Tensor:
        """:func:`signccl.torch.all_reduce_avg_` of the ranks of this group: in place."""
        return ops.all_reduce_avg_(tensor, process_group=self, **options)

    @property
    def communicator_settings(self) -> dict[str, Any]:
        """Of the communicator of this group, where the first call for it gives no others."""
        return {"name": self.group_name or None, "timeout": self._timeout.total_seconds(), **self._settings}

    def signccl_communicator(self) -> Communicator:
        """The communicator of this group, which the group owns and closes; that of signccl.torch.communicator(group).

        The first call is a collective, which joins the ranks. The timeout is that of the group then.
        """
        known = groups._communicators.get(id(self))
        if known is not None and not known[1].closed:
            return known[1]
        if self in _c10d._world.pg_map:
            return groups.communicator(self)
        made = Communicator.from_store(self._store, self.rank(), self.size(), key=NAME, **self.communicator_settings)
        groups._communicators[id(self)] = (self, made)
        return made

    # ------------------------------------------------------------------------------------------------- the group

    def getBackendName(self) -> str:
        """What torch calls the backend in messages."""
        return NAME

    def _set_group_name(self, name: Any) -> None:
        super()._set_group_name(name)
        self._inner._set_group_name(name)

    def _set_group_desc(self, description: str) -> None:
        super()._set_group_desc(description)
        self._inner._set_group_desc(description)

    def get_group_store(self) -> Store:
        """The store of this group."""
        return self._store

    def set_timeout(self, timeout: timedelta) -> None:
        """Of collectives by Gloo from now on, and of votes if there was none yet."""
        super().set_timeout(timeout)
        self._timeout = timeout

    def split_group(
        self,
        new_ranks: Sequence[int],
        timeout: timedelta | None = None,
        opts: Any = None,
        group_name: str | None = None,
        group_desc: str | None = None,
        device_types: list[torch.device] | None = None,
    ) -> SignCCLProcessGroup | None:
        """A new group of some ranks of this one, in the order of `new_ranks`; None on a rank that is not among them.

        All ranks of this group call it, as often as each other. torch.distributed.split_group() refuses groups without
        an accelerator, as all groups of this backend are; new_group() makes groups that it knows.
        """
        ranks = list(new_ranks)
        if not ranks or len(set(ranks)) != len(ranks) or not all(0 <= rank < self.size() for rank in ranks):
            raise ValueError(f"new_ranks is {ranks}, expected different ranks of 0 to {self.size() - 1}")
        self._nsplits += 1
        if self.rank() not in ranks:
            return None
        name = group_name or f"{self.group_name}:split:{self._nsplits}:{'_'.join(map(str, ranks))}"
        store = _c10d.PrefixStore(f"{name}/", self._store)
        place = ranks.index(self.rank())
        made = SignCCLProcessGroup(store, place, len(ranks), timeout or self._timeout, _settings_of(opts))
        made._set_group_name(_c10d.GroupName(name))
        made._set_group_desc(group_desc or "split")
        return made

    def shutdown(self) -> None:
        """Closes the communicator and Gloo. destroy_process_group() calls it."""
        known = groups._communicators.pop(id(self), None)
        if known is not None:
            known[1].close()
        super().shutdown()

    def abort(self) -> None:
        """Ends what waits in this group, here and, for votes, on all ranks, with an error."""
        known = groups._communicators.get(id(self))
        if known is not None:
            known[1].abort()
        super().abort()

    def __repr__(self) -> str:
        return f"<signccl process group '{self.group_name}', rank {self.rank()} of {self.size()}>"

    # ----------------------------------------------------------------------------------------- what it does not have

    def merge_remote_group(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError."""
        _refuse("merge_remote_group()")

    def _start_coalescing(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("coalescing of different collectives")

    def _end_coalescing(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("coalescing of different collectives")

    def _register_on_completion_hook(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("hooks on completion")

    def _enable_collectives_timing(self) -> NoReturn:
        _refuse("timing of collectives")


_COLLECTIVES = (
    "_allgather_base",
    "_reduce_scatter_base",
    "all_gather_single",
    "all_gather_single_coalesced",
    "all_to_all_single",
    "allgather",
    "allgather_coalesced",
    "allgather_into_tensor_coalesced",
    "allreduce",
    "allreduce_coalesced",
    "alltoall",
    "alltoall_base",
    "barrier",
    "broadcast",
    "gather",
    "monitored_barrier",
    "recv",
    "recv_anysource",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_single",
    "reduce_scatter_single_coalesced",
    "reduce_scatter_tensor_coalesced",
    "scatter",
    "send",
)


def _forward(name: str) -> None:
    """Gives SignCCLProcessGroup a method that calls the one of the inner group.

    Inheriting them would do, were it not for the GIL: torch's C++ code, such as DistributedDataParallel, calls a Python
    subclass with the GIL held where it finds no Python method, and Gloo's threads may wait for the GIL with a lock that
    the call needs. A method of a plain ProcessGroup, called from Python, lets go of the GIL.
    """

    def method(self: SignCCLProcessGroup, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._inner, name)(*args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"{SignCCLProcessGroup.__name__}.{name}"
    method.__doc__ = f"As that of torch.distributed.ProcessGroup, by Gloo: {getattr(ProcessGroup, name).__doc__}"
    setattr(SignCCLProcessGroup, name, method)


for _name in _COLLECTIVES:
    if hasattr(ProcessGroup, _name):  # which differs among versions of torch
        _forward(_name)


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(f"backend 'signccl' has no {what}: {_HAS}")


def _settings_of(options: Any) -> dict[str, Any]:
    """Settings of a communicator, given as pg_options=. Raises TypeError or ValueError."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise TypeError(
            f"pg_options is of type {type(options).__name__}, expected for backend 'signccl' a dict with settings of "
            f"the communicator: {', '.join(SETTINGS)}"
        )
    unknown = [name for name in options if name not in SETTINGS]
    if unknown:
        raise ValueError(f"pg_options has {unknown[0]!r}, expected settings among: {', '.join(SETTINGS)}")
    return options


def _make(given: Any, options: Any) -> SignCCLProcessGroup:
    """What torch calls for a new group: `given` is its DistributedBackendOptions, `options` the caller's pg_options."""
    return SignCCLProcessGroup(given.store, given.group_rank, given.group_size, given.timeout, _settings_of(options))


def register() -> None:
    """Makes torch.distributed know the backend. Done by ``import signccl.torch``, and by the entry point
    ``torch.distributed.backends`` where torch reads it (2.14 and newer). May be called again."""
    if dist.is_available() and NAME.upper() not in dist.Backend._plugins:
        dist.Backend.register_backend(NAME, _make, extended_api=True, devices=["cpu"])


register()
