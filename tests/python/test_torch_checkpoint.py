# SPDX-License-Identifier: Apache-2.0
"""What state_dict() of DistributedLion holds, and what load_state_dict() makes of it."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import pytest
import torch

import signccl
from signccl.torch import DistributedLion
from support import as_threads
from torch_jobs import all_bits, alone, expect_equal_replicas, momenta, run_processes, tiny_model, train_on

pytestmark = pytest.mark.timeout(60)


def make(comm: signccl.Communicator | None, **settings: Any) -> tuple[torch.nn.Module, DistributedLion]:
    model = tiny_model()
    return model, DistributedLion(model.parameters(), **{"lr": 0.01, "comm": comm, **settings})


def through_file(state: Any) -> Any:
    """As a checkpoint of torch.save(), read without pickled code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def trained_pair(nranks: int) -> list[tuple[torch.nn.Module, DistributedLion, Any, Any]]:
    """Model, optimizer, own and consolidated state dict of every rank after three steps."""

    def body(comm: signccl.Communicator) -> Any:
        model, optimizer = make(comm)
        train_on(model, optimizer, 0, 3)
        own = through_file(optimizer.state_dict())
        optimizer.consolidate_state_dict()
        return model, optimizer, own, through_file(optimizer.state_dict())

    return as_threads(nranks, body)


def test_momenta_exist_from_the_beginning_and_are_zeros() -> None:
    model, optimizer = make(alone())
    assert set(optimizer.state) == set(model.parameters())
    assert all(momentum.dtype == torch.float32 and not momentum.any() for momentum in momenta(optimizer))


def test_loading_the_own_dict_right_after_construction_changes_nothing() -> None:
    _, optimizer = make(alone())
    before = copy.deepcopy(optimizer.state_dict())
    addresses = [momentum.data_ptr() for momentum in momenta(optimizer)]
    optimizer.load_state_dict(optimizer.state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all_bits(momenta(optimizer)) == all_bits(entry["momentum"] for entry in before["state"].values())
    assert [momentum.data_ptr() for momentum in momenta(optimizer)] == addresses


def test_a_state_dict_needs_no_other_rank() -> None:
    def body(comm: signccl.Communicator) -> int:
        _, optimizer = make(comm)
        if comm.rank != 0:
            return 4
        return len(optimizer.state_dict()["state"])

    assert as_threads(2, body) == [4, 4]


def test_every_rank_takes_up_its_own_dict() -> None:
    pairs = trained_pair(2)
    assert all_bits(momenta(pairs[0][1])) != all_bits(momenta(pairs[1][1]))

    def body(comm: signccl.Communicator) -> list[bytes]:
        _, optimizer = make(comm)
        optimizer.load_state_dict(pairs[comm.rank][2])
        return all_bits(momenta(optimizer))

    assert as_threads(2, body) == [all_bits(momenta(optimizer)) for _, optimizer, _, _ in pairs]


def test_every_rank_takes_its_row_of_a_consolidated_dict() -> None:
    pairs = trained_pair(3)
    consolidated = pairs[0][3]
    assert consolidated["state"][0]["momenta"].shape == (3, 9, 6)
    assert "momenta" not in pairs[1][3]["state"][0]

    def body(comm: signccl.Communicator) -> list[bytes]:
        _, optimizer = make(comm)
        optimizer.load_state_dict(consolidated)
        return all_bits(momenta(optimizer))

    assert as_threads(3, body) == [all_bits(momenta(optimizer)) for _, optimizer, _, _ in pairs]


def test_consolidated_momenta_are_forgotten_at_the_next_step() -> None:
    model, optimizer = make(alone())
    optimizer.consolidate_state_dict()
    assert "momenta" in optimizer.state_dict()["state"][0]
    train_on(model, optimizer, 0, 1)
    assert "momenta" not in optimizer.state_dict()["state"][0]
    with pytest.raises(ValueError, match="to is 1, expected 0 to 0"):
        optimizer.consolidate_state_dict(to=1)


def test_the_dict_of_another_rank_is_taken_with_one_warning() -> None:
    (_, first, own, _), (_, second, _, _) = trained_pair(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        second.load_state_dict(own)
    assert [str(warning.message).split(":")[0] for warning in caught] == [
        "the state dict holds the momenta of rank 0 of 2 only"
    ]
    assert all_bits(momenta(second)) == all_bits(momenta(first))
    assert second.param_groups[0]["signccl_rank"] == 1
    assert [warning.filename for warning in caught] == [__file__] * len(caught)  # where the user loads it
    first.load_state_dict(own)  # no warning, which would be an error


def test_a_dict_of_another_number_of_ranks_is_taken_with_one_warning() -> None:
    pairs = trained_pair(2)
    _, optimizer = make(alone())
    with pytest.warns(UserWarning, match="the momenta of 2 ranks, and now there are 1: every rank"):
        optimizer.load_state_dict(pairs[0][3])
    means = [(a + b) / 2 for a, b in zip(momenta(pairs[0][1]), momenta(pairs[1][1]), strict=True)]
    assert all_bits(momenta(optimizer)) == all_bits(means)
    with pytest.warns(UserWarning, match="the momenta of rank 0 of 2, and now there are 1 ranks: rank 0 begins with"):
        optimizer.load_state_dict(pairs[0][2])
    assert all_bits(momenta(optimizer)) == all_bits(momenta(pairs[0][1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("momentum_dtype", [None, torch.bfloat16])
def test_momenta_keep_their_dtype_and_bits(dtype: torch.dtype, momentum_dtype: torch.dtype | None) -> None:
    def make_one() -> tuple[torch.nn.Parameter, DistributedLion]:
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 40).to(dtype))
        return parameter, DistributedLion([parameter], comm=alone(), momentum_dtype=momentum_dtype)

    parameter, first = make_one()
    for step in range(3):
        parameter.grad = torch.linspace(-1, 1 + step, 40).to(dtype)
        first.step()
    _, second = make_one()
    second.load_state_dict(through_file(first.state_dict()))
    (momentum,) = momenta(second)
    assert momentum.dtype == (momentum_dtype or torch.float32)
    assert all_bits([momentum]) == all_bits(momenta(first))


def test_momenta_keep_the_memory_layout_of_their_parameters() -> None:
    weight = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last).weight
    optimizer = DistributedLion([weight], comm=alone())
    weight.grad = torch.randn_like(weight)
    optimizer.step()
    state = through_file(optimizer.state_dict())
    state["state"][0]["momentum"] = state["state"][0]["momentum"].contiguous()
    before = all_bits(momenta(optimizer))
    optimizer.load_state_dict(state)
    assert momenta(optimizer)[0].stride() == weight.stride()
    assert all_bits(momenta(optimizer)) == before
    optimizer.step()


@pytest.mark.parametrize("policy", ["own", "consolidated"])
@pytest.mark.parametrize("rules", [{}, {"rounding": "stochastic", "seed": 5}])
def test_a_resumed_job_has_the_bits_of_one_that_did_not_stop(policy: str, rules: dict[str, Any]) -> None:
    def body(comm: signccl.Communicator) -> tuple[list[bytes], list[bytes]]:
        model, optimizer = make(comm, **rules)
        model.to(torch.bfloat16) if rules else None
        train_in(model, optimizer, 0, 3)
        if policy == "consolidated":
            optimizer.consolidate_state_dict()
        saved = optimizer.state_dict() if policy == "own" or comm.rank == 0 else None
        if policy == "consolidated":
            saved = torch.load(io.BytesIO(broadcast(comm, saved)), weights_only=True)
        saved = copy.deepcopy(saved)
        weights = copy.deepcopy(model.state_dict())
        train_in(model, optimizer, 3, 6)

        resumed, another = make(comm, **rules)
        resumed.to(torch.bfloat16) if rules else None
        resumed.load_state_dict(weights)
        another.load_state_dict(saved)
        train_in(resumed, another, 3, 6)
        return all_bits(model.parameters()), all_bits(resumed.parameters())

    for straight, resumed in as_threads(4, body):
        assert resumed == straight


def broadcast(comm: signccl.Communicator, state: Any) -> bytes:
    file = io.BytesIO()
    if comm.rank == 0:
        torch.save(state, file)
    return comm.all_gather(file.getvalue())[0]


def train_in(model: torch.nn.Module, optimizer: DistributedLion, first: int, last: int) -> None:
    """Steps with gradients of few values, so that many votes are ties."""
    for step in range(first, last):
        for number, parameter in enumerate(model.parameters()):
            generator = torch.Generator().manual_seed(1000 * step + 10 * optimizer.comm.rank + number)
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        optimizer.step()


def test_the_number_of_a_step_decides_its_ties() -> None:
    """The test above can fail: without its call number a job goes on otherwise."""

    def body(comm: signccl.Communicator) -> list[bytes]:
        model, optimizer = make(comm)
        if number:
            optimizer.param_groups[0]["signccl_call_number"] = number
        train_in(model, optimizer, 0, 3)
        return all_bits(model.parameters())

    number = 0
    plain = expect_equal_replicas(as_threads(4, body))
    number = 7
    assert expect_equal_replicas(as_threads(4, body)) != plain


def test_a_dict_of_the_wrong_shape_is_refused_and_changes_nothing() -> None:
    model, optimizer = make(alone())
    train_on(model, optimizer, 0, 2)
    state = copy.deepcopy(optimizer.state_dict())
    state["state"][2]["momentum"] = torch.ones(3)
    state["param_groups"][0]["lr"] = 0.5
    before = all_bits(momenta(optimizer))
    with pytest.raises(ValueError, match=r"momentum of parameter 2 has shape \(3,\) .* expected \(4, 9\)"):
        optimizer.load_state_dict(state)
    assert all_bits(momenta(optimizer)) == before
    assert optimizer.param_groups[0]["lr"] == 0.01
    train_on(model, optimizer, 2, 3)


def test_a_dict_without_momenta_starts_from_zeros() -> None:
    model, optimizer = make(alone())
    train_on(model, optimizer, 0, 2)
    optimizer.load_state_dict(torch.optim.SGD(model.parameters(), lr=0.5).state_dict() | {"state": {}})
    assert not any(momentum.any() for momentum in momenta(optimizer))
    optimizer.param_groups[0].update(betas=(0.9, 0.99))
    train_on(model, optimizer, 0, 1)


def test_a_frozen_parameter_comes_back_with_its_momentum() -> None:
    model, optimizer = make(alone())
    train_on(model, optimizer, 0, 2)
    model[0].weight.requires_grad_(False)
    before = all_bits(momenta(optimizer))
    optimizer.load_state_dict(through_file(optimizer.state_dict()))
    assert all_bits(momenta(optimizer)) == before


def gather_in_processes(rank: int) -> Any:
    """Consolidates over Gloo: momenta of several dtypes, an empty one, one that is transposed."""
    parameters = [
        torch.nn.Parameter(tensor)
        for tensor in (torch.ones(7), torch.ones(3, 5).t(), torch.empty(0), torch.ones((), dtype=torch.bfloat16))
    ]
    dicts = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        optimizer = DistributedLion(parameters, momentum_dtype=dtype)
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, rank + 1.5)
        optimizer.step()
        optimizer.consolidate_state_dict(to=1)
        state = optimizer.state_dict()["state"]
        dicts.append(
            ["momenta" in state[0], [(row.dtype == dtype, row.shape, row.float().tolist()) for row in taken(state)]]
        )
        expected = torch.full((7,), 0.01, dtype=torch.float32) * (rank + 1.5)
        assert torch.allclose(optimizer.state[parameters[0]]["momentum"].float(), expected, rtol=0.01)
    return dicts


def taken(state: Any) -> list[torch.Tensor]:
    return [entry["momenta"] for entry in state.values() if "momenta" in entry]


def test_processes_gather_momenta_of_all_dtypes() -> None:
    first, second = run_processes(2, gather_in_processes)
    assert all(not has and not rows for has, rows in first)
    for has, rows in second:
        assert has
        assert [shape for _, shape, _ in rows] == [(2, 7), (2, 5, 3), (2, 0), (2,)]
        for is_dtype, _, values in rows:
            assert is_dtype
            if values[0]:
                flat = torch.tensor(values).flatten(1) if torch.tensor(values).dim() > 1 else torch.tensor([values]).t()
                assert torch.allclose(flat[0], torch.tensor(0.015), rtol=0.01)
                assert torch.allclose(flat[1], torch.tensor(0.025), rtol=0.01)


def gather_over_given_communicator(rank: int) -> list[bytes]:
    """The communicator numbers the ranks the other way round than torch.distributed."""
    from signccl.torch import communicator

    turned = communicator().split(0, key=-rank)
    model, optimizer = make(turned)
    train_on(model, optimizer, 0, 2)
    optimizer.consolidate_state_dict()
    own = momenta(optimizer)[0]
    rows = optimizer.state_dict()["state"][0].get("momenta")
    result = [*all_bits([own]), *(all_bits(rows) if rows is not None else [])]
    optimizer.comm.close()
    return result


def test_a_given_communicator_numbers_the_rows() -> None:
    own = run_processes(3, gather_over_given_communicator)
    assert [len(one) for one in own] == [1, 1, 4]
    assert own[2][1:] == [own[2][0], own[1][0], own[0][0]]
