# SPDX-License-Identifier: Apache-2.0
"""Steps of DistributedLion against lion_reference.py, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lion_reference as reference
import signccl
from signccl.torch import DistributedLion
from support import as_threads
from torch_jobs import all_bits, alone

pytestmark = pytest.mark.timeout(60)

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_STEPS = 100


def in_memory_order(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The elements of a dense tensor as they lie in memory."""
    flat = torch.as_strided(tensor.detach(), (tensor.numel(),), (1,))
    return flat.to(torch.float32).numpy().copy()


def like(parameter: torch.Tensor, elements: np.ndarray[Any, Any]) -> torch.Tensor:
    """A tensor with these elements in memory, of the shape and strides of a parameter."""
    made = torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype)
    torch.as_strided(made, (made.numel(),), (1,)).copy_(torch.from_numpy(elements))
    return made


def make_parameters(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    """On every rank: contiguous, channels_last, transposed, a scalar, an empty one, and one with odd strides."""
    generator = torch.Generator().manual_seed(7)
    made = [
        torch.randn(5, 13, generator=generator),
        torch.randn(3, 2, 3, 3, generator=generator).contiguous(memory_format=torch.channels_last),
        torch.randn(11, 4, generator=generator).t(),
        torch.randn((), generator=generator),
        torch.empty(0, 3),
        torch.randn(130, generator=generator),
        torch.empty_strided((1, 3), (7, 1)).copy_(torch.randn(1, 3, generator=generator)),
    ]
    return [torch.nn.Parameter(tensor.to(dtype)) for tensor in made]


def make_gradients(step: int, rank: int, counts: list[int]) -> list[Any]:
    """In the order of memory: few different numbers, so that ranks tie; some elements are 0, some tensors missing."""
    random = np.random.default_rng([step, rank])
    gradients: list[Any] = []
    for number, count in enumerate(counts):
        values = random.integers(-2, 3, count).astype(np.float32) * np.float32(0.37)
        values[::5] = 0
        gradients.append(None if (step + rank + number) % 6 == 0 else values)
    return gradients


def make_reference(
    parameters: list[torch.nn.Parameter], hyperparameters: list[reference.Hyperparameters], nranks: int, momenta: str
) -> list[reference.Tensor]:
    tensors = []
    for parameter, hyper in zip(parameters, hyperparameters, strict=True):
        value = in_memory_order(parameter)
        dtype = str(parameter.dtype).removeprefix("torch.")
        zeros = [np.zeros_like(value) for _ in range(nranks)]
        tensors.append(reference.Tensor(value, dtype, momenta, hyper, zeros))
    return tensors


def check_case(
    nranks: int,
    dtype: str = "float32",
    momentum_dtype: str = "float32",
    place: Callable[[torch.nn.Parameter, Any], torch.Tensor] = like,
    **rules: Any,
) -> None:
    """100 steps on threads as ranks, and the same in NumPy: parameters after every step, momenta after the last."""
    groups = [
        {"lr": 0.01, "beta1": 0.9, "beta2": 0.99},
        {"lr": 0.003, "beta1": 0.5, "beta2": 0.75, "weight_decay": 0.3},
    ]
    split = 3  # tensors of the first group

    def body(comm: signccl.Communicator) -> Any:
        parameters = make_parameters(_DTYPES[dtype])
        counts = [parameter.numel() for parameter in parameters]
        optimizer = DistributedLion(
            [
                {
                    "params": part,
                    "lr": g["lr"],
                    "betas": (g["beta1"], g["beta2"]),
                    "weight_decay": g.get("weight_decay", 0),
                }
                for part, g in zip((parameters[:split], parameters[split:]), groups, strict=True)
            ],
            comm=comm,
            momentum_dtype=_DTYPES[momentum_dtype],
            **rules,
        )
        seen = []
        for step in range(_STEPS):
            for parameter, values in zip(parameters, make_gradients(step, comm.rank, counts), strict=True):
                parameter.grad = None if values is None else place(parameter, values)
            optimizer.step()
            seen.append([in_memory_order(parameter) for parameter in parameters])
        return seen, [in_memory_order(optimizer.state[parameter]["momentum"]) for parameter in parameters]

    results = as_threads(nranks, body)
    parameters = make_parameters(_DTYPES[dtype])
    hypers = [reference.Hyperparameters(**groups[number >= split]) for number in range(len(parameters))]
    tensors = make_reference(parameters, hypers, nranks, momentum_dtype)
    expect_reference(results, tensors, dtype, reference.Rules(**rules))


def expect_reference(results: list[Any], tensors: list[reference.Tensor], dtype: str, rules: reference.Rules) -> None:
    """Makes the steps of all ranks in NumPy and compares them with what the ranks have seen."""
    nranks = len(results)
    counts = [tensor.value.size for tensor in tensors]
    for step in range(_STEPS):
        gradients = [make_gradients(step, rank, counts) for rank in range(nranks)]
        for given in gradients:
            for number, values in enumerate(given):
                if values is not None:
                    given[number] = reference.to_nearest(values, dtype)
        reference.step(tensors, gradients, rules, step)
        for rank, (seen, _) in enumerate(results):
            for number, tensor in enumerate(tensors):
                same = seen[step][number].view(np.uint32) == tensor.value.view(np.uint32)
                assert same.all(), f"step {step}, rank {rank}, tensor {number}: elements {np.flatnonzero(~same)[:5]}"
    for rank, (_, momenta) in enumerate(results):
        for number, tensor in enumerate(tensors):
            assert momenta[number].tobytes() == tensor.momenta[rank].tobytes(), f"momentum {number} of rank {rank}"


@pytest.mark.parametrize("nranks", [1, 2, 3, 4])
@pytest.mark.parametrize("tie", ["zero", "positive", "negative", "random"])
@pytest.mark.parametrize("zero", ["binary", "ternary"])
def test_votes_are_those_of_the_reference(nranks: int, tie: str, zero: str) -> None:
    check_case(nranks, aggregation="vote", zero=zero, tie=tie)


@pytest.mark.parametrize("nranks", [1, 2, 3, 4])
@pytest.mark.parametrize("zero", ["binary", "ternary"])
def test_means_are_those_of_the_reference(nranks: int, zero: str) -> None:
    check_case(nranks, aggregation="avg", zero=zero)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("momentum_dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("aggregation", ["vote", "avg"])
def test_all_dtypes_are_rounded_as_the_reference_does(dtype: str, momentum_dtype: str, aggregation: str) -> None:
    check_case(3, dtype, momentum_dtype, aggregation=aggregation, zero="ternary", tie="random")


@pytest.mark.parametrize("seed", [0, 12345678901234567890])
def test_stochastic_rounding_is_that_of_the_reference(seed: int) -> None:
    check_case(2, "bfloat16", rounding="stochastic", seed=seed)


def test_stochastic_rounding_leaves_other_dtypes_rounded_to_nearest() -> None:
    check_case(2, "float16", rounding="stochastic", seed=1)


def test_gradients_with_other_strides_are_taken_by_their_elements() -> None:
    def place(parameter: torch.nn.Parameter, values: Any) -> torch.Tensor:
        # The last dimension has every third element of a larger tensor.
        wide = torch.full((*parameter.shape, 3), torch.nan, dtype=parameter.dtype)
        wide[..., 1] = like(parameter, values)
        return wide[..., 1]

    check_case(2, place=place)


def test_gradients_with_the_negative_bit_have_their_sign_turned() -> None:
    def place(parameter: torch.nn.Parameter, values: Any) -> torch.Tensor:
        return torch._neg_view(like(parameter, -values))

    check_case(2, place=place)


def test_an_expanded_gradient_is_one_number_for_every_element() -> None:
    def run(gradient: Callable[[], torch.Tensor]) -> bytes:
        comm = alone()
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        optimizer = DistributedLion([parameter], lr=0.1, comm=comm)
        for _ in range(3):
            parameter.grad = gradient()
            optimizer.step()
        return all_bits([parameter, optimizer.state[parameter]["momentum"]])

    expanded = run(lambda: torch.tensor([[-0.5], [2.0], [0.25]]).expand(3, 4))
    assert expanded == run(lambda: torch.tensor([[-0.5], [2.0], [0.25]]).repeat(1, 4))


class PlainLion(torch.optim.Optimizer):
    """Lion of one rank in plain PyTorch, every operation by itself."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = m.mul(b1).add(p.grad.mul(1 - b1)).sign()
                m.mul_(b2).add_(p.grad.mul(1 - b2))
                p.sub_(update.add(p.mul(group["weight_decay"])).mul(group["lr"]))


def _train(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[list[bytes]]:
    generator = torch.Generator().manual_seed(3)
    seen = []
    for _ in range(_STEPS):
        optimizer.zero_grad()
        model(torch.randn(8, 6, generator=generator)).square().mean().backward()
        optimizer.step()
        seen.append(all_bits(model.parameters()))
    return seen


def test_one_rank_is_a_plain_lion_of_torch() -> None:
    def model() -> torch.nn.Module:
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(6, 40), torch.nn.ReLU(), torch.nn.Linear(40, 3))

    settings: dict[str, Any] = {"lr": 0.003, "betas": (0.95, 0.98), "weight_decay": 0.1}
    comm = alone()
    plain, distributed = model(), model()
    expected = _train(plain, PlainLion(plain.parameters(), **settings))
    optimizer = DistributedLion(distributed.parameters(), zero="ternary", tie="zero", comm=comm, **settings)
    assert _train(distributed, optimizer) == expected


def test_one_rank_is_the_lion_of_optax() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    optax = pytest.importorskip("optax", reason="optax is not installed")
    start = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    theirs = jax.numpy.asarray(start)
    ours = torch.nn.Parameter(torch.from_numpy(start.copy()))
    rule = optax.lion(0.003, b1=0.9, b2=0.99, weight_decay=0.1)
    state = rule.init(theirs)
    comm = alone()
    optimizer = DistributedLion([ours], lr=0.003, weight_decay=0.1, zero="ternary", tie="zero", comm=comm)
    for step in range(_STEPS):
        gradient = np.random.default_rng(step + 1).standard_normal(500).astype(np.float32)
        gradient[::7] = 0
        updates, state = rule.update(jax.numpy.asarray(gradient), state, theirs)
        theirs = optax.apply_updates(theirs, updates)
        ours.grad = torch.from_numpy(gradient)
        optimizer.step()
        assert ours.detach().numpy().tobytes() == np.asarray(theirs).tobytes(), f"step {step}"


@pytest.mark.parametrize("overlap", [False, True])
def test_a_step_of_the_reference_with_another_learning_rate_is_told_apart(overlap: bool) -> None:
    """The comparison above can fail."""
    comm = alone()
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = DistributedLion([parameter], lr=0.25, comm=comm, overlap=overlap)
    parameter.sum().backward()
    optimizer.step()
    tensor = reference.Tensor(
        np.ones(3, np.float32), "float32", "float32", reference.Hyperparameters(0.125), [np.zeros(3, np.float32)]
    )
    reference.step([tensor], [[np.ones(3, np.float32)]], reference.Rules(), 0)
    assert parameter.tolist() == [0.75] * 3
    assert tensor.value.tolist() == [0.875] * 3
