# SPDX-License-Identifier: Apache-2.0
"""A call of a handler: what JAX is told about it, and the errors of those who transform it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from . import _ranks, communicators

_LARGEST_SEED = 2**15 - 1


class Place(NamedTuple):
    """Where a call is made: the number of the ranks, and what the device is told at run time."""

    ranks: int
    numbers: Any  #: int32[2]: rank or -1, number of the step or -1


def place_of(comm: Any, axis_name: Any, step: Any = None) -> Place:
    """Raises TypeError or ValueError if `comm` and `axis_name` do not fit, InvalidUsageError if `comm` is closed."""
    comms, is_of_devices = communicators.checked(comm)
    if is_of_devices and axis_name is None:
        raise ValueError(
            "axis_name is None, expected the axis of jax.shard_map whose devices are the ranks of DeviceCommunicators"
        )
    if not is_of_devices and axis_name is not None:
        raise ValueError(
            f"axis_name is {axis_name!r}, which goes with the ranks of device_communicators(); a process that is one "
            "rank needs none"
        )
    number = _ranks.number_of(comms)
    if axis_name is None and step is None:
        return Place(number, np.array([-1, -1], np.int32))
    rank = -1 if axis_name is None else jax.lax.axis_index(axis_name)
    return Place(
        number, jnp.stack([jnp.asarray(rank, jnp.int32), jnp.asarray(-1 if step is None else step, jnp.int32)])
    )


def check_seed(seed: Any) -> int:
    """Raises TypeError or ValueError."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed is {seed!r}, expected a whole number of 0 to {_LARGEST_SEED}")
    if not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"seed is {seed}, expected 0 to {_LARGEST_SEED}")
    return seed


def choice(name: str, value: Any, choices: Mapping[str, int]) -> int:
    """The number of a choice. Raises ValueError."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of: {', '.join(choices)}")
    return int(choices[value])


def named_leaves(name: str, tree: Any) -> list[tuple[str, Any]]:
    """The leaves of a tree as arrays, each with what messages call it."""
    return [
        (name + jax.tree_util.keystr(path), jnp.asarray(leaf))
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    ]


def call_handler(
    target: str,
    arguments: Sequence[Any],
    results: Sequence[jax.ShapeDtypeStruct],
    aliases: dict[int, int],
    attributes: Mapping[str, Any],
) -> list[Any]:
    """Calls a handler. `aliases`: argument -> result that gets its memory.

    Has a side effect for JAX: it is made although nobody uses its result, jax.effects_barrier() waits for it, and equal
    calls are not merged.
    """
    numbers = {name: np.int64(value) if isinstance(value, int) else value for name, value in attributes.items()}
    function = jax.ffi.ffi_call(target, list(results), has_side_effect=True, input_output_aliases=aliases)
    return list(function(*arguments, **numbers))


@jax.custom_batching.custom_vmap
def _refuse_vmap(arrays: Any) -> Any:
    return arrays


@_refuse_vmap.def_vmap
def _(axis_size: int, in_batched: Any, arrays: Any) -> Any:
    raise NotImplementedError(
        f"vmap over a collective of signccl ({axis_size} times), where ranks meet once for each call: call it on the "
        "whole array, outside of vmap, since each element votes by itself"
    )


@jax.custom_jvp
def refuse_transformations(arrays: Any) -> Any:
    """The arrays themselves. Differentiating through them is a TypeError, vmap a NotImplementedError."""
    return _refuse_vmap(arrays)


@refuse_transformations.defjvp
def _(primals: Any, tangents: Any) -> Any:
    raise TypeError(
        "a collective of signccl has no gradient, since signs are constant almost everywhere: give it "
        "jax.lax.stop_gradient(array), or call it outside of the function that is differentiated"
    )
