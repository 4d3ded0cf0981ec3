# SPDX-License-Identifier: Apache-2.0
"""Steps about what carries votes: CUDA graphs, NCCL, MPS, several GPUs."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from context import Context, perf
from steps import Failed, Figures, Runner, Skipped

REPLAYS = 1000
NCCL_WITH_RANKS_ON_ONE_GPU = 23003  # 2.30.3


def graphs(context: Context, runner: Runner) -> Figures:
    """Ranks of one process need a hardware queue each, since replays of one may wait for those of another."""
    size, replays = ("4K", 20) if context.fake else ("1M", REPLAYS)
    arguments = f"-g 1 -b {size} -e {size} -n 1 -w 1 -o all -d bfloat16 -T 20 --cudagraph {replays}"
    figures: Figures = {}
    for nranks in (2,) if context.fake else (1, 4):
        name = f"{nranks} threads, {replays} replays"
        figures[name] = perf(context, runner, f"-t {nranks} {arguments}", CUDA_DEVICE_MAX_CONNECTIONS="32")
    if not context.fake:
        figures[f"4 processes, {replays} replays"] = perf(context, runner, f"-p 4 {arguments}")
    return figures


def nccl_library(context: Context) -> str:
    """The path of NCCL: as for the library itself, and beside that the one of the wheels of this Python."""
    if context.fake:
        return str(context.built.folder / "tests/fake_nccl/libnccl.so.2")
    named = os.environ.get("SIGNCCL_NCCL_LIBRARY")
    if named:
        return named
    try:
        found = importlib.util.find_spec("nvidia.nccl")
    except ImportError:
        found = None
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / "lib/libnccl.so.2").is_file():
            return str(Path(folder) / "lib/libnccl.so.2")
    return "libnccl.so.2"


def nccl_version(library: str) -> int:
    """2.30.3 is 23003. Asked in another process, which may load what this one should not."""
    program = (
        "import ctypes, sys; version = ctypes.c_int(); "
        "ctypes.CDLL(sys.argv[1]).ncclGetVersion(ctypes.byref(version)); print(version.value)"
    )
    command = [sys.executable, "-c", program, library]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skipped(f"NCCL does not load: {error}") from None
    if done.returncode != 0:
        raise Skipped(f"there is no NCCL: {(done.stderr.strip().splitlines() or ['it does not load'])[-1]}")
    return int(done.stdout)


def nccl(context: Context, runner: Runner) -> Figures:
    """Votes that travel by NCCL: of one rank, and of several that share a GPU where this version of NCCL has that."""
    library = nccl_library(context)
    version = NCCL_WITH_RANKS_ON_ONE_GPU if context.fake else nccl_version(library)
    variables = {"SIGNCCL_TRANSPORT": "nccl", "SIGNCCL_NCCL_LIBRARY": library}
    sizes = "-b 4K -e 64K -f 16" if context.fake else "-b 4K -e 256M -f 64"
    arguments = f"-g 1 {sizes} -n 10 -o all -d bfloat16 -T 30"
    figures: Figures = {"version": version}
    figures["1 rank"] = perf(context, runner, f"-t 1 {arguments}", **variables)
    if version < NCCL_WITH_RANKS_ON_ONE_GPU:
        figures["several ranks on one GPU"] = "left out: NCCL has that from 2.30.3 on"
        return figures
    variables["NCCL_MULTI_RANK_GPU_ENABLE"] = "1"
    variables["CUDA_DEVICE_MAX_CONNECTIONS"] = "32"
    for nranks in (3,) if context.fake else (2, 4):
        figures[f"{nranks} ranks on one GPU"] = perf(context, runner, f"-t {nranks} {arguments}", **variables)
    return figures


def mps(context: Context, runner: Runner) -> Figures:
    """Processes under MPS, whose contexts are one: do stream memory operations work there, and are they faster?"""
    control = shutil.which("nvidia-cuda-mps-control")
    if context.fake:
        raise Skipped("the fake driver has no MPS")
    if control is None:
        raise Skipped("there is no nvidia-cuda-mps-control")
    folder = context.out / "mps"
    folder.mkdir(exist_ok=True)
    variables = {"CUDA_MPS_PIPE_DIRECTORY": str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
    environment = context.environment | variables
    try:
        runner.run([control, "-d"], environment)
    except Failed as error:
        raise Skipped(f"MPS does not start: {error}") from None
    try:
        arguments = "-g 1 -b 4K -e 16M -f 64 -n 10 -d bfloat16 -T 20"
        return {
            f"{nranks} processes": perf(context, runner, f"-p {nranks} {arguments}", **variables) for nranks in (2, 4)
        }
    finally:
        subprocess.run([control], input="quit\n", text=True, env=environment, timeout=30, check=False)


def number_of_gpus() -> int:
    count = ctypes.c_int(0)
    driver = ctypes.CDLL("libcuda.so.1")
    return count.value if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


def devices(context: Context, runner: Runner) -> Figures:
    """A rank for each GPU of this machine, as threads and as processes, through the host and by NCCL."""
    ngpus = 2 if context.fake else number_of_gpus()
    if ngpus < 2:
        raise Skipped("there is one GPU")
    variables = {"SIGNCCL_FAKE_CUDA_DEVICES": str(ngpus)} if context.fake else {}
    sizes = "-b 64K -e 64K" if context.fake else "-b 64K -e 256M -f 64"
    arguments = f"-g 1 {sizes} -n 10 -o all -d bfloat16 -T 30"
    by_nccl = variables | {"SIGNCCL_TRANSPORT": "nccl", "SIGNCCL_NCCL_LIBRARY": nccl_library(context)}
    figures: Figures = {f"{ngpus} threads": perf(context, runner, f"-t {ngpus} {arguments}", **variables)}
    if not context.fake:
        figures[f"{ngpus} processes"] = perf(context, runner, f"-p {ngpus} {arguments}", **variables)
    figures[f"{ngpus} threads, NCCL"] = perf(context, runner, f"-t {ngpus} {arguments}", **by_nccl)
    return figures
