# SPDX-License-Identifier: Apache-2.0
"""Ranks compare lists of texts, such as names and shapes. A rank that has none to show takes part with its error."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from ._c_types import ALL_GATHER_MAX_BYTES
from .communicator import Communicator
from .errors import SignCCLError, reason_of

_REFUSED = "\0"  # begins the text of a rank that has none to compare, and what it has raised follows
_MOST_BYTES = ALL_GATHER_MAX_BYTES // 2  # of the lists that are told to the others


@contextlib.contextmanager
def comparing(comm: Communicator, what: str) -> Iterator[list[str]]:
    """Goes around what makes a list, which it gives to be filled with texts. Raises ValueError on all ranks if their
    lists differ, with the first difference and both ranks.

    A rank that raises inside takes part in the comparison all the same. The others then raise with its error instead
    of waiting for it, and the communicator stays usable.
    """
    texts: list[str] = []
    try:
        yield texts
    except Exception as error:
        with contextlib.suppress(ValueError, SignCCLError):
            compare_texts(comm, [_REFUSED + reason_of(error)], what)
        raise
    compare_texts(comm, texts, what)


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
    for rank, lines in ((0, first), (other, second)):
        if lines[0].startswith(_REFUSED):
            refusal = "\n".join(lines).removeprefix(_REFUSED)
            raise ValueError(f"rank {rank} refuses its {what}: {refusal}")
    for one, another in zip(first, second):
        if one != another:
            raise ValueError(f"the ranks have different {what}: {one} on rank 0, and {another} on rank {other}")
    if len(gathered[0]) == len(gathered[other]) == most:
        raise ValueError(f"the ranks have different {what}, rank 0 and rank {other} somewhere beyond {first[-1]}")
    (more, has_more), (fewer, has_fewer) = sorted(((first, 0), (second, other)), key=lambda one: -len(one[0]))
    raise ValueError(
        f"the ranks have different {what}: {len(more)} on rank {has_more}, and {len(fewer)} on rank {has_fewer}, which "
        f"lacks {more[len(fewer)]}"
    )
