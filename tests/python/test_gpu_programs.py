# SPDX-License-Identifier: Apache-2.0
"""The programs of tools/gpu in Python, on the CPU: what they would compare on a GPU, and that they find differences."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

import signccl.torch
from support import ROOT

PROGRAMS = ROOT / "tools" / "gpu_run" / "programs"


def loaded(name: str) -> Any:
    """A program as a module."""
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_steps_of_two_processes_are_the_same_in_both_places() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(PROGRAMS / "torch_lion.py"), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"steps compared": 30, "scale": 512.0}


def test_another_bit_is_found(tmp_path: Path) -> None:
    program = loaded("torch_lion")
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        twins = program.Twins("cpu", torch.bfloat16, {})
        twins.compare("as they began")
        momentum = twins.on_device.state[twins.device[1]]["momentum"]
        momentum[7] = torch.tensor(-0.0)
        with pytest.raises(AssertionError, match="after a change: momentum 1, rank 0: other bits"):
            twins.compare("after a change")
    finally:
        signccl.torch.communicator().close()
        dist.destroy_process_group()
