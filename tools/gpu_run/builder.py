# SPDX-License-Identifier: Apache-2.0
"""Configures and builds what runs on the GPU: with packages of this machine, or with carried ones alone."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ["signccl", "sign_all_reduce_perf", "kernel_bench", "stream_latency", "kernels_test"]


class BuildError(Exception):
    """The build has failed; the text has the end of its log."""


@dataclass
class Built:
    folder: Path
    seconds: float

    def program(self, name: str) -> Path:
        folder = "tests/kernels" if name == "kernels_test" else "perf"
        return self.folder / folder / name


def only_path(packages: Path, pattern: str) -> Path:
    """The one path of the carried packages that matches."""
    found = sorted(packages.glob(pattern))
    if not found:
        raise BuildError(f"{packages} has no {pattern}: make it by `tools/gpu pack {packages}`")
    return found[0]


def library_folder(packages: Path) -> Path:
    return only_path(packages, "usr/lib/*/libucp.so.0").parent


def options_for(packages: Path) -> list[str]:
    """Carried packages are named one by one, so that no other version of this machine is taken."""
    libraries = library_folder(packages)
    folders = {
        "GTest_DIR": libraries / "cmake/GTest",
        "benchmark_DIR": libraries / "cmake/benchmark",
        "fmt_DIR": libraries / "cmake/fmt",
        "spdlog_DIR": libraries / "cmake/spdlog",
        "CLI11_DIR": packages / "usr/share/cmake/CLI11",
        "nlohmann_json_DIR": packages / "usr/share/cmake/nlohmann_json",
        "SIGNCCL_ASIO_INCLUDE_DIR": packages / "usr/include",
        "SIGNCCL_UCX_INCLUDE_DIR": packages / "usr/include",
    }
    return [f"-D{name}={folder}" for name, folder in folders.items()]


def xla_headers() -> list[str]:
    """What builds the plugin for JAX, with the headers of the jaxlib that this Python has; nothing if it has none."""
    command = [sys.executable, "-c", "import jax; print(jax.ffi.include_dir())"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"-DSIGNCCL_XLA_FFI_INCLUDE_DIR={found.stdout.strip()}"] if found.returncode == 0 else []


def build(root: Path, folder: Path, packages: Path | None, fake: bool, log: Path) -> Built:
    """Builds into `folder`. Without a GPU (`fake`) the kernels need no nvcc. The plugin for JAX is built where this
    Python has JAX; a step says so if it is not there."""
    began = time.monotonic()
    configure = ["cmake", "-S", str(root), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
    configure += ["-DSIGNCCL_EXAMPLES=OFF", "-DSIGNCCL_PMIX=OFF", f"-DSIGNCCL_CUDA={'OFF' if fake else 'ON'}"]
    if packages is not None:
        configure += options_for(packages)
    targets = [*TARGETS, *(["signccl_emulated_cuda", "signccl_fake_nccl"] if fake else ["signccl_cuda"])]
    with log.open("w") as output:
        for command in (configure, ["cmake", "--build", str(folder), "--target", *targets]):
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
            if status != 0:
                end = "\n".join(log.read_text().splitlines()[-40:])
                raise BuildError(f"{end}\nfailed: {' '.join(command)} (whole log: {log})")
        headers = [] if fake else xla_headers()
        if headers:
            for command in ([*configure, *headers], ["cmake", "--build", str(folder), "--target", "signccl_jax"]):
                subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    return Built(folder, time.monotonic() - began)
