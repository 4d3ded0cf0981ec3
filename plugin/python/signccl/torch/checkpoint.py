# SPDX-License-Identifier: Apache-2.0
"""What a DistributedLion saves and how it is loaded: momenta are different on every rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from .._waiting import call
from .tensors import local

if TYPE_CHECKING:
    from .optimizer import DistributedLion

_CHUNK_BYTES = 16 << 20  # of all ranks together, where momenta travel by all-gathers of bytes


def save(state_dict: dict[str, Any], optimizer: DistributedLion) -> dict[str, Any]:
    """Puts what was gathered, or rows of DTensors, in the place of this rank's momenta."""
    gathered = optimizer._session.consolidated
    mesh = optimizer._session.rows_mesh
    for number, parameter in _numbered(state_dict, optimizer):
        if number not in state_dict["state"]:
            continue
        entry = dict(state_dict["state"][number])  # the caller may change it
        state_dict["state"][number] = entry
        if "momentum" not in entry:
            continue
        if gathered is not None:
            del entry["momentum"]
            entry["momenta"] = gathered[parameter]
        elif mesh is not None:
            entry["momentum"] = _row(parameter, entry["momentum"], mesh)
    return state_dict


class Loading:
    """One load_state_dict(). What is wrong with the momenta of the dict is found before anything changes."""

    def __init__(self, optimizer: DistributedLion) -> None:
        self.warning: str | None = None
        self._optimizer = optimizer
        self._values: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        #: Those that the optimizer has, whose memory is used again.
        self._momenta = {parameter: entry.get("momentum") for parameter, entry in optimizer.state.items()}

    def begin(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Returns what the base class is to load: it would convert momenta to the dtype of their parameters."""
        for number, parameter in _numbered(state_dict, self._optimizer):
            expected = local(parameter).shape
            value = self._choose(state_dict, state_dict["state"].get(number, {}), len(expected))
            if value is not None and value.shape != expected:
                raise ValueError(
                    f"the momentum of parameter {number} has shape {tuple(value.shape)} in the state dict, expected "
                    f"{tuple(expected)}"
                )
            self._values.append((parameter, value))
        kept = {
            number: {key: value for key, value in entry.items() if key not in ("momentum", "momenta")}
            for number, entry in state_dict["state"].items()
        }
        return {**state_dict, "state": kept}

    def _choose(self, state_dict: dict[str, Any], entry: dict[str, Any], ndims: int) -> torch.Tensor | None:
        """The momentum that this rank takes of a parameter's entry, of `ndims` dimensions."""
        rank, nranks = self._optimizer.comm.rank, self._optimizer.comm.nranks
        value: torch.Tensor | None = entry.get("momenta", entry.get("momentum"))
        if value is None:
            return None
        if hasattr(value, "to_local"):
            part: torch.Tensor = value.to_local()
            return part.squeeze(0) if part.dim() == ndims + 1 else part
        if value.dim() == ndims + 1:  # the rows of all ranks
            if value.shape[0] == nranks:
                return value[rank]
            self.warning = (
                f"the state dict holds the momenta of {value.shape[0]} ranks, and now there are {nranks}: every rank "
                "begins with their mean"
            )
            return value.to(torch.float32).mean(0)
        saved_rank, saved_nranks = _saved(state_dict, "signccl_rank"), _saved(state_dict, "signccl_nranks")
        if saved_rank is not None and saved_rank != rank:
            self.warning = (
                f"the state dict holds the momenta of rank {saved_rank} of {saved_nranks} only: rank {rank} begins "
                "with them; consolidate_state_dict() before saving keeps those of all ranks"
            )
        elif saved_nranks is not None and saved_nranks != nranks:
            self.warning = (
                f"the state dict holds the momenta of rank {saved_rank} of {saved_nranks}, and now there are {nranks} "
                f"ranks: rank {rank} begins with them"
            )
        return value

    def end(self) -> None:
        """Copies the momenta, once the base class has loaded the rest."""
        optimizer = self._optimizer
        for parameter, value in self._values:
            momentum = self._momenta.get(parameter)
            if value is None and momentum is None and not parameter.requires_grad:
                continue
            if momentum is None:
                momentum = optimizer._new_momentum(parameter)
            if value is None:
                momentum.zero_()
            else:
                momentum.copy_(value)
            optimizer.state[parameter]["momentum"] = momentum
        for group in optimizer.param_groups:
            group.setdefault("signccl_call_number", 0)
            group["signccl_rank"] = optimizer.comm.rank
            group["signccl_nranks"] = optimizer.comm.nranks
        optimizer._session.consolidated = None


def gather_momenta(optimizer: DistributedLion, to: int) -> dict[torch.Tensor, torch.Tensor] | None:
    """The momenta of all ranks, stacked, on rank `to`; None on the others."""
    nranks = optimizer.comm.nranks
    if not 0 <= to < nranks:
        raise ValueError(f"to is {to}, expected 0 to {nranks - 1}")
    gathered: dict[torch.Tensor, torch.Tensor] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            momentum = optimizer.state.get(parameter, {}).get("momentum")
            if momentum is None:
                continue
            rows = _gather(optimizer, local(momentum).contiguous().cpu(), to)
            if rows is not None:
                gathered[parameter] = rows
    return gathered if optimizer.comm.rank == to else None


def _gather(optimizer: DistributedLion, momentum: torch.Tensor, to: int) -> torch.Tensor | None:
    is_here = optimizer.comm.rank == to
    nranks = optimizer.comm.nranks
    rows = torch.empty((nranks, *momentum.shape), dtype=momentum.dtype) if is_here else None
    mine = momentum.view(-1).view(torch.uint8)
    targets = None if rows is None else [row.view(-1).view(torch.uint8) for row in rows.unbind(0)]
    group = optimizer._group_for_cpu
    if group is not None:
        call(lambda: dist.gather(mine, targets, dst=dist.get_global_rank(group, to), group=group))
        return rows
    chunk = max(1, _CHUNK_BYTES // nranks)
    for begin in range(0, mine.numel(), chunk):
        parts = optimizer.comm.all_gather(mine[begin : begin + chunk].numpy().tobytes())
        for target, part in zip(targets or [], parts):
            target[begin : begin + len(part)] = torch.frombuffer(bytearray(part), dtype=torch.uint8)
    return rows


def rows_mesh(optimizer: DistributedLion, mesh: Any) -> Any:
    """Checks or makes the mesh of the ranks."""
    from torch.distributed.device_mesh import init_device_mesh

    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    is_sharded = any(local(parameter) is not parameter for parameter in parameters)
    nranks = optimizer.comm.nranks
    if mesh is None and not is_sharded:
        mesh = init_device_mesh(parameters[0].device.type if parameters else "cpu", (nranks,))
    given = None if mesh is None else tuple(mesh.mesh.shape)
    expected = (
        f"two dimensions, {nranks} replicas and their shards" if is_sharded else f"one dimension of {nranks} ranks"
    )
    if given is None or len(given) != 1 + is_sharded or given[0] != nranks:
        raise ValueError(f"mesh has shape {given}, expected {expected}")
    return mesh


def _row(parameter: torch.Tensor, momentum: torch.Tensor, mesh: Any) -> torch.Tensor:
    """The momentum of this rank as its row of a DTensor, and of a shard as its part of the row."""
    from torch.distributed.tensor import DTensor, Replicate, Shard

    places: list[Any] = [Shard(0)]
    if mesh.ndim == 2:
        shard = getattr(parameter, "placements", (Replicate(),))[0]
        places.append(Shard(shard.dim + 1) if isinstance(shard, Shard) else Replicate())
    whole = torch.empty((mesh.size(0), *parameter.shape), device="meta")
    row: torch.Tensor = DTensor.from_local(
        momentum.unsqueeze(0), mesh, places, run_check=False, shape=whole.shape, stride=whole.stride()
    )
    return row


def _numbered(state_dict: dict[str, Any], optimizer: DistributedLion) -> list[tuple[Any, torch.Tensor]]:
    """The parameters with their keys in the state dict."""
    numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return list(zip(numbers, parameters))


def _saved(state_dict: dict[str, Any], key: str) -> int | None:
    groups = state_dict["param_groups"]
    return groups[0].get(key) if groups else None
