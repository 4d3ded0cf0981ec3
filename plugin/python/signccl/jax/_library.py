# SPDX-License-Identifier: Apache-2.0
"""Finds and loads libsignccl_jax.so, and registers its handlers with XLA.

1. ``SIGNCCL_JAX_LIBRARY``, the path of the file, if it is set; then nothing else is tried.
2. The file that the wheel carries, ``signccl/lib/libsignccl_jax.so``.
3. The file beside the libsignccl.so that is loaded.

The library is compiled with headers of an old jaxlib. XLA takes handlers whose headers are not newer than itself, and
may give up old ones; then the error says so.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._c import lib as c_library  # loaded first: the other one needs it, and finds it by its SONAME
from .._library import _package_folders, load_first

VARIABLE = "SIGNCCL_JAX_LIBRARY"
FILE = "libsignccl_jax.so"

_TABLE = ("signcclJaxAddRanks", "signcclJaxAreRanksBusy", "signcclJaxRemoveRanks")
_HANDLERS = {
    ("signccl_all_reduce_vote", "cpu"): "signcclJaxVote",
    ("signccl_all_reduce_avg", "cpu"): "signcclJaxAvg",
    ("signccl_lion_step", "cpu"): "signcclJaxLionStep",
    ("signccl_all_reduce_vote", "CUDA"): "signcclJaxVoteOnCuda",
    ("signccl_all_reduce_avg", "CUDA"): "signcclJaxAvgOnCuda",
    ("signccl_lion_step", "CUDA"): "signcclJaxLionStepOnCuda",
}


def load() -> ctypes.CDLL:
    """Loads the library and registers its handlers for the platforms "cpu" and "CUDA".

    Raises ImportError that says what failed.
    """
    library, path, _ = load_first(
        _candidates(),
        "signccl.jax found no libsignccl_jax.so",
        "The package was built without its part for JAX, as it is with SIGNCCL_PREBUILT, with SIGNCCL_JAX=0, and under "
        "a Python for which there is no jaxlib 0.6.2: install it again with pip install './plugin/python[jax]' under "
        f"Python 3.10 to 3.13 and without these settings, or set {VARIABLE} to the path of a libsignccl_jax.so",
    )
    _declare(library, path)
    _register(library, path)
    return library


def _candidates() -> list[tuple[str, str]]:
    wanted = os.environ.get(VARIABLE)
    if wanted:
        return [(os.path.abspath(wanted), f"of {VARIABLE}")]
    candidates = [(str(folder / "lib" / FILE), "of the package") for folder in _package_folders()]
    name = str(c_library._name)
    if os.path.isabs(name):
        candidates.append((str(Path(name).parent / FILE), "beside libsignccl.so"))
    return candidates


def _declare(library: ctypes.CDLL, path: str) -> None:
    missing = [name for name in (*_HANDLERS.values(), *_TABLE) if not hasattr(library, name)]
    if missing:
        raise ImportError(f"{path} has no {', '.join(missing)}, which this version of signccl needs")
    library.signcclJaxAddRanks.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    library.signcclJaxAddRanks.restype = ctypes.c_int64
    library.signcclJaxAreRanksBusy.argtypes = [ctypes.c_int64]
    library.signcclJaxAreRanksBusy.restype = ctypes.c_int
    library.signcclJaxRemoveRanks.argtypes = [ctypes.c_int64]
    library.signcclJaxRemoveRanks.restype = None


def _register(library: ctypes.CDLL, path: str) -> None:
    for (target, platform), name in _HANDLERS.items():
        try:
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, name)), platform=platform)
        except Exception as error:
            raise ImportError(
                f"XLA of jaxlib {_jaxlib_version()} refuses the handlers of {path}: {error}\nThey are compiled with "
                "the headers of one jaxlib, for that one and newer ones. Build the package with headers that this "
                "jaxlib takes (SIGNCCL_XLA_FFI_INCLUDE_DIR, see docs/jax.md), or install another jaxlib"
            ) from error


def _jaxlib_version() -> str:
    import jaxlib.version

    return str(jaxlib.version.__version__)


library: Any = load()


def add_ranks(handles: list[int], ranks: list[int], devices: list[int]) -> int:
    """Makes communicators of this process known to the handlers. Returns the number that programs carry.

    `devices`: numbers of their GPUs among those of this process; -1: the program says which rank a device is.
    """
    comms = np.array(handles, np.uintp)
    numbers, places = np.array(ranks, np.intc), np.array(devices, np.intc)
    return int(library.signcclJaxAddRanks(comms.ctypes.data, numbers.ctypes.data, places.ctypes.data, len(handles)))


def are_ranks_busy(number: int) -> bool:
    """Whether a call that uses them is under way."""
    return bool(library.signcclJaxAreRanksBusy(number))


def remove_ranks(number: int) -> None:
    """Takes them away, and waits for the calls that are under way."""
    library.signcclJaxRemoveRanks(number)
