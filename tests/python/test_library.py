# SPDX-License-Identifier: Apache-2.0
"""How the package finds its C library, in processes of their own: what is loaded cannot be unloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, environment

PACKAGE = ROOT / "plugin" / "python" / "signccl"
LOADED = os.environ.get("SIGNCCL_LIBRARY", "")


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", code], env=environment(**variables), capture_output=True, text=True, timeout=30
    )


def stub(folder: Path, version: int | None) -> Path:
    """A library that says it is of that version, or that is no SignCCL at all."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here to make a library with")
    body = f"int signcclGetVersion(int* code) {{ *code = {version}; return 0; }}" if version else "int other(void);"
    (folder / "stub.c").write_text(body)
    library = folder / "libstub.so"
    subprocess.run([compiler, "-shared", "-fPIC", str(folder / "stub.c"), "-o", str(library)], check=True)
    return library


def import_error(**variables: str) -> str:
    ended = run("import signccl", **variables)
    assert ended.returncode == 1 and "ImportError" in ended.stderr, ended.stderr
    return ended.stderr


@pytest.mark.skipif(not LOADED, reason="SIGNCCL_LIBRARY names no library to import")
def test_variable_names_the_library() -> None:
    code = "import signccl._c; print(signccl._c.lib._name)"
    assert run(code).stdout.strip() == os.path.abspath(LOADED)
    folder, name = os.path.split(os.path.abspath(LOADED))
    # A path, not a name to be searched for.
    ended = run(f"import os; os.chdir({folder!r}); {code}", SIGNCCL_LIBRARY=name)
    assert ended.stdout.strip() == os.path.abspath(LOADED), ended.stderr


def test_variable_that_names_no_library_is_an_error() -> None:
    error = import_error(SIGNCCL_LIBRARY="/nowhere/libsignccl.so")
    assert "/nowhere/libsignccl.so (of SIGNCCL_LIBRARY): " in error
    assert "cannot open shared object file" in error
    assert "of the package" not in error and "of the system" not in error


def test_error_names_every_file_that_was_tried() -> None:
    error = import_error(SIGNCCL_LIBRARY="")
    bundled = PACKAGE / "lib" / "libsignccl.so"
    assert f"{bundled} (of the package): " in error
    assert "libsignccl.so.0.1 (of the system): " in error
    assert "libsignccl.so (of the system): " in error
    assert "set SIGNCCL_LIBRARY to the path of a libsignccl.so" in error


@pytest.mark.skipif(not LOADED, reason="SIGNCCL_LIBRARY names no library to copy")
def test_library_of_the_package_comes_before_that_of_the_system(tmp_path: Path) -> None:
    package = tmp_path / "signccl"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "system").mkdir()
    shutil.copy(LOADED, tmp_path / "system" / "libsignccl.so")
    code = "import signccl._c; print(signccl._c.lib._name)"
    settings = {"SIGNCCL_LIBRARY": "", "PYTHONPATH": str(tmp_path), "LD_LIBRARY_PATH": str(tmp_path / "system")}
    ended = run(code, **settings)
    assert ended.stdout.strip() == "libsignccl.so", ended.stderr
    (package / "lib").mkdir()
    shutil.copy(LOADED, package / "lib" / "libsignccl.so")
    assert run(code, **settings).stdout.strip() == str(package / "lib" / "libsignccl.so")


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (99, "is SignCCL 0.0.99, but this Python package needs 0.1.0 or newer"),
        (200, "is SignCCL 0.2.0, whose interface differs from that of this package, 0.1.0"),
        (10100, "is SignCCL 1.1.0, whose interface differs from that of this package, 0.1.0"),
        (None, "is no SignCCL: it has no signcclGetVersion"),
        (101, "has no signcclGetErrorString, "),
    ],
)
def test_library_that_does_not_fit_is_refused(tmp_path: Path, version: int | None, text: str) -> None:
    library = stub(tmp_path, version)
    error = import_error(SIGNCCL_LIBRARY=str(library))
    assert text in error and str(library) in error


def test_import_loads_no_torch_and_no_ucx() -> None:
    code = (
        "import sys, signccl, signccl._ucx\n"
        "signccl.Communicator.all_in_process(2)\n"
        "print('torch' in sys.modules, 'libucx' in sys.modules, signccl._ucx.is_loaded())"
    )
    assert run(code).stdout.split() == ["False", "False", "False"]
