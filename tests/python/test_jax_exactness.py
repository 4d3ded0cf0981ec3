# SPDX-License-Identifier: Apache-2.0
"""Results of signccl.jax, bit for bit, against NumPy: four devices of this process as ranks, jit, scan, donation."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import reference as ref
import signccl.jax
from jax_cases import (
    TRAININGS,
    Reduction,
    Training,
    differences,
    first_wrong,
    first_wrong_step,
    inputs_of,
    reductions,
    run_in_turn,
    training_differences,
)
from jax_support import NDEVICES, alone, on_devices, one_rank_per_device

pytestmark = pytest.mark.timeout(120)


def test_every_type_and_rule_is_exact_on_four_devices() -> None:
    cases = reductions(("float32", "float16", "bfloat16"))
    with one_rank_per_device() as (comms, mesh):
        stacked = jax.tree.map(lambda *a: np.stack(a), *[inputs_of(cases, rank) for rank in range(NDEVICES)])
        for first in range(0, len(cases), 25):
            some = cases[first : first + 25]
            call = comms.comms[0].call_number
            got = on_devices(lambda tree, some=some: run_in_turn(some, tree, comm=comms, axis_name="dp"), mesh)(stacked)
            for rank in range(NDEVICES):
                mine = jax.tree.map(lambda array, rank=rank: np.asarray(array)[rank], got)
                assert first_wrong(some, mine, NDEVICES, call) == "", rank


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("training", [TRAININGS[0], TRAININGS[4]], ids=["float32", "bfloat16"])
def test_lion_steps_are_exact_on_four_devices(training: Training, check_vma: bool) -> None:
    with one_rank_per_device() as (comms, mesh):
        states = jax.vmap(lambda params: signccl.jax.lion_init(params))
        params = jax.tree.map(lambda p: np.stack([np.asarray(p)] * NDEVICES), training.parameters())
        state = states(params)
        step = on_devices(lambda p, g, s: training.step(p, g, s, comm=comms, axis_name="dp"), mesh, check_vma)
        for number, (values, momenta) in enumerate(training.reference(NDEVICES)):
            gradients = [training.gradients(number, rank) for rank in range(NDEVICES)]
            params, state = step(params, jax.tree.map(lambda *g: np.stack(g), *gradients), state)
            for rank in range(NDEVICES):
                pick = lambda array, rank=rank: np.asarray(array)[rank]  # noqa: E731
                assert training_differences(jax.tree.map(pick, params), values) == ""
                assert training_differences(jax.tree.map(pick, state.mu), momenta[rank]) == ""


@pytest.mark.parametrize("donated", [True, False])
@pytest.mark.parametrize("training", TRAININGS, ids=str)
def test_lion_steps_of_one_rank_are_exact(training: Training, donated: bool) -> None:
    with alone() as comm:
        assert first_wrong_step(training, 0, 1, donated=donated, comm=comm) == ""


def test_donated_parameters_stay_where_they_are() -> None:
    with alone() as comm:
        params = {"w": jax.numpy.ones(1000)}
        state = signccl.jax.lion_init(params)
        step = jax.jit(lambda p, g, s: signccl.jax.lion_step(p, g, s, 0.5, comm=comm), donate_argnums=(0, 2))
        places = {(params["w"].unsafe_buffer_pointer(), state.mu["w"].unsafe_buffer_pointer())}
        for _ in range(3):
            params, state = step(params, {"w": jax.numpy.ones(1000)}, state)
            places.add((params["w"].unsafe_buffer_pointer(), state.mu["w"].unsafe_buffer_pointer()))
        assert len(places) == 1


def test_vote_that_is_donated_overwrites_its_argument_and_else_leaves_it() -> None:
    with alone() as comm:
        vote = lambda x: signccl.jax.all_reduce_vote(x, comm)  # noqa: E731
        kept, given = jax.numpy.array([2.0, -3.0]), jax.numpy.array([2.0, -3.0])
        place = given.unsafe_buffer_pointer()
        assert jax.jit(vote)(kept).tolist() == [1, -1] and kept.tolist() == [2, -3]
        result = jax.jit(vote, donate_argnums=0)(given)
        assert result.tolist() == [1, -1]
        assert given.is_deleted() and result.unsafe_buffer_pointer() == place


def test_hundred_votes_in_a_scan_have_hundred_numbers() -> None:
    with one_rank_per_device() as (comms, mesh):
        inputs = np.stack([ref.values(rank, (100, 70), np.dtype("f4")) for rank in range(NDEVICES)])

        def body(rows: jax.Array) -> jax.Array:
            vote = lambda carry, row: (carry, signccl.jax.all_reduce_vote(row, comms, axis_name="dp"))  # noqa: E731
            return jax.lax.scan(vote, 0, rows)[1]

        got = np.asarray(on_devices(body, mesh)(inputs))
        for number in range(100):
            signs = [ref.signs(inputs[rank, number], "binary") for rank in range(NDEVICES)]
            expected = ref.vote(signs, "random", number).astype(np.float32)
            assert all(ref.same_bits(got[rank, number], expected) for rank in range(NDEVICES))


def test_hundred_steps_in_a_scan_are_those_outside() -> None:
    training = Training(steps=100)
    with alone() as comm:
        gradients = [training.gradients(step, 0) for step in range(100)]
        params = training.parameters()

        def body(carry: tuple, grads: dict) -> tuple:
            return training.step(carry[0], grads, carry[1], comm=comm), None

        rows = jax.tree.map(lambda *g: jax.numpy.stack(g), *gradients)
        ended, state = jax.jit(lambda c, g: jax.lax.scan(body, c, g))((params, signccl.jax.lion_init(params)), rows)[0]
        values, momenta = training.reference(1)[-1]
        assert training_differences(ended, values) == "" and training_differences(state.mu, momenta[0]) == ""


def test_votes_whose_results_nobody_uses_are_made() -> None:
    with alone() as comm:

        def body(x: jax.Array) -> jax.Array:
            for _ in range(3):
                signccl.jax.all_reduce_vote(x, comm)
            return x + 1

        jax.jit(body)(jax.numpy.ones(3)).block_until_ready()
        assert comm.call_number == 3  # the property waits for them


def test_votes_come_after_what_they_are_told_to_come_after() -> None:
    with one_rank_per_device() as (comms, mesh):
        shapes = [(8,), (16,), (24,), (32,), (40,)]

        def body(x: jax.Array) -> list[jax.Array]:
            results: list[jax.Array] = []
            for shape in shapes:
                ones = jax.numpy.full(shape, x[0])
                tied = jax.numpy.where(jax.lax.axis_index("dp") % 2 == 0, ones, -ones)
                results.append(signccl.jax.all_reduce_vote(tied, comms, axis_name="dp", after=results[-1:]))
            return results

        got = on_devices(body, mesh)(np.ones((NDEVICES, 1), np.float32))
        for number, shape in enumerate(shapes):
            assert np.array_equal(np.asarray(got[number])[0], ref.random_ties(number, shape[0]))


def test_eager_calls_give_the_same() -> None:
    case = Reduction("vote", "float32", None, "ternary", "negative")
    with alone() as comm:
        assert differences(case.run(case.inputs(0), comm=comm), case.expected(1, 0)) == ""
        training = Training(steps=2)
        params = training.parameters()
        state = signccl.jax.lion_init(params)
        for number in range(2):
            params, state = training.step(params, training.gradients(number, 0), state, comm=comm)
        assert training_differences(params, training.reference(1)[-1][0]) == ""


def test_call_of_python_waits_for_the_jitted_calls_before_it() -> None:
    with alone() as comm:
        many = jax.jit(lambda x: [signccl.jax.all_reduce_vote(x + i, comm) for i in range(10)])
        kept = many(jax.numpy.ones(1_000_000))
        assert comm.call_number == 10
        signccl.all_reduce_vote(np.ones(3), comm)
        assert comm.call_number == 11
        del kept


def test_arrays_that_are_given_twice_are_not_overwritten_for_each_other() -> None:
    ones = jax.numpy.ones(40)
    with alone() as comm:
        same = jax.jit(lambda x: signccl.jax.all_reduce_vote([-x, x, x, -x], comm), donate_argnums=0)
        assert [array[0].item() for array in same(jax.numpy.ones(40))] == [-1, 1, 1, -1]
        state = signccl.jax.LionState(jax.numpy.int32(0), {"a": ones, "b": ones})

        def step(x: jax.Array) -> tuple:
            return signccl.jax.lion_step(
                {"a": x, "b": x}, {"a": x, "b": -2 * x}, state, 0.5, weight_decay=0, b1=0.5, comm=comm
            )

        params, after = jax.jit(step)(ones)
    assert (params["a"][0], params["b"][0]) == (0.5, 1.5)
    assert np.allclose([after.mu["a"][0], after.mu["b"][0]], [1, 0.97]) and ones[0] == 1


def test_steps_in_branches_of_a_loop_are_those_outside() -> None:
    training = Training(steps=3)
    gradients = jax.tree.map(lambda *g: jax.numpy.stack(g), *[training.gradients(step, 0) for step in range(3)])
    with alone() as comm:

        def turn(number: jax.Array, carry: tuple) -> tuple:
            grads = jax.tree.map(lambda rows: rows[number // 2], gradients)
            make = lambda: training.step(carry[0], grads, carry[1], comm=comm)  # noqa: E731
            return jax.lax.cond(number % 2 == 0, make, lambda: carry)

        params = training.parameters()
        begin = (params, signccl.jax.lion_init(params))
        ended, state = jax.jit(lambda carry: jax.lax.fori_loop(0, 6, turn, carry))(begin)
    values, momenta = training.reference(1)[-1]
    assert training_differences(ended, values) == "" and training_differences(state.mu, momenta[0]) == ""
