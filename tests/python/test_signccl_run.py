# SPDX-License-Identifier: Apache-2.0
"""The command signccl-run of the wheel, which becomes the program of that name in the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import ROOT

SCRIPT = "import signccl_run; signccl_run.main()"
SOURCES = ROOT / "plugin" / "python"


def signccl_run(package_folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command where the package ``signccl`` is in this folder."""
    return subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (package_folder, SOURCES)))},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_becomes_the_program_of_the_package_without_importing_it(tmp_path: Path) -> None:
    program = tmp_path / "signccl" / "bin" / "signccl-run"
    program.parent.mkdir(parents=True)
    (tmp_path / "signccl" / "__init__.py").write_text("raise SystemExit('imported')\n")
    program.write_text('#!/bin/sh\necho "$1|$2|$3"\nexit 9\n')
    program.chmod(0o755)
    ended = signccl_run(tmp_path, "--dry", "a b", "")
    assert (ended.returncode, ended.stdout, ended.stderr) == (9, "--dry|a b|\n", "")


def test_a_package_without_the_program_says_so() -> None:
    ended = signccl_run(SOURCES, "--dry")
    assert ended.returncode == 1
    assert "was built without the program" in ended.stderr
    assert str(SOURCES / "signccl" / "bin" / "signccl-run") in ended.stderr
