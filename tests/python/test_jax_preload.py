# SPDX-License-Identifier: Apache-2.0
"""Sums of JAX on CPUs that go through MPI are taken over in unchanged programs, and stay the same to the bit.

These run where the packages are: mpi4jax, which is compiled against the MPI of the machine, and MPIwrapper, of which
SIGNCCL_TESTS_MPIWRAPPER names the library. docs/preload.md has the commands.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, free_port

RULES = '{"version": 1, "rules": [{"name": "signs", "match": {"type": "float32", "op": "sum"}, "action": "sign_sum"}]}'
# The build folder of the library under test has the preload library too.
FRONT = Path(os.environ.get("SIGNCCL_LIBRARY", "/nowhere/src/api/libsignccl.so")).parents[2] / (
    "plugin/mpi/libsignccl_mpi.so"
)
PROGRAM = ROOT / "tests" / "python" / "programs" / "jax_sums.py"
WRAPPER = os.environ.get("SIGNCCL_TESTS_MPIWRAPPER", "")
MPIRUN = shutil.which("mpirun.openmpi")

pytestmark = pytest.mark.skipif(MPIRUN is None or not FRONT.exists(), reason="needs Open MPI and libsignccl_mpi.so")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the program on two ranks."""
    return subprocess.run(
        [str(MPIRUN), "-n", "2", "--oversubscribe", "--allow-run-as-root", "env"]
        + [f"{name}={value}" for name, value in variables.items()]
        + [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, "SIGNCCL_DEBUG": "INFO", "SIGNCCL_DEBUG_SUBSYS": "INTERPOSE"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def digest_of(ended: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r"^digest ([0-9a-f]{64})$", ended.stdout, re.MULTILINE)
    assert found is not None, ended.stdout + ended.stderr
    return found.group(1)


def expect_taken(ended: subprocess.CompletedProcess[str]) -> None:
    """All of the 4 calls but the first one of a communicator."""
    output = ended.stdout + ended.stderr
    assert "rule 'signs': 4 calls matched, 3 taken, 0 fallen back, 1 forwarded" in output, output


def test_sums_of_mpi4jax_inside_jit_are_taken_and_stay_the_same() -> None:
    pytest.importorskip("mpi4jax")
    plain = run("mpi4jax")
    taken = run("mpi4jax", LD_PRELOAD=str(FRONT), SIGNCCL_RULES=RULES)
    assert plain.returncode == 0 and taken.returncode == 0, plain.stderr + taken.stderr
    assert digest_of(taken) == digest_of(plain)
    expect_taken(taken)


@pytest.mark.skipif(not Path(WRAPPER).is_file(), reason="needs SIGNCCL_TESTS_MPIWRAPPER=<path of libmpiwrapper.so>")
def test_sums_of_jax_itself_are_taken_through_a_bridge(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    bridge = tmp_path / "libbridge.so"
    folders = f"{FRONT.parent}:{Path(WRAPPER).parent}"
    command = ["cc", "-shared", "-fPIC", "-o", str(bridge), "-x", "c", os.devnull, "-x", "none", "-Wl,--no-as-needed"]
    subprocess.run([*command, str(FRONT), WRAPPER, f"-Wl,-rpath,{folders}"], check=True)
    # The exit status says nothing: at exit JAX frees communicators of an MPI that it has finalized, which is an error.
    plain = run("mpi", f"127.0.0.1:{free_port()}", MPITRAMPOLINE_LIB=WRAPPER)
    taken = run("mpi", f"127.0.0.1:{free_port()}", MPITRAMPOLINE_LIB=str(bridge), SIGNCCL_RULES=RULES)
    assert digest_of(taken) == digest_of(plain)
    expect_taken(taken)
