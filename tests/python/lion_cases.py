# SPDX-License-Identifier: Apache-2.0
"""Lion steps on addresses beside those of lion_reference.py: cases, and what each rank must have in its memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import lion_reference as reference
import signccl
from signccl._c_lion import LionAggregation, LionRounding
from signccl._c_types import DataType, TieRule, ZeroRule
from signccl._lion import Lion, LionGroup, LionRules, LionTensor

DTYPES = ("float32", "float16", "bfloat16")
_TYPES = {name: DataType[name.upper()] for name in DTYPES}
_UNTOUCHED = 0xA5  # what lies between tensors
_GAP = 8  # bytes
#: Elements of gradients: few, so that ranks tie, with everything that is special.
_NUMBERS = np.array([0, -0.0, 0.37, -0.37, 1, -1, 3e-41, -3e-41, 1e-30, 65504, -1e38, np.inf, -np.inf, np.nan], "f4")
_ODDS = np.array([6, 2, 12, 12, 12, 12, 2, 2, 2, 1, 1, 0.3, 0.3, 0.3])
_ODDS /= _ODDS.sum()


@dataclass(frozen=True)
class Shape:
    """One tensor; `offset`: bytes by which it is out of line."""

    count: int
    parameter: str = "float32"
    momentum: str = "float32"
    gradient: str = "float32"
    group: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Case:
    """What a job does. All numbers that it needs are drawn from the seed."""

    seed: int
    nranks: int
    nsteps: int
    shapes: tuple[Shape, ...]
    rules: reference.Rules
    groups: tuple[reference.Hyperparameters, ...]
    buckets: tuple[tuple[int, int], ...]  #: [first, last) of tensors, in the order in which they are sent
    background: bool = False
    first_call: int = 0
    skips: frozenset[tuple[int, int]] = frozenset()  #: steps and ranks


@dataclass
class Memory:
    """Tensors of one kind of a rank, in one array of bytes with gaps between them."""

    dtypes: list[str]
    counts: list[int]
    offsets: list[int]
    places: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        end = 0
        for dtype, count, offset in zip(self.dtypes, self.counts, self.offsets, strict=True):
            begin = end + _GAP + offset
            self.places.append(begin)
            end = -(-(begin + count * _bytes(dtype)) // 8) * 8
        self._size = end + _GAP

    def holding(self, values: Sequence[Any]) -> npt.NDArray[np.uint8]:
        """An array of bytes that holds float32 numbers, which are exact in the dtypes; None: left as it is."""
        made = np.full(self._size, _UNTOUCHED, np.uint8)
        for place, dtype, given in zip(self.places, self.dtypes, values, strict=True):
            if given is not None:
                packed = _encoded(given, dtype)
                made[place : place + packed.size] = packed
        return made

    def first_difference(self, one: bytes, other: bytes) -> str:
        """Where two such arrays differ."""
        differ = np.flatnonzero(np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8))
        for number, (place, dtype, count) in enumerate(zip(self.places, self.dtypes, self.counts, strict=True)):
            if place <= differ[0] < place + count * _bytes(dtype):
                return f"element {(differ[0] - place) // _bytes(dtype)} of tensor {number} ({dtype})"
        return f"byte {differ[0]}, between the tensors"


def _bytes(dtype: str) -> int:
    return 4 if dtype == "float32" else 2


def _encoded(values: reference.Floats, dtype: str) -> npt.NDArray[np.uint8]:
    if dtype == "bfloat16":
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return values.astype(dtype).view(np.uint8)


class Job:
    """The memory of a case, and what the reference makes of it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        counts = [shape.count for shape in case.shapes]
        offsets = [shape.offset for shape in case.shapes]
        self.parameters = Memory([shape.parameter for shape in case.shapes], counts, offsets)
        self.momenta = Memory([shape.momentum for shape in case.shapes], counts, offsets[::-1])
        self.gradients = Memory([shape.gradient for shape in case.shapes], counts, offsets)
        random = np.random.default_rng([case.seed, 1])
        self.start = [
            reference.to_nearest(random.standard_normal(shape.count).astype("f4"), shape.parameter)
            for shape in case.shapes
        ]
        self.given = [[self._draw(step, rank) for rank in range(case.nranks)] for step in range(case.nsteps)]
        self.packed = [[self.gradients.holding(given) for given in of_ranks] for of_ranks in self.given]
        self.expected_parameters: list[bytes] = []  #: after each step
        self.expected_momenta: list[list[bytes]] = []  #: after each step, of each rank
        self._make_steps()

    def _draw(self, step: int, rank: int) -> list[reference.Floats | None]:
        """Gradients of a rank in one step. One in six is missing; now and then a rank has none."""
        random = np.random.default_rng([self.case.seed, 2, step, rank])
        has_none = random.random() < 0.05
        drawn: list[reference.Floats | None] = []
        for shape in self.case.shapes:
            values = random.choice(_NUMBERS, shape.count, p=_ODDS)
            is_missing = has_none or random.random() < 1 / 6
            drawn.append(None if is_missing else reference.to_nearest(values, shape.gradient))
        return drawn

    def _make_steps(self) -> None:
        case = self.case
        zeros = [np.zeros(shape.count, "f4") for shape in case.shapes]
        tensors = [
            reference.Tensor(
                value.copy(), shape.parameter, shape.momentum, case.groups[shape.group], [zero] * case.nranks
            )
            for value, shape, zero in zip(self.start, case.shapes, zeros, strict=True)
        ]
        for step in range(case.nsteps):
            skipping = {rank for rank in range(case.nranks) if (step, rank) in case.skips}
            reference.step(tensors, self.given[step], case.rules, case.first_call + step, skipping)
            self.expected_parameters.append(self.parameters.holding([tensor.value for tensor in tensors]).tobytes())
            self.expected_momenta.append(
                [
                    self.momenta.holding([tensor.momenta[rank] for tensor in tensors]).tobytes()
                    for rank in range(case.nranks)
                ]
            )

    def first_wrong(self, comm: signccl.Communicator) -> str:
        """Makes the steps of one rank, and says what is not as in the reference, if anything."""
        case, rank = self.case, comm.rank
        parameters = self.parameters.holding(self.start)
        momenta = self.momenta.holding([np.zeros(shape.count, "f4") for shape in case.shapes])
        lion = self._lion(comm, parameters, momenta)
        groups = [LionGroup(h.lr, h.beta1, h.beta2, h.weight_decay) for h in case.groups]
        comm.call_number = case.first_call
        for step in range(case.nsteps):
            packed = self.packed[step][rank]
            addresses = np.array(
                [
                    0 if given is None else packed.ctypes.data + place
                    for given, place in zip(self.given[step][rank], self.gradients.places, strict=True)
                ],
                np.uintp,
            )
            lion.begin(groups, skip=(step, rank) in case.skips, background=case.background)
            for first, last in case.buckets:
                lion.submit(first, addresses[first:last], packed)
            skipped = lion.finish()
            wrong = self._difference(step, rank, parameters.tobytes(), momenta.tobytes(), skipped)
            if wrong:
                return f"step {step}, rank {rank}, {comm.stats.kernels}: {wrong}"
        lion.close()
        return ""

    def _lion(
        self, comm: signccl.Communicator, parameters: npt.NDArray[np.uint8], momenta: npt.NDArray[np.uint8]
    ) -> Lion:
        rules = self.case.rules
        tensors = [
            LionTensor(
                parameters.ctypes.data + self.parameters.places[number],
                momenta.ctypes.data + self.momenta.places[number],
                shape.count,
                _TYPES[shape.parameter],
                _TYPES[shape.momentum],
                _TYPES[shape.gradient],
                shape.group,
            )
            for number, shape in enumerate(self.case.shapes)
        ]
        chosen = LionRules(
            LionAggregation[rules.aggregation.upper()],
            ZeroRule[rules.zero.upper()],
            TieRule[rules.tie.upper()],
            LionRounding[rules.rounding.upper()],
            rules.seed,
        )
        return Lion(comm, tensors, len(self.case.groups), chosen, (parameters, momenta))

    def _difference(self, step: int, rank: int, parameters: bytes, momenta: bytes, skipped: bool) -> str:
        if skipped != any((step, other) in self.case.skips for other in range(self.case.nranks)):
            return f"skipped is {skipped}"
        if parameters != self.expected_parameters[step]:
            return "the parameter, " + self.parameters.first_difference(parameters, self.expected_parameters[step])
        if momenta != self.expected_momenta[step][rank]:
            return "the momentum, " + self.momenta.first_difference(momenta, self.expected_momenta[step][rank])
        return ""


# ------------------------------------------------------------------------------------------------------------- cases

RULES = [
    *(
        reference.Rules("vote", zero, tie)
        for zero in ("binary", "ternary")
        for tie in ("zero", "positive", "negative", "random")
    ),
    *(reference.Rules("avg", zero) for zero in ("binary", "ternary")),
    reference.Rules("vote", rounding="stochastic", seed=2**64 - 5),
]
_GROUPS = (reference.Hyperparameters(0.01), reference.Hyperparameters(0.003, 0.5, 0.75, 0.3))
_COUNTS = (1, 67, 0, 63, 129, 64, 5, 130, 31)


def systematic(number: int, nranks: int, nsteps: int = 100) -> Case:
    """Case with rules number `number`: nine tensors, with all pairs of types, and in three cases that follow each
    other all mixtures of three."""
    shapes = tuple(
        Shape(
            count, DTYPES[(i + i // 3 + number) % 3], DTYPES[i // 3], DTYPES[i % 3], i % 2, offset=(3 * i + number) % 8
        )
        for i, count in enumerate(_COUNTS)
    )
    return Case(number, nranks, nsteps, shapes, RULES[number], _GROUPS, ((0, len(shapes)),))


def at_random(seed: int) -> Case:
    """A case of which everything is drawn."""
    random = np.random.default_rng([seed, 0])

    def one_of(*choices: Any) -> Any:
        return choices[random.integers(len(choices))]

    nranks, nsteps, ngroups = one_of(1, 2, 3, 4, 5, 8), int(random.integers(1, 6)), int(random.integers(1, 4))
    groups = tuple(
        reference.Hyperparameters(
            one_of(0.0, 1e-4, 0.01, 0.3, 100.0),
            one_of(0.0, 0.9, 0.95, 1.0, random.random()),
            one_of(0.0, 0.98, 0.99, 1.0, random.random()),
            one_of(0.0, 0.01, 1.0, random.random()),
        )
        for _ in range(ngroups)
    )
    shapes = tuple(
        Shape(
            int(one_of(0, 1, 63, 64, 65, random.integers(200), random.integers(2000))),
            one_of(*DTYPES),
            one_of(*DTYPES),
            one_of(*DTYPES),
            int(random.integers(ngroups)),
            int(random.integers(8)),
        )
        for _ in range(random.integers(1, 7))
    )
    rules = reference.Rules(
        one_of("vote", "avg"),
        one_of("binary", "ternary"),
        one_of("zero", "positive", "negative", "random"),
        one_of("nearest", "stochastic"),
        int(random.integers(2**63)),
    )
    cuts = sorted({0, len(shapes), *(int(cut) for cut in random.integers(len(shapes) + 1, size=random.integers(4)))})
    buckets = list(itertools.pairwise(cuts))
    if random.random() < 0.5:
        buckets.reverse()
    skips = frozenset(
        (step, rank) for step in range(nsteps) for rank in range(nranks) if random.random() < 0.1 / nranks
    )
    first_call = int(one_of(0, random.integers(2**62)))
    return Case(seed, nranks, nsteps, shapes, rules, groups, tuple(buckets), one_of(False, True), first_call, skips)


@cache
def supported_kernels() -> tuple[str, ...]:
    """Instruction sets of this machine, as SIGNCCL_KERNELS names them."""
    before = os.environ.pop("SIGNCCL_KERNELS", None)
    found = []
    for name in ("scalar", "avx2", "avx512", "neon"):
        os.environ["SIGNCCL_KERNELS"] = name
        try:
            with signccl.Communicator.all_in_process(1)[0] as comm:
                found.append(comm.stats.kernels)
        except signccl.SignCCLError:
            continue
    del os.environ["SIGNCCL_KERNELS"]
    if before is not None:
        os.environ["SIGNCCL_KERNELS"] = before
    return tuple(found)
