# SPDX-License-Identifier: Apache-2.0
"""Calls handlers of XLA for CUDA as XLA does, over the fake driver: jaxlib for CPUs has no streams."""

from __future__ import annotations

import ctypes
import os
from typing import Any, NamedTuple

import numpy as np
import pytest

import reference as ref
import signccl
from cuda_support import DeviceMemory, Stream, needs_fake

FRAMES = os.environ.get("SIGNCCL_TEST_XLA_FRAMES", "")
HANDLERS = os.environ.get("SIGNCCL_JAX_LIBRARY", "")

needs_handlers = [
    needs_fake,
    pytest.mark.skipif(
        not (FRAMES and HANDLERS), reason="SIGNCCL_TEST_XLA_FRAMES and SIGNCCL_JAX_LIBRARY name nothing"
    ),
]

F4 = np.dtype("f4")
#: Numbers that XLA gives its types.
TYPES = {F4: 11, np.dtype("i1"): 2, np.dtype("i4"): 4, np.dtype("f2"): 10, np.dtype("i8"): 5, np.dtype("f8"): 12}
TYPES[ref.BFLOAT16] = 16
INVALID_ARGUMENT, FAILED_PRECONDITION, INTERNAL = 3, 9, 13


class Array(ctypes.Structure):
    """An array as tests/xla/frames.cc takes it."""

    _fields_ = [("type", ctypes.c_int32), ("count", ctypes.c_int64), ("data", ctypes.c_void_p)]

    @classmethod
    def of(cls, memory: DeviceMemory) -> Array:
        count = int(np.prod(memory.shape, dtype=int))
        return cls(TYPES[memory.dtype], count, memory.address if count else None)


class Attribute(ctypes.Structure):
    """An attribute as tests/xla/frames.cc takes it."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int32),
        ("count", ctypes.c_int64),
        ("values", ctypes.c_void_p),
    ]


class Outcome(NamedTuple):
    """The code of XLA's error, 0 without one, and its text."""

    code: int
    text: str


def handler(name: str) -> Any:
    """The address of a handler."""
    return ctypes.cast(getattr(ctypes.CDLL(HANDLERS), name), ctypes.c_void_p)


def call(
    name: str,
    device: int,
    stream: Stream,
    arguments: list[DeviceMemory],
    results: list[DeviceMemory],
    **attributes: Any,
) -> Outcome:
    """Calls a handler as XLA does on a device. The first argument, which is on the device, is the place.

    Attributes are numbers, and sequences of int32.
    """
    arrays = (Array * len(arguments))(*map(Array.of, arguments))
    into = (Array * len(results))(*map(Array.of, results))
    values = {key: _attribute(attributes[key]) for key in sorted(attributes)}
    named = [
        Attribute(key.encode(), TYPES[value.dtype], value.size, value.ctypes.data) for key, value in values.items()
    ]
    text = ctypes.create_string_buffer(1000)
    code = ctypes.CDLL(FRAMES).xlaCall(
        handler(name),
        ctypes.c_int32(device),
        ctypes.c_void_p(stream.handle),
        arrays,
        ctypes.c_int64(len(arguments)),
        into,
        ctypes.c_int64(len(results)),
        (Attribute * len(named))(*named),
        ctypes.c_int64(len(named)),
        text,
        ctypes.c_size_t(len(text)),
    )
    return Outcome(code, text.value.decode())


def _attribute(value: Any) -> np.ndarray:
    if isinstance(value, float):
        return np.array([value], np.float64)
    return np.array([value], np.int64) if isinstance(value, int) else np.array(value, np.int32)


def add_ranks(comms: list[signccl.Communicator], devices: list[int]) -> int:
    """Makes communicators known to the handlers, and gives the number that programs carry."""
    function = ctypes.CDLL(HANDLERS).signcclJaxAddRanks
    function.restype = ctypes.c_int64
    n = len(comms)
    handles = (ctypes.c_void_p * n)(*[comm._open() for comm in comms])
    ranks = (ctypes.c_int * n)(*[comm.rank for comm in comms])
    return int(function(handles, ranks, (ctypes.c_int * n)(*devices), ctypes.c_size_t(n)))


def remove_ranks(number: int) -> None:
    """Takes them away."""
    ctypes.CDLL(HANDLERS).signcclJaxRemoveRanks(ctypes.c_int64(number))


def place() -> DeviceMemory:
    """Numbers that no handler can read: they are on the device."""
    return DeviceMemory(np.array([-1, 7], np.int32))
