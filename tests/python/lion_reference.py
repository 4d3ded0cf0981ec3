# SPDX-License-Identifier: Apache-2.0
"""Distributed Lion in NumPy, written from docs/semantics.md alone: every operation rounded by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Rules:
    aggregation: str = "vote"
    zero: str = "binary"
    tie: str = "random"
    rounding: str = "nearest"
    seed: int = 0


@dataclass(frozen=True)
class Hyperparameters:
    lr: float
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0


@dataclass
class Tensor:
    """One parameter, its elements in the order in which they lie in memory, and the momentum of every rank."""

    value: Floats
    dtype: str
    momentum_dtype: str
    hyperparameters: Hyperparameters
    momenta: list[Floats] = field(default_factory=list)


def mix_key(call: int) -> int:
    """key(c)"""
    z = (call + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def random_word(key: int, word: int) -> int:
    """T of a key instead of a call."""
    x = ((word * 0x9E3779B97F4A7C15) & _MASK) ^ key
    p = (x & 0xFFFFFFFF) * (x >> 32)
    y = x ^ ((((p & 0xFFFFFFFF) << 32) + (p >> 32)) & _MASK)
    return y ^ (((y & 0xFFFFFFFF) * 0xD2511F52) & _MASK)


def tie_signs(call: int, first_word: int, count: int) -> npt.NDArray[np.int64]:
    """+1 or -1 for each element."""
    key = mix_key(call)
    words = [random_word(key, first_word + word) for word in range((count + 63) // 64)]
    return np.array([1 if words[i // 64] >> (i % 64) & 1 else -1 for i in range(count)], np.int64)


def rounding_bits(seed: int, call: int, first_word: int, count: int) -> npt.NDArray[np.uint64]:
    """16 bits for each element."""
    key = mix_key((mix_key(seed) + call) & _MASK)
    numbers = [64 * first_word + i for i in range(count)]
    drawn = [random_word(key, n // 4) >> (16 * (n % 4)) & 0xFFFF for n in numbers]
    return np.array(drawn, np.uint64)


def to_nearest(values: Floats, dtype: str) -> Floats:
    """Rounded once to a dtype, as float32; NaN is the quiet one without sign and payload."""
    if dtype == "float32":
        rounded = values.copy()
    elif dtype == "float16":
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float16).astype(np.float32)
    else:
        pattern = values.view(np.uint32).astype(np.uint64)
        pattern = (pattern + np.uint64(0x7FFF) + (pattern >> np.uint64(16) & np.uint64(1))) & np.uint64(0xFFFF0000)
        rounded = pattern.astype(np.uint32).view(np.float32)
    return _with_plain_nan(values, rounded)


def stochastically(values: Floats, drawn: npt.NDArray[np.uint64]) -> Floats:
    """Rounded to bfloat16 with 16 random bits for each element, as float32."""
    pattern = (values.view(np.uint32).astype(np.uint64) + drawn) & np.uint64(0xFFFF0000)
    return _with_plain_nan(values, pattern.astype(np.uint32).view(np.float32))


def _with_plain_nan(values: Floats, rounded: Floats) -> Floats:
    rounded = rounded.copy()
    rounded.view(np.uint32)[np.isnan(values)] = 0x7FC00000
    return rounded


def sign(u: Floats, zero: str) -> npt.NDArray[np.int64]:
    at_zero = 1 if zero == "binary" else 0
    return np.where(u < 0, -1, np.where(u > 0, 1, at_zero)).astype(np.int64)


def _decide(total: npt.NDArray[np.int64], nranks: int, rules: Rules, call: int, word: int) -> Floats:
    if rules.aggregation == "avg":
        return total.astype(np.float32) / np.float32(nranks)
    ties = {"zero": 0, "positive": 1, "negative": -1}.get(rules.tie)
    broken: Any = tie_signs(call, word, total.size) if ties is None else ties
    return np.where(total == 0, broken, np.sign(total)).astype(np.float32)


def step(
    tensors: list[Tensor],
    gradients: list[list[Floats | None]],
    rules: Rules,
    call: int,
    skipping: Collection[int] = (),
) -> None:
    """One step of all ranks. gradients[rank][tensor], in the order of memory; None: missing. skipping: ranks that skip
    the step."""
    nranks = len(gradients)
    word = 0
    for number, tensor in enumerate(tensors):
        given = [gradients[rank][number] for rank in range(nranks)]
        _step_one(tensor, given, rules, call, word, skipping)
        word += (tensor.value.size + 63) // 64


def _step_one(
    tensor: Tensor, gradients: list[Floats | None], rules: Rules, call: int, word: int, skipping: Collection[int]
) -> None:
    h = tensor.hyperparameters
    b1, c1, b2, c2 = (np.float32(x) for x in (h.beta1, 1 - h.beta1, h.beta2, 1 - h.beta2))
    total = np.zeros(tensor.value.size, np.int64)
    with np.errstate(all="ignore"):
        for rank, given in enumerate(gradients):
            if rank in skipping:
                continue
            g = np.zeros_like(tensor.value) if given is None else given
            m = tensor.momenta[rank]
            total += sign(b1 * m + c1 * g, rules.zero)
            tensor.momenta[rank] = to_nearest(b2 * m + c2 * g, tensor.momentum_dtype)
        if skipping:
            return
        decided = _decide(total, len(gradients), rules, call, word)
        x = tensor.value
        moved = x - np.float32(h.lr) * (decided + np.float32(h.weight_decay) * x)
    assert moved.dtype == np.float32
    if tensor.dtype == "bfloat16" and rules.rounding == "stochastic":
        tensor.value = stochastically(moved, rounding_bits(rules.seed, call, word, moved.size))
    else:
        tensor.value = to_nearest(moved, tensor.dtype)
