# SPDX-License-Identifier: Apache-2.0
"""Communicator.from_env(): the variables of launchers, and jobs that are started as launchers do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from signccl import Communicator, OperationTimeoutError, SystemCallError, _environment, _pmi
from signccl._launcher import Place, job_name, meeting_point, place
from support import PROGRAMS, Job, Program, environment, free_port

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "PMIX_RANK": "2", "PMIX_NAMESPACE": "n"}
SLURM = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "8"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (TORCHRUN, Place(1, 4, "torchrun")),
        (OPEN_MPI, Place(2, 3, "Open MPI")),
        ({"PMI_RANK": "0", "PMI_SIZE": "2"}, Place(0, 2, "PMI")),
        (SLURM, Place(3, 8, "Slurm")),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "5"}, Place(3, 5, "Slurm")),
        ({**SLURM, "SLURM_STEP_ID": "4294967291"}, None),  # a batch script
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),
        ({"PMIX_RANK": "5", "PMIX_NAMESPACE": "n"}, Place(5, None, "PMIx")),
        ({"PMIX_RANK": "5"}, None),
        ({**TORCHRUN, **OPEN_MPI, **SLURM}, Place(1, 4, "torchrun")),
        ({"RANK": " 1\r", "WORLD_SIZE": "\t4"}, Place(1, 4, "torchrun")),
    ],
)
def test_place(variables: dict[str, str], expected: Any) -> None:
    assert place(variables) == expected


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"RANK": "1"}, "RANK is set to '1', but WORLD_SIZE is not set: expected both or none"),
        ({"PMI_SIZE": "2"}, "PMI_SIZE is set to '2', but PMI_RANK is not set"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK is 4, expected 0 to 3 because WORLD_SIZE is 4"),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, "RANK is '-1', expected a number of 0 to 32767"),
        ({"RANK": "x", "WORLD_SIZE": "4"}, "RANK is 'x', expected a number"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "WORLD_SIZE is '0', expected 1 or more"),
        ({"RANK": "0", "WORLD_SIZE": "99999999"}, "WORLD_SIZE is '99999999', expected a number of 0 to 32767"),
        ({"RANK": "\u0661", "WORLD_SIZE": "4"}, "RANK is '\u0661', expected a number"),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, "SLURM_NTASKS is not set"),
    ],
)
def test_place_that_contradicts_itself(variables: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        place(variables)


@pytest.mark.parametrize(
    ("host", "port", "more", "expected"),
    [
        ("node0", "29500", {}, "node0:29500"),
        ("node0", "29500", {"TORCHELASTIC_USE_AGENT_STORE": "True"}, "node0:29501"),
        ("fe80::1", "1", {}, "[fe80::1]:1"),
        ("[fe80::1]", "1", {}, "[fe80::1]:1"),
    ],
)
def test_meeting_point(host: str, port: str, more: dict[str, str], expected: str) -> None:
    assert meeting_point({"MASTER_ADDR": host, "MASTER_PORT": port, **more}) == expected


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"MASTER_ADDR": "a"}, "MASTER_ADDR is set to 'a', but MASTER_PORT is not set"),
        ({"MASTER_PORT": "1"}, "MASTER_PORT is set to '1', but MASTER_ADDR is not set"),
        ({"MASTER_ADDR": "", "MASTER_PORT": "1"}, "MASTER_ADDR is empty"),
        ({"MASTER_ADDR": "a", "MASTER_PORT": "0"}, "MASTER_PORT is '0', expected a number of 1 to 65535"),
        ({"MASTER_ADDR": "a", "MASTER_PORT": "65535", "TORCHELASTIC_USE_AGENT_STORE": "1"}, "expected at most 65534"),
    ],
)
def test_meeting_point_that_is_none(variables: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        meeting_point(variables)


STEP = {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "3", "SLURM_PROCID": "0"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"TORCHELASTIC_RUN_ID": "a7"}, "torchrun's run a7"),
        ({"TORCHELASTIC_RUN_ID": "none", "RANK": "0"}, ""),
        ({"TORCHELASTIC_RUN_ID": "none", "PMIX_NAMESPACE": "of one host"}, ""),
        ({"PMIX_NAMESPACE": "prterun-1"}, "PMIx job prterun-1"),
        (STEP, "Slurm job 12, step 3"),
        ({**STEP, "PMIX_NAMESPACE": "slurm.pmix.12.3"}, "PMIx job slurm.pmix.12.3"),
        ({**STEP, "RANK": "0"}, ""),
        ({**STEP, "OMPI_COMM_WORLD_RANK": "0"}, ""),
        ({**STEP, "PMI_RANK": "0"}, ""),
        ({**STEP, "SLURM_HET_SIZE": "2"}, ""),
        ({**STEP, "SLURM_STEP_ID": "4294967291"}, ""),
        ({**STEP, "SLURM_STEP_ID": "batch"}, ""),
    ],
)
def test_job_name(variables: dict[str, str], expected: str) -> None:
    assert job_name(variables) == expected


class Shared(dict):  # type: ignore[type-arg]
    """A store that two jobs reach at the same address."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def test_jobs_that_share_a_store_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Shared()
    monkeypatch.setattr(_environment, "_torch_store", lambda *_: store)
    for name, value in {**TORCHRUN, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)

    def meet(rank: int, job: str) -> Any:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", job)
        return _environment.meet(lambda unique_id, *_: unique_id, 0.05)

    unique_id = meet(0, "first")
    with pytest.raises(OperationTimeoutError, match="torchrun's run second"):
        meet(1, "second")
    assert meet(1, "first") == unique_id


@pytest.mark.parametrize(
    ("agent", "origin"), [("True", r"MASTER_PORT \+ 1, since torchrun itself"), ("False", "MASTER_PORT")]
)
def test_port_that_is_taken_is_explained(monkeypatch: pytest.MonkeyPatch, agent: str, origin: str) -> None:
    monkeypatch.setattr(_environment, "_torch_store", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] - (agent == "True")
        variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for name, value in {**variables, "TORCHELASTIC_USE_AGENT_STORE": agent}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemCallError, match=rf"Address already in use.*\(the port is {origin}"):
            Communicator.from_env()
    assert "SIGNCCL_COMM_ID" not in os.environ


def expect_places(outputs: list[str], nranks: int, times: int = 1) -> None:
    lines = sorted(line for output in outputs for line in output.splitlines())
    assert lines == sorted(f"{rank} {nranks} {nranks}" for rank in range(nranks) for _ in range(times))


def test_process_without_a_launcher_is_alone() -> None:
    with Program("place") as alone:
        expect_places([alone.expect_success()], 1)


def test_comm_id_serves_several_communicators() -> None:
    with Job(2, "place", 3) as job:
        expect_places(job.expect_success(), 2, times=3)


class NoTorch:
    """Variables under which torch cannot be imported."""

    def __init__(self, folder: Any) -> None:
        (folder / "torch").mkdir()
        (folder / "torch" / "__init__.py").write_text("raise ImportError('no torch here')\n")
        self.variables = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


@pytest.mark.parametrize("agent", ["True", "False"])
def test_master_address_without_torch(tmp_path: Any, agent: str) -> None:
    port = free_port()
    variables = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": agent}
    ranks = [
        Program("place", RANK=str(rank), WORLD_SIZE="3", **variables, **NoTorch(tmp_path / str(rank)).variables)
        for rank in range(3)
        if (tmp_path / str(rank)).mkdir() is None
    ]
    try:
        expect_places([rank.expect_success() for rank in ranks], 3)
    finally:
        for rank in ranks:
            rank.__exit__()


@pytest.mark.parametrize("order", ["before", "after"])
def test_process_group_of_torch_at_the_same_port(order: str) -> None:
    pytest.importorskip("torch")
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [Program("group", order, RANK=str(rank), WORLD_SIZE="2", **variables) for rank in range(2)]
    try:
        expect_places([rank.expect_success() for rank in ranks], 2, times=3)
    finally:
        for rank in ranks:
            rank.__exit__()


def test_ctrl_c_while_rank_0_of_torch_does_not_come() -> None:
    pytest.importorskip("torch")
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with Program("group", "import", RANK="1", WORLD_SIZE="2", **variables) as lost:
        lost.expect_line("imported")
        time.sleep(0.5)
        lost.process.send_signal(signal.SIGINT)
        status, _, errors = lost.end(20)
    assert status == -signal.SIGINT and errors.rstrip().endswith("KeyboardInterrupt"), errors


def test_torchrun() -> None:
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*command, str(PROGRAMS / "place.py"), "2"], env=environment(), capture_output=True, text=True, timeout=50
    )
    assert run.returncode == 0, run.stderr
    expect_places([run.stdout], 2, times=2)


def test_process_that_does_not_know_where_to_meet() -> None:
    with Program("place", RANK="1", WORLD_SIZE="2") as lost:
        status, _, errors = lost.end()
    assert status == 1
    assert "process 1 of 2 (from torchrun) does not know where to meet the others: set SIGNCCL_COMM_ID=" in errors


def test_pmix_without_a_server_is_an_error() -> None:
    variables = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "PMIX_RANK": "0", "PMIX_NAMESPACE": "gone"}
    with Program("place", **variables) as lost:
        status, _, errors = lost.end()
    assert status == 1 and "the processes cannot meet through PMIx" in errors


@pytest.mark.parametrize(
    ("descriptor", "text"),
    [("x", "PMI_FD is 'x', expected the number of a descriptor"), ("999", "PMI_FD is 999, which is no socket")],
)
def test_pmi_without_a_launcher_is_an_error(descriptor: str, text: str) -> None:
    with Program("place", PMI_RANK="0", PMI_SIZE="2", PMI_FD=descriptor) as lost:
        status, _, errors = lost.end()
    assert status == 1 and f"the processes cannot meet through PMI: {text}" in errors


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            b"cmd=response_to_init pmi_version=2 rc=-1\n",
            "the launcher answered 'cmd=response_to_init pmi_version=2 rc=-1'",
        ),
        (b"24 cmd=fullinit-response;\n", "expected cmd=response_to_init of PMI 1"),
        (b"", "the launcher ended the connection of PMI_FD instead of answering 'cmd=init"),
    ],
)
def test_pmi_answer_that_is_an_error(answer: bytes, text: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(_pmi.PmiError, match=re.escape(text)):
            _pmi.Session(str(ours.fileno()), 0)


@pytest.mark.parametrize("way", ["PMI", "SIGNCCL_COMM_ID"])
def test_hydra(way: str) -> None:
    command = ["mpiexec.hydra", "-n", "3"]
    if shutil.which(command[0]) is None or subprocess.run([*command, "true"], timeout=50).returncode != 0:
        pytest.skip("there is no mpiexec.hydra that runs here (Debian package mpich)")
    variables = {} if way == "PMI" else {way: f"127.0.0.1:{free_port()}"}
    command += [sys.executable, "-B", str(PROGRAMS / "place.py"), "2"]
    run = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
    expect_places([run.stdout], 3, times=2)


def run_mpi(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    run = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "3", *command]
    return subprocess.run(run, env=environment(**allowed, **variables), capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("way", ["PMIx", "SIGNCCL_COMM_ID"])
def test_mpirun(way: str) -> None:
    if shutil.which("mpirun") is None or run_mpi("true").returncode != 0:
        pytest.skip("there is no mpirun that runs here (Debian package openmpi-bin)")
    variables = {} if way == "PMIx" else {way: f"127.0.0.1:{free_port()}"}
    run = run_mpi(sys.executable, "-B", str(PROGRAMS / "place.py"), "2", **variables)
    assert run.returncode == 0, run.stderr
    expect_places([run.stdout], 3, times=2)
