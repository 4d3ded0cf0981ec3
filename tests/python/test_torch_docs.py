# SPDX-License-Identifier: Apache-2.0
"""The programs in docs/torch.md run, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, environment, free_port

pytest.importorskip("torch")

#: What the page leaves to its reader.
GIVEN = """
import os
import torch
make_model = lambda: torch.nn.Linear(3, 2)
loader = batches = [torch.ones(4, 3)] * 2
loss = lambda model, batch: model(batch).square().mean()
tensor = torch.tensor([1.5, -2.5])
rank = 0
"""


@pytest.mark.timeout(120)
def test_programs_run(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "torch.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 3
    place = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    program = GIVEN + "".join(blocks) + "print(vote.tolist(), mean.tolist())\n"
    ended = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env=environment(**place),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, f"{program}\n{ended.stderr}"
    assert ended.stdout.splitlines()[-1] == "[1.0, -1.0] [1.0, -1.0]"
    assert (tmp_path / "torch-0.json").exists()
