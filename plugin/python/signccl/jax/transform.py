# SPDX-License-Identifier: Apache-2.0
"""Distributed Lion as transformations of optax, made of the operations of optax.lion with a vote instead of a sign."""

from __future__ import annotations

from typing import Any

import jax
import optax

from . import _call
from .collectives import avg_options, reduce_tree, vote_options
from .lion import LionState, lion_init


def scale_by_distributed_lion(
    b1: float = 0.9,
    b2: float = 0.99,
    mu_dtype: Any = None,
    *,
    comm: Any = None,
    axis_name: Any = None,
    aggregation: str = "vote",
    zero: str = "binary",
    tie: str = "random",
    seed: int = 0,
) -> optax.GradientTransformation:
    """``optax.scale_by_lion`` whose sign is the majority, or the mean, of the signs of all ranks.

    Its state is that of ``optax.scale_by_lion``; ``mu`` are the momenta of this rank. ``update`` is a collective: all
    ranks make it, in one exchange for the whole tree.

    Args:
        b1, b2, mu_dtype: as in ``optax.scale_by_lion``.
        comm, axis_name: who votes, as in :func:`~signccl.jax.all_reduce_vote`; None is looked up in ``update``.
        aggregation: "vote" for the majority sign, "avg" for the mean of the signs.
        zero: sign of an update that is exactly 0: "binary" counts it as +1, "ternary" lets the rank abstain.
        tie: what a balanced vote gives: "random", "zero", "positive" or "negative".
        seed: for random ties, 0 to 32767, the same on every rank. Transformations of one program have different ones.

    With one rank it gives the bits of ``optax.scale_by_lion``, as long as no update is exactly 0; with
    ``zero="ternary"`` and ``tie="zero"`` then too.
    """
    _call.check_seed(seed)
    if aggregation == "vote":
        vote_options(0, zero, tie, seed)
    elif aggregation == "avg":
        avg_options(0, zero, seed)
    else:
        raise ValueError(f"aggregation is {aggregation!r}, expected one of: vote, avg")

    def init(params: Any) -> LionState:
        return lion_init(params, mu_dtype=mu_dtype)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, LionState]:
        del params
        place = _call.place_of(comm, axis_name, state.count)
        options = (
            vote_options(place.ranks, zero, tie, seed)
            if aggregation == "vote"
            else avg_options(place.ranks, zero, seed)
        )
        # As optax writes it, so that the bits are the same.
        combined = jax.tree.map(lambda g, m: (1.0 - b1) * g + b1 * m, updates, state.mu)
        mu = jax.tree.map(lambda g, m: (1 - b2) * g + b2 * m, updates, state.mu)
        if mu_dtype is not None:
            mu = jax.tree.map(lambda m: m.astype(mu_dtype), mu)
        signs = reduce_tree("updates", combined, place.numbers, options)
        return signs, LionState(count=optax.safe_increment(state.count), mu=mu)

    return optax.GradientTransformation(init, update)


def distributed_lion(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.99,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-3,
    mask: Any = None,
    *,
    comm: Any = None,
    axis_name: Any = None,
    aggregation: str = "vote",
    zero: str = "binary",
    tie: str = "random",
    seed: int = 0,
) -> optax.GradientTransformationExtraArgs:
    """``optax.lion`` for gradients that stay local: one bit per parameter and rank travels instead.

    The arguments up to ``mask`` are those of ``optax.lion``, the others those of :func:`scale_by_distributed_lion`. The
    state has the form of that of ``optax.lion``. ``update`` takes this rank's gradients; do not average them.
    """
    return optax.chain(
        scale_by_distributed_lion(
            b1, b2, mu_dtype, comm=comm, axis_name=axis_name, aggregation=aggregation, zero=zero, tie=tie, seed=seed
        ),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(learning_rate),
    )
