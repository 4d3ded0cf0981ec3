# SPDX-License-Identifier: Apache-2.0
"""What is wrong is an error that says so, before or in the call, and never a hang."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import signccl
import signccl.jax
from jax_support import RuntimeFailure, alone, flush_errors, on_devices, one_rank_per_device
from signccl.jax import _call
from support import as_threads

pytestmark = pytest.mark.timeout(60)

ONES = jnp.ones(3)


@pytest.fixture
def comm() -> Any:
    with alone() as one:
        yield one


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"array": {"a": jnp.ones(3, "int32")}}, TypeError, r"array\['a'\] has dtype int32, expected one of: float32"),
        ({"array": [ONES, jnp.ones(2, bool)]}, TypeError, r"array\[1\] has dtype bool"),
        ({"array": jnp.ones(2, "complex64")}, TypeError, "complex64"),
        ({"array": jnp.ones(2, "float8_e4m3fn")}, TypeError, "float8_e4m3fn"),
        ({"array": "abc"}, TypeError, "abc"),
        ({"array": ONES, "zero": "unary"}, ValueError, "zero is 'unary', expected one of: binary, ternary"),
        ({"array": ONES, "tie": 1}, ValueError, "tie is 1, expected one of: zero, positive, negative, random"),
        ({"array": ONES, "dtype": "int32"}, TypeError, "dtype is int32, expected one of: float32"),
        ({"array": ONES, "dtype": "float64"}, TypeError, "jax_enable_x64"),
        ({"array": ONES, "dtype": "nonsense"}, TypeError, "dtype is 'nonsense'"),
        ({"array": ONES, "axis_name": "dp"}, ValueError, "axis_name is 'dp', which goes with"),
    ],
    ids=str,
)
def test_wrong_argument_of_a_vote(arguments: dict[str, Any], kind: type, text: str, comm: Any) -> None:
    with pytest.raises(kind, match=text):
        signccl.jax.all_reduce_vote(comm=comm, **arguments)
    assert comm.call_number == 0


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"grads": {"w": jnp.ones(4)}}, ValueError, r"grads\['w'\] has shape \(4,\), expected that of its parameter"),
        ({"grads": {"v": ONES}}, ValueError, "grads is the tree"),
        ({"grads": {"w": jnp.ones(3, "int8")}}, TypeError, r"grads\['w'\] has dtype int8"),
        ({"params": {"w": jnp.ones(3, "int32")}}, TypeError, r"params\['w'\] has dtype int32"),
        ({"state": None}, TypeError, "state is of type NoneType, expected the LionState"),
        ({"b1": 1.5}, ValueError, "b1 is 1.5, expected 0 to 1"),
        ({"b2": "x"}, TypeError, "b2 is 'x', expected a number"),
        ({"seed": -1}, ValueError, "seed is -1, expected 0 to 32767"),
        ({"seed": 0.5}, TypeError, "seed is 0.5, expected a whole number"),
        ({"aggregation": "sum"}, ValueError, "aggregation is 'sum', expected one of: vote, avg"),
        ({"rounding": "up"}, ValueError, "rounding is 'up', expected one of: nearest, stochastic"),
    ],
    ids=str,
)
def test_wrong_argument_of_a_step(arguments: dict[str, Any], kind: type, text: str, comm: Any) -> None:
    good = {"params": {"w": ONES}, "grads": {"w": ONES}, "state": signccl.jax.lion_init({"w": ONES})}
    with pytest.raises(kind, match=text):
        signccl.jax.lion_step(learning_rate=0.1, comm=comm, **{**good, **arguments})


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_learning_rate_that_is_none_fails_in_the_step(rate: float, comm: Any) -> None:
    step = jax.jit(lambda p, s: signccl.jax.lion_step(p, p, s, rate, comm=comm))
    with pytest.raises(RuntimeFailure, match="learning"):
        jax.block_until_ready(step(ONES, signccl.jax.lion_init(ONES)))
    flush_errors()


def test_wrong_option_of_a_transformation() -> None:
    with pytest.raises(ValueError, match="aggregation is 'sum'"):
        signccl.jax.distributed_lion(0.1, aggregation="sum")
    with pytest.raises(ValueError, match="tie is 'none'"):
        signccl.jax.scale_by_distributed_lion(tie="none")
    with pytest.raises(ValueError, match="zero is 'none'"):
        signccl.jax.scale_by_distributed_lion(aggregation="avg", zero="none")


def test_communicator_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="comm is of type int, expected a signccl"):
        signccl.jax.all_reduce_vote(ONES, 3)
    with pytest.raises(TypeError, match="comm is of type int"):
        signccl.jax.check_equal(ONES, 3)


@pytest.mark.parametrize("inside", [False, True])
def test_gradient_of_a_vote_is_refused(inside: bool, comm: Any) -> None:
    vote = lambda x: signccl.jax.all_reduce_vote(x, comm)  # noqa: E731
    loss = lambda x: jnp.sum((jax.jit(vote) if inside else vote)(x) * x)  # noqa: E731
    for function in (jax.grad(loss), jax.jit(jax.grad(loss)), jax.jacfwd(loss)):
        with pytest.raises(TypeError, match=r"no gradient.*stop_gradient"):
            function(ONES)
    stopped = jax.grad(lambda x: jnp.sum(vote(jax.lax.stop_gradient(x)) * x))
    assert stopped(ONES).tolist() == [1, 1, 1]


@pytest.mark.parametrize("inside", [False, True])
def test_vmap_of_a_vote_is_refused(inside: bool, comm: Any) -> None:
    vote = lambda x: signccl.jax.all_reduce_vote(x, comm)  # noqa: E731
    for function in (jax.vmap(jax.jit(vote) if inside else vote), jax.jit(jax.vmap(vote))):
        with pytest.raises(NotImplementedError, match=r"vmap over a collective of signccl \(2 times\)"):
            function(jnp.ones((2, 3)))
    params = jnp.ones((2, 3))
    with pytest.raises(NotImplementedError, match="vmap"):
        jax.vmap(lambda p: signccl.jax.lion_step(p, p, signccl.jax.lion_init(p), 0.1, comm=comm)[0])(params)


def test_closed_communicator_is_said_where_it_is_given_and_where_it_is_compiled_in() -> None:
    with alone() as comm:
        vote = jax.jit(lambda x: signccl.jax.all_reduce_vote(x, comm))
        vote(ONES)
    with pytest.raises(RuntimeFailure, match="the communicator of this program is closed"):
        vote(ONES).block_until_ready()
    flush_errors()
    with pytest.raises(signccl.InvalidUsageError, match="the communicator is closed"):
        signccl.jax.all_reduce_vote(ONES, comm)


def test_communicator_that_two_devices_use_is_an_error_on_both() -> None:
    with alone() as comm, one_rank_per_device() as (_, mesh):
        vote = on_devices(lambda x: signccl.jax.all_reduce_vote(x, comm), mesh)
        with pytest.raises(RuntimeFailure, match=r"device \d uses the communicator of rank 0, which device \d uses"):
            jax.block_until_ready(vote(jnp.ones((4, 3))))
        flush_errors()
        assert isinstance(comm.error, signccl.RemoteError)  # other processes are not to wait


def test_communicator_belongs_to_the_device_that_used_it_first() -> None:
    vote = jax.jit(lambda x, comm: signccl.jax.all_reduce_vote(x, comm), static_argnums=1)
    first, second = jax.devices()[:2]
    with alone() as comm:
        vote(jax.device_put(ONES, second), comm)
        vote(jax.device_put(ONES, second), comm).block_until_ready()
        with pytest.raises(RuntimeFailure, match="device 0 uses the communicator of rank 0, which device 1 uses"):
            vote(jax.device_put(ONES, first), comm).block_until_ready()
        flush_errors()


def test_rank_that_does_not_come_in_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNCCL_TIMEOUT", "1")
    comms = signccl.Communicator.all_in_process(2)
    with pytest.raises(RuntimeFailure, match=r"DEADLINE_EXCEEDED: .*rank 1"):
        signccl.jax.all_reduce_vote(ONES, comms[0]).block_until_ready()
    flush_errors()
    for comm in comms:
        comm.close()


def test_rank_of_a_group_is_not_used_alone() -> None:
    with one_rank_per_device() as (comms, mesh):
        on_devices(lambda x: signccl.jax.all_reduce_vote(x, comms, axis_name="dp"), mesh)(jnp.ones((4, 3)))
        with pytest.raises(
            ValueError, match=r"ranks \[1\] of this process were used in a group with ranks \[0, 1, 2, 3\]"
        ):
            signccl.jax.all_reduce_vote(ONES, comms.comms[1])


def test_rank_of_another_process_is_named() -> None:
    with one_rank_per_device() as (comms, mesh):
        two = signccl.jax.DeviceCommunicators(comms.comms[:2], 4)
        vote = on_devices(lambda x: signccl.jax.all_reduce_vote(x, two, axis_name="dp"), mesh)
        with pytest.raises(
            RuntimeFailure, match=r"a device takes part as rank [23], but this process holds ranks 0, 1"
        ):
            jax.block_until_ready(vote(jnp.ones((4, 3))))
        flush_errors()


def test_axis_is_asked_for() -> None:
    with one_rank_per_device() as (comms, _):
        with pytest.raises(ValueError, match="axis_name is None, expected the axis"):
            signccl.jax.all_reduce_vote(ONES, comms)
        with pytest.raises(NameError, match="dp"):
            signccl.jax.all_reduce_vote(ONES, comms, axis_name="dp")


def test_trees_that_differ_are_named_on_every_rank() -> None:
    def body(comm: signccl.Communicator) -> list[str]:
        texts = []
        trees = [
            {"w": ONES * (1 + comm.rank)},
            {"w": jnp.ones(3 + comm.rank)},
            {"w": ONES, **({"v": ONES} if comm.rank else {})},
        ]
        signccl.jax.check_equal({"w": ONES}, comm)
        for tree in trees:
            with pytest.raises(ValueError, match="the ranks have different arrays") as caught:
                signccl.jax.check_equal(tree, comm)
            texts.append(str(caught.value))
        return texts

    one, other = as_threads(2, body)
    assert one == other
    assert "['w'] float32[3]" in one[1] and "['w'] float32[4]" in one[1]


def test_handler_refuses_what_python_would_not_give_it() -> None:
    """Whoever calls the handlers by jax.ffi gets an error, not a crash."""
    place = np.array([-1, -1], np.int32)
    shape = jax.ShapeDtypeStruct((3,), "float32")
    rules = {"ranks": 0, "zero": 0, "tie": 3, "seed": 0}
    lion = {**rules, "aggregation": 0, "rounding": 0, "beta1": 0.9, "beta2": 0.9, "groups": np.zeros(1, np.int32)}
    rates = np.zeros((2, 1), np.float32)
    calls = [
        ("signccl_all_reduce_vote", [ONES], [shape], rules, "the first argument is not the place"),
        ("signccl_all_reduce_vote", [place], [shape], rules, "fewer arguments than results"),
        ("signccl_all_reduce_vote", [place, jnp.ones(4)], [shape], rules, "another shape"),
        ("signccl_lion_step", [place, rates, ONES], [shape, shape], lion, "2 results and 3 arguments"),
        ("signccl_lion_step", [place, ONES, ONES, ONES, ONES], [shape, shape], lion, "not float32"),
        ("signccl_lion_step", [place, rates, ONES, ONES, jnp.ones(4)], [shape, shape], lion, "different numbers"),
    ]
    for target, arguments, results, attributes, text in calls:
        with pytest.raises(RuntimeFailure, match=text):
            jax.block_until_ready(_call.call_handler(target, arguments, results, {}, attributes))
        flush_errors()


def test_group_without_devices_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the 0 devices belongs to process 0"):
        signccl.jax.device_communicators([])
