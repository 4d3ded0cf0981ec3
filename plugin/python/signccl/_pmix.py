# SPDX-License-Identifier: Apache-2.0
"""The key-value store of PMIx, through which the processes of mpirun and srun meet without anybody's help.

The few functions of libpmix that are needed, in ctypes: their types are part of the PMIx standard and the same in
PMIx 3 to 5.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

from ._waiting import call

_NAMESPACE_BYTES = 256
_KEY_BYTES = 512
_ANYBODY = 2**32 - 2  # PMIX_RANK_WILDCARD
_GLOBAL = 3  # PMIX_GLOBAL, a scope
_BOOL, _STRING, _INT, _UINT32 = 1, 3, 6, 14  # types of values
_FENCE_SECONDS = 60
_PMIX_VERSIONS = ("libpmix.so.2", "libpmix.so")


class _Data(ctypes.Union):
    _fields_ = [
        ("flag", ctypes.c_bool),
        ("string", ctypes.c_char_p),
        ("integer", ctypes.c_int),
        ("uint32", ctypes.c_uint32),
        ("largest", ctypes.c_void_p * 3),  # as pmix_envar_t
    ]


class _Value(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint16), ("data", _Data)]


class _Info(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char * _KEY_BYTES), ("flags", ctypes.c_uint32), ("value", _Value)]


class _Process(ctypes.Structure):
    _fields_ = [("namespace", ctypes.c_char * _NAMESPACE_BYTES), ("rank", ctypes.c_uint32)]


class PmixError(RuntimeError):
    """PMIx is missing, or a call of it failed."""


class Session:
    """Between PMIx_Init() and PMIx_Finalize(); a launcher takes a process that ends in between for one that crashed.

    A context manager. Its methods raise PmixError.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._me = _Process()

    def __enter__(self) -> Session:
        self._check("PMIx_Init", ctypes.byref(self._me), None, ctypes.c_size_t(0))
        return self

    def __exit__(self, *_: object) -> None:
        self._library.PMIx_Finalize(None, ctypes.c_size_t(0))

    @property
    def rank(self) -> int:
        return int(self._me.rank)

    def size(self) -> int:
        """Number of processes of this job."""
        value = self._get(_ANYBODY, "pmix.job.size", _UINT32)
        return int(value.data.uint32)

    def publish(self, key: str, text: str) -> None:
        """Gives `text` to all processes, once they have all called fence()."""
        value = _Value(_STRING)
        value.data.string = text.encode()
        self._check("PMIx_Put", ctypes.c_uint8(_GLOBAL), key.encode(), ctypes.byref(value))
        self._check("PMIx_Commit")

    def fence(self) -> None:
        """Waits for all processes of the job to call it, for a minute at most."""
        info = (_Info * 2)()
        info[0].key, info[0].value.type, info[0].value.data.flag = b"pmix.collect", _BOOL, True
        info[1].key, info[1].value.type, info[1].value.data.integer = b"pmix.timeout", _INT, _FENCE_SECONDS
        call(lambda: self._check("PMIx_Fence", None, ctypes.c_size_t(0), info, ctypes.c_size_t(2)))

    def read(self, rank: int, key: str) -> str:
        """What `rank` has published. Waits in the launcher's daemon, no longer than a message takes after a fence."""
        value = self._get(rank, key, _STRING)
        return (value.data.string or b"").decode()

    def _get(self, rank: int, key: str, kind: int) -> _Value:
        owner = _Process(self._me.namespace, rank)
        pointer = ctypes.POINTER(_Value)()
        self._check("PMIx_Get", ctypes.byref(owner), key.encode(), None, ctypes.c_size_t(0), ctypes.byref(pointer))
        value = pointer.contents  # never freed: a few bytes, once per communicator
        if value.type != kind:
            raise PmixError(f"PMIx_Get of {key} gave a value of type {value.type}, expected {kind}")
        return value

    def _check(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            text = self._library.PMIx_Error_string(status)
            raise PmixError(
                f"{name} failed: {text.decode() if text else status}; was this process started by mpirun or "
                "srun --mpi=pmix?"
            )


def _load() -> ctypes.CDLL:
    for name in (*_PMIX_VERSIONS, ctypes.util.find_library("pmix")):
        if name is None:
            continue
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.PMIx_Error_string.restype = ctypes.c_char_p
        return library
    raise PmixError("there is no libpmix (Debian package libpmix2)")
