# SPDX-License-Identifier: Apache-2.0
"""DistributedLion with momentum_sync_every: all ranks get the mean of their momenta from time to time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import signccl
from signccl.torch import DistributedLion, momenta
from support import as_threads, outcomes_of_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, run_processes, tiny_model, train

pytestmark = pytest.mark.timeout(60)


def momenta_of(optimizer: DistributedLion) -> list[torch.Tensor]:
    return [optimizer.state[p]["momentum"] for group in optimizer.param_groups for p in group["params"]]


def momenta_after_steps(comm: signccl.Communicator | None, steps: int, **settings: Any) -> list[list[torch.Tensor]]:
    """This rank's momenta after each step, of gradients that do not depend on the parameters."""
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.0, comm=comm, **settings)
    history = []
    for step in range(steps):
        optimizer.zero_grad()
        backward(model, optimizer.comm.rank, step)
        optimizer.step()
        history.append([momentum.clone() for momentum in momenta_of(optimizer)])
    return history


def mean_of(momenta: list[torch.Tensor]) -> bytes:
    """In the order of the ranks, in float32, every operation rounded by itself."""
    rows = [momentum.to(torch.float32).numpy() for momentum in momenta]
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    mean = total / np.float32(len(rows))
    assert mean.dtype == np.float32
    return all_bits([torch.from_numpy(mean).to(momenta[0].dtype)])[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_rank_gets_the_mean_to_the_bit_and_only_after_every_second_step(dtype: torch.dtype) -> None:
    def history_of(every: int | None) -> list[list[list[torch.Tensor]]]:
        settings = {"momentum_dtype": dtype, "momentum_sync_every": every}
        return as_threads(3, lambda comm: momenta_after_steps(comm, 3, **settings))

    never, synced = history_of(None), history_of(2)
    for rank in range(3):
        assert all_bits(synced[rank][0]) == all_bits(never[rank][0])
        assert all_bits(synced[rank][1]) == [mean_of([never[r][1][t] for r in range(3)]) for t in range(4)]
    after = [all_bits(history[2]) for history in synced]
    assert after[0] != after[1] != after[2]


def _trained_in_group(rank: int, every: int) -> list[bytes]:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, momentum_sync_every=every)
    for step in range(7):
        optimizer.zero_grad()
        backward(model, rank, step)
        optimizer.step()
    return all_bits(model.parameters()) + all_bits(momenta_of(optimizer))


def _trained_with(comm: signccl.Communicator, every: int) -> list[bytes]:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm, momentum_sync_every=every)
    for step in range(7):
        optimizer.zero_grad()
        backward(model, comm.rank, step)
        optimizer.step()
    return all_bits(model.parameters()) + all_bits(momenta_of(optimizer))


def test_a_process_group_and_a_communicator_give_the_same_bits() -> None:
    assert run_processes(3, _trained_in_group, 3) == as_threads(3, lambda comm: _trained_with(comm, 3))


def test_buckets_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = as_threads(3, lambda comm: _trained_with(comm, 2))
    monkeypatch.setattr(momenta, "_BUCKET_BYTES", 96)
    assert as_threads(3, lambda comm: _trained_with(comm, 2)) == whole


def test_parameters_stay_equal_on_all_ranks_and_differ_from_those_without() -> None:
    synced = expect_equal_replicas(as_threads(4, lambda comm: train(comm, 20, momentum_sync_every=5)))
    never = expect_equal_replicas(as_threads(4, lambda comm: train(comm, 20)))
    assert synced != never


def test_one_rank_trains_as_without() -> None:
    assert train(alone(), momentum_sync_every=1) == train(alone())


def test_overlap_gives_the_same_bits() -> None:
    def with_overlap(comm: signccl.Communicator) -> list[bytes]:
        return train(comm, 7, momentum_sync_every=3, overlap=True, bucket_mb=1e-4)

    assert as_threads(2, with_overlap) == as_threads(2, lambda comm: train(comm, 7, momentum_sync_every=3))


def test_a_resumed_job_averages_after_the_same_steps() -> None:
    def steps(model: torch.nn.Module, optimizer: DistributedLion, first: int, last: int) -> None:
        for step in range(first, last):
            optimizer.zero_grad()
            backward(model, optimizer.comm.rank, step)
            optimizer.step()

    def body(comm: signccl.Communicator, stop_after: int) -> list[bytes]:
        model = tiny_model()
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm, momentum_sync_every=3)
        steps(model, optimizer, 0, stop_after)
        resumed_model = tiny_model(seed=7)
        resumed = DistributedLion(resumed_model.parameters(), lr=0.5, comm=comm, momentum_sync_every=3)
        resumed_model.load_state_dict(model.state_dict())
        resumed.load_state_dict(optimizer.state_dict())
        steps(resumed_model, resumed, stop_after, 8)
        return all_bits(resumed_model.parameters()) + all_bits(momenta_of(resumed))

    results = [as_threads(2, lambda comm, n=n: body(comm, n)) for n in (0, 4, 5)]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_a_wrong_number_of_steps_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match=f"momentum_sync_every is {value!r}, expected None or an int of at least 1"):
        DistributedLion(tiny_model().parameters(), comm=alone(), momentum_sync_every=value)


def test_ranks_with_different_numbers_of_steps_are_told_both() -> None:
    def body(comm: signccl.Communicator) -> None:
        every = 5 if comm.rank == 1 else None
        DistributedLion(tiny_model().parameters(), comm=comm, momentum_sync_every=every)

    for outcome in outcomes_of_threads(2, body):
        assert isinstance(outcome, ValueError)
        assert "momentum_sync_every=None on rank 0, and momentum_sync_every=5 on rank 1" in str(outcome)
