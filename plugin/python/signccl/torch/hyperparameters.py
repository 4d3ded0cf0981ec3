# SPDX-License-Identifier: Apache-2.0
"""What the parameter groups of an optimizer say, as numbers for a Lion step."""

from __future__ import annotations

import math
from typing import Any

import torch

from .._lion import LionGroup
from . import _device


def is_scalar_on_device(value: Any) -> bool:
    """Whether it is a tensor of one element in the memory of a device. The host waits for the device to read it."""
    return isinstance(value, torch.Tensor) and value.numel() == 1 and _device.is_on_device(value)


def hyperparameters_of(group: dict[str, Any], where: str = "", *, is_lr_read_later: bool = False) -> LionGroup:
    """What a parameter group says now. Raises ValueError for what is no learning rate, weight decay or betas.

    where: stands behind the name of the wrong one in the text.
    is_lr_read_later: the learning rate is left to the device, and is 0 here.
    """
    lr = 0.0 if is_lr_read_later else _rate(group, "lr", where)
    beta1, beta2 = _betas(group, where)
    return LionGroup(lr, beta1, beta2, _rate(group, "weight_decay", where))


def _rate(group: dict[str, Any], name: str, where: str) -> float:
    if isinstance(group[name], torch.Tensor) and group[name].numel() != 1:
        raise ValueError(f"{name}{where} is a tensor of {group[name].numel()} elements, expected 1")
    number = _number(group[name])
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name}{where} is {group[name]!r}, expected a number of at least 0")
    return number


def _betas(group: dict[str, Any], where: str) -> tuple[float, float]:
    betas = group["betas"]
    try:
        values = [_number(beta) for beta in betas]
    except TypeError:
        values = []
    if len(values) != 2 or not all(0 <= beta <= 1 for beta in values):
        raise ValueError(f"betas{where} is {betas!r}, expected two numbers of 0 to 1")
    return values[0], values[1]


def _number(value: Any) -> float:
    """NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
