# SPDX-License-Identifier: Apache-2.0
"""What docs/semantics.md says of the two collectives, in NumPy, element by element. Shares no code with the package."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(kind) for kind in ("float16", "float32", "float64")] + [BFLOAT16]
ELEMENTS = [*FLOATS, np.dtype("int8")]
PACKED = np.dtype("uint64")
ZEROS = ("binary", "ternary")
TIES = ("random", "positive", "negative", "zero")

_MASK = 2**64 - 1


def pack(positive: np.ndarray) -> np.ndarray:
    """Packed signs of an array of booleans."""
    padded = np.zeros(-(-positive.size // 64) * 64, np.uint8)
    padded[: positive.size] = positive.ravel()
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)


def unpack(words: np.ndarray, count: int) -> np.ndarray:
    """+1 and -1 of packed signs, as int64."""
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")[:count]
    return 2 * bits.astype(np.int64) - 1


def signs(values: np.ndarray, zero: str) -> np.ndarray:
    wide = values.astype(np.float64)
    result = (wide > 0).astype(np.int64) - (wide < 0)
    return np.where(result == 0, 1, result) if zero == "binary" else result


def random_ties(call: int, count: int) -> np.ndarray:
    """+1 or -1 for every element of a call."""
    z = (call + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    key = np.uint64(z ^ (z >> 31))
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    with np.errstate(over="ignore"):
        x = np.arange(-(-count // 64), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ key
        p = (x & low) * (x >> half)
        y = x ^ (((p & low) << half) + (p >> half))
        words = y ^ ((y & low) * np.uint64(0xD2511F52))
    return unpack(words, count)


def vote(all_signs: list[np.ndarray], tie: str, call: int) -> np.ndarray:
    """The result as int64, of the signs of all ranks."""
    total = np.sum(all_signs, axis=0)
    result = np.sign(total)
    if tie == "zero":
        return result
    count = result.size
    ties = {"positive": np.ones(count, np.int64), "negative": -np.ones(count, np.int64)}
    chosen = random_ties(call, count) if tie == "random" else ties[tie]
    return np.where(result == 0, chosen.reshape(result.shape), result)


def mean(all_signs: list[np.ndarray], dtype: np.dtype[Any]) -> np.ndarray:
    total = np.sum(all_signs, axis=0)
    if dtype.kind == "i":
        return total.astype(dtype)
    # Of so few ranks no quotient is near the middle between two 16-bit numbers, so rounding twice is rounding once.
    return (total / len(all_signs)).astype(dtype)


def values(rank: int, shape: Any, dtype: np.dtype[Any], seed: int = 0) -> np.ndarray:
    """Random elements of a rank with many zeros, and with NaN, infinities and denormals where the type has them."""
    random = np.random.default_rng([seed, rank])
    if dtype.kind == "i":
        return random.integers(-2, 3, shape).astype(dtype)
    result = random.integers(-2, 3, shape).astype(np.float64) * random.random(shape)
    if result.size >= 16:
        special = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-40, -1e-40]
        result.ravel()[: len(special)] = random.permutation(special)
    return result.astype(dtype)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
