# SPDX-License-Identifier: Apache-2.0
"""What this machine is: GPU, driver, toolkit, processor."""

import ctypes
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

Facts = dict[str, object]


def no_gpu() -> str:
    """Why there is no GPU to run on; empty if there is one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"there is no CUDA driver: {error}"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0:
        return f"the CUDA driver gives error {status}"
    return "" if count.value > 0 else "the CUDA driver has no device"


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def facts_of(environment: dict[str, str], fake: bool) -> Facts:
    """What a figure needs beside it to mean something."""
    facts: Facts = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "is_fake": fake,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
    }
    if fake:
        return facts | {"device": "fake driver of the tests: figures mean nothing", "driver": "fake"}
    query = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,pcie.link.gen.max,mig.mode.current"
    values = output_of("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0").split(", ")
    facts |= dict(zip(["device", "driver", *query.split(",")[2:]], values, strict=False))
    nvcc = output_of("nvcc", "--version") or output_of("/usr/local/cuda/bin/nvcc", "--version")
    facts["toolkit"] = nvcc.splitlines()[-1] if nvcc else "unknown"
    facts["visible_devices"] = environment.get("CUDA_VISIBLE_DEVICES", "all")
    return facts
