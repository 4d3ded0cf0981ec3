# SPDX-License-Identifier: Apache-2.0
"""The types of include/signccl/signccl.h in ctypes: enumerations, structs with their initializers, limits.

Nothing here loads the library. tests/python/test_header.py compares all of it with the header.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum

from ._version import __version__

VERSION = tuple(int(part) for part in __version__.split("."))
VERSION_CODE = VERSION[0] * 10000 + VERSION[1] * 100 + VERSION[2]

CONFIG_MAGIC = 0x5167CCC1
CONFIG_UNDEF_INT = -(2**31)
UNIQUE_ID_BYTES = 128
SPLIT_NOCOLOR = -1
ALL_GATHER_MAX_BYTES = 32 << 20
MAX_RANKS = 32767  # the header says it in words only


class Result(IntEnum):
    """Result code of a C function, ``signcclResult_t``."""

    SUCCESS = 0
    UNHANDLED_CUDA_ERROR = 1
    SYSTEM_ERROR = 2
    INTERNAL_ERROR = 3
    INVALID_ARGUMENT = 4
    INVALID_USAGE = 5
    REMOTE_ERROR = 6
    IN_PROGRESS = 7
    TIMEOUT = 8


class DataType(IntEnum):
    """Type of elements, ``signcclDataType_t``."""

    INT8 = 0
    INT32 = 2
    FLOAT16 = 6
    FLOAT32 = 7
    FLOAT64 = 8
    BFLOAT16 = 9
    INT16 = 64
    BITS = 65


class ZeroRule(IntEnum):
    """What the sign of zero and of NaN is, ``signcclZeroRule_t``."""

    BINARY = 0
    TERNARY = 1


class TieRule(IntEnum):
    """What a vote gives for a tie, ``signcclTieRule_t``."""

    ZERO = 0
    POSITIVE = 1
    NEGATIVE = 2
    RANDOM = 3


class Values(IntEnum):
    """Which values a sum met, ``signcclValues_t``."""

    SIGNS = 0
    ZEROS = 1
    OTHER = 2


AllGatherFn = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class UniqueId(ctypes.Structure):
    """``signcclUniqueId``: opaque bytes, passed by value."""

    _fields_ = [("internal", ctypes.c_char * UNIQUE_ID_BYTES)]


class SignConfig(ctypes.Structure):
    """``signcclSignConfig_t``, made as SIGNCCL_SIGN_CONFIG_INITIALIZER makes it."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("magic", ctypes.c_uint),
        ("version", ctypes.c_uint),
        ("zeroRule", ctypes.c_int),
        ("tieRule", ctypes.c_int),
        ("misfitRule", ctypes.c_int),
        ("reserved", ctypes.c_int),
    ]

    def __init__(self, zero: int = CONFIG_UNDEF_INT, tie: int = CONFIG_UNDEF_INT) -> None:
        undefined = CONFIG_UNDEF_INT
        super().__init__(ctypes.sizeof(SignConfig), CONFIG_MAGIC, VERSION_CODE, zero, tie, undefined, undefined)


class Config(ctypes.Structure):
    """``signcclConfig_t``, made as SIGNCCL_CONFIG_INITIALIZER makes it."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("magic", ctypes.c_uint),
        ("version", ctypes.c_uint),
        ("nThreads", ctypes.c_int),
        ("timeoutMs", ctypes.c_int),
        ("algorithm", ctypes.c_char_p),
        ("commName", ctypes.c_char_p),
        ("allGather", AllGatherFn),
        ("allGatherContext", ctypes.c_void_p),
        ("ncclComm", ctypes.c_void_p),
    ]

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(Config), CONFIG_MAGIC, VERSION_CODE, CONFIG_UNDEF_INT, CONFIG_UNDEF_INT)


class CommStats(ctypes.Structure):
    """``signcclCommStats_t`` with its size set."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("collectives", ctypes.c_uint64),
        ("exchanges", ctypes.c_uint64),
        ("bytesSent", ctypes.c_uint64),
        ("bytesReceived", ctypes.c_uint64),
        ("messagesSent", ctypes.c_uint64),
        ("messagesReceived", ctypes.c_uint64),
        ("scratchBytes", ctypes.c_uint64),
        ("algorithm", ctypes.c_char_p),
        ("kernels", ctypes.c_char_p),
    ]

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(CommStats))


class SumOutcome(ctypes.Structure):
    """``signcclSumOutcome_t``, made as SIGNCCL_SUM_OUTCOME_INITIALIZER makes it."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("values", ctypes.c_int),
        ("isWritten", ctypes.c_int),
        ("firstIndex", ctypes.c_int64),
        ("firstValue", ctypes.c_double),
    ]

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(SumOutcome))
