# SPDX-License-Identifier: Apache-2.0
"""Communicators for groups of torch.distributed."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from .._waiting import call
from ..communicator import Communicator

# A communicator for each group, which is kept so that its id is not used again; None: that of the launcher.
_communicators: dict[int | None, tuple[Any, Communicator]] = {}


def communicator(process_group: Any = None, **settings: Any) -> Communicator:
    """The communicator of the ranks of a process group, whatever its backend is; the same one at every call.

    ``process_group`` None: the default group of torch.distributed or, where that is not initialised, what
    :meth:`signccl.Communicator.from_env` says: the processes of a launcher, or this process alone.

    The first call for a group is a collective: all its ranks make it. ``settings`` are those of
    :class:`signccl.Communicator` (name, timeout, algorithm, threads, nccl_comm), and are those of the first call.

    Raises ValueError on a rank that is not in the group.
    """
    if process_group is None and dist.is_available() and dist.is_initialized():
        process_group = dist.group.WORLD
    key = None if process_group is None else id(process_group)
    known = _communicators.get(key)
    if known is not None and not known[1].closed:
        return known[1]
    _forget_destroyed()
    made = Communicator.from_env(**settings) if process_group is None else _join(process_group, settings)
    _communicators[key] = (process_group, made)
    return made


def group_for_cpu(process_group: Any) -> Any:
    """The process group of :func:`communicator`, if it moves tensors of the CPU; else None."""
    if process_group is None and dist.is_available() and dist.is_initialized():
        process_group = dist.group.WORLD
    if process_group is None or not _moves_cpu_tensors(process_group):
        return None
    return process_group


def _moves_cpu_tensors(group: Any) -> bool:
    backends = str(dist.get_backend_config(group))
    return "gloo" in backends or "signccl" in backends


def _forget_destroyed() -> None:
    """Lets go of groups that torch.distributed has destroyed. Their communicators close with their last user. Groups of
    the backend "signccl" do it themselves."""
    living = getattr(dist.distributed_c10d, "_world").pg_map if dist.is_available() else {}  # noqa: B009
    for key, (group, _) in list(_communicators.items()):
        if group is not None and group not in living and not hasattr(group, "communicator_settings"):
            del _communicators[key]


def _join(group: Any, settings: dict[str, Any]) -> Communicator:
    rank = dist.get_rank(group)
    if rank < 0:
        raise ValueError(f"process {dist.get_rank()} is not in the process group")
    nranks = dist.get_world_size(group)
    # A group of the backend "signccl" brings settings of its own.
    settings = {**getattr(group, "communicator_settings", {}), **settings}

    def allgather(mine: bytes) -> list[bytes]:
        gathered: list[Any] = [None] * nranks
        call(lambda: dist.all_gather_object(gathered, mine, group=group))
        return gathered

    return Communicator.from_allgather(allgather, rank, nranks, **settings)
