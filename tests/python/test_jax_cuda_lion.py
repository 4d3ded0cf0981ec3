# SPDX-License-Identifier: Apache-2.0
"""XLA's handler of Lion steps for CUDA, over the fake CUDA driver and called as XLA calls it."""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_reference as lion
import reference as ref
import signccl
import signccl.jax
from cuda_support import DeviceMemory, FakeProcess, HeldUp, Stream, current, driver
from signccl._c_lion import LionAggregation, LionRounding
from signccl._c_types import TieRule, ZeroRule
from support import as_threads
from xla_cuda_support import (
    FAILED_PRECONDITION,
    INTERNAL,
    INVALID_ARGUMENT,
    Outcome,
    add_ranks,
    call,
    needs_handlers,
    place,
    remove_ranks,
)

pytestmark = needs_handlers

HANDLER = "signcclJaxLionStepOnCuda"
MOST_OBJECTS = 16
OUT_OF_MEMORY = 2
DTYPES = {"float32": np.dtype("f4"), "float16": np.dtype("f2"), "bfloat16": ref.BFLOAT16}
NRANKS, NSTEPS = 3, 4
RULES = [
    lion.Rules(),
    lion.Rules("avg", "ternary"),
    lion.Rules("vote", "ternary", "zero"),
    lion.Rules(rounding="stochastic", seed=3),
]
GROUPS = (lion.Hyperparameters(0.01, 0.9, 0.99, 0.1), lion.Hyperparameters(0.01, 0.9, 0.99, 0.0))


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A process with the driver."""
    with FakeProcess() as process:
        yield process


class Shape(NamedTuple):
    count: int
    parameter: str
    momentum: str
    gradient: str
    group: int


SHAPES = (
    Shape(130, "bfloat16", "float32", "bfloat16", 0),
    Shape(67, "float32", "float32", "float32", 1),
    Shape(0, "float32", "float32", "float32", 0),
    Shape(1500, "float16", "float16", "float32", 0),
)


def starts(shape: Shape, number: int) -> lion.Floats:
    drawn = np.random.default_rng([number, 7]).standard_normal(shape.count).astype("f4")
    return lion.to_nearest(drawn, shape.parameter)


def gradients(rank: int, step: int) -> list[lion.Floats]:
    """Many of them are zero, so that updates are, and ranks tie."""
    random = np.random.default_rng([rank, step])
    numbers = np.array([0, -0.0, 0.5, -0.5, 1e-30, -3, np.inf, np.nan], "f4")
    return [lion.to_nearest(random.choice(numbers, shape.count), shape.gradient) for shape in SHAPES]


def device_arrays(values: list[lion.Floats], kind: str) -> list[DeviceMemory]:
    """Arrays of the types that the shapes say."""
    return [DeviceMemory(one.astype(DTYPES[getattr(shape, kind)])) for one, shape in zip(values, SHAPES, strict=True)]


class State(NamedTuple):
    """The arrays of one rank, which keep their places, or not."""

    parameters: list[DeviceMemory]
    momenta: list[DeviceMemory]

    @classmethod
    def first(cls) -> State:
        parameters = [starts(shape, number) for number, shape in enumerate(SHAPES)]
        zeros = [np.zeros(shape.count, "f4") for shape in SHAPES]
        return cls(device_arrays(parameters, "parameter"), device_arrays(zeros, "momentum"))

    def elsewhere(self) -> State:
        """A copy, as XLA makes it where arrays are not donated."""
        return State(*([DeviceMemory(one.get()) for one in arrays] for arrays in self))


def hyperparameters() -> DeviceMemory:
    """Learning rates and weight decays of the groups; on the device, where no handler can read them."""
    return DeviceMemory(np.array([[h.lr for h in GROUPS], [h.weight_decay for h in GROUPS]], "f4"))


def attributes(number: int, rules: lion.Rules) -> dict[str, Any]:
    return {
        "ranks": number,
        "aggregation": int(LionAggregation[rules.aggregation.upper()]),
        "zero": int(ZeroRule[rules.zero.upper()]),
        "tie": int(TieRule[rules.tie.upper()]),
        "rounding": int(LionRounding[rules.rounding.upper()]),
        "seed": rules.seed,
        "beta1": GROUPS[0].beta1,
        "beta2": GROUPS[0].beta2,
        "groups": [shape.group for shape in SHAPES],
    }


class Rank:
    """The calls of one rank. What it hands in stays: freeing waits for the device, and so for a stream that is held."""

    def __init__(self, comm: signccl.Communicator, device: int) -> None:
        self.stream = Stream()
        self.number = add_ranks([comm], [device])
        self._place, self._rates = place(), hyperparameters()
        self._kept: list[Any] = []

    def step(self, state: State, given: list[DeviceMemory], rules: lion.Rules = RULES[0]) -> Outcome:
        """One step in place."""
        self._kept.append((state, given))
        arrays = [*state.parameters, *state.momenta]
        return self.call([*arrays, *given], arrays, attributes(self.number, rules))

    def call(self, arrays: list[DeviceMemory], results: list[DeviceMemory], numbers: dict[str, Any]) -> Outcome:
        return call(HANDLER, 0, self.stream, [self._place, self._rates, *arrays], results, **numbers)


def expected(rules: lion.Rules, first_call: int) -> list[lion.Tensor]:
    """Parameters, and the momenta of all ranks, after the steps."""
    tensors = [
        lion.Tensor(starts(shape, number), shape.parameter, shape.momentum, GROUPS[shape.group])
        for number, shape in enumerate(SHAPES)
    ]
    for tensor in tensors:
        tensor.momenta = [np.zeros_like(tensor.value)] * NRANKS
    for round_ in range(NSTEPS):
        given: list[list[lion.Floats | None]] = [[*gradients(rank, round_)] for rank in range(NRANKS)]
        lion.step(tensors, given, rules, first_call + round_)
    return tensors


def exact() -> None:
    """Every other step has its arrays in other places, and every gradient has a place of its own."""

    def body(comm: signccl.Communicator) -> None:
        with current():
            rank = Rank(comm, -1)
            for rules in RULES:
                first_call = comm.call_number
                state = State.first()
                for round_ in range(NSTEPS):
                    if round_ % 2 == 1:
                        state = state.elsewhere()
                    given = device_arrays(gradients(comm.rank, round_), "gradient")
                    assert rank.step(state, given, rules) == (0, "")
                    rank.stream.synchronize()
                for shape, got, momentum, tensor in zip(SHAPES, *state, expected(rules, first_call), strict=True):
                    value = tensor.value.astype(DTYPES[shape.parameter])
                    assert ref.same_bits(got.get(), value), f"{rules}: {shape}: the parameters"
                    mine = tensor.momenta[comm.rank].astype(DTYPES[shape.momentum])
                    assert ref.same_bits(momentum.get(), mine), f"{rules}: {shape}: the momenta"
            remove_ranks(rank.number)

    as_threads(NRANKS, body)


def test_steps_are_those_of_numpy_wherever_their_arrays_are(fake: FakeProcess) -> None:
    fake.run(exact, queues=2)


def returns_at_once() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        rank = Rank(comm, 0)
        state, given = State.first(), device_arrays(gradients(0, 0), "gradient")
        assert rank.step(state, given) == (0, "")  # the first one may wait for the device
        rank.stream.synchronize()
        before = state.parameters[1].get()
        held = HeldUp(rank.stream)
        assert rank.step(state, given) == (0, "")
        assert ref.same_bits(state.parameters[1].get(), before)
        held.let_go()
        rank.stream.synchronize()
        assert not np.array_equal(state.parameters[1].get(), before)
        remove_ranks(rank.number)


def test_a_step_returns_before_its_stream_has_come_to_it(fake: FakeProcess) -> None:
    fake.run(returns_at_once)


def no_more_memory() -> None:
    """From now on the device has none to give."""
    driver().fakeCudaFailCallsOf(_SYMBOL, OUT_OF_MEMORY)


_SYMBOL = ctypes.c_char_p(b"cuMemAlloc_v2")


def known_places() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        rank = Rank(comm, 0)
        states = [State.first() for _ in range(MOST_OBJECTS + 1)]
        given = device_arrays(gradients(0, 0), "gradient")
        for state in states:
            assert rank.step(state, given) == (0, "")
        no_more_memory()
        for state in states[1:]:
            assert rank.step(state, given) == (0, "")  # these objects are still there
        rank.stream.synchronize()
        code, text = rank.step(states[0], given)
        assert code == INTERNAL and "cuMemAlloc" in text  # the one that was used longest ago is not
        remove_ranks(rank.number)


def test_a_step_of_known_places_makes_no_memory_and_sixteen_are_known(fake: FakeProcess) -> None:
    fake.run(known_places)


def errors() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        rank = Rank(comm, 0)
        state, given = State.first(), device_arrays(gradients(0, 0), "gradient")
        arrays = [*state.parameters, *state.momenta]
        numbers = attributes(rank.number, RULES[0])
        other = state.elsewhere()
        code, text = rank.call([*arrays, *given], [*other.parameters, *other.momenta], numbers)
        assert code == INVALID_ARGUMENT and "a result is not in the memory of its argument" in text
        code, text = rank.call([*arrays, *given[1:]], arrays, numbers)
        assert code == INVALID_ARGUMENT and "8 results and 13 arguments, expected 2 n and 3 n + 2" in text
        code, text = rank.call([*arrays, *given], arrays, {**numbers, "groups": [0]})
        assert code == INVALID_ARGUMENT and "the attribute groups has 1 numbers, expected one for each of 4" in text
        code, text = rank.call([*arrays, *given], arrays, {**numbers, "groups": [0, 2, 0, 0]})
        assert code == INVALID_ARGUMENT and "groups[1] is 2, expected 0 to 1" in text
        before = comm.call_number
        empty = [state.parameters[2], state.momenta[2]]
        assert rank.call([*empty, given[2]], empty, {**numbers, "groups": [0]}) == (0, "")
        assert comm.call_number == before  # nothing to do
        assert rank.step(state, given) == (0, "")
        rank.stream.synchronize()
        remove_ranks(rank.number)
        code, text = rank.step(state, given)
        assert code == FAILED_PRECONDITION and "the communicator of this program is closed" in text


def test_errors_say_what_is_wrong(fake: FakeProcess) -> None:
    fake.run(errors)


def disagreement() -> None:
    """One rank votes and the other averages."""

    def body(comm: signccl.Communicator) -> None:
        with current():
            rank = Rank(comm, -1)
            state, given = State.first(), device_arrays(gradients(0, 0), "gradient")
            before = state.parameters[1].get()
            rules = RULES[comm.rank]
            outcome = rank.step(state, given, rules)
            rank.stream.synchronize()  # which drains
            end = time.monotonic() + 20
            while comm.error is None and time.monotonic() < end:
                time.sleep(0.001)
            if outcome.code == 0:
                outcome = rank.step(state, given, rules)
            assert outcome.code == FAILED_PRECONDITION, outcome
            for text in ("a Lion step with AllReduceVote on rank 0", "a Lion step with AllReduceAvg on rank 1"):
                assert text in outcome.text
            assert ref.same_bits(state.parameters[1].get(), before)
            remove_ranks(rank.number)

    as_threads(2, body)


def test_ranks_that_disagree_get_an_error_and_keep_their_parameters(fake: FakeProcess) -> None:
    fake.run(disagreement)


def test_what_is_compiled_for_cuda_is_what_the_handler_takes() -> None:
    """With the attributes of this file, and every result in the memory of its argument."""
    parameters = {"w": jnp.ones((3, 4)), "b": jnp.ones(5, jnp.bfloat16)}
    with signccl.Communicator.all_in_process(1)[0] as comm:

        def train(parameters: Any, state: Any, grads: Any) -> Any:
            return signccl.jax.lion_step(parameters, grads, state, 1e-3, comm=comm)

        traced = jax.jit(train).trace(parameters, signccl.jax.lion_init(parameters), parameters)
        (line,) = [
            line
            for line in traced.lower(lowering_platforms=("cuda",)).as_text().splitlines()
            if "custom_call @signccl_lion_step" in line
        ]
    for result in range(4):
        assert f"output_tuple_indices = [{result}], operand_index = {2 + result}," in line
    compiled = re.search(r"mhlo.backend_config = {(.*?)}", line)
    assert compiled is not None
    assert re.findall(r"(\w+) =", compiled[1]) == sorted(attributes(0, RULES[0]))
