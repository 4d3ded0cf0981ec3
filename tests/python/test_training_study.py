# SPDX-License-Identifier: Apache-2.0
"""perf/training_study.py: workers simulated in one process train as those of the real job do, to the bit."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import ROOT

pytest.importorskip("torch")
pytest.importorskip("tqdm")

pytestmark = pytest.mark.timeout(240)

SMALL = ["--batch", "2", "--context", "16", "--width", "16", "--layers", "1", "--heads", "2", "--warmup", "2"]
STEPS = ["--steps", "8", "--validate-every", "8", "--save-every", "8"]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_study", ROOT / "perf" / "training_study.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_study"] = module  # its named tuples ask for it
    spec.loader.exec_module(module)
    return module


def real_job(nranks: int, words: list[str]) -> str:
    """The digest of the parameters of a job of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(nranks)]
    command += [str(ROOT / "examples" / "torch_gpt.py"), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    found = re.search(r"parameters ([0-9a-f]{16})", result.stdout)
    assert found, result.stdout
    return found[1]


# Averages of two gradients have one order of summation; those of more do not.
@pytest.mark.parametrize(
    ("nranks", "method"),
    [(4, "dlion"), (3, "dlion --aggregation avg --zero ternary --clip 0 --own-part"), (2, "adamw")],
)
def test_simulated_workers_end_with_the_parameters_of_the_real_job(
    nranks: int, method: str, study: ModuleType, tmp_path: Path
) -> None:
    import torch

    words = [*SMALL, *STEPS, "--out", str(tmp_path), "--optimizer", *method.split()]
    torch.set_num_threads(1)
    arguments: argparse.Namespace = study.torch_gpt.parse(words)
    texts: tuple[Any, Any, int] = study.torch_gpt.load_text()
    models = study.simulate(arguments, nranks, texts)
    digests = {study.torch_gpt.digest(model) for model in models}
    assert digests == {real_job(nranks, words)}
