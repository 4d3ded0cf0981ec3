# SPDX-License-Identifier: Apache-2.0
"""The functions of include/signccl/signccl.h in ctypes, and how their results become exceptions.

Importing this module loads the library. ``lib.signccl...`` are the functions; each call releases the GIL. Plugins of
this package (torch, jax) call them through this module too.
"""

from __future__ import annotations

import ctypes
from typing import Any

from ._c_types import AllGatherFn, CommStats, Config, Result, SignConfig, SumOutcome, UniqueId
from ._library import load
from .errors import error_for

__all__ = ["OPTIONAL", "PROTOTYPES", "AllGatherFn", "check", "has", "lib"]

_Prototype = tuple[Any, tuple[Any, ...]]

_comm = ctypes.c_void_p
_out_comm = ctypes.POINTER(ctypes.c_void_p)
_request = ctypes.POINTER(ctypes.c_void_p)
_int = ctypes.c_int
_out_int = ctypes.POINTER(ctypes.c_int)
_enum = ctypes.c_int
_config = ctypes.POINTER(Config)
_collective = (
    ctypes.c_void_p,  # sendbuff
    ctypes.c_void_p,  # recvbuff
    ctypes.c_size_t,  # count
    _enum,  # sendtype
    _enum,  # recvtype
    ctypes.POINTER(SignConfig),
    _comm,
    ctypes.c_void_p,  # stream
)
_sum = (
    ctypes.c_void_p,  # sendbuff
    ctypes.c_void_p,  # recvbuff
    ctypes.c_size_t,  # count
    _enum,  # datatype
    ctypes.POINTER(SignConfig),
    _comm,
    ctypes.c_void_p,  # stream
    ctypes.POINTER(SumOutcome),
)

PROTOTYPES: dict[str, _Prototype] = {
    "signcclGetErrorString": (ctypes.c_char_p, (_enum,)),
    "signcclGetLastError": (ctypes.c_char_p, (_comm,)),
    "signcclGetVersion": (_enum, (_out_int,)),
    "signcclGetUniqueId": (_enum, (ctypes.POINTER(UniqueId),)),
    "signcclCommInitRank": (_enum, (_out_comm, _int, UniqueId, _int)),
    "signcclCommInitRankConfig": (_enum, (_out_comm, _int, UniqueId, _int, _config)),
    "signcclCommInitAll": (_enum, (_out_comm, _int, _out_int)),
    "signcclCommSplit": (_enum, (_comm, _int, _int, _out_comm, _config)),
    "signcclCommAllGather": (_enum, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, _comm)),
    "signcclCommCount": (_enum, (_comm, _out_int)),
    "signcclCommUserRank": (_enum, (_comm, _out_int)),
    "signcclCommFinalize": (_enum, (_comm,)),
    "signcclCommDestroy": (_enum, (_comm,)),
    "signcclCommAbort": (_enum, (_comm,)),
    "signcclCommAbortWithReason": (_enum, (_comm, ctypes.c_char_p)),
    "signcclCommGetAsyncError": (_enum, (_comm, ctypes.POINTER(_enum))),
    "signcclCommGetCallNumber": (_enum, (_comm, ctypes.POINTER(ctypes.c_uint64))),
    "signcclCommSetCallNumber": (_enum, (_comm, ctypes.c_uint64)),
    "signcclCommGetStats": (_enum, (_comm, ctypes.POINTER(CommStats))),
    "signcclAllReduceVote": (_enum, _collective),
    "signcclAllReduceAvg": (_enum, _collective),
    "signcclAllReduceVoteAsync": (_enum, (*_collective, _request)),
    "signcclAllReduceAvgAsync": (_enum, (*_collective, _request)),
    "signcclRequestTest": (_enum, (_request, _out_int)),
    "signcclRequestWait": (_enum, (_request,)),
    "signcclRequestWaitFor": (_enum, (_request, _int, _out_int)),
    "signcclGroupStart": (_enum, ()),
    "signcclGroupEnd": (_enum, ()),
}

# Functions that a library of this interface may lack, since they came in a later patch version.
OPTIONAL: dict[str, _Prototype] = {
    "signcclRequestWaitAll": (_enum, (ctypes.c_size_t, _request)),
    "signcclAllReduceSum": (_enum, _sum),
    "signcclAllReduceSumAsync": (_enum, (*_sum, _request)),
}


def _bind() -> ctypes.CDLL:
    library = load()
    missing = [name for name in PROTOTYPES if not hasattr(library, name)]
    if missing:
        raise ImportError(f"{library._name} has no {', '.join(missing)}, which this version of signccl needs")
    for name, (result, arguments) in {**PROTOTYPES, **OPTIONAL}.items():
        if hasattr(library, name):
            function = getattr(library, name)
            function.restype = result
            function.argtypes = list(arguments)
    return library


lib = _bind()


def has(name: str) -> bool:
    """Whether the loaded library has a function of OPTIONAL."""
    return hasattr(lib, name)


def last_error(comm: int | None = None) -> str:
    """What went wrong last, at a communicator or else in a call of this thread."""
    text: bytes = lib.signcclGetLastError(comm)
    return text.decode("utf-8", errors="replace")


def check(result: int, comm: int | None = None) -> None:
    """Raises the exception for `result`, with the library's text; returns if it is a success.

    To be called in the thread that made the call. `comm`, if given, is asked for its error: right where the call
    waited for work of another thread.
    """
    if result == Result.SUCCESS:
        return
    text = last_error(comm) or last_error()
    if not text:
        text = lib.signcclGetErrorString(result).decode("utf-8", errors="replace")
    raise error_for(result, text)
