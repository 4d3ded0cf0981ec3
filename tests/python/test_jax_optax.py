# SPDX-License-Identifier: Apache-2.0
"""distributed_lion beside optax.lion, and the fused step beside both."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lion_reference as reference
import reference as ref
import signccl.jax
from jax_support import NDEVICES, P, alone, on_devices, one_rank_per_device

pytestmark = pytest.mark.timeout(60)

STEPS = 100
NO_DECAY = {"w": True, "b": False}


def parameters(dtype: str = "float32") -> dict[str, jax.Array]:
    random = np.random.default_rng(1)
    return {name: jnp.asarray(random.standard_normal(shape), dtype) for name, shape in (("w", (40, 30)), ("b", (30,)))}


def gradients(step: int, rank: int = 0, dtype: str = "float32") -> dict[str, jax.Array]:
    random = np.random.default_rng([step, rank])
    return {name: jnp.asarray(random.standard_normal(p.shape), dtype) for name, p in parameters().items()}


def train(optimizer: optax.GradientTransformation, steps: int = STEPS, dtype: str = "float32", jit: bool = True) -> Any:
    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    run = jax.jit(step) if jit else step
    params = parameters(dtype)
    state = optimizer.init(params)
    for number in range(steps):
        params, state = run(params, state, gradients(number, dtype=dtype))
    return params, state


def expect_same(one: Any, other: Any) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert ref.same_bits(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "mask": NO_DECAY}, {"b1": 0.5, "mu_dtype": "bfloat16"}])
def test_one_rank_is_optax_lion_with_its_state(settings: dict[str, Any]) -> None:
    rate = optax.cosine_decay_schedule(0.01, STEPS)
    with alone() as comm:
        ours = train(signccl.jax.distributed_lion(rate, comm=comm, **settings))
    expect_same(ours, train(optax.lion(rate, **settings)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_one_rank_is_optax_lion_for_small_types(dtype: str) -> None:
    with alone() as comm:
        ours = train(signccl.jax.distributed_lion(0.01, comm=comm, zero="ternary", tie="zero"), dtype=dtype)
    expect_same(ours, train(optax.lion(0.01), dtype=dtype))


def test_one_rank_is_optax_lion_without_jit() -> None:
    with alone() as comm:
        ours = train(signccl.jax.distributed_lion(0.01, comm=comm), steps=10, jit=False)
    expect_same(ours, train(optax.lion(0.01), steps=10, jit=False))


def test_zeros_are_those_of_optax_with_ternary_signs() -> None:
    zeros = {"w": jnp.array([0.0, -0.0, 1.0])}
    with alone() as comm:
        ours = signccl.jax.scale_by_distributed_lion(comm=comm, zero="ternary", tie="zero")
        signs, _ = ours.update(zeros, ours.init(zeros))
        binary = signccl.jax.scale_by_distributed_lion(comm=comm)
        assert binary.update(zeros, binary.init(zeros))[0]["w"].tolist() == [1, 1, 1]
    assert signs["w"].tolist() == [0, 0, 1]


def test_fused_step_is_optax_lion_up_to_fused_multiplication() -> None:
    """XLA may fuse a multiplication and an addition, which rounds once; the fused step rounds every operation."""
    rate = optax.linear_schedule(0.01, 0.001, STEPS)
    params = parameters()
    state = signccl.jax.lion_init(params)
    with alone() as comm:
        for number in range(STEPS):
            params, state = signccl.jax.lion_step(
                params, gradients(number), state, rate, weight_decay=0.1, mask=NO_DECAY, comm=comm
            )
    expected, _ = train(optax.lion(rate, weight_decay=0.1, mask=NO_DECAY))
    for name, value in expected.items():
        np.testing.assert_allclose(params[name], value, rtol=1e-5, atol=1e-6)


def test_fused_step_goes_on_from_a_state_of_optax_lion() -> None:
    params, state = train(optax.lion(0.01), steps=3)
    with alone() as comm:
        after, inner = signccl.jax.lion_step(params, gradients(3), state[0], 0.01, comm=comm)
    expected, (scaled, *_) = train(optax.lion(0.01), steps=4)
    assert int(inner.count) == int(scaled.count) == 4
    np.testing.assert_allclose(after["w"], expected["w"], rtol=1e-6)


@pytest.mark.parametrize("aggregation", ["vote", "avg"])
def test_updates_of_four_ranks_are_the_vote_on_theirs(aggregation: str) -> None:
    """Ties have the numbers of the step, array by array, so that a resumed job breaks them alike."""
    b1, seed, count = np.float32(0.9), 5, 17
    with one_rank_per_device() as (comms, mesh):
        lion = signccl.jax.scale_by_distributed_lion(
            comm=comms, axis_name="dp", aggregation=aggregation, seed=seed, b1=0.9
        )

        def body(grads: Any) -> Any:
            state = lion.init(grads)
            return lion.update(grads, state._replace(count=state.count + count))[0]

        grads = [gradients(0, rank) for rank in range(NDEVICES)]
        # Few different numbers, so that ranks tie.
        grads = [jax.tree.map(lambda g: jnp.sign(g), one) for one in grads]
        got = on_devices(body, mesh)(jax.tree.map(lambda *g: jnp.stack(g), *grads))
    for number, name in enumerate(sorted(got)):
        signs = [ref.signs(np.asarray(one[name]) * (1 - b1), "binary") for one in grads]
        call = (seed << 48) + 2 * count + number
        expected = ref.vote(signs, "random", call) if aggregation == "vote" else np.sum(signs, axis=0) / NDEVICES
        for rank in range(NDEVICES):
            assert np.array_equal(np.asarray(got[name])[rank], expected.astype(np.float32))


def test_replicas_on_four_devices_stay_equal_without_a_leading_axis() -> None:
    """As docs/jax.md has it: parameters replicated, momenta of each device."""
    with one_rank_per_device() as (comms, mesh):
        optimizer = signccl.jax.distributed_lion(0.01, comm=comms, axis_name="dp")

        def step(params: Any, state: Any, grads: Any) -> Any:
            updates, state = optimizer.update(jax.tree.map(lambda g: g[0], grads), state, params)
            return optax.apply_updates(params, updates), state

        run = jax.jit(
            jax.shard_map(step, mesh=mesh, in_specs=(P(), P(), P("dp")), out_specs=(P(), P()), check_vma=False)
        )
        params = parameters()
        state = optimizer.init(params)
        for number in range(5):
            stacked = jax.tree.map(lambda *g: jnp.stack(g), *[gradients(number, rank) for rank in range(NDEVICES)])
            params, state = run(params, state, stacked)
        copies = [np.asarray(shard.data) for shard in params["w"].addressable_shards]
        assert len(copies) == NDEVICES and all(ref.same_bits(copy, copies[0]) for copy in copies)
        assert not np.array_equal(copies[0], np.asarray(parameters()["w"]))


def test_reference_of_lion_rounds_every_operation() -> None:
    """What the fused step is compared with elsewhere is Lion as optax has it, operation by operation."""
    value = np.asarray(parameters()["w"]).ravel()
    tensor = reference.Tensor(value, "float32", "float32", reference.Hyperparameters(0.01, weight_decay=0.1))
    tensor.momenta = [np.zeros_like(value)]
    for number in range(10):
        mine = np.asarray(gradients(number)["w"]).ravel()
        reference.step([tensor], [[mine]], reference.Rules(zero="ternary", tie="zero"), number)
    expected, _ = train(optax.lion(0.01, weight_decay=0.1), steps=10, jit=False)
    assert ref.same_bits(tensor.value, np.asarray(expected["w"]).ravel())
