# SPDX-License-Identifier: Apache-2.0
"""Tensors in device memory for a PyTorch that has no CUDA: tensors of the CPU over addresses of the fake device.

A host that touches their elements dies, and signccl.torch is told by its one seam, signccl.torch._device, that they are
on a device and which stream is current. Functions that tests run in a FakeProcess call put_in_place() first.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cuda_support import DeviceMemory, Stream, wait_for
from signccl.torch import _device

_KINDS = {torch.bfloat16: torch.int16}
_threads = threading.local()


class _Memory(DeviceMemory):
    """Device memory that lives as long as the tensors over it."""

    def buffer(self) -> Any:
        made = (ctypes.c_char * max(1, self.nbytes)).from_address(self.address)
        made.memory = self  # type: ignore[attr-defined]
        return made


def on_device(values: torch.Tensor) -> torch.Tensor:
    """A copy in the memory of the current device, of the same strides if `values` is dense."""
    flat = torch.empty(values.numel(), dtype=values.dtype).as_strided(values.shape, values.stride())
    flat.copy_(values.detach())
    stored = flat.as_strided((values.numel(),), (1,))
    memory = _Memory(stored.view(_KINDS.get(values.dtype, values.dtype)).numpy())
    made = torch.frombuffer(memory.buffer(), dtype=values.dtype, count=values.numel())
    _memories[made.data_ptr()] = memory
    return made.as_strided(values.shape, values.stride())


def from_device(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in host memory. Nothing waits for streams."""
    memory = _memories[tensor.data_ptr()]
    kind = _KINDS.get(tensor.dtype, tensor.dtype)
    host = torch.from_numpy(np.array(memory.get())).view(kind).view(tensor.dtype)
    return host.as_strided(tensor.shape, tensor.stride()).clone()


def put(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Gives a contiguous tensor on the device other elements."""
    kind = _KINDS.get(tensor.dtype, tensor.dtype)
    _memories[tensor.data_ptr()].put(values.to(tensor.dtype).contiguous().view(kind).numpy())


_memories: dict[int, _Memory] = {}


def use(stream: Stream) -> None:
    """Makes a stream the current one of this thread."""
    _threads.stream = stream


def pose_as_captured(is_captured: bool) -> None:
    """Lets the current stream of this thread seem to be captured, or not."""
    _threads.is_captured = is_captured


def put_in_place() -> None:
    """Tells signccl.torch that tensors of on_device() are on a device."""

    def is_on_device(tensor: torch.Tensor) -> bool:
        return tensor.data_ptr() in _memories

    def stream_of(tensor: torch.Tensor) -> int | None:
        return int(_threads.stream.handle) if is_on_device(tensor) else None

    def empty_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        made = torch.full(tensor.shape, 77, dtype=dtype)
        return on_device(made) if is_on_device(tensor) else made

    def zeros_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype).zero_()
        return on_device(made) if is_on_device(tensor) else made

    def floats_like(tensor: torch.Tensor, values: Sequence[float | torch.Tensor]) -> torch.Tensor:
        if len(values) == 1 and isinstance(values[0], torch.Tensor):
            return values[0]
        known = [from_device(value) if isinstance(value, torch.Tensor) else torch.tensor(value) for value in values]
        return on_device(torch.stack([value.reshape(()).float() for value in known]))

    def flag_like(tensor: torch.Tensor) -> torch.Tensor:
        made = torch.zeros(1, dtype=torch.int32)
        return on_device(made) if is_on_device(tensor) else made

    def is_set(flag: torch.Tensor) -> bool:
        _threads.stream.synchronize()
        return bool(from_device(flag).item())

    def is_captured(tensor: torch.Tensor) -> bool:
        return getattr(_threads, "is_captured", False)

    def order(tensor: torch.Tensor, first: int, second: int) -> None:
        if first != second:
            wait_for(first, second)

    _memories.clear()
    for stand_in in (
        is_on_device,
        stream_of,
        empty_like,
        zeros_like,
        floats_like,
        flag_like,
        is_set,
        is_captured,
        order,
    ):
        setattr(_device, stand_in.__name__, stand_in)
