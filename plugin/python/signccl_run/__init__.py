# SPDX-License-Identifier: Apache-2.0
"""The command ``signccl-run`` of the wheel: becomes the program of that name in the package ``signccl``.

It is a package of its own, since importing ``signccl`` would load NumPy and the library before each rank of a job.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Becomes the program, with the arguments of this command. Ends with status 1 if the wheel was built without it."""
    tried = [folder / "bin" / "signccl-run" for folder in _package_folders()]
    for program in tried:
        if program.exists():
            os.execv(program, ["signccl-run", *sys.argv[1:]])
    print(
        "signccl-run: this installation of signccl was built without the program; tried "
        + (", ".join(map(str, tried)) or "nothing, since there is no package signccl")
        + ". pip install ./plugin/python of a clone builds it",
        file=sys.stderr,
    )
    sys.exit(1)


def _package_folders() -> list[Path]:
    """The folders of the package ``signccl``, without importing it; several if it is installed in editable mode."""
    found = importlib.util.find_spec("signccl")
    return [Path(folder) for folder in (found.submodule_search_locations if found else None) or []]
