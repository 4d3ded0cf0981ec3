"""Ranks compare their parameters, once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch

from .._c_types import ALL_GATHER_MAX_BYTES
from ..communicator import Communicator
from ..errors import SignCCLError, reason_of
from .tensors import describe, names_of

_MOST_BYTES = ALL_GATHER_MAX_BYTES // 2  # of the lists that are told to the others


@contextlib.contextmanager
def comparing_parameters(comm: Communicator, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Goes around what makes the parameter groups of an optimizer. Raises ValueError on all ranks if their parameter
    lists differ, with the first difference and both ranks.

    A rank that raises inside takes part in the comparison all the same. The others then raise with its error instead
    of waiting for it, and the communicator stays usable.
    """
    try:
        yield
    except Exception as error:
        with contextlib.suppress(ValueError, SignCCLError):
            compare_texts(comm, [reason_of(error)], "parameters")
        raise
    groups = optimizer.param_groups
    names = names_of(groups)
    compare_texts(
        comm,
        [
            f"{names[id(parameter)]}, {describe(parameter)}{'' if parameter.requires_grad else ', frozen'}"
            for group in groups
            for parameter in group["params"]
        ],
        "parameters",
    )


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
