# SPDX-License-Identifier: Apache-2.0
"""What arrays the collectives take: NumPy arrays, objects whose memory NumPy can use without a copy, and arrays in the
memory of CUDA devices."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ._c_types import DataType
from ._device_arrays import DeviceArray, device_array

Array = npt.NDArray[Any]

BITS_PER_WORD = 64

_BY_KIND: dict[tuple[str, int], DataType] = {
    ("i", 1): DataType.INT8,
    ("i", 2): DataType.INT16,
    ("i", 4): DataType.INT32,
    ("f", 2): DataType.FLOAT16,
    ("f", 4): DataType.FLOAT32,
    ("f", 8): DataType.FLOAT64,
    ("u", 8): DataType.BITS,
}
_SEND = frozenset(
    (DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT32, DataType.FLOAT64, DataType.INT8, DataType.BITS)
)
_SUMS = frozenset((DataType.INT8, DataType.INT16, DataType.INT32))
_FLOATS = _SEND - {DataType.INT8, DataType.BITS}
VOTE_RESULTS = _SEND
AVG_RESULTS = _FLOATS | _SUMS


def words(count: int) -> int:
    """Number of 64-bit words that hold `count` packed signs."""
    return -(-count // BITS_PER_WORD)


def as_array(name: str, value: Any) -> Array | DeviceArray:
    """The memory of `value` as an array, without a copy. Raises TypeError, or ValueError if it is not C-contiguous."""
    if not isinstance(value, np.ndarray):
        on_device = device_array(name, value)
        if on_device is not None:
            return on_device
    array = _view(name, value)
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name} of shape {array.shape} has strides {array.strides}, expected a C-contiguous array: all ranks must "
            "have their elements in the same order (numpy.ascontiguousarray() makes a copy)"
        )
    return array


def address(array: Array | DeviceArray) -> int:
    """Where the elements begin."""
    return array.address if isinstance(array, DeviceArray) else array.ctypes.data


def is_writeable(array: Array | DeviceArray) -> bool:
    """Whether the owner allows to write into it."""
    return array.writeable if isinstance(array, DeviceArray) else array.flags.writeable


def _view(name: str, value: Any) -> Array:
    masked = sys.modules.get("numpy.ma")  # not imported for this alone
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise TypeError(f"{name} is a masked array, expected one without a mask: every element votes")
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__array_interface__"):
        return np.asarray(value)
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is of type {type(value).__name__}, expected a NumPy array, or an object with __array_interface__ "
            "or a buffer, or with __cuda_array_interface__"
        ) from None


def data_type(name: str, dtype: np.dtype[Any]) -> DataType:
    """What an element is for the library. Raises TypeError if it is nothing that it knows."""
    found = _known(dtype)
    if found is None:
        raise TypeError(
            f"{name} has dtype {_described(dtype)}, expected float16, float32, float64, bfloat16 (of ml_dtypes), int8, "
            "or uint64 for packed signs; int16 and int32 for sums"
        )
    return found


def send_type(array: Array | DeviceArray, count: int | None) -> DataType:
    """The type of what a rank gives. Packed signs go with a `count`, and nothing else does. Raises TypeError."""
    found = data_type("array", array.dtype)
    if found not in _SEND:
        raise TypeError(
            f"array has dtype {array.dtype}, expected int8 or a floating-point type: cast it to one, or to its signs"
        )
    if found is DataType.BITS and count is None:
        raise TypeError(
            "array has dtype uint64, which holds packed signs, 64 to a word: expected count=, the number of signs"
        )
    if found is not DataType.BITS and count is not None:
        raise TypeError(
            f"count is {count!r}, but array has dtype {array.dtype}: count goes with packed signs of dtype uint64"
        )
    return found


def as_dtype(value: Any) -> np.dtype[Any]:
    """`value`, given as dtype=, as a dtype. Raises TypeError."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype is {value!r}, expected what numpy.dtype() takes ('bfloat16' needs ml_dtypes)") from None
    return dtype


def require_words(name: str, array: Array | DeviceArray, count: int) -> None:
    """Raises ValueError unless a packed array has the words for `count` signs."""
    expected = (words(count),)
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}: {count} packed signs, 64 to a word")


def _known(dtype: np.dtype[Any]) -> DataType | None:
    if dtype.name == "bfloat16" and dtype.itemsize == 2:
        return DataType.BFLOAT16
    if not dtype.isnative:
        return None
    return _BY_KIND.get((dtype.kind, dtype.itemsize))


def _described(dtype: np.dtype[Any]) -> str:
    if not dtype.isnative:
        return f"{dtype.newbyteorder('=')} with foreign byte order"
    return str(dtype)


if sys.byteorder != "little":
    raise ImportError("signccl needs a little-endian processor, such as x86-64 or 64-bit Arm")
