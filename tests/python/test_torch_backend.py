# SPDX-License-Identifier: Apache-2.0
"""Backend "signccl" of torch.distributed, with ranks that are processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import signccl
from signccl.torch import DistributedLion, backend, communicator, disable_grad_sync, groups, ops
from torch_support import Ranks, assert_same, expected_mean, expected_vote, job, values

pytestmark = pytest.mark.timeout(120)  # ranks import torch


@pytest.fixture(scope="module")
def two() -> Iterator[Ranks]:
    with Ranks(2) as ranks:
        yield ranks


@pytest.fixture(scope="module")
def four() -> Iterator[Ranks]:
    with Ranks(4) as ranks:
        yield ranks


# ----------------------------------------------------------------------------------------------------------- votes


def votes(rank: int, nranks: int, name: str) -> None:
    with job(name) as group:
        inputs = [values(one, (3, 50)) for one in range(nranks)]
        mine = inputs[rank]
        assert_same(group.all_reduce_vote(mine), expected_vote(inputs, call=0).float())
        assert_same(ops.all_reduce_vote(mine), expected_vote(inputs, call=1).float())
        assert_same(ops.all_reduce_vote(mine, process_group=group), expected_vote(inputs, call=2).float())
        assert_same(group.all_reduce_avg(mine, dtype=torch.int32), expected_mean(inputs, torch.int32))
        out = torch.empty(3, 50, dtype=torch.int8)
        assert group.all_reduce_vote(mine, out=out, zero="ternary", tie="zero") is out
        assert_same(out, expected_vote(inputs, "ternary", "zero").to(torch.int8))
        one, other = mine.clone(), mine.clone()
        assert group.all_reduce_vote_(one) is one and group.all_reduce_avg_(other) is other
        assert_same(one, expected_vote(inputs, call=5).float())
        assert_same(other, expected_mean(inputs, torch.float32))
        comm = communicator(group)
        assert comm is communicator() is group.signccl_communicator()
        assert (comm.rank, comm.nranks, comm.call_number) == (rank, nranks, 7)


@pytest.mark.parametrize("name", ["signccl", "cpu:signccl"])
def test_group_votes(two: Ranks, name: str) -> None:
    two.run(votes, name)


def test_four_ranks_vote(four: Ranks) -> None:
    four.run(votes, "signccl")


def disagreement(rank: int, nranks: int) -> None:
    with job() as group, contextlib.suppress(signccl.InvalidUsageError):
        group.all_reduce_vote(torch.ones(3 + rank))
        raise AssertionError("ranks that disagree got a result")


def test_ranks_that_disagree_get_the_error_of_the_library(two: Ranks) -> None:
    two.run(disagreement)


# ------------------------------------------------------------------------------------------- standard collectives


def standard(rank: int, nranks: int) -> None:
    with job() as group:
        mine = torch.full((nranks,), float(rank))
        total = mine.clone()
        dist.all_reduce(total)
        assert_same(total, torch.full((nranks,), float(sum(range(nranks)))))
        work = dist.all_reduce(total, op=dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        work.wait()
        received = [torch.empty(nranks) for _ in range(nranks)]
        dist.all_gather(received, mine)
        assert_same(torch.stack(received)[:, 0], torch.arange(float(nranks)))
        flat = torch.empty(nranks * nranks)
        dist.all_gather_single(flat, mine)
        assert_same(flat, torch.arange(float(nranks)).repeat_interleave(nranks))
        part = torch.empty(1)
        dist.reduce_scatter_single(part, torch.arange(float(nranks)))
        assert_same(part, torch.tensor([float(rank * nranks)]))
        swapped = torch.empty(nranks)
        dist.all_to_all_single(swapped, mine)
        assert_same(swapped, torch.arange(float(nranks)))
        dist.broadcast(mine, src=1)
        assert_same(mine, torch.ones(nranks))
        total = mine.clone()
        dist.reduce(total, dst=0)
        assert rank > 0 or total.tolist() == [nranks] * nranks
        dist.gather(mine + rank, received if rank == 0 else None, dst=0)
        dist.scatter(mine, received if rank == 0 else None, src=0)
        assert_same(mine, torch.full((nranks,), rank + 1.0))
        if rank == 0:
            dist.send(torch.tensor([7]), dst=1)
        elif rank == 1:
            got = torch.tensor([0])
            dist.recv(got, src=0)
            assert got.item() == 7
        dist.barrier()
        group.monitored_barrier()


def test_standard_collectives_go_by_gloo(two: Ranks, four: Ranks) -> None:
    two.run(standard)
    four.run(standard)


def objects(rank: int, nranks: int) -> None:
    with job():
        gathered: list[Any] = [None] * nranks
        dist.all_gather_object(gathered, {"rank": rank, "text": "x" * (10 + rank)})
        assert [one["rank"] for one in gathered] == list(range(nranks))
        listed = [f"of {rank}", rank]
        dist.broadcast_object_list(listed, src=1)
        assert listed == ["of 1", 1]
        out: list[Any] = [None]
        dist.scatter_object_list(out, [10, 11] if rank == 0 else None, src=0)
        assert out == [10 + rank]


def test_objects_travel(two: Ranks) -> None:
    two.run(objects)


def functional(rank: int, nranks: int) -> None:
    from torch.distributed import _functional_collectives as collectives

    with job() as group:
        assert collectives.all_reduce(torch.ones(2), "sum", group).tolist() == [nranks] * 2

        @torch.compile(fullgraph=True, backend="aot_eager")
        def function(tensor: torch.Tensor) -> torch.Tensor:
            total = collectives.all_reduce(tensor, "sum", group.group_name)
            return total + ops.all_reduce_vote(tensor, process_group=group)

        assert function(torch.tensor([2.0, -2.0])).tolist() == [2.0 * nranks + 1, -2.0 * nranks - 1]


def test_functional_collectives_and_compiled_code(two: Ranks) -> None:
    two.run(functional)


# --------------------------------------------------------------------------------------------------------- training


def model() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.Tanh(), torch.nn.Linear(16, 4)
    )


def train(module: torch.nn.Module, optimizer: torch.optim.Optimizer, rank: int, steps: int = 4) -> list[float]:
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(100 * step + rank)
        loss = module(torch.randn(8, 6, generator=generator)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def with_ddp(rank: int, nranks: int, name: str) -> list[torch.Tensor]:
    with job(name):
        return train_ddp(rank)


def train_ddp(rank: int) -> list[torch.Tensor]:
    """A function of its own, so that the module is gone when the group is destroyed: backend.py says why."""
    module = model()
    if rank == 1:
        torch.nn.init.zeros_(module[0].weight)  # DDP broadcasts rank 0's
    wrapped = DistributedDataParallel(module)
    train(wrapped, torch.optim.SGD(wrapped.parameters(), lr=0.1), rank)
    with wrapped.no_sync():
        wrapped(torch.ones(2, 6)).sum().backward()
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_ddp_trains_as_over_gloo(two: Ranks) -> None:
    over_signccl, over_gloo = two.run(with_ddp, "signccl"), two.run(with_ddp, "gloo")
    for results in zip(*over_signccl, *over_gloo, strict=True):
        for result in results[1:]:
            assert_same(result, results[0])


def with_fsdp(rank: int, nranks: int, name: str) -> list[torch.Tensor]:
    with job(name):
        module = model()
        del module[1]
        mesh = dist.init_device_mesh("cpu", (nranks,))
        for layer in (module[0], module[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
        train(module, torch.optim.AdamW(module.parameters(), lr=0.01), rank)
        return [parameter.full_tensor().detach().clone() for parameter in module.parameters()]


def test_fsdp2_trains_as_over_gloo(two: Ranks) -> None:
    over_signccl, over_gloo = two.run(with_fsdp, "signccl"), two.run(with_fsdp, "gloo")
    for results in zip(*over_signccl, *over_gloo, strict=True):
        for result in results[1:]:
            assert_same(result, results[0])


def with_lion(rank: int, nranks: int) -> tuple[list[float], list[torch.Tensor]]:
    with job():
        return train_lion(rank)


def train_lion(rank: int) -> tuple[list[float], list[torch.Tensor]]:
    module = disable_grad_sync(DistributedDataParallel(model()))
    losses = train(module, DistributedLion(module.parameters(), lr=0.01), rank, steps=20)
    return losses, [parameter.detach().clone() for parameter in module.parameters()]


def test_distributed_lion_trains(two: Ranks) -> None:
    (losses, one), (_, other) = two.run(with_lion)
    assert losses[-1] < losses[0] / 2
    for first, second in zip(one, other, strict=True):
        assert_same(first, second)


# ----------------------------------------------------------------------------------------------------------- groups


def subgroups(rank: int, nranks: int) -> None:
    with job():
        assert dist.get_backend() == "signccl"
        for ranks in ([0, 2], [1, 3]):
            group = dist.new_group(ranks)
            if rank in ranks:
                assert isinstance(group, backend.SignCCLProcessGroup) and group.size() == 2
                inputs = [values(one, (40,)) for one in ranks]
                assert_same(group.all_reduce_vote(values(rank, (40,))), expected_vote(inputs).float())
                total = torch.tensor([rank])
                dist.all_reduce(total, group=group)
                assert total.item() == sum(ranks)
                dist.destroy_process_group(group)
            else:
                with pytest.raises(ValueError, match="not in the process group"):
                    ops.all_reduce_vote(torch.ones(2), process_group=group)
        mesh = dist.init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
        column = mesh.get_group("replicate")
        place = rank % 2
        inputs = [values(one, (40,)) for one in (place, place + 2)]
        assert_same(column.all_reduce_vote(values(rank, (40,)), tie="zero"), expected_vote(inputs, tie="zero").float())
        gloo = dist.new_group(backend="gloo")
        everyone = [values(one, (40,)) for one in range(nranks)]
        assert_same(ops.all_reduce_vote(values(rank, (40,)), process_group=gloo), expected_vote(everyone).float())


def test_subgroups_and_meshes_vote(four: Ranks) -> None:
    four.run(subgroups)


def split(rank: int, nranks: int) -> None:
    with job() as group:
        for _ in range(2):
            ranks = [2, 0] if rank in (0, 2) else [rank]
            part = group.split_group(ranks)
            assert (part.rank(), part.size()) == (ranks.index(rank), len(ranks))
            inputs = [values(one, (40,)) for one in ranks]
            assert_same(part.all_reduce_vote(values(rank, (40,))), expected_vote(inputs).float())
            total = torch.tensor([rank])
            part.allreduce([total]).wait()
            assert total.item() == sum(ranks)
            part.shutdown()
        odd = group.split_group([1, 3])
        assert (odd is None) == (rank in (0, 2))
        dist.barrier()  # Gloo's other end may still be connecting
        with pytest.raises(ValueError, match="expected different ranks of 0 to 3"):
            group.split_group([0, 4])


def test_group_splits(four: Ranks) -> None:
    four.run(split)


def names(rank: int, nranks: int) -> None:
    with job() as group:
        assert (group.name(), group.getBackendName(), dist.get_backend(group)) == ("signccl",) * 3
        assert group.group_name == "0" and group.group_desc == "default_pg"
        assert dist.distributed_c10d._resolve_process_group("0") is group
        assert repr(group) == f"<signccl process group '0', rank {rank} of {nranks}>"
        assert group.get_group_store().num_keys() > 0
        assert communicator(group).name in ("0", None)
        other = dist.new_group(group_desc="mine")
        assert other.group_desc == "mine" and other.group_name != "0"
        first = other.signccl_communicator()
        assert first.name == other.group_name
        dist.destroy_process_group(other)
        assert first.closed
    assert not groups._communicators
    with job(again="2") as group:  # in the same process
        assert group.all_reduce_vote(torch.tensor([-2.0])).tolist() == [-1.0]


def test_groups_have_names_and_an_end(two: Ranks) -> None:
    two.run(names)


def options(rank: int, nranks: int) -> str:
    with job(pg_options={"algorithm": "ring", "threads": 1}) as group:
        group.all_reduce_vote(torch.ones(1000))
        return str(group.signccl_communicator().stats.algorithm)


def test_options_reach_the_communicator(two: Ranks) -> None:
    assert two.run(options) == ["ring", "ring"]


def bad_options(rank: int, nranks: int) -> None:
    for given, kind, text in (
        ({"algo": "ring"}, ValueError, "pg_options has 'algo', expected settings among: name, timeout"),
        ("ring", TypeError, "pg_options is of type str, expected for backend 'signccl' a dict"),
    ):
        with pytest.raises(kind, match=text):
            dist.init_process_group("signccl", pg_options=given, store=dist.HashStore(), rank=0, world_size=1)


def test_bad_options_are_named(two: Ranks) -> None:
    two.run(bad_options)


def refusals(rank: int, nranks: int) -> None:
    with job() as group:
        for call in (
            lambda: group.merge_remote_group(dist.HashStore(), 2),
            lambda: group._start_coalescing(torch.device("cpu")),
            lambda: group._enable_collectives_timing(),
        ):
            with pytest.raises(NotImplementedError, match=r"backend 'signccl' has no .*: it has all_reduce_vote"):
                call()
        with pytest.raises(AttributeError):
            _ = group.all_reduce_median


def test_what_is_not_there_says_what_there_is(two: Ranks) -> None:
    two.run(refusals)


# ----------------------------------------------------------------------------------------------------- registration


def test_backend_is_registered_by_its_import_and_only_once() -> None:
    assert "signccl" in dist.Backend.backend_list
    assert dist.Backend.backend_capability["signccl"] == ["cpu"]
    before = dist.Backend._plugins["SIGNCCL"]
    backend.register()
    assert dist.Backend._plugins["SIGNCCL"] is before
    assert dist.Backend.default_device_backend_map["cpu"] == "gloo"  # a program that names no backend gets none of ours
