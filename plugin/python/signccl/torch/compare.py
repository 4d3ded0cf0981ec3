# SPDX-License-Identifier: Apache-2.0
"""What ranks compare of their parameters, once."""

from __future__ import annotations

from typing import Any

from .tensors import describe, names_of


def texts_of(groups: list[dict[str, Any]]) -> list[str]:
    """What ranks compare of parameter groups."""
    names = names_of(groups)
    return [
        f"{names[id(parameter)]}, {describe(parameter)}{'' if parameter.requires_grad else ', frozen'}"
        for group in groups
        for parameter in group["params"]
    ]
