# SPDX-License-Identifier: Apache-2.0
"""Checks of one rank's results of signccl.jax against NumPy; used for devices of one process and for processes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import lion_reference as lion
import reference as ref
import signccl.jax

SHAPES = {"a": (0,), "b": (), "c": (65,), "d": (3, 5, 7), "e": (1000,)}


@dataclass(frozen=True)
class Reduction:
    """A collective of a tree with arrays of one type in all shapes."""

    operation: str
    send: str
    receive: str | None
    zero: str
    tie: str = "random"

    def run(self, tree: Any, **who: Any) -> Any:  # who: comm, axis_name, after
        dtype = None if self.receive is None else jnp.dtype(self.receive)
        if self.operation == "vote":
            return signccl.jax.all_reduce_vote(tree, zero=self.zero, tie=self.tie, dtype=dtype, **who)
        return signccl.jax.all_reduce_avg(tree, zero=self.zero, dtype=dtype, **who)

    def inputs(self, rank: int) -> dict[str, Any]:
        return {name: ref.values(rank, shape, np.dtype(jnp.dtype(self.send))) for name, shape in SHAPES.items()}

    def expected(self, nranks: int, call: int) -> dict[str, Any]:
        """Every array of the tree is a call of its own; the first has the number `call`."""
        all_inputs = [self.inputs(rank) for rank in range(nranks)]
        results = {}
        for number, name in enumerate(SHAPES):
            signs = [ref.signs(inputs[name], self.zero) for inputs in all_inputs]
            sent = np.dtype(jnp.dtype(self.send))
            if self.operation == "vote":
                received = np.dtype(jnp.dtype(self.receive)) if self.receive else sent
                results[name] = np.asarray(ref.vote(signs, self.tie, call + number)).astype(received)
            else:
                default = "float32" if self.send == "int8" else self.send
                results[name] = np.asarray(ref.mean(signs, np.dtype(jnp.dtype(self.receive or default))))
        return results


def reductions(floats: tuple[str, ...]) -> list[Reduction]:
    """Every type with every rule, and every pair of types."""
    sends = (*floats, "int8")
    votes = [Reduction("vote", *case) for case in itertools.product(sends, (None,), ref.ZEROS, ref.TIES)]
    votes += [Reduction("vote", send, receive, "ternary", "zero") for send, receive in itertools.permutations(sends, 2)]
    sums = ("int8", "int16", "int32")
    means = [Reduction("avg", *case) for case in itertools.product(sends, (None, *floats, *sums), ref.ZEROS)]
    return votes + means


def run_in_turn(cases: list[Reduction], inputs: dict[str, Any], **who: Any) -> list[Any]:
    """The results of all cases, one after the other. `inputs`: a tree for each type."""
    results: list[Any] = []
    for case in cases:
        results.append(case.run(inputs[case.send], after=results[-1:], **who))
    return results


def inputs_of(cases: list[Reduction], rank: int) -> dict[str, Any]:
    """What run_in_turn() takes."""
    return {case.send: case.inputs(rank) for case in cases}


def first_wrong(cases: list[Reduction], results: list[Any], nranks: int, call: int) -> str:
    """Says what is wrong first in the results of run_in_turn(), or nothing."""
    for number, (case, got) in enumerate(zip(cases, results, strict=True)):
        wrong = differences(got, case.expected(nranks, call + number * len(SHAPES)))
        if wrong:
            return f"{case}: {wrong}"
    return ""


def differences(got: Any, expected: dict[str, Any]) -> str:
    """Which arrays are not equal to the bit."""
    wrong = [name for name in expected if not ref.same_bits(np.asarray(got[name]), expected[name])]
    return f"arrays {wrong} differ" if wrong else ""


# -------------------------------------------------------------------------------------------------------- Lion steps

LION_SHAPES = {"bias": (7,), "empty": (0,), "matrix": (9, 15), "scalar": ()}


@dataclass(frozen=True)
class Training:
    """Some Lion steps of a tree."""

    dtype: str = "float32"
    mu_dtype: str = "float32"
    grad_dtype: str = "float32"
    aggregation: str = "vote"
    zero: str = "binary"
    tie: str = "random"
    rounding: str = "nearest"
    seed: int = 0
    steps: int = 5
    rates: tuple[float, float] = (0.01, 0.1)  #: learning rate and weight decay; "bias" does not decay

    def parameters(self) -> dict[str, Any]:
        random = np.random.default_rng(7)
        return {
            name: jnp.asarray(random.standard_normal(shape).astype(np.float32)).astype(self.dtype)
            for name, shape in LION_SHAPES.items()
        }

    def gradients(self, step: int, rank: int) -> dict[str, Any]:
        """Few different numbers, so that ranks tie; some are 0."""
        random = np.random.default_rng([step, rank])
        tree = {}
        for name, shape in LION_SHAPES.items():
            values = np.asarray(random.integers(-2, 3, shape) * 0.375, np.float32)
            tree[name] = jnp.asarray(values).astype(self.grad_dtype)
        return tree

    def step(self, params: Any, grads: Any, state: Any, **who: Any) -> Any:
        return signccl.jax.lion_step(
            params,
            grads,
            state,
            self.rates[0],
            weight_decay=self.rates[1],
            mask={name: name != "bias" for name in LION_SHAPES},
            aggregation=self.aggregation,
            zero=self.zero,
            tie=self.tie,
            rounding=self.rounding,
            seed=self.seed,
            **who,
        )

    def reference(self, nranks: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Parameters, and the momenta of every rank, after each step, all as float32."""
        tensors = []
        for name, value in self.parameters().items():
            flat = np.asarray(value).astype(np.float32).ravel()
            decay = 0.0 if name == "bias" else self.rates[1]
            rates = lion.Hyperparameters(self.rates[0], weight_decay=float(np.float32(decay)))
            momenta = [np.zeros_like(flat) for _ in range(nranks)]
            tensors.append(lion.Tensor(flat, self.dtype, self.mu_dtype, rates, momenta))
        rules = lion.Rules(self.aggregation, self.zero, self.tie, self.rounding, self.seed)
        history = []
        for step in range(self.steps):
            gradients = [
                [np.asarray(g).astype(np.float32).ravel() for g in self.gradients(step, rank).values()]
                for rank in range(nranks)
            ]
            lion.step(tensors, gradients, rules, (self.seed << 48) + step)
            values = {name: tensor.value.copy() for name, tensor in zip(LION_SHAPES, tensors, strict=True)}
            momenta_of = [
                {name: tensor.momenta[rank].copy() for name, tensor in zip(LION_SHAPES, tensors, strict=True)}
                for rank in range(nranks)
            ]
            history.append((values, momenta_of))
        return history


TRAININGS = [
    Training(),
    Training(tie="zero", zero="ternary", seed=3),
    Training(tie="positive", mu_dtype="bfloat16"),
    Training(aggregation="avg", dtype="float16", grad_dtype="float16"),
    Training(dtype="bfloat16", grad_dtype="bfloat16", rounding="stochastic", seed=32767),
    Training(dtype="bfloat16", mu_dtype="float16", aggregation="avg", zero="ternary"),
]


def training_differences(got: Any, expected: dict[str, Any]) -> str:
    """Which arrays, widened to float32, are not equal to the bit."""
    wrong = [
        name for name in expected if np.asarray(got[name]).astype(np.float32).tobytes() != expected[name].tobytes()
    ]
    return f"arrays {wrong} differ" if wrong else ""


def first_wrong_step(training: Training, rank: int, nranks: int, *, donated: bool, **who: Any) -> str:
    """Makes the steps of one rank under jit, and says what is wrong first, or nothing."""
    params = training.parameters()
    state = signccl.jax.lion_init(params, mu_dtype=jnp.dtype(training.mu_dtype))
    step = jax.jit(lambda *trees: training.step(*trees, **who), donate_argnums=(0, 2) if donated else ())
    for number, (values, momenta) in enumerate(training.reference(nranks)):
        before = params
        params, state = step(params, training.gradients(number, rank), state)
        wrong = training_differences(params, values) or training_differences(state.mu, momenta[rank])
        if wrong:
            return f"{training}, step {number}: {wrong}"
        if any(array.is_deleted() != donated for array in before.values() if array.size > 1):
            return f"{training}: donated is {donated}, but the parameters before the step say otherwise"
    return "" if int(state.count) == training.steps else f"count is {state.count}"
