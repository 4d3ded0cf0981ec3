# SPDX-License-Identifier: Apache-2.0
"""A Slurm of this host alone, for tests: its daemons, with all their files in one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from support import environment, free_port

_DAEMONS = ("munged", "slurmctld", "slurmd")
_SECONDS_TO_START = 20.0

_CONFIGURATION = """
ClusterName=signccl
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MailProg=/bin/true
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE
"""


class SlurmIsMissing(Exception):
    """This machine cannot run the daemons."""


class Slurm:
    """The daemons, from the beginning of a `with` to its end. Raises SlurmIsMissing; needs the rights of root."""

    def __init__(self, folder: Path) -> None:
        missing = [name for name in (*_DAEMONS, "srun", "sinfo") if shutil.which(name) is None]
        if missing:
            raise SlurmIsMissing(
                f"there is no {missing[0]} (Debian packages munge, slurm-client, slurmctld and slurmd)"
            )
        if os.geteuid() != 0:
            raise SlurmIsMissing("the daemons of Slurm are started as root alone")
        self._folder = folder
        self._host = socket.gethostname().split(".")[0]
        self._variables = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Slurm:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(5)
            daemon.kill()
            daemon.wait()

    def srun(self, *arguments: str, timeout: float = 50, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a step with more tasks than cores if it is asked to."""
        return subprocess.run(
            ["srun", "--overcommit", *arguments],
            env=environment(**self._variables, **variables),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def _start(self) -> None:
        folder = self._folder
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o700)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                folder=folder, host=self._host, port=free_port(), node_port=free_port(), cores=os.cpu_count()
            )
        )
        files = {name: f"--{name}-file={folder / 'munge' / name.replace('-', '.')}" for name in ("pid", "log", "seed")}
        socket_file = folder / "munge.socket"
        self._run("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_file}", *files.values())
        self._await(socket_file.exists, "munged has made no socket")
        self._run("slurmctld", "-D")
        self._await(lambda: self._state() != "", "slurmctld does not answer")
        self._run("slurmd", "-D")
        self._await(lambda: self._state() == "idle", "the node is not idle")

    def _run(self, name: str, *arguments: str) -> None:
        log = (self._folder / f"{name}.out").open("wb")
        with log:
            command = [name, *arguments]
            self._daemons.append(
                subprocess.Popen(
                    command, env=environment(**self._variables), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )

    def _state(self) -> str:
        """That of the node; empty as long as nobody knows."""
        command = ["sinfo", "--noheader", "--format=%t"]
        asked = subprocess.run(command, env=environment(**self._variables), capture_output=True, text=True, timeout=20)
        return asked.stdout.strip()

    def _await(self, is_so: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not is_so():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{file.name}: {file.read_text()[-500:]}" for file in self._folder.glob("*.out"))
                raise RuntimeError(f"{otherwise}:\n{logs}")
            time.sleep(0.05)
