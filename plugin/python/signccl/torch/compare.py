"""Ranks compare their parameters, once."""

from __future__ import annotations

from typing import Any

from .._compare import compare_texts
from ..communicator import Communicator
from .tensors import describe, names_of


def compare_parameters(comm: Communicator, groups: list[dict[str, Any]]) -> None:
    """Raises ValueError on all ranks if their parameter lists differ, with the first difference and both ranks."""
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
