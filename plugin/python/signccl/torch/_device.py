# SPDX-License-Identifier: Apache-2.0
"""Tensors on CUDA devices: where they are, on which stream calls on them go, and memory like theirs.

All that signccl.torch knows of CUDA is here, so that tests can put a device in its place.

Calls go to PyTorch's current stream of the tensor's device, where the operators around them are too. That is why no
tensor needs Tensor.record_stream(), also those that are freed when the call returns: what the caching allocator gives
out again goes to the stream on which it was allocated, and comes after the call there. The library uses no other
stream, and what travels is in pinned memory of its own. A tensor that was made on another stream needs what it needs
with every operator: that stream waited for, and record_stream() before it is freed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .._device_arrays import LEGACY_STREAM


def is_on_device(tensor: torch.Tensor) -> bool:
    """Whether the tensor is in the memory of a CUDA device."""
    return tensor.is_cuda


def stream_of(tensor: torch.Tensor) -> int | None:
    """The handle of the current stream of a tensor's device; None for tensors in host memory."""
    if not is_on_device(tensor):
        return None
    handle = int(torch.cuda.current_stream(tensor.device).cuda_stream)
    return handle or LEGACY_STREAM


def is_captured(tensor: torch.Tensor) -> bool:
    """Whether the current stream of a tensor's device is being captured into a CUDA graph."""
    with torch.cuda.device(tensor.device):
        return torch.cuda.is_current_stream_capturing()


def order(tensor: torch.Tensor, first: int, second: int) -> None:
    """Makes stream `second` of the tensor's device wait for what stream `first` has been given so far."""
    if first != second:
        before = torch.cuda.ExternalStream(first, device=tensor.device)
        torch.cuda.ExternalStream(second, device=tensor.device).wait_stream(before)


def empty_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A contiguous tensor of the same shape and place."""
    return torch.empty_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)


def floats_like(tensor: torch.Tensor, values: Sequence[float | torch.Tensor]) -> torch.Tensor:
    """A float32 for each value, in the same place: a number, or what a tensor there holds when the stream comes."""
    if len(values) == 1 and isinstance(values[0], torch.Tensor) and values[0].dtype is torch.float32:
        return values[0]
    return torch.stack(
        [
            value.detach().reshape(()).to(torch.float32)
            if isinstance(value, torch.Tensor)
            else torch.full((), value, dtype=torch.float32, device=tensor.device)
            for value in values
        ]
    )


def flag_like(tensor: torch.Tensor) -> torch.Tensor:
    """An int32 in the same place, 0."""
    return torch.zeros(1, dtype=torch.int32, device=tensor.device)


def is_set(flag: torch.Tensor) -> bool:
    """Whether a flag is not 0 when the current stream has come so far, which is waited for."""
    return bool(flag.item())


def zeros_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Zeros of the same shape, order in memory, and place."""
    return torch.zeros_like(tensor, dtype=dtype, memory_format=torch.preserve_format)
