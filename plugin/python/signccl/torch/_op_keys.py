# SPDX-License-Identifier: Apache-2.0
"""How a communicator travels into an op: as a text, since ops of PyTorch take tensors, numbers and texts only.

=================  =====================================================================================
text               communicator
=================  =====================================================================================
``""``             of the default group, as it is when the op runs: :func:`signccl.torch.communicator`
``"group:<name>"`` of the process group with that name, as :func:`signccl.torch.communicator` makes it
``"comm:<n>"``     the n-th communicator of this process that was given to an op as ``comm=``
=================  =====================================================================================

A text holds no reference: a group or a communicator lives as long as its user keeps it.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import torch
import torch.distributed as dist

from ..communicator import Communicator
from .groups import communicator

_c10d: Any = dist.distributed_c10d if dist.is_available() else None

DEFAULT = ""
_GROUP = "group:"
_COMM = "comm:"

_numbers = itertools.count()
_key_of_comm: weakref.WeakKeyDictionary[Communicator, str] = weakref.WeakKeyDictionary()
_comms: weakref.WeakValueDictionary[str, Communicator] = weakref.WeakValueDictionary()
_groups: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()


# Dynamo calls it while it traces, keeps the text in the graph, and compiles again for another object.
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def key_of(comm: Communicator | None, process_group: Any) -> str:
    """The text for a communicator or for a process group; for the default group if both are None.

    Raises TypeError for objects of other types, ValueError if both are given or this process is not in the group.
    """
    if comm is not None and process_group is not None:
        raise ValueError("both comm and process_group are given, expected one of them")
    if comm is not None:
        return _key_of_communicator(comm)
    if process_group is None:
        return DEFAULT
    if process_group == dist.GroupMember.NON_GROUP_MEMBER:
        raise ValueError("this process is not in the process group")
    if not isinstance(process_group, dist.ProcessGroup):
        raise TypeError(
            f"process_group is of type {type(process_group).__name__}, expected a torch.distributed.ProcessGroup"
        )
    key = _GROUP + str(process_group.group_name)
    _groups[key] = process_group
    return key


def _key_of_communicator(comm: Communicator) -> str:
    if not isinstance(comm, Communicator):
        raise TypeError(f"comm is of type {type(comm).__name__}, expected a signccl.Communicator")
    key = _key_of_comm.get(comm)
    if key is None:
        key = _key_of_comm.setdefault(comm, f"{_COMM}{next(_numbers)}")
        _comms[key] = comm
    return key


def resolve(key: str) -> Communicator:
    """The communicator that a text stands for. The first use of a group is a collective, which joins its ranks.

    Raises ValueError for a text that stands for nothing in this process.
    """
    if key == DEFAULT:
        return _of_group(dist.group.WORLD) if dist.is_available() and dist.is_initialized() else communicator()
    if key.startswith(_COMM):
        comm = _comms.get(key)
        if comm is None:
            raise ValueError(f"comm is '{key}', and that communicator is gone: keep it as long as ops use it")
        return comm
    if key.startswith(_GROUP):
        return _of_group(_group(key))
    raise ValueError(f"comm is {key!r}, expected '', 'group:<name>' or 'comm:<number>'")


def _group(key: str) -> Any:
    name = key[len(_GROUP) :]
    try:
        # What has the name now; another one may have had it when the graph was compiled.
        return _c10d._resolve_process_group(name)
    except (RuntimeError, ValueError):
        group = _groups.get(key)  # one that torch.distributed has not registered
    if group is None:
        raise ValueError(f"comm is '{key}', and this process has no process group of that name")
    return group


def _of_group(group: Any) -> Communicator:
    own = getattr(group, "signccl_communicator", None)  # of a group of backend "signccl"
    made: Communicator = communicator(group) if own is None else own()
    return made
