# SPDX-License-Identifier: Apache-2.0
"""Which process of how many this one is, and where the processes meet, as launchers say it in environment variables.

The same rules as those of the programs of this repository (launch/launcher.cc and launch/meet.cc).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ._c_types import MAX_RANKS

# torchrun comes first: it runs below other launchers, never above one.
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI", "PMI_RANK", "PMI_SIZE"),
)
# Slurm steps with these numbers are batch scripts, interactive shells and the like, which run once, not per task.
_FIRST_SPECIAL_STEP = 0xFFFFFFF0
_LAST_STEP = 0xFFFFFFFF
_LAST_PORT = 65535

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """A process's place in its job."""

    rank: int
    nranks: int | None  #: None if the launcher tells it only when asked (PMIx)
    origin: str  #: who says so, for messages


def place(environment: Environment = os.environ) -> Place | None:
    """The place that a launcher gave this process; None if none did.

    Raises ValueError if its variables contradict each other or are no numbers.
    """
    for names in _LAUNCHERS:
        found = _place_from(*names, environment)
        if found is not None:
            return found
    return _place_from_slurm(environment) or _place_from_pmix(environment)


def meeting_point(environment: Environment = os.environ) -> str | None:
    """Where MASTER_ADDR and MASTER_PORT say that the processes meet without torch, as "host:port"; None without them.

    That is the port itself, or the one after it if torchrun's agent listens at that. Raises ValueError.
    """
    host, port_text = _value("MASTER_ADDR", environment), _value("MASTER_PORT", environment)
    if host is None and port_text is None:
        return None
    if host is None or port_text is None:
        raise _only_one("MASTER_ADDR", host, "MASTER_PORT", port_text)
    if not host:
        raise ValueError("MASTER_ADDR is empty, expected the host name or address of process 0")
    port = _number(port_text)
    if port is None or not 1 <= port <= _LAST_PORT:
        raise ValueError(f"MASTER_PORT is '{port_text}', expected a number of 1 to {_LAST_PORT}")
    if agent_holds_the_port(environment):
        port += 1
        if port > _LAST_PORT:
            raise ValueError(
                f"MASTER_PORT is {_LAST_PORT}, expected at most {_LAST_PORT - 1}: torchrun holds that port, and the "
                "next is used"
            )
    is_bare_v6 = ":" in host and not host.startswith("[")
    return f"[{host}]:{port}" if is_bare_v6 else f"{host}:{port}"


def origin_of_port(point: str, message: str, environment: Environment = os.environ) -> str:
    """Where the port of ``meeting_point()`` comes from, for the end of a message that names it; empty for others."""
    if re.search(rf"{re.escape(point[point.rindex(':') :])}(?!\d)", message) is None:
        return ""
    if not agent_holds_the_port(environment):
        return " (the port is MASTER_PORT)"
    return (
        " (the port is MASTER_PORT + 1, since torchrun itself listens at MASTER_PORT="
        f"{_value('MASTER_PORT', environment)}; a second torchrun of this host may have it: give one of them another "
        "--master-port, or set SIGNCCL_COMM_ID=host:port)"
    )


def job_name(environment: Environment = os.environ) -> str:
    """The job of this process as its launcher calls it, the same for all of its processes; empty if none does.

    The library has the same rules (src/comm/job_secret.cc) for the secret with which processes meet.
    """
    run = _value("TORCHELASTIC_RUN_ID", environment)
    if run and run != "none":  # "none" is its default
        return f"torchrun's run {run}"
    # Below torchrun this is the job that started its agents, which may be one for each host.
    pmix_job = _value("PMIX_NAMESPACE", environment)
    if pmix_job and not run:
        return f"PMIx job {pmix_job}"
    return _slurm_job(environment)


def _slurm_job(environment: Environment) -> str:
    """Only where srun has started the processes themselves.

    Other launchers are often started by a step on each host, or reach some hosts by ssh, which passes no variables on.
    Parts of a heterogeneous job have numbers of their own.
    """
    job, step = _value("SLURM_JOB_ID", environment), _value("SLURM_STEP_ID", environment)
    others = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_HET_SIZE")
    number = _number(step) if step else None
    if not job or number is None or number >= _FIRST_SPECIAL_STEP or any(_value(one, environment) for one in others):
        return ""
    return f"Slurm job {job}, step {step}"


def agent_holds_the_port(environment: Environment = os.environ) -> bool:
    """Whether torchrun's agent listens at MASTER_PORT itself, instead of leaving that to the first process."""
    return _value("TORCHELASTIC_USE_AGENT_STORE", environment) in ("True", "true", "1")


def _value(name: str, environment: Environment) -> str | None:
    value = environment.get(name)
    return None if value is None else value.strip(" \t\r")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _checked_number(name: str, text: str, most: int) -> int:
    number = _number(text)
    if number is None or number > most:
        raise ValueError(f"{name} is '{text}', expected a number of 0 to {most}")
    return number


def _only_one(first: str, first_value: str | None, second: str, second_value: str | None) -> ValueError:
    is_first = first_value is not None
    there, value, missing = (first, first_value, second) if is_first else (second, second_value, first)
    return ValueError(f"{there} is set to '{value}', but {missing} is not set: expected both or none")


def _make_place(origin: str, rank_name: str, rank_text: str, size_name: str, size_text: str) -> Place:
    nranks = _checked_number(size_name, size_text, MAX_RANKS)
    if nranks == 0:
        raise ValueError(f"{size_name} is '0', expected 1 or more")
    rank = _checked_number(rank_name, rank_text, MAX_RANKS)
    if rank >= nranks:
        raise ValueError(f"{rank_name} is {rank}, expected 0 to {nranks - 1} because {size_name} is {nranks}")
    return Place(rank, nranks, origin)


def _place_from(origin: str, rank_name: str, size_name: str, environment: Environment) -> Place | None:
    rank, size = _value(rank_name, environment), _value(size_name, environment)
    if rank is None and size is None:
        return None
    if rank is None or size is None:
        raise _only_one(rank_name, rank, size_name, size)
    return _make_place(origin, rank_name, rank, size_name, size)


def _place_from_slurm(environment: Environment) -> Place | None:
    """Slurm sets its variables in batch scripts too, which are no tasks of a step."""
    step, rank = _value("SLURM_STEP_ID", environment), _value("SLURM_PROCID", environment)
    if step is None or rank is None or _checked_number("SLURM_STEP_ID", step, _LAST_STEP) >= _FIRST_SPECIAL_STEP:
        return None
    # Of the step; SLURM_NTASKS is that of the job in some versions.
    size_name = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
    size = _value(size_name, environment)
    if size is None:
        raise ValueError(f"SLURM_PROCID is set to '{rank}', but SLURM_NTASKS is not set: expected both")
    return _make_place("Slurm", "SLURM_PROCID", rank, size_name, size)


def _place_from_pmix(environment: Environment) -> Place | None:
    rank = _value("PMIX_RANK", environment)
    if rank is None or "PMIX_NAMESPACE" not in environment:
        return None
    return Place(_checked_number("PMIX_RANK", rank, MAX_RANKS), None, "PMIx")
