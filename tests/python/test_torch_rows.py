# SPDX-License-Identifier: Apache-2.0
"""Momenta of DistributedLion in checkpoints of torch.distributed.checkpoint, in processes."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from signccl.torch import DistributedLion
from torch_jobs import all_bits, alone, backward, momenta, run_processes, tiny_model, train_on

pytestmark = pytest.mark.timeout(60)


def make() -> tuple[torch.nn.Module, DistributedLion]:
    model = tiny_model()
    return model, DistributedLion(model.named_parameters(), lr=0.01)


def save_and_resume(rank: int, folder: str) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    """Momenta that were saved and that came back, and parameters with and without the stop."""
    model, optimizer = make()
    optimizer.use_checkpoint_rows()
    train_on(model, optimizer, 0, 3)
    dcp.save({"optimizer": get_optimizer_state_dict(model, optimizer)}, checkpoint_id=folder)
    saved, weights = all_bits(momenta(optimizer)), copy.deepcopy(model.state_dict())
    train_on(model, optimizer, 3, 6)

    resumed, another = make()
    resumed.load_state_dict(weights)
    another.use_checkpoint_rows()
    state = get_optimizer_state_dict(resumed, another)
    dcp.load({"optimizer": state}, checkpoint_id=folder)
    set_optimizer_state_dict(resumed, another, state)
    loaded = all_bits(momenta(another))
    train_on(resumed, another, 3, 6)
    return saved, loaded, all_bits(model.parameters()), all_bits(resumed.parameters())


@pytest.mark.parametrize("nranks", [2, 3])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_rank_gets_its_own_momenta_back_and_goes_on_alike(nranks: int, tmp_path: Path) -> None:
    results = run_processes(nranks, save_and_resume, str(tmp_path))
    for saved, loaded, straight, resumed in results:
        assert loaded == saved
        assert resumed == straight
        assert straight == results[0][2]
    assert len({saved[0] for saved, _, _, _ in results}) == nranks


def save_only(rank: int, folder: str) -> list[bytes]:
    model, optimizer = make()
    optimizer.use_checkpoint_rows()
    train_on(model, optimizer, 0, 2)
    dcp.save({"optimizer": get_optimizer_state_dict(model, optimizer)}, checkpoint_id=folder)
    return all_bits(momenta(optimizer))


def load_all_rows(rank: int, folder: str, nsaved: int) -> tuple[list[bytes], list[str]]:
    """As docs/torch.md says for another number of ranks: plain tensors with the rows of all."""
    model, optimizer = make()
    state: Any = get_optimizer_state_dict(model, optimizer)
    for entry in state["state"].values():
        entry["momentum"] = torch.empty(nsaved, *entry["momentum"].shape)
    dcp.load({"optimizer": state}, checkpoint_id=folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        set_optimizer_state_dict(model, optimizer, state)
    texts = [str(one.message) for one in caught if "momenta" in str(one.message)]
    return all_bits(momenta(optimizer)), texts


def test_another_number_of_ranks_begins_with_the_mean_of_the_rows(tmp_path: Path) -> None:
    saved = run_processes(2, save_only, str(tmp_path))
    first, second = ([torch.frombuffer(bytearray(one), dtype=torch.float32) for one in row] for row in saved)
    means = [((a + b) / 2).numpy().tobytes() for a, b in zip(first, second, strict=True)]
    for loaded, texts in run_processes(3, load_all_rows, str(tmp_path), 2):
        assert loaded == means
        assert len(texts) == 1
        assert "the momenta of 2 ranks, and now there are 3" in texts[0]


def make_sharded(nreplicas: int) -> tuple[torch.nn.Module, DistributedLion]:
    """Replicas of two shards each."""
    mesh = init_device_mesh("cpu", (nreplicas, 2), mesh_dim_names=("replicate", "shard"))
    model = tiny_model()
    fully_shard(model, mesh=mesh["shard"])
    optimizer = DistributedLion(model.named_parameters(), lr=0.01, process_group=mesh.get_group("replicate"))
    optimizer.use_checkpoint_rows(mesh)
    return model, optimizer


def save_and_resume_hsdp(rank: int, folder: str) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes]]:
    """As save_and_resume(), with two replicas of two shards each."""

    def train_sharded(model: torch.nn.Module, optimizer: DistributedLion, first: int, last: int) -> None:
        for step in range(first, last):
            optimizer.zero_grad()
            backward(model, rank, step)
            optimizer.step()

    model, optimizer = make_sharded(2)
    train_sharded(model, optimizer, 0, 3)
    state = {"model": get_model_state_dict(model), "optimizer": get_optimizer_state_dict(model, optimizer)}
    dcp.save(state, checkpoint_id=folder)
    saved = all_bits(momenta(optimizer))
    train_sharded(model, optimizer, 3, 6)

    resumed, another = make_sharded(2)
    state = {"model": get_model_state_dict(resumed), "optimizer": get_optimizer_state_dict(resumed, another)}
    dcp.load(state, checkpoint_id=folder)
    set_model_state_dict(resumed, state["model"])
    set_optimizer_state_dict(resumed, another, state["optimizer"])
    loaded = all_bits(momenta(another))
    train_sharded(resumed, another, 3, 6)
    return saved, loaded, parts_of(model), parts_of(resumed)


def parts_of(model: torch.nn.Module) -> list[bytes]:
    return all_bits(parameter.to_local() for parameter in model.parameters())  # type: ignore[attr-defined]


def test_every_shard_of_every_replica_gets_its_own_momenta_back(tmp_path: Path) -> None:
    results = run_processes(4, save_and_resume_hsdp, str(tmp_path))
    for saved, loaded, straight, resumed in results:
        assert loaded == saved
        assert resumed == straight
    assert len({tuple(saved) for saved, _, _, _ in results}) == 4


def load_one_replica(rank: int, folder: str) -> str:
    """What is said where two replicas were saved and there is one now."""
    model, optimizer = make_sharded(1)
    before = all_bits(momenta(optimizer))
    with pytest.raises(dcp.api.CheckpointException) as caught:
        dcp.load({"optimizer": get_optimizer_state_dict(model, optimizer)}, checkpoint_id=folder)
    assert all_bits(momenta(optimizer)) == before
    return str(caught.value)


def test_another_number_of_replicas_of_shards_is_refused(tmp_path: Path) -> None:
    run_processes(4, save_and_resume_hsdp, str(tmp_path))
    for text in run_processes(2, load_one_replica, str(tmp_path)):
        assert "Size mismatch between saved torch.Size([2, 9, 6]) and current: torch.Size([1, 9, 6])" in text


def check_mesh(rank: int) -> list[str]:
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    sharded = tiny_model()
    fully_shard(sharded, mesh=mesh["shard"])
    plain = DistributedLion(tiny_model().parameters())
    half = DistributedLion(sharded.parameters(), process_group=mesh.get_group("replicate"))
    messages = []
    for optimizer, given in ((plain, mesh), (plain, mesh["shard"]), (half, None), (half, mesh["replicate"])):
        try:
            optimizer.use_checkpoint_rows(given)
        except ValueError as error:
            messages.append(str(error))
    dist.barrier()
    return messages


def test_a_mesh_that_does_not_fit_is_refused() -> None:
    for messages in run_processes(4, check_mesh):
        assert messages == [
            "mesh has shape (2, 2), expected one dimension of 4 ranks",
            "mesh has shape (2,), expected one dimension of 4 ranks",
            "mesh has shape None, expected two dimensions, 2 replicas and their shards",
            "mesh has shape (2,), expected two dimensions, 2 replicas and their shards",
        ]


def test_get_optimizer_state_dict_makes_no_step() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, comm=alone())
    before = all_bits(model.parameters())
    state: Any = get_optimizer_state_dict(model, optimizer, options=StateDictOptions(full_state_dict=True))
    assert set(state["state"]) == {name for name, _ in model.named_parameters()}
    assert optimizer.param_groups[0]["signccl_call_number"] == 0
    train_on(model, optimizer, 0, 2)
    state = copy.deepcopy(get_optimizer_state_dict(model, optimizer))
    saved = all_bits(momenta(optimizer))
    train_on(model, optimizer, 2, 3)
    set_optimizer_state_dict(model, optimizer, state)
    assert all_bits(momenta(optimizer)) == saved
    assert optimizer.param_groups[0]["signccl_call_number"] == 2
    assert all_bits(model.parameters()) != before


def one_rank_gets_its_dict(rank: int) -> int:
    model, optimizer = make()
    if rank == 0:
        return len(get_optimizer_state_dict(model, optimizer)["state"])  # type: ignore[arg-type]
    return 4


def test_get_optimizer_state_dict_needs_no_other_rank() -> None:
    assert run_processes(2, one_rank_gets_its_dict) == [4, 4]
