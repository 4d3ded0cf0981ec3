"""Ranks compare lists of texts, such as the names, shapes and types of their parameters."""

from __future__ import annotations

import hashlib

from ._c_types import ALL_GATHER_MAX_BYTES
from .communicator import Communicator

_MOST_BYTES = ALL_GATHER_MAX_BYTES // 2  # of the lists that are told to the others


def compare_texts(comm: Communicator, texts: list[str], what: str) -> None:
    """Raises ValueError on all ranks unless all ranks have the same `texts`."""
    text = "\n".join(texts).encode()
    digests = comm.all_gather(hashlib.sha256(text).digest())
    other = next((rank for rank, digest in enumerate(digests) if digest != digests[0]), None)
    if other is None:
        return
    most = _MOST_BYTES // comm.nranks
    gathered = comm.all_gather(text[:most] if comm.rank in (0, other) else b"")
    first, second = (gathered[rank].decode(errors="replace").split("\n") for rank in (0, other))
    for one, another in zip(first, second):
        if one != another:
            raise ValueError(f"the ranks have different {what}: {one} on rank 0, and {another} on rank {other}")
    if len(gathered[0]) == len(gathered[other]) == most:
        raise ValueError(f"the ranks have different {what}, rank 0 and rank {other} somewhere beyond {first[-1]}")
    raise ValueError(f"the ranks have different {what}: {len(first)} on rank 0, and {len(second)} on rank {other}")
