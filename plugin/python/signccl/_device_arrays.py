# SPDX-License-Identifier: Apache-2.0
"""Arrays in the memory of CUDA devices, and CUDA streams, as Python objects describe them.

An array is what `__cuda_array_interface__` says (versions 0 to 3: CuPy, Numba, PyTorch and others), and a stream is a
handle, or an object with `__cuda_stream__`. Nothing here calls CUDA: whether the memory is there, and whose it is, the
library asks the driver.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._arguments import whole_number

LEGACY_STREAM = 1  #: CUDA's name for the default stream that other blocking streams wait for
_LARGEST_HANDLE = 2**64 - 1


class DeviceArray(NamedTuple):
    """A C-contiguous array in device memory."""

    address: int  #: 0 only without elements
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    writeable: bool
    stream: int | None  #: on which its owner uses it; None: the owner does not say
    owner: object

    @property
    def size(self) -> int:
        """Number of elements."""
        return _product(self.shape)


def device_array(name: str, value: Any) -> DeviceArray | None:
    """The memory that `value` describes; None if it is no array on a device.

    Raises TypeError for what no array of signs can be, and ValueError if it is not C-contiguous.
    """
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is None:
        return None
    try:
        shape = tuple(int(size) for size in interface["shape"])
        address, is_read_only = interface["data"]
        address = int(address or 0)
        typestr, strides = interface["typestr"], interface.get("strides")
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise TypeError(
            f"{name} is of type {type(value).__name__}, whose __cuda_array_interface__ is {interface!r}, expected a "
            f"dict with shape, typestr and data ({error!r})"
        ) from None
    if interface.get("mask") is not None:
        raise TypeError(f"{name} has a mask, expected an array without one: every element votes")
    dtype = _dtype(name, typestr)
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} has shape {shape}, expected no negative sizes")
    if strides is not None and not _is_c_contiguous(shape, strides, dtype.itemsize):
        raise ValueError(
            f"{name} of shape {shape} has strides {tuple(strides)}, expected a C-contiguous array: all ranks must have "
            "their elements in the same order (ascontiguousarray() of its module makes a copy)"
        )
    if address == 0 and _product(shape) > 0:
        raise ValueError(f"{name} of shape {shape} has the address 0, expected one in the memory of a CUDA device")
    return DeviceArray(address, shape, dtype, not is_read_only, _stream_of(name, interface.get("stream")), value)


def stream_handle(stream: Any) -> int:
    """The handle of a stream that was given as stream=. Raises TypeError or ValueError."""
    given = stream
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        try:
            _version, given = protocol() if callable(protocol) else protocol
        except (TypeError, ValueError):
            raise TypeError(
                f"stream is of type {type(stream).__name__}, whose __cuda_stream__ is not a pair of version and handle"
            ) from None
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise TypeError(
            f"stream is {stream!r}, expected a handle as an int (such as .ptr of CuPy's streams and .cuda_stream of "
            "PyTorch's), or an object with __cuda_stream__"
        )
    return whole_number("stream", given, 0, _LARGEST_HANDLE) or LEGACY_STREAM


def stream_of_call(stream: Any, arrays: Sequence[tuple[str, Any]]) -> int | None:
    """The handle of the stream of a call; None if the call is one on host memory, which returns with the result.

    It is `stream`, as the caller gave it, else that on which the owners use the arrays; if these say none, the legacy
    default stream. Raises TypeError or ValueError: `stream` is none, or owners use different ones.
    """
    if stream is not None:
        return stream_handle(stream)
    on_device = [(name, array) for name, array in arrays if isinstance(array, DeviceArray)]
    if not on_device:
        return None
    known = [(name, array.stream) for name, array in on_device if array.stream is not None]
    for (first, one), (second, other) in zip(known, known[1:]):
        if one != other:
            raise ValueError(
                f"{first} is used on stream {one:#x} and {second} on stream {other:#x}, as their "
                "__cuda_array_interface__ says, expected one stream: make one wait for the other, and give stream="
            )
    return known[0][1] if known else LEGACY_STREAM


def _dtype(name: str, typestr: Any) -> np.dtype[Any]:
    """`typestr` as a dtype. That of bfloat16 is "<V2", as ml_dtypes has it."""
    if typestr == "<V2":
        try:
            ml_dtypes = importlib.import_module("ml_dtypes")
        except ImportError:
            raise TypeError(f"{name} has typestr '<V2', which is bfloat16 where ml_dtypes is installed") from None
        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    try:
        dtype: np.dtype[Any] = np.dtype(typestr)
    except TypeError:
        raise TypeError(f"{name} has typestr {typestr!r}, expected one of NumPy, such as '<f4'") from None
    return dtype


def _is_c_contiguous(shape: tuple[int, ...], strides: Sequence[int], itemsize: int) -> bool:
    if 0 in shape:
        return True
    expected = itemsize
    for size, stride in zip(reversed(shape), reversed(tuple(strides))):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return len(strides) == len(shape)


def _stream_of(name: str, stream: Any) -> int | None:
    """The interface's stream: None, or a handle, of which 0 is not allowed since it could mean two streams."""
    if stream is None:
        return None
    handle = getattr(stream, "__index__", lambda: 0)()
    if handle <= 0:
        raise ValueError(
            f"{name} has the stream {stream!r} in its __cuda_array_interface__, expected None, 1 (legacy default "
            "stream), 2 (that of the thread) or a handle"
        )
    return int(handle)


def _product(sizes: tuple[int, ...]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
