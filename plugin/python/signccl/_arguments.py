# SPDX-License-Identifier: Apache-2.0
"""Checks of plain arguments, and what they become in the C API."""

from __future__ import annotations

import math
import operator
from typing import Any, TypedDict

from ._c_types import Config

_LONGEST_MS = 2**31 - 1
_MOST_THREADS = 1024
_MOST_ADDRESS = 2**64 - 1


def whole_number(name: str, value: Any, least: int, most: int) -> int:
    """`value` as an int. Raises TypeError if it is no whole number, ValueError if it is out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected a whole number of {least} to {most}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}, expected {least} to {most}")
    return number


class Settings(TypedDict, total=False):
    """Keyword arguments of all ways to make a communicator, which Communicator describes. None: the default."""

    name: str | None
    timeout: float | None
    algorithm: str | None
    threads: int | None
    nccl_comm: int | None


SETTINGS = tuple(Settings.__annotations__)


def make_config(settings: Settings) -> Config:
    """Settings of a communicator in C. Raises TypeError or ValueError."""
    for given in settings:
        if given not in SETTINGS:
            raise TypeError(f"{given!r} is no setting of a communicator, expected among: {', '.join(SETTINGS)}")
    config = Config()
    name, algorithm = settings.get("name"), settings.get("algorithm")
    threads, timeout = settings.get("threads"), settings.get("timeout")
    if name is not None:
        config.commName = _text("name", name)
    if algorithm is not None:
        config.algorithm = _text("algorithm", algorithm)
    if threads is not None:
        config.nThreads = whole_number("threads", threads, 1, _MOST_THREADS)
    if timeout is not None:
        config.timeoutMs = _milliseconds(timeout)
    nccl_comm = settings.get("nccl_comm")
    if nccl_comm is not None:
        config.ncclComm = whole_number("nccl_comm", nccl_comm, 1, _MOST_ADDRESS)
    return config


def _text(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, expected a str")
    if "\0" in value:
        raise ValueError(f"{name} is {value!r}, expected a text without a null character")
    return value.encode("utf-8", errors="replace")


def _milliseconds(timeout: Any) -> int:
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        raise TypeError(f"timeout is {timeout!r}, expected seconds as a number") from None
    if not (math.isfinite(seconds) and 0 < seconds * 1000 <= _LONGEST_MS):
        raise ValueError(f"timeout is {timeout!r}, expected more than 0 and at most {_LONGEST_MS // 1000} seconds")
    return max(1, round(seconds * 1000))
