# SPDX-License-Identifier: Apache-2.0
"""DistributedLion under torch's GradScaler and ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import signccl
from signccl.torch import DistributedLion, GradScaler
from support import as_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, tiny_model, train

pytestmark = pytest.mark.timeout(60)


def scaled_step(
    scaler: torch.amp.GradScaler, optimizer: DistributedLion, model: torch.nn.Module, comm: Any, step: int, *, bad: bool
) -> None:
    generator = torch.Generator().manual_seed(100 * step + comm.rank)
    loss = model(torch.randn(5, 6, generator=generator)).square().mean()
    scaler.scale(loss).backward()
    if bad:
        model[2].bias.grad[1] = float("inf")
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.parametrize("kind", [torch.amp.GradScaler, GradScaler])
def test_an_overflow_on_one_rank_moves_no_parameter_of_any(kind: type[torch.amp.GradScaler]) -> None:
    def body(comm: signccl.Communicator) -> Any:
        model, seen = tiny_model(), []
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm)
        scaler = kind("cpu", init_scale=8.0, growth_interval=100)
        for step in range(4):
            optimizer.zero_grad()
            before = all_bits(model.parameters())
            momentum = optimizer.state[model[0].weight]["momentum"].clone()
            scaled_step(scaler, optimizer, model, comm, step, bad=step == 2 and comm.rank == 1)
            assert optimizer.step_was_skipped == (step == 2)
            assert (all_bits(model.parameters()) == before) == (step == 2)
            kept = torch.equal(optimizer.state[model[0].weight]["momentum"], momentum)
            assert kept == (step == 2 and comm.rank == 1)
            seen.append(scaler.get_scale())
        return all_bits(model.parameters()), seen

    results = as_threads(3, body)
    expect_equal_replicas([bits for bits, _ in results])
    scales = [seen for _, seen in results]
    assert scales[1] == [8.0, 8.0, 4.0, 4.0]
    if kind is GradScaler:
        assert scales[0] == scales[2] == scales[1]
    else:
        assert scales[0] == scales[2] == [8.0] * 4


@pytest.mark.parametrize("unscale", [False, True])
def test_scaled_gradients_give_the_momenta_of_plain_ones(unscale: bool) -> None:
    def momenta(scaler: torch.amp.GradScaler) -> list[bytes]:
        model = tiny_model()
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=alone())
        for step in range(3):
            optimizer.zero_grad()
            x = torch.randn(5, 6, generator=torch.Generator().manual_seed(step))
            scaler.scale(model(x).square().mean()).backward()
            if unscale:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e6)
            scaler.step(optimizer)
            assert not hasattr(optimizer, "found_inf")
            scaler.update()
        return all_bits(optimizer.state[parameter]["momentum"] for parameter in model.parameters())

    assert momenta(GradScaler("cpu", init_scale=1024.0)) == momenta(GradScaler("cpu", enabled=False))


def test_our_scaler_serves_a_rank_without_gradients() -> None:
    def body(comm: signccl.Communicator) -> Any:
        model, scaler = tiny_model(), GradScaler("cpu", init_scale=8.0)
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm)
        for step in range(3):
            optimizer.zero_grad()
            if comm.rank == 0:
                scaled_step(scaler, optimizer, model, comm, step, bad=step == 1)
            else:
                scaler.scale(torch.zeros(()))
                scaler.step(optimizer)
                scaler.update()
        return all_bits(model.parameters()), scaler.get_scale()

    first, second = as_threads(2, body)
    assert first == second
    assert first[1] == 4.0


def test_a_scaler_that_is_switched_off_changes_nothing() -> None:
    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        scaler = GradScaler("cpu", enabled=False)
        backward(model, 0, step)
        scaler.step(optimizer)
        scaler.update()

    assert train(alone(), around=around) == train(alone())
