# SPDX-License-Identifier: Apache-2.0
"""Averages the momenta of all ranks, which drift apart since every rank has gradients of its own.

Published as a part of Lion Cub (Ishikawa et al. 2024, arXiv:2411.16462).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from .tensors import local

if TYPE_CHECKING:
    from .optimizer import DistributedLion

_BUCKET_BYTES = 16 << 20  # of the momenta that travel together


def average_momenta(optimizer: DistributedLion) -> None:
    """Gives every rank the mean of all ranks' momenta. All ranks call it.

    A mean is the sum in float32 in the order of the ranks, divided by their number, every operation rounded by itself,
    and rounded to the dtype of the momenta: the same bits on all ranks. Over a process group that moves tensors of the
    CPU a rank sends 2 (N - 1) / N times its momenta; without one they go through the connections by which the ranks
    met, all of them to every rank, which is for small models. Raises :class:`signccl.RemoteError` with the rank that is
    gone; momenta may then have been averaged in part.
    """
    if optimizer.comm.nranks == 1:
        return
    momenta = [
        local(optimizer.state[parameter]["momentum"])
        for group in optimizer.param_groups
        for parameter in group["params"]
        if "momentum" in optimizer.state.get(parameter, ())
    ]
    if optimizer._group_for_cpu is not None:
        optimizer.comm.barrier()  # with its deadline, and its name of a rank that does not come
    for bucket in _buckets(momenta):
        flat = torch.cat([momentum.reshape(-1) for momentum in bucket]).cpu()  # itself on the CPU
        means = _mean_through_hub(optimizer, flat) if optimizer._group_for_cpu is None else _mean(optimizer, flat)
        for momentum, part in zip(bucket, torch.split(means, [momentum.numel() for momentum in bucket])):
            momentum.copy_(part.view(momentum.shape))


def _buckets(momenta: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Neighbours that travel together. A tensor that is large goes alone."""
    bucket: list[torch.Tensor] = []
    size = 0
    for momentum in momenta:
        if bucket and size + momentum.nbytes > _BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(momentum)
        size += momentum.nbytes
    if bucket:
        yield bucket


def _mean(optimizer: DistributedLion, flat: torch.Tensor) -> torch.Tensor:
    """Every rank computes a part of the means and sends it to the others."""
    group, nranks = optimizer._group_for_cpu, optimizer.comm.nranks
    count = -(-flat.numel() // nranks)
    mine = torch.nn.functional.pad(flat, (0, count * nranks - flat.numel()))
    parts, means = torch.empty_like(mine), torch.empty_like(mine)
    try:
        dist.all_to_all_single(parts.view(torch.uint8), mine.view(torch.uint8), group=group)
        mean = _mean_of_rows(parts.view(nranks, count))
        dist.all_gather_into_tensor(means.view(torch.uint8), mean.view(torch.uint8), group=group)
    except RuntimeError:
        optimizer.comm.barrier()  # which knows who is gone; the process group does not say it
        raise
    return means[: flat.numel()]


def _mean_through_hub(optimizer: DistributedLion, flat: torch.Tensor) -> torch.Tensor:
    """Every rank gets all momenta and computes all means."""
    comm = optimizer.comm
    means = torch.empty_like(flat)
    chunk = _BUCKET_BYTES // (comm.nranks * flat.element_size())
    for mine, target in zip(torch.split(flat, chunk), torch.split(means, chunk)):
        gathered = comm.all_gather(mine.view(torch.uint8).numpy().tobytes())
        rows = [torch.frombuffer(bytearray(part), dtype=flat.dtype) for part in gathered]
        target.copy_(_mean_of_rows(torch.stack(rows)))
    return means


def _mean_of_rows(rows: torch.Tensor) -> torch.Tensor:
    total = rows[0].to(torch.float32, copy=True)
    for row in rows[1:]:
        total += row
    return (total / len(rows)).to(rows.dtype)
