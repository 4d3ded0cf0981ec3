# SPDX-License-Identifier: Apache-2.0
"""examples/torch_gpt.py as its users start it: torchrun, curves, a killed worker, and resuming to the bit."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, eventually

pytest.importorskip("torch")
pytest.importorskip("tqdm")

pytestmark = pytest.mark.timeout(240)

SMALL = ["--batch", "1", "--context", "16", "--width", "16", "--layers", "1", "--heads", "2", "--warmup", "2"]


def start(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """The example in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += [str(ROOT / "examples" / "torch_gpt.py"), *SMALL, "--out", str(out), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def run(out: Path, *arguments: str) -> str:
    process = start(out, *arguments)
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return text


def parameters_of(text: str) -> str:
    """The digest of the parameters at the end."""
    found = re.search(r"parameters ([0-9a-f]{16})", text)
    assert found, text
    return found[1]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, rank 0 first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if "torch_gpt" in Path(f"/proc/{child}/cmdline").read_text()]


@pytest.mark.parametrize("method", ["dlion --overlap", "lion", "adamw"])
def test_every_optimizer_trains_and_writes_its_curve(method: str, tmp_path: Path) -> None:
    run(tmp_path, "--steps", "20", "--validate-every", "10", "--optimizer", *method.split())
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [10, 20]
    assert all(1 < float(row["validation_loss"]) < 6 for row in rows)


def test_job_whose_worker_is_killed_ends_with_its_rank_and_resumes_to_the_bit(tmp_path: Path) -> None:
    steps = ["--steps", "600", "--save-every", "25", "--validate-every", "600"]
    whole = parameters_of(run(tmp_path / "whole", *steps))
    broken = tmp_path / "broken"
    process = start(broken, *steps)
    assert eventually(lambda: all((broken / f"checkpoint-{rank}.pt").exists() for rank in (0, 1)), 120)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    text, _ = process.communicate()
    assert process.returncode != 0
    assert re.search(r"RemoteError: .*rank 1", text), text
    assert parameters_of(run(broken, *steps, "--resume")) == whole
