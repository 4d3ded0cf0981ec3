# SPDX-License-Identifier: Apache-2.0
"""The UCX that a process has: that of the libucx package if it is installed, loaded without taking signals away.

With a package of that name that loads nothing and says what was asked of it; test_wheel.py has the real one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import environment

FAKE = """
import os, signal
def load_library():
    print("loaded", flush=True)
    if os.environ.get("FAKE_FAILS"):
        raise OSError("libucp.so is broken")
    signal.signal(signal.SIGHUP, lambda *_: None)  # as UCX does
    return []
"""
JOIN = """
import signal, signccl
signccl.Communicator.all_in_process(2)
print("threads", flush=True)
for _ in range(2):
    try:
        signccl.Communicator.from_unique_id(signccl.get_unique_id(), 0, 2, timeout=0.05)
    except signccl.OperationTimeoutError:
        pass
caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt"))
print("SIGHUP is", "taken" if int(caught.split()[1], 16) & 1 else "free")
"""


def run(folder: Path, code: str = JOIN, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "libucx").mkdir()
    (folder / "libucx" / "__init__.py").write_text(FAKE)
    path = os.pathsep.join([str(folder), *sys.path])
    settings = environment(**{"PYTHONPATH": path, **variables})
    settings.pop("PYTHONFAULTHANDLER")
    return subprocess.run([sys.executable, "-B", "-c", code], env=settings, capture_output=True, text=True, timeout=30)


def test_package_is_loaded_once_and_only_for_processes(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.stdout.split("\n") == ["threads", "loaded", "SIGHUP is free", ""], ended.stderr


def test_user_who_names_another_ucx_gets_it(tmp_path: Path) -> None:
    assert "loaded" not in run(tmp_path, SIGNCCL_UCX_LIBRARY="/somewhere").stdout


def test_ucx_that_is_in_the_process_stays_the_only_one(tmp_path: Path) -> None:
    code = f"import ctypes; ctypes.CDLL('libucp.so.0')\n{JOIN}"
    ended = run(tmp_path, code)
    if "cannot open shared object file" in ended.stderr:
        pytest.skip("there is no libucp.so.0 here (Debian package libucx0)")
    assert ended.stdout.startswith("threads") and "loaded" not in ended.stdout


def test_user_who_wants_handlers_of_ucx_gets_them(tmp_path: Path) -> None:
    assert "SIGHUP is taken" in run(tmp_path, UCX_HANDLE_ERRORS="bt").stdout


def test_package_that_cannot_be_loaded_is_warned_of(tmp_path: Path) -> None:
    ended = run(tmp_path, FAKE_FAILS="1")
    assert "SIGHUP is free" in ended.stdout
    assert "the UCX of the libucx package cannot be loaded, the system's is used: libucp.so is broken" in ended.stderr
    assert ended.stderr.count("cannot be loaded") == 1
