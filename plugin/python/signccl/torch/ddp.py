# SPDX-License-Identifier: Apache-2.0
"""Modules whose gradients stay local."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from .._compare import comparing
from .._waiting import call
from ..communicator import Communicator
from .groups import communicator, group_for_cpu
from .tensors import describe, local

_CHUNK_BYTES = 4 << 20


def prepare(module: torch.nn.Module, process_group: Any = None, *, comm: Communicator | None = None) -> None:
    """Gives every rank the parameters and buffers of rank 0, as DistributedDataParallel does when it is made.

    The ranks compare names, shapes, strides and types first; ValueError names the first difference, on all ranks. To
    be called before the first step, by all ranks; the module is not wrapped. ``process_group`` and ``comm`` are those
    of :class:`DistributedLion`.
    """
    used = communicator(process_group) if comm is None else comm
    named: list[tuple[str, torch.Tensor]] = []
    with comparing(used, "modules") as texts:
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module is of type {type(module).__name__}, expected a torch.nn.Module")
        named += [(f"parameter '{name}'", tensor) for name, tensor in module.named_parameters()]
        named += [(f"buffer '{name}'", tensor) for name, tensor in module.named_buffers()]
        texts += [f"{name}, {describe(tensor)}" for name, tensor in named]
    _broadcast(used, None if comm is not None else group_for_cpu(process_group), [tensor for _, tensor in named])


def sync_buffers(module: torch.nn.Module, process_group: Any = None, *, comm: Communicator | None = None) -> None:
    """Gives every rank the buffers of rank 0, such as the running statistics of BatchNorm, which drift apart where
    gradients stay local. All ranks call it, e.g. before an evaluation or a checkpoint."""
    used = communicator(process_group) if comm is None else comm
    _broadcast(used, None if comm is not None else group_for_cpu(process_group), list(module.buffers()))


def disable_grad_sync(ddp: torch.nn.Module) -> torch.nn.Module:
    """Makes a DistributedDataParallel module leave gradients local, for good, and returns it.

    For trainers that wrap the module themselves. To be called before the first forward pass. Trainers that turn the
    synchronisation on again (Lightning, Accelerate) have no effect then; ``no_sync()`` still works. The module still
    broadcasts its buffers in the first forward pass only: see :func:`sync_buffers`.
    """
    if not isinstance(ddp, torch.nn.parallel.DistributedDataParallel):
        raise TypeError(f"ddp is of type {type(ddp).__name__}, expected a DistributedDataParallel")
    if isinstance(ddp, _LocalGradients):
        return ddp
    ddp.__dict__.pop("require_backward_grad_sync", None)
    kind = type(ddp)
    ddp.__class__ = type(f"Local{kind.__name__}", (_LocalGradients, kind), {})
    return ddp


class _LocalGradients:
    """Goes before a DistributedDataParallel, whose attribute it replaces."""

    @property
    def require_backward_grad_sync(self) -> bool:
        return False

    @require_backward_grad_sync.setter
    def require_backward_grad_sync(self, value: bool) -> None:
        pass


@torch.no_grad()
def _broadcast(comm: Communicator, group: Any, tensors: list[torch.Tensor]) -> None:
    if comm.nranks == 1:
        return
    for tensor in tensors:
        part = local(tensor).detach()
        packed = part.contiguous().cpu()  # itself on the CPU
        if group is not None:
            _broadcast_by(group, packed)
        else:
            _broadcast_bytes(comm, packed)
        if packed.data_ptr() != part.data_ptr():
            part.copy_(packed)


def _broadcast_by(group: Any, packed: torch.Tensor) -> None:
    call(lambda: dist.broadcast(packed, src=dist.get_global_rank(group, 0), group=group))


def _broadcast_bytes(comm: Communicator, packed: torch.Tensor) -> None:
    """Over the connections by which the ranks met: for small models."""
    flat = packed.view(-1).view(torch.uint8)
    chunk = max(1, _CHUNK_BYTES // comm.nranks)
    for begin in range(0, flat.numel(), chunk):
        piece = flat[begin : begin + chunk]
        mine = piece.numpy().tobytes() if comm.rank == 0 else b""
        first = comm.all_gather(mine)[0]
        piece.copy_(torch.frombuffer(bytearray(first), dtype=torch.uint8))
