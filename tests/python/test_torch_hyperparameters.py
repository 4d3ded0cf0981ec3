# SPDX-License-Identifier: Apache-2.0
"""Settings, learning rates and their schedules, and how gradients get to DistributedLion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import signccl
from signccl.torch import DistributedLion
from support import as_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, tiny_model, train

pytestmark = pytest.mark.timeout(60)


# ------------------------------------------------------------------------------------- hyperparameters and schedules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "lr is -0.1, expected a number of at least 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"weight_decay": float("inf")}, "weight_decay is inf"),
        ({"betas": (0.9, 1.5)}, r"betas is \(0.9, 1.5\), expected two numbers of 0 to 1"),
        ({"betas": (0.9,)}, r"betas is \(0.9,\), expected two numbers"),
        ({"betas": 0.9}, "betas is 0.9, expected two numbers of 0 to 1"),
        ({"betas": (0.9, None)}, r"betas is \(0.9, None\), expected two numbers of 0 to 1"),
        ({"lr": "fast"}, "lr is 'fast', expected a number of at least 0"),
        ({"weight_decay": None}, "weight_decay is None, expected a number of at least 0"),
        ({"aggregation": "mean"}, "aggregation is 'mean', expected one of 'vote', 'avg'"),
        ({"zero": "none"}, "zero is 'none'"),
        ({"tie": []}, r"tie is \[\]"),
        ({"rounding": "down"}, "rounding is 'down'"),
        ({"bucket_mb": 0}, "bucket_mb is 0, expected more than 0"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistributedLion(tiny_model().parameters(), comm=alone(), **settings)


def test_a_learning_rate_that_becomes_wrong_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = DistributedLion([parameter], lr=0.5, comm=alone())
    parameter.grad = torch.ones(3)
    optimizer.param_groups[0]["lr"] = float("nan")
    with pytest.raises(ValueError, match="lr of group 0 is nan, expected a number of at least 0"):
        optimizer.step()
    assert parameter.tolist() == [1.0] * 3
    assert optimizer.state[parameter]["momentum"].tolist() == [0.0] * 3
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    assert parameter.tolist() == [0.5] * 3


def test_the_learning_rate_may_be_a_tensor() -> None:
    results = [train(alone(), lr=lr) for lr in (0.01, torch.tensor(0.01), torch.tensor(0.01, dtype=torch.float64))]
    assert results[0] == results[1] == results[2]


def test_a_learning_rate_of_zero_leaves_parameters_but_not_momenta() -> None:
    model = tiny_model()
    before = all_bits(model.parameters())
    optimizer = DistributedLion(model.parameters(), lr=0.0, comm=alone())
    backward(model, 0, 0)
    optimizer.step()
    assert all_bits(model.parameters()) == before
    assert optimizer.state[model[0].weight]["momentum"].any()


_SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, 2, 0.5),
    "lambda": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step + 1)),
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 4),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10, cycle_momentum=False),
    "restarts": lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2),
    "sequence": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.LinearLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)], [2]
    ),
}


@pytest.mark.parametrize("schedule", _SCHEDULES)
@pytest.mark.parametrize("is_tensor", [False, True])
def test_a_schedule_sets_the_rate_of_every_step(schedule: str, is_tensor: bool) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    lr = torch.tensor(0.5) if is_tensor else 0.5
    optimizer = DistributedLion([parameter], lr=lr, comm=alone())
    scheduler = _SCHEDULES[schedule](optimizer)
    expected = torch.zeros(1)
    rates = set()
    for _ in range(5):
        rate = float(optimizer.param_groups[0]["lr"])
        rates.add(rate)
        expected = expected - torch.tensor(rate)
        parameter.grad = torch.ones(1)
        optimizer.step()
        assert parameter.item() == expected.item()
        scheduler.step()
    assert len(rates) > 1


def test_a_schedule_by_the_loss_sets_the_rate() -> None:
    optimizer = DistributedLion([torch.nn.Parameter(torch.zeros(1))], lr=0.5, comm=alone())
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for _ in range(3):
        optimizer.step()
        scheduler.step(1.0)
    assert optimizer.param_groups[0]["lr"] < 0.5


# ---------------------------------------------------------------------------------------------------- the gradients


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_clears_gradients_both_ways(set_to_none: bool) -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), comm=alone())
    backward(model, 0, 0)
    optimizer.zero_grad(set_to_none=set_to_none)
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(g is None if set_to_none else not g.any() for g in gradients)


def test_zeros_and_missing_gradients_give_the_same_bits() -> None:
    def keep(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        optimizer.zero_grad(set_to_none=False)
        if step != 2:
            backward(model, 0, step)
        optimizer.step()

    def drop(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        if step != 2:
            backward(model, 0, step)
        optimizer.step()

    assert train(alone(), around=keep) == train(alone(), around=drop)


def test_accumulated_gradients_are_their_sum() -> None:
    def accumulate(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        backward(model, 0, 2 * step)
        backward(model, 0, 2 * step + 1)
        optimizer.step()

    def add(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        sums = [torch.zeros_like(parameter) for parameter in model.parameters()]
        for part in (2 * step, 2 * step + 1):
            model.zero_grad()
            backward(model, 0, part)
            for total, parameter in zip(sums, model.parameters(), strict=True):
                total += parameter.grad
        for total, parameter in zip(sums, model.parameters(), strict=True):
            parameter.grad = total
        optimizer.step()

    assert train(alone(), around=accumulate) == train(alone(), around=add)


def test_clipped_gradients_are_what_the_momenta_take() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, betas=(0.9, 0.0), comm=alone())
    backward(model, 0, 0, scale=1000.0)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    clipped = all_bits(parameter.grad for parameter in model.parameters())
    optimizer.step()
    assert all_bits(optimizer.state[parameter]["momentum"] for parameter in model.parameters()) == clipped


def test_a_rank_without_any_gradient_takes_part_with_zeros() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
            if comm.rank != 1 or step % 2 == 0:
                backward(model, comm.rank, step)
            optimizer.step()

        return train(comm, 6, around)

    expect_equal_replicas(as_threads(3, body))
