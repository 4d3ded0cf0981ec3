# SPDX-License-Identifier: Apache-2.0
"""The functions of include/signccl/lion.h in ctypes, with their types."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any

from ._c import lib
from ._c_types import CONFIG_MAGIC, CONFIG_UNDEF_INT, VERSION_CODE

_addresses = ctypes.c_void_p  # of an array of pointers: a buffer of NumPy's uintp
_doubles = ctypes.c_void_p
_ints = ctypes.c_void_p
_device_floats = ctypes.c_void_p  # an address in the memory of a device
_device_ints = ctypes.c_void_p


class LionAggregation(IntEnum):
    """What is done with the signs of all ranks, ``signcclLionAggregation_t``."""

    VOTE = 0
    AVG = 1


class LionRounding(IntEnum):
    """How parameters of type bfloat16 are rounded, ``signcclLionRounding_t``."""

    NEAREST = 0
    STOCHASTIC = 1


class LionConfig(ctypes.Structure):
    """``signcclLionConfig_t``, made as SIGNCCL_LION_CONFIG_INITIALIZER makes it."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("magic", ctypes.c_uint),
        ("version", ctypes.c_uint),
        ("tensorCount", ctypes.c_size_t),
        ("parameters", _addresses),
        ("momenta", _addresses),
        ("counts", _addresses),
        ("parameterTypes", _ints),
        ("momentumTypes", _ints),
        ("gradientTypes", _ints),
        ("groups", _ints),
        ("groupCount", ctypes.c_int),
        ("aggregation", ctypes.c_int),
        ("zeroRule", ctypes.c_int),
        ("tieRule", ctypes.c_int),
        ("rounding", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("roundingSeed", ctypes.c_uint64),
    ]

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(LionConfig), CONFIG_MAGIC, VERSION_CODE)
        for name in ("groupCount", "aggregation", "zeroRule", "tieRule", "rounding", "reserved"):
            setattr(self, name, CONFIG_UNDEF_INT)


class LionStepConfig(ctypes.Structure):
    """``signcclLionStepConfig_t``, made as SIGNCCL_LION_STEP_INITIALIZER makes it."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("magic", ctypes.c_uint),
        ("version", ctypes.c_uint),
        ("learningRates", _doubles),
        ("beta1s", _doubles),
        ("beta2s", _doubles),
        ("weightDecays", _doubles),
        ("skip", ctypes.c_int),
        ("background", ctypes.c_int),
        ("stream", ctypes.c_void_p),
        ("foundInf", _device_floats),
        ("deviceLearningRates", _device_floats),
        ("deviceWeightDecays", _device_floats),
        ("deviceSkipped", _device_ints),
    ]

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(LionStepConfig), CONFIG_MAGIC, VERSION_CODE)
        self.skip = self.background = CONFIG_UNDEF_INT


_lion = ctypes.c_void_p
_step = ctypes.POINTER(LionStepConfig)
_out_int = ctypes.POINTER(ctypes.c_int)

PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "signcclLionCreate": (ctypes.c_int, (ctypes.POINTER(_lion), ctypes.POINTER(LionConfig), ctypes.c_void_p)),
    "signcclLionDestroy": (ctypes.c_int, (_lion,)),
    "signcclLionStep": (ctypes.c_int, (_lion, _step, _addresses, _out_int)),
    "signcclLionBegin": (ctypes.c_int, (_lion, _step)),
    "signcclLionSubmit": (ctypes.c_int, (_lion, ctypes.c_size_t, ctypes.c_size_t, _addresses)),
    "signcclLionFinish": (ctypes.c_int, (_lion, ctypes.c_int, _out_int, _out_int)),
    "signcclLionGetChanged": (ctypes.c_int, (_lion, ctypes.c_void_p)),
    "signcclLionRetry": (ctypes.c_int, (_lion, ctypes.c_void_p, ctypes.c_int, _out_int)),
}

for _name, (_result, _arguments) in PROTOTYPES.items():
    _function = getattr(lib, _name)
    _function.restype = _result
    _function.argtypes = list(_arguments)
