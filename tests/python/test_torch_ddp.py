# SPDX-License-Identifier: Apache-2.0
"""Modules whose gradients stay local: prepare(), disable_grad_sync(), sync_buffers(), and FSDP within each replica."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import signccl
from signccl.torch import DistributedLion, communicator, disable_grad_sync, prepare, sync_buffers
from support import as_threads, outcomes_of_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, run_processes, tiny_model

pytestmark = pytest.mark.timeout(60)


class Odd(torch.nn.Module):
    """Parameters and buffers of many kinds, other values for each seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        self.plain = torch.nn.Parameter(random(40, 30))
        self.brief = torch.nn.Parameter(random(7).to(torch.bfloat16))
        self.layout = torch.nn.Parameter(random(2, 3, 4, 4).contiguous(memory_format=torch.channels_last))
        self.turned = torch.nn.Parameter(random(5, 6).t())
        self.frozen = torch.nn.Parameter(random(3), requires_grad=False)
        self.tied = self.plain
        self.register_buffer("counter", torch.tensor(seed))
        self.register_buffer("mask", random(9) > 0)
        self.register_buffer("complex", torch.complex(random(3), random(3)))
        self.register_buffer("empty", random(0, 2))
        self.register_buffer("absent", None)


def contents(module: torch.nn.Module) -> list[bytes]:
    return all_bits([*module.parameters(), *module.buffers()])


def prepare_odd(rank: int, kind: str) -> tuple[list[bytes], list[bytes]]:
    module = Odd(10 + rank)
    before = contents(module)
    if kind == "group":
        prepare(module)
    elif kind == "communicator":
        prepare(module, comm=communicator())
    else:  # its rank 0 is the last process
        turned = communicator().split(0, key=-rank)
        prepare(module, comm=turned)
        turned.close()
    return before, contents(module)


@pytest.mark.parametrize("kind", ["group", "communicator", "turned communicator"])
def test_prepare_gives_all_ranks_what_rank_0_has(kind: str) -> None:
    results = run_processes(3, prepare_odd, kind)
    source = results[2 if kind == "turned communicator" else 0][0]
    assert [after for _, after in results] == [source] * 3
    assert results[0][0] != results[1][0]


def test_prepare_works_for_threads_and_for_one_rank() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        module = Odd(comm.rank)
        prepare(module, comm=comm)
        return contents(module)

    assert as_threads(3, body) == [contents(Odd(0))] * 3
    module = Odd(4)
    prepare(module, comm=alone())
    assert contents(module) == contents(Odd(4))


def differing(rank: int, kind: str) -> torch.nn.Module:
    module = Odd(0)
    if rank == 1:
        if kind == "shape":
            module.brief = torch.nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
        elif kind == "dtype":
            module.brief = torch.nn.Parameter(torch.ones(7))
        elif kind == "strides":
            module.layout = torch.nn.Parameter(torch.ones(2, 3, 4, 4))
        elif kind == "name":
            module.another = torch.nn.Parameter(torch.ones(1))
        elif kind == "buffer":
            module.register_buffer("mask", torch.ones(3))
        elif kind == "count":
            module.register_buffer("more", torch.ones(3))
    return module


_BRIEF = "parameter 'brief', shape (7,), strides (1,), bfloat16 on rank 0, and parameter 'brief', "
_DIFFERENCES = {
    "shape": _BRIEF + "shape (8,), strides (1,), bfloat16 on rank 1",
    "dtype": _BRIEF + "shape (7,), strides (1,), float32 on rank 1",
    "strides": "(2, 3, 4, 4), strides (48, 1, 12, 3), float32 on rank 0, and parameter 'layout', shape (2, 3, 4, 4), ",
    "name": "on rank 0, and parameter 'another', shape (1,), strides (1,), float32 on rank 1",
    "buffer": "'mask', shape (9,), strides (1,), bool on rank 0, and buffer 'mask', shape (3,), strides (1,), float32",
    "count": "10 on rank 1, and 9 on rank 0, which lacks buffer 'more', shape (3,)",
}


@pytest.mark.parametrize("kind", _DIFFERENCES)
def test_modules_that_differ_are_refused_on_all_ranks_with_the_first_difference(kind: str) -> None:
    def body(comm: signccl.Communicator) -> None:
        prepare(differing(comm.rank, kind), comm=comm)

    outcomes = outcomes_of_threads(3, body)
    assert all(isinstance(outcome, ValueError) for outcome in outcomes)
    assert len({str(outcome) for outcome in outcomes}) == 1
    assert _DIFFERENCES[kind] in str(outcomes[0])
    assert str(outcomes[0]).startswith("the ranks have different modules: ")


def test_a_difference_beyond_what_is_told_is_said_to_be_there() -> None:
    def body(comm: signccl.Communicator) -> None:
        module = torch.nn.Module()
        for number in range(3):
            module.register_buffer(f"{number}{'x' * (4 << 20)}", torch.ones(1))
        module.register_buffer("last", torch.ones(1 + comm.rank))
        prepare(module, comm=comm)

    for outcome in outcomes_of_threads(4, body):
        assert isinstance(outcome, ValueError)
        assert "rank 0 and rank 1 somewhere beyond buffer '0xxx" in str(outcome)


# ------------------------------------------------------------------------------------------ DistributedDataParallel


def wrap(rank: int, **settings: Any) -> Any:
    return disable_grad_sync(DistributedDataParallel(tiny_model(rank), **settings))


def gradients_under_ddp(rank: int, find_unused: bool) -> dict[str, list[bytes]]:
    ddp = wrap(rank, find_unused_parameters=find_unused)
    plain = tiny_model(0)  # DistributedDataParallel has made rank 1 begin as rank 0
    seen = {}
    for number, how in enumerate(("as it is", "set to True", "no_sync", "after no_sync", "twice")):
        if how == "set to True":
            ddp.require_backward_grad_sync = True
        if how == "twice":
            assert disable_grad_sync(ddp) is ddp
        ddp.zero_grad()
        if how == "no_sync":
            with ddp.no_sync():
                backward(ddp, rank, number)
        else:
            backward(ddp, rank, number)
        plain.zero_grad()
        backward(plain, rank, number)
        assert all_bits(p.grad for p in ddp.parameters()) == all_bits(p.grad for p in plain.parameters()), how
        seen[how] = all_bits(p.grad for p in ddp.parameters())
    assert isinstance(ddp, DistributedDataParallel)
    assert type(ddp).__name__ == "LocalDistributedDataParallel"
    assert ddp.module is next(ddp.children())
    return seen


@pytest.mark.parametrize("find_unused", [False, True])
def test_gradients_stay_local_under_ddp(find_unused: bool) -> None:
    first, second = run_processes(2, gradients_under_ddp, find_unused)
    assert all(first[how] != second[how] for how in first)


def train_under_ddp(rank: int, overlap: bool) -> list[bytes]:
    ddp = wrap(rank)
    optimizer = DistributedLion(ddp.named_parameters(), lr=0.01, overlap=overlap)
    for step in range(5):
        optimizer.zero_grad()
        backward(ddp, rank, step)
        optimizer.step()
    return all_bits(ddp.parameters())


def train_plain(rank: int) -> list[bytes]:
    model = tiny_model(rank)
    prepare(model)
    optimizer = DistributedLion(model.named_parameters(), lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        backward(model, rank, step)
        optimizer.step()
    return all_bits(model.parameters())


def test_training_under_ddp_has_the_bits_of_training_without_it() -> None:
    expected = expect_equal_replicas(run_processes(2, train_plain))
    assert expect_equal_replicas(run_processes(2, train_under_ddp, False)) == expected
    assert expect_equal_replicas(run_processes(2, train_under_ddp, True)) == expected


def ddp_with_sync(rank: int) -> list[bytes]:
    ddp = DistributedDataParallel(tiny_model(0))
    backward(ddp, rank, 0)
    return all_bits(p.grad for p in ddp.parameters())


def test_without_it_ddp_averages_gradients() -> None:
    """The tests above can fail."""
    first, second = run_processes(2, ddp_with_sync)
    assert first == second


def test_only_ddp_has_a_synchronisation_to_disable() -> None:
    with pytest.raises(TypeError, match="ddp is of type Sequential, expected a DistributedDataParallel"):
        disable_grad_sync(tiny_model())


# ----------------------------------------------------------------------------------------------------------- buffers


def drift(rank: int, with_ddp: bool) -> tuple[list[bytes], list[bytes]]:
    model: Any = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    prepare(model)
    module = wrap_module(model) if with_ddp else model
    generator = torch.Generator().manual_seed(rank)
    for _ in range(3):
        module(torch.randn(8, 4, generator=generator)).sum().backward()
    before = all_bits(model.buffers())
    sync_buffers(module)
    return before, all_bits(model.buffers())


def wrap_module(model: torch.nn.Module) -> torch.nn.Module:
    return disable_grad_sync(DistributedDataParallel(model))


@pytest.mark.parametrize("with_ddp", [False, True])
def test_sync_buffers_gives_all_ranks_the_buffers_of_rank_0(with_ddp: bool) -> None:
    (first, one), (second, another) = run_processes(2, drift, with_ddp)
    assert first != second
    assert one == another == first


# -------------------------------------------------------------------------------------------------------------- HSDP


def loss_of(model: torch.nn.Module, process: int, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(100 * step + process)
    return model(torch.randn(4, 6, generator=generator)).square().mean()


def train_hsdp(rank: int, overlap: bool) -> Any:
    """Two replicas of two processes each: gradients are averaged within a replica, and replicas vote."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    model = tiny_model(mesh["replicate"].get_local_rank())
    fully_shard(model[0], mesh=mesh["shard"])
    fully_shard(model, mesh=mesh["shard"])
    group = mesh.get_group("replicate")
    prepare(model, group)
    optimizer = DistributedLion(
        model.named_parameters(), lr=0.01, process_group=group, zero="ternary", tie="zero", overlap=overlap
    )
    assert optimizer.comm.nranks == 2
    for step in range(4):
        optimizer.zero_grad()
        loss_of(model, rank, step).backward()
        optimizer.step()
    full = [parameter.full_tensor() for parameter in model.parameters()]  # type: ignore[attr-defined]
    optimizer.consolidate_state_dict()
    rows = optimizer.state_dict()["state"][0].get("momenta")
    dist.barrier()
    return all_bits(full), None if rows is None else tuple(rows.shape)


def train_replicas(comm: signccl.Communicator) -> list[bytes]:
    """The same without processes: the mean of the gradients that the two processes of a replica have."""
    model = tiny_model(0)
    optimizer = DistributedLion(model.named_parameters(), lr=0.01, comm=comm, zero="ternary", tie="zero")
    for step in range(4):
        parts = []
        for place in range(2):
            model.zero_grad()
            loss_of(model, 2 * comm.rank + place, step).backward()
            parts.append([parameter.grad for parameter in model.parameters()])
        for parameter, one, another in zip(model.parameters(), *parts, strict=True):
            parameter.grad = (one + another) / 2
        optimizer.step()
    return all_bits(model.parameters())


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("overlap", [False, True])
def test_replicas_of_shards_vote(overlap: bool) -> None:
    results = run_processes(4, train_hsdp, overlap)
    expected = expect_equal_replicas(as_threads(2, train_replicas))
    assert [bits for bits, _ in results] == [expected] * 4
    shapes = [shape for _, shape in results]
    assert shapes[2:] == [None, None]
    assert shapes[0] is not None and shapes[0][0] == 2
