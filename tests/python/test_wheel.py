# SPDX-License-Identifier: Apache-2.0
"""The wheel, as a new user has it: built, and installed in a new virtual environment, with and without a UCX."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import PROGRAMS, ROOT, environment, free_port

PREBUILT = os.environ.get("SIGNCCL_LIBRARY", "")
JAX_PREBUILT = os.environ.get("SIGNCCL_JAX_LIBRARY", "")
CUDA_PREBUILT = Path(PREBUILT).absolute().with_name("libsignccl_cuda.so")  # where it was built
LIBUCX = "libucx-cu12==1.22.0"  # as tools/newer_ucx
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
NO_EXTRAS = ["--no-build-isolation", "--no-deps"]
pytestmark = [
    pytest.mark.skipif(not PREBUILT, reason="SIGNCCL_LIBRARY names no library to put into a wheel"),
    pytest.mark.timeout(240),
]

THREADS = """
import threading, numpy as np, signccl
comms = signccl.Communicator.all_in_process(2)
results = {}
def vote(comm):
    results[comm.rank] = signccl.all_reduce_vote(np.array([-1.0, 2.0]), comm).tolist()
threads = [threading.Thread(target=vote, args=(comm,)) for comm in comms]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results[0], results[1], signccl._c.lib._name)
"""


def run(*command: object, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = environment(**variables)
    for name in ("PYTHONPATH", "SIGNCCL_LIBRARY", "SIGNCCL_JAX_LIBRARY", "PYTHONFAULTHANDLER"):
        if name not in variables:
            settings.pop(name, None)
    ended = subprocess.run([*map(str, command)], env=settings, capture_output=True, text=True, timeout=200, cwd="/")
    assert not check or ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = ROOT / "plugin" / "python"
    settings = ["--config-settings", f"cmake.define.SIGNCCL_PREBUILT={os.path.abspath(PREBUILT)}"]
    if JAX_PREBUILT:
        settings += ["--config-settings", f"cmake.define.SIGNCCL_JAX_PREBUILT={os.path.abspath(JAX_PREBUILT)}"]
    if CUDA_PREBUILT.exists():
        settings += ["--config-settings", f"cmake.define.SIGNCCL_CUDA_PREBUILT={CUDA_PREBUILT}"]
    run(*PIP, "wheel", *NO_EXTRAS, "-w", folder, source, *settings)
    (made,) = folder.glob("*.whl")
    return made


class Installed:
    """A virtual environment with the wheel and what it requires."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.python = folder / "bin" / "python"
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        run(*PIP, "--python", self.python, "install", wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed") / "venv", wheel)


@pytest.fixture(scope="module")
def without_ucx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[object]]:
    """A command that runs another one as if no UCX were installed on this machine."""
    script = tmp_path_factory.mktemp("without_ucx") / "run.sh"
    script.write_text(
        """set -e
mount -t tmpfs none /mnt
for folder in /usr/lib/*-linux-gnu* /usr/lib64; do
  [ -d "$folder" ] && [ ! -L "$folder" ] || continue
  [ -n "$(find "$folder" -maxdepth 1 -name 'libuc[pst]*' -print -quit)" ] || continue
  layers=/mnt/${folder##*/}
  mkdir -p "$layers/upper" "$layers/work"
  mount -t overlay none -o "lowerdir=$folder,upperdir=$layers/upper,workdir=$layers/work" "$folder"
  rm -f "$folder"/libuc[pstm].so* "$folder"/libuc[pstm]_*.so*
done
exec "$@"
"""
    )
    command = ["unshare", "--mount", "--map-root-user", "bash", script]
    if os.geteuid() == 0:
        command.remove("--map-root-user")
    if shutil.which("unshare") is None or run(*command, "true", check=False).returncode != 0:
        pytest.skip("a namespace without UCX cannot be made here")
    yield command


def run_job(python: Path, prefix: list[object], **variables: str) -> list[subprocess.CompletedProcess[str]]:
    """Two processes that vote."""
    point = f"127.0.0.1:{free_port()}"
    settings = environment(WORLD_SIZE="2", SIGNCCL_COMM_ID=point)
    for name in ("PYTHONPATH", "SIGNCCL_LIBRARY"):
        settings.pop(name, None)
    settings.update(variables)
    command = [*map(str, prefix), str(python), "-B", str(PROGRAMS / "place.py")]
    ranks = [
        subprocess.Popen(command, env={**settings, "RANK": str(rank)}, stdout=-1, stderr=-1, text=True, cwd="/")
        for rank in range(2)
    ]
    try:
        return [
            subprocess.CompletedProcess(command, rank.returncode, output, errors)
            for rank in ranks
            for output, errors in [rank.communicate(timeout=40)]
        ]
    finally:
        for rank in ranks:
            rank.kill()


def test_wheel_serves_every_python_and_holds_each_library_once(wheel: Path) -> None:
    assert wheel.name.startswith("signccl-") and "-py3-none-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        libraries = ["libsignccl.so"]
        libraries += ["libsignccl_cuda.so"] if CUDA_PREBUILT.exists() else []
        libraries += ["libsignccl_jax.so"] if JAX_PREBUILT else []
        assert sorted(name for name in names if ".so" in name) == [f"signccl/lib/{name}" for name in libraries]
        assert "signccl/py.typed" in names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        assert not [name for name in names if "__pycache__" in name]
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    for line in ("Requires-Python: >=3.9", "Provides-Extra: ucx", "Requires-Dist: numpy>=1.21", "Version: 0.1.0"):
        assert line in metadata


def test_installed_package_uses_its_own_library(installed: Installed) -> None:
    output = run(installed.python, "-c", THREADS).stdout
    assert output.startswith("[-1.0, 1.0] [-1.0, 1.0] ")
    library = Path(output.split()[-1])
    assert library.is_relative_to(installed.python.parents[1]) and library.name == "libsignccl.so"


def test_threads_need_no_ucx(installed: Installed, without_ucx: list[object]) -> None:
    assert run(*without_ucx, installed.python, "-c", THREADS).stdout.startswith("[-1.0, 1.0] [-1.0, 1.0] ")


def test_processes_without_a_ucx_say_what_to_install(installed: Installed, without_ucx: list[object]) -> None:
    for rank in run_job(installed.python, without_ucx):
        assert rank.returncode == 1
        last = rank.stderr.splitlines()[-1]
        assert "SystemCallError" in last and "(Debian: libucx0)" in last and "pip install signccl[ucx]" in last


def test_ucx_of_pypi_is_enough(installed: Installed, without_ucx: list[object], tmp_path: Path) -> None:
    if run(*PIP, "install", "--no-deps", "--target", tmp_path, LIBUCX, check=False).returncode != 0:
        pytest.skip(f"{LIBUCX} cannot be had here")
    for prefix in (without_ucx, []):
        for rank, ended in enumerate(run_job(installed.python, prefix, PYTHONPATH=str(tmp_path))):
            assert ended.stdout == f"{rank} 2 2\n", ended.stderr


@pytest.mark.parametrize("name", ["SIGNCCL_PREBUILT", "SIGNCCL_JAX_PREBUILT"])
def test_library_that_is_not_there_is_an_error_of_the_build(name: str, tmp_path: Path) -> None:
    chosen = {"SIGNCCL_PREBUILT": os.path.abspath(PREBUILT), name: "/nowhere/lib.so"}
    settings = [f"--config-settings=cmake.define.{key}={value}" for key, value in chosen.items()]
    source = ROOT / "plugin" / "python"
    ended = run(*PIP, "wheel", *NO_EXTRAS, "-w", tmp_path, source, *settings, check=False)
    assert ended.returncode != 0
    assert f"{name} is /nowhere/lib.so" in ended.stdout + ended.stderr


def test_headers_of_jaxlib_are_taken_if_old_ones_are_there_and_missed_aloud(tmp_path: Path) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("there is no cmake here")
    (tmp_path / "CMakeLists.txt").write_text(
        f"""cmake_minimum_required(VERSION 3.25)
project(headers LANGUAGES NONE)
include("{ROOT}/plugin/python/JaxHeaders.cmake")
"""
    )
    header = tmp_path / "packages" / "jaxlib" / "include" / "xla" / "ffi" / "api" / "c_api.h"
    header.parent.mkdir(parents=True)
    (tmp_path / "packages" / "jaxlib" / "__init__.py").touch()

    def configure(**variables: str) -> str:
        python = f"-DPython_EXECUTABLE={sys.executable}"
        ended = run(cmake, "-S", tmp_path, "-B", tmp_path / "build", "--fresh", python, **variables)
        return " ".join((ended.stdout + ended.stderr).split())

    folder = {"PYTHONPATH": str(tmp_path / "packages")}
    assert "WITHOUT the plugin for JAX" in configure(**folder)  # the header is not there
    header.write_text("#define XLA_FFI_API_MAJOR 0\n#define XLA_FFI_API_MINOR 1\n")
    assert f"with the plugin for JAX, by the headers in {tmp_path}/packages/jaxlib/include" in configure(**folder)
    header.write_text("#define XLA_FFI_API_MAJOR 0\n#define XLA_FFI_API_MINOR 3\n")
    assert "have version 0.3, expected 0.1 of jaxlib 0.6.2" in configure(**folder)


def test_what_a_build_lacks_is_said_at_once_with_the_packages() -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("there is no cmake here")
    requirements = ROOT / "plugin" / "python" / "Requirements.cmake"
    assert run(cmake, "-P", requirements).stderr == ""
    bare = "-DCMAKE_IGNORE_PATH=/usr/include;/usr/local/include"
    ended = run(cmake, bare, "-P", requirements, check=False, PKG_CONFIG_LIBDIR="/nowhere")
    assert ended.returncode != 0
    assert "apt-get install libasio-dev nlohmann-json3-dev libspdlog-dev libucx-dev" in ended.stderr
