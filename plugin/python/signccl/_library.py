# SPDX-License-Identifier: Apache-2.0
"""Finds and loads libsignccl.so.

1. ``SIGNCCL_LIBRARY``, the path of the file, if it is set; then nothing else is tried.
2. The file that the wheel carries, ``signccl/lib/libsignccl.so``.
3. The system's, by the names that the dynamic linker knows.

A library that is too old for this binding, or has another interface, is refused.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from ._c_types import VERSION, VERSION_CODE

VARIABLE = "SIGNCCL_LIBRARY"


def load() -> ctypes.CDLL:
    """Loads the library and checks its version. Raises ImportError that names every file tried and why it failed."""
    library, name, origin = load_first(
        _candidates(),
        "signccl found no libsignccl.so",
        f"Install the package again, or set {VARIABLE} to the path of a libsignccl.so",
    )
    _check_version(library, f"{name} ({origin})")
    return library


def load_first(candidates: list[tuple[str, str]], failure: str, advice: str) -> tuple[ctypes.CDLL, str, str]:
    """The first library that can be loaded, its name and its origin. Raises ImportError with why each could not."""
    reasons = []
    for name, origin in candidates:
        try:
            return ctypes.CDLL(name), name, origin
        except OSError as error:
            reasons.append(f"  {name} ({origin}): {error}")
    raise ImportError(f"{failure}. Tried:\n" + "\n".join(reasons) + f"\n{advice}")


def _candidates() -> list[tuple[str, str]]:
    """Names for the dynamic linker, best first, each with where it comes from."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        # Without a slash the linker would search its folders instead of taking this file.
        return [(os.path.abspath(wanted), f"of {VARIABLE}")]
    candidates = [(str(folder / "lib" / "libsignccl.so"), "of the package") for folder in _package_folders()]
    candidates.append((f"libsignccl.so.{_soversion()}", "of the system"))
    candidates.append(("libsignccl.so", "of the system"))
    return candidates


def _package_folders() -> list[Path]:
    """The folder of this package; several if it is installed in editable mode, which keeps the library elsewhere."""
    package = sys.modules.get(__package__ or "")
    folders = [str(Path(__file__).parent), *getattr(package, "__path__", [])]
    return [Path(folder) for folder in dict.fromkeys(folders)]


def _soversion() -> str:
    major, minor = VERSION[0], VERSION[1]
    return f"0.{minor}" if major == 0 else str(major)


def _check_version(library: ctypes.CDLL, source: str) -> None:
    ours = ".".join(map(str, VERSION))
    code = ctypes.c_int()
    try:
        result = library.signcclGetVersion(ctypes.byref(code))
    except AttributeError:
        raise ImportError(f"{source} is no SignCCL: it has no signcclGetVersion") from None
    if result != 0:
        raise ImportError(f"{source}: signcclGetVersion returned {result}, expected 0")
    theirs = (code.value // 10000, code.value // 100 % 100, code.value % 100)
    text = ".".join(map(str, theirs))
    if code.value < VERSION_CODE:
        raise ImportError(f"{source} is SignCCL {text}, but this Python package needs {ours} or newer")
    # As the SONAME: a new major version breaks, and while that is 0, a new minor version.
    same_interface = theirs[0] == VERSION[0] and (theirs[0] > 0 or theirs[1] == VERSION[1])
    if not same_interface:
        raise ImportError(f"{source} is SignCCL {text}, whose interface differs from that of this package, {ours}")
