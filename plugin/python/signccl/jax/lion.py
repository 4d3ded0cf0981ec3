# SPDX-License-Identifier: Apache-2.0
"""The fused step of Distributed Lion: gradients go in, parameters and momenta are updated, in two passes."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._c_lion import LionAggregation, LionRounding
from . import _call
from .collectives import TIES, ZEROS

_FLOATS = ("float32", "bfloat16", "float16")
_AGGREGATIONS = {kind.name.lower(): int(kind) for kind in LionAggregation}
_ROUNDINGS = {kind.name.lower(): int(kind) for kind in LionRounding}

#: The state of optax.lion: ``count``, the number of steps made, and ``mu``, the momenta of this rank.
LionState: TypeAlias = optax.ScaleByLionState


class _Options(NamedTuple):
    """What a compiled step depends on, beside the shapes and types of its arrays."""

    ranks: int
    aggregation: int
    zero: int
    tie: int
    rounding: int
    seed: int
    beta1: float
    beta2: float
    groups: tuple[int, ...]


def lion_init(params: Any, *, mu_dtype: Any = jnp.float32) -> LionState:
    """The state before the first step: no steps, and momenta of zeros.

    Args:
        params: a pytree of parameters.
        mu_dtype: of the momenta: float32, bfloat16 or float16; None: that of each parameter.
    """
    return LionState(
        count=jnp.zeros([], jnp.int32),
        mu=jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf), mu_dtype or jnp.asarray(leaf).dtype), params),
    )


def lion_step(
    params: Any,
    grads: Any,
    state: LionState,
    learning_rate: Any,
    *,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: Any = 1e-3,
    mask: Any = None,
    comm: Any = None,
    axis_name: Any = None,
    aggregation: str = "vote",
    zero: str = "binary",
    tie: str = "random",
    rounding: str = "nearest",
    seed: int = 0,
) -> tuple[Any, LionState]:
    """A whole step of Distributed Lion (Liu et al. 2024, arXiv:2404.00438), as docs/semantics.md defines it.

    Every rank has gradients and momenta of its own; only the signs of their updates are exchanged, and every rank makes
    the same step::

        u = b1 m + (1 - b1) g;   m = b2 m + (1 - b2) g;   x = x - lr (vote(u) + weight_decay x)

    All ranks begin with the same parameters, and stay equal to the bit. Under ``jax.jit`` with ``donate_argnums`` for
    ``params`` and ``state`` both are updated where they are; else JAX copies them first. On CUDA devices donation also
    keeps addresses the same, which spares a step the making of tables (docs/jax.md, "Arrays on a GPU").

    Args:
        params: a pytree of parameters, float32, bfloat16 or float16, on the CPU or on CUDA devices.
        grads: this rank's gradients, in the tree and the shapes of ``params``, of any of those types. They must not be
            averaged.
        state: of :func:`lion_init`, or of the last step.
        learning_rate: a number, an array, or a schedule: a function of ``state.count``.
        b1, b2: numbers of 0 to 1.
        weight_decay: a number or an array; multiplied by the learning rate. As in ``optax.lion``.
        mask: a pytree of bools, or a function of ``params`` that gives one: which parameters decay. A prefix of the
            tree of ``params`` is enough.
        comm, axis_name: who votes, as in :func:`~signccl.jax.all_reduce_vote`.
        aggregation: "vote" for the majority sign, "avg" for the mean of the signs.
        zero: sign of an update that is exactly 0: "binary" counts it as +1, "ternary" lets the rank abstain.
        tie: what a balanced vote gives: "random", "zero", "positive" or "negative".
        rounding: of bfloat16 parameters: "nearest", or "stochastic", which does not lose small steps.
        seed: for random ties and stochastic rounding, 0 to 32767, the same on every rank. Optimizers of one program
            have different ones.

    Returns the parameters and the state after the step. Errors are those of :func:`~signccl.jax.all_reduce_vote`; after
    one that came from the exchange, go on from a checkpoint.
    """
    flat = _flatten(params, grads, state)
    place = _call.place_of(comm, axis_name, state.count)
    options = _Options(
        place.ranks,
        _call.choice("aggregation", aggregation, _AGGREGATIONS),
        _call.choice("zero", zero, ZEROS),
        _call.choice("tie", tie, TIES),
        _call.choice("rounding", rounding, _ROUNDINGS),
        _call.check_seed(seed),
        _beta("b1", b1),
        _beta("b2", b2),
        _groups(params, mask),
    )
    rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
    hyperparameters = _hyperparameters(rate, weight_decay)
    if not flat[0]:
        return params, LionState(optax.safe_increment(state.count), state.mu)
    new_params, new_mu = _step(place.numbers, hyperparameters, *flat, options=options)
    structure = jax.tree.structure(params)
    return (
        jax.tree.unflatten(structure, new_params),
        LionState(optax.safe_increment(state.count), jax.tree.unflatten(jax.tree.structure(state.mu), new_mu)),
    )


@partial(jax.jit, static_argnames=("options",))
def _step(
    place: Any, hyperparameters: Any, params: list[Any], mu: list[Any], grads: list[Any], options: _Options
) -> tuple[list[Any], list[Any]]:
    params, mu, grads = _call.refuse_transformations((params, mu, grads))
    n = len(params)
    results = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in (*params, *mu)]
    attributes: dict[str, Any] = options._asdict()
    attributes["groups"] = np.array(options.groups, np.int32)
    updated = _call.call_handler(
        "signccl_lion_step",
        [place, hyperparameters, *params, *mu, *grads],
        results,
        {2 + number: number for number in range(2 * n)},
        attributes,
    )
    return updated[:n], updated[n:]


def _flatten(params: Any, grads: Any, state: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """The leaves of parameters, momenta and gradients. Raises TypeError or ValueError if they do not fit."""
    kind: Any = LionState
    if not isinstance(state, kind):
        raise TypeError(f"state is of type {type(state).__name__}, expected the LionState of lion_init()")
    trees = {"params": params, "state.mu": state.mu, "grads": grads}
    leaves = {name: _call.named_leaves(name, tree) for name, tree in trees.items()}
    expected: Any = jax.tree.structure(params)
    for name in ("state.mu", "grads"):
        structure: Any = jax.tree.structure(trees[name])
        if structure != expected:
            raise ValueError(f"{name} is the tree {structure}, expected that of params, {expected}")
        for (text, leaf), (_, parameter) in zip(leaves[name], leaves["params"]):
            if leaf.shape != parameter.shape:
                raise ValueError(f"{text} has shape {leaf.shape}, expected that of its parameter, {parameter.shape}")
    for text, leaf in (*leaves["params"], *leaves["state.mu"], *leaves["grads"]):
        if leaf.dtype.name not in _FLOATS:
            raise TypeError(f"{text} has dtype {leaf.dtype.name}, expected one of: {', '.join(_FLOATS)}")
    first, second, third = ([leaf for _, leaf in leaves[name]] for name in trees)
    return first, second, third


def _beta(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):  # a tracer too
        raise TypeError(f"{name} is {value!r}, expected a number of 0 to 1 that does not change in jit") from None
    if not 0 <= number <= 1:
        raise ValueError(f"{name} is {number}, expected 0 to 1")
    return number


def _groups(params: Any, mask: Any) -> tuple[int, ...]:
    """For each parameter 0 if it decays, else 1."""
    if mask is None:
        return (0,) * len(jax.tree.leaves(params))
    chosen = mask(params) if callable(mask) else mask
    spread = jax.tree.map(lambda decays, subtree: jax.tree.map(lambda _: bool(decays), subtree), chosen, params)
    return tuple(0 if decays else 1 for decays in jax.tree.leaves(spread))


def _hyperparameters(rate: Any, decay: Any) -> Any:
    """float32[2][2]: learning rates and weight decays of the parameters that decay, and of those that do not."""
    rate = jnp.asarray(rate, jnp.float32).reshape(())
    decay = jnp.asarray(decay, jnp.float32).reshape(())
    return jnp.stack([jnp.stack([rate, rate]), jnp.stack([decay, jnp.zeros_like(decay)])])
