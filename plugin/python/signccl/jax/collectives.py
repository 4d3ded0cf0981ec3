# SPDX-License-Identifier: Apache-2.0
"""The two collectives for arrays of JAX, inside and outside of jit."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._c_types import TieRule, ZeroRule
from . import _call

ZEROS = {rule.name.lower(): int(rule) for rule in ZeroRule}
TIES = {rule.name.lower(): int(rule) for rule in TieRule}

_SEND = ("float32", "float16", "bfloat16", "float64", "int8")
_RESULTS = {"vote": _SEND, "avg": (*_SEND, "int16", "int32")}


class _Options(NamedTuple):
    """What a compiled call depends on, beside the shapes and types of its arrays."""

    operation: str
    ranks: int
    zero: int
    tie: int
    seed: int
    dtype: str | None


def all_reduce_vote(
    array: Any,
    comm: Any = None,
    *,
    axis_name: Any = None,
    zero: str = "binary",
    tie: str = "random",
    dtype: Any = None,
    after: Any = (),
) -> Any:
    """Majority vote of signs: every rank gets, element by element, the sign that most ranks have.

    All ranks call it with arrays of the same shapes and dtypes and with the same rules. The result is the same on every
    rank, bit for bit. Usable in ``jit``, ``scan`` and ``shard_map``.

    Give one call all arrays that are to be voted on: they travel together. **Calls that do not depend on each other
    have no order** in a compiled program, and ranks must not vote on different things; where a program has several,
    ``after`` says what comes before.

    Args:
        array: an array or a pytree of arrays: float32, float16, bfloat16, float64 or int8, on the
            CPU or on CUDA devices.
        comm: this rank's :class:`signccl.Communicator`, or the ranks of this process's devices, of
            :func:`~signccl.jax.device_communicators`. None: :func:`~signccl.jax.communicator`.
        axis_name: of ``jax.shard_map``, whose devices are the ranks of ``device_communicators()``; several names as for
            ``jax.lax.axis_index``.
        zero: sign of 0, -0 and NaN: "binary": +1. "ternary": 0, an abstention, for twice the bits sent first.
        tie: result of a balanced vote: "random": +1 or -1 by a bit of the call number and the index, the same on all
            ranks; each array of a tree has a number of its own. "positive", "negative". "zero": 0.
        dtype: of the results, one of those above; None: that of each array.
        after: results of other calls, a pytree of arrays, which are made first.

    Returns arrays of +1, -1, or 0 with ``tie="zero"``, in the tree of ``array``. If ``array`` is donated or not used
    any more, and the dtype is the same, it is overwritten and nothing is allocated.

    Raises TypeError or ValueError for wrong arguments, TypeError where it is differentiated, and NotImplementedError
    under vmap. What goes wrong later is a ``jax.errors.JaxRuntimeError`` where the result is waited for: ranks that
    disagree, a rank that failed or did not come, a communicator that is closed, or that two devices use. The
    communicator cannot be used any more then.
    """
    tie_rule = _call.choice("tie", tie, TIES)
    return _reduce("vote", array, comm, axis_name, zero, tie_rule, dtype, after)


def all_reduce_avg(
    array: Any, comm: Any = None, *, axis_name: Any = None, zero: str = "binary", dtype: Any = None, after: Any = ()
) -> Any:
    """Mean of signs: every rank gets, element by element, (positive - negative) / nranks.

    Args:
        array, comm, axis_name, zero, after: as in :func:`all_reduce_vote`.
        dtype: of the results: float32, float16, bfloat16 or float64 for the mean, correctly rounded; int8, int16 or
            int32 for the sum of the signs, in which the number of ranks must fit. None: that of a floating-point
            array, else float32.

    Errors are those of :func:`all_reduce_vote`.
    """
    return _reduce("avg", array, comm, axis_name, zero, 0, dtype, after)


def _reduce(operation: str, array: Any, comm: Any, axis_name: Any, zero: str, tie: int, dtype: Any, after: Any) -> Any:
    wanted = None if dtype is None else _result_dtype(operation, dtype)
    place = _call.place_of(comm, axis_name)
    options = _Options(operation, place.ranks, _call.choice("zero", zero, ZEROS), tie, 0, wanted)
    return reduce_tree("array", array, place.numbers, options, after)


def _result_dtype(operation: str, dtype: Any) -> str:
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        raise TypeError(f"dtype is {dtype!r}, expected one of: {', '.join(_RESULTS[operation])}") from None
    if name not in _RESULTS[operation]:
        raise TypeError(f"dtype is {name}, expected one of: {', '.join(_RESULTS[operation])}")
    if name == "float64" and not jax.config.read("jax_enable_x64"):
        raise TypeError("dtype is float64, which JAX has with jax_enable_x64 only")
    return name


def vote_options(ranks: int, zero: str, tie: str, seed: int) -> _Options:
    """Options of a vote whose step says its call number."""
    return _Options("vote", ranks, _call.choice("zero", zero, ZEROS), _call.choice("tie", tie, TIES), seed, None)


def avg_options(ranks: int, zero: str, seed: int) -> _Options:
    """Options of an average whose step says its call number."""
    return _Options("avg", ranks, _call.choice("zero", zero, ZEROS), 0, seed, None)


def reduce_tree(name: str, tree: Any, place: Any, options: _Options, after: Any = ()) -> Any:
    """A collective of all arrays of a tree, in one exchange. `name`: what messages call the tree."""
    leaves = _call.named_leaves(name, tree)
    for text, leaf in leaves:
        if leaf.dtype.name not in _SEND:
            raise TypeError(f"{text} has dtype {leaf.dtype.name}, expected one of: {', '.join(_SEND)}")
    if not leaves:
        return tree
    results = _reduce_leaves([leaf for _, leaf in leaves], jax.tree.leaves(after), place, options)
    return jax.tree.unflatten(jax.tree.structure(tree), results)


@partial(jax.jit, static_argnames=("options",))
def _reduce_leaves(leaves: list[Any], after: list[Any], place: Any, options: _Options) -> list[Any]:
    leaves = list(_call.refuse_transformations(leaves))
    results = [jax.ShapeDtypeStruct(leaf.shape, _dtype_of_result(leaf, options)) for leaf in leaves]
    same = [number for number, leaf in enumerate(leaves) if results[number].dtype == leaf.dtype]
    attributes: dict[str, Any] = {"ranks": options.ranks, "zero": options.zero, "seed": options.seed}
    if options.operation == "vote":
        attributes["tie"] = options.tie
    return _call.call_handler(
        f"signccl_all_reduce_{options.operation}",
        [place, *leaves, *jax.lax.stop_gradient(after)],
        results,
        {1 + number: number for number in same},
        attributes,
    )


def _dtype_of_result(leaf: Any, options: _Options) -> Any:
    if options.dtype is not None:
        return jnp.dtype(options.dtype)
    return jnp.dtype("float32") if options.operation == "avg" and leaf.dtype == jnp.int8 else leaf.dtype
