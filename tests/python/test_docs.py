# SPDX-License-Identifier: Apache-2.0
"""The programs in docs/python.md, docs/jax.md and in the README of the package run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, environment

PAGES = [ROOT / "docs" / "python.md", ROOT / "plugin" / "python" / "README.md", ROOT / "docs" / "jax.md"]
#: Fragments: signatures, and uses of other packages with names that stand for the user's.
FRAGMENTS = ("out=None", "mpi4py", "dist.TCPStore", "after=()", "cupy")


def programs() -> list[tuple[Path, str]]:
    found = []
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
        found += [(page, block) for block in blocks if not any(mark in block for mark in FRAGMENTS)]
    return found


@pytest.mark.parametrize("number", range(len(programs())))
def test_program_runs(number: int) -> None:
    page, program = programs()[number]
    ended = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, f"{page.name}:\n{program}\n{ended.stderr}"
    for comment in re.findall(r"print\(.*\)  # (.*)", program):
        assert ended.stdout.strip() == comment


def test_the_readme_installs_what_its_example_imports() -> None:
    names: set[str] = set()
    for node in ast.parse((ROOT / "examples" / "torch_gpt.py").read_text()).body:
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    foreign = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"signccl", "numpy", "torch"}
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(r"^pip install './plugin/python\[torch\]'(.*?)(?:#.*)?$", readme, re.MULTILINE)
    assert foreign <= set(command.split())


def test_there_are_programs() -> None:
    assert len(programs()) == 7
