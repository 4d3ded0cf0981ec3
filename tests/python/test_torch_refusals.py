# SPDX-License-Identifier: Apache-2.0
"""What one rank alone refuses when an optimizer is made, in a step or in an op: it ends the call on the others, with
its number and the cause, while its process lives on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist

import signccl
from signccl.torch import DistributedLion, all_reduce_avg, all_reduce_vote, all_reduce_vote_, prepare
from support import as_threads, expect_remote_error, outcomes_of_threads
from torch_jobs import all_bits, backward, run_processes, tiny_model

pytestmark = pytest.mark.timeout(60)


def sparse(weight: torch.nn.Parameter, _: DistributedLion) -> None:
    weight.grad = torch.ones_like(weight).to_sparse()


def complex_numbers(weight: torch.nn.Parameter, _: DistributedLion) -> None:
    weight.grad_dtype = None
    weight.grad = torch.ones(weight.shape, dtype=torch.complex64)


def device(weight: torch.nn.Parameter, optimizer: DistributedLion) -> None:
    optimizer.param_groups[0]["params"][2] = torch.nn.Parameter(torch.empty(weight.shape, device="meta"))


def shape(weight: torch.nn.Parameter, _: DistributedLion) -> None:
    weight.grad = None
    weight.data = torch.ones(weight.shape[0] + 1, *weight.shape[1:])


def gaps(weight: torch.nn.Parameter, _: DistributedLion) -> None:
    weight.data = torch.ones(*weight.shape, 2)[..., 0]


def learning_rate(_: torch.nn.Parameter, optimizer: DistributedLion) -> None:
    optimizer.param_groups[0]["lr"] = float("nan")


def betas(_: torch.nn.Parameter, optimizer: DistributedLion) -> None:
    optimizer.param_groups[0]["betas"] = (0.9, "high")


#: What rank 1 does to a parameter or the optimizer before its step, and what it is told.
SPOILED: dict[str, tuple[Callable[[torch.nn.Parameter, DistributedLion], None], str]] = {
    "sparse": (sparse, "the gradient of parameter '2.weight' has layout torch.sparse_coo"),
    "complex": (complex_numbers, "the gradient of parameter '2.weight' has dtype torch.complex64"),
    "device": (device, "parameter '2.weight' is on device meta"),
    "shape": (shape, "the momentum of parameter '2.weight' has shape (4, 9)"),
    "gaps": (gaps, "parameter '2.weight' of shape (4, 9) has strides (18, 2)"),
    "learning_rate": (learning_rate, "lr of group 0 is nan, expected a number of at least 0"),
    "betas": (betas, "betas of group 0 is (0.9, 'high'), expected two numbers of 0 to 1"),
}


def step_that_rank_1_spoils(comm: signccl.Communicator, kind: str, overlap: bool) -> Any:
    """The error of the step. Asserts that no parameter of this rank has changed."""
    model = tiny_model()
    optimizer = DistributedLion(model.named_parameters(), comm=comm, overlap=overlap)
    before = all_bits(model.parameters())
    with optimizer.accumulate() if overlap and comm.rank == 1 else torch.enable_grad():
        backward(model, comm.rank, 0)
    if comm.rank == 1:
        SPOILED[kind][0](model[2].weight, optimizer)
    with pytest.raises((TypeError, ValueError, signccl.RemoteError)) as caught:
        optimizer.step()
    if comm.rank != 1:
        assert all_bits(model.parameters()) == before
    with pytest.raises(signccl.RemoteError):
        optimizer.comm.barrier()
    return caught.value


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("kind", SPOILED)
def test_a_step_that_one_rank_refuses_ends_on_all_with_the_cause(kind: str, overlap: bool) -> None:
    outcomes = outcomes_of_threads(3, lambda comm: step_that_rank_1_spoils(comm, kind, overlap), abort_on_error=True)
    refusal = outcomes[1]
    assert isinstance(refusal, (TypeError, ValueError))
    assert SPOILED[kind][1] in str(refusal)
    for outcome in (outcomes[0], outcomes[2]):
        expect_remote_error(outcome, f"rank 1 aborted the communicator: {type(refusal).__name__}: {refusal}")


def refuse_in_a_process(rank: int) -> tuple[str, str]:
    """Kind and text of the error of a step; all processes live until all have one."""
    table = torch.nn.Embedding(5, 3, sparse=rank == 1)
    optimizer = DistributedLion(table.named_parameters())
    table(torch.tensor([1, 2])).sum().backward()
    try:
        optimizer.step()
    except (TypeError, signccl.RemoteError) as error:
        dist.barrier()
        return type(error).__name__, str(error)
    raise AssertionError("the step was made")


def test_a_process_that_refuses_a_gradient_need_not_end_for_the_others_to_know() -> None:
    first, second, third = run_processes(3, refuse_in_a_process)
    assert second[0] == "TypeError"
    for kind, text in (first, third):
        assert kind == "RemoteError"
        assert "rank 1 aborted the communicator: TypeError: the gradient of parameter 'weight' has layout" in text


def test_a_gradient_that_one_rank_refuses_in_its_backward_pass_ends_the_step_of_the_others() -> None:
    def body(comm: signccl.Communicator) -> None:
        table = torch.nn.Embedding(5, 3, sparse=comm.rank == 1)
        optimizer = DistributedLion(table.named_parameters(), comm=comm, overlap=True)
        table(torch.tensor([1, 2])).sum().backward()
        optimizer.step()

    first, second = outcomes_of_threads(2, body)
    assert isinstance(second, TypeError)
    expect_remote_error(first, "rank 1 aborted the communicator: TypeError: the gradient of parameter 'weight'")


# ------------------------------------------------------------------------------------------------ making an optimizer

#: Parameters, or options, that rank 1 gives, and what it is told.
MADE_WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "complex": ({"params": [torch.nn.Parameter(torch.ones(3, dtype=torch.complex64))]}, "has dtype torch.complex64"),
    "shared": ({"params": [torch.nn.Parameter(torch.ones(3))] * 2}, "share memory"),
    "empty": ({"params": []}, "empty parameter list"),
    "rule": ({"tie": "coin"}, "tie is 'coin', expected one of"),
    "lr": ({"lr": -1.0}, "lr is -1.0, expected a number of at least 0"),
    "bucket_mb": ({"bucket_mb": 0}, "bucket_mb is 0, expected more than 0"),
    "momentum_dtype": ({"momentum_dtype": torch.int8}, "momentum_dtype has dtype torch.int8"),
}


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("kind", MADE_WRONG)
def test_an_optimizer_that_one_rank_refuses_is_made_on_none_and_the_communicator_still_works(
    kind: str, rank: int
) -> None:
    wrong, text = MADE_WRONG[kind]

    def body(comm: signccl.Communicator) -> str:
        options = {"params": [torch.nn.Parameter(torch.ones(3))], "comm": comm}
        with pytest.raises((TypeError, ValueError)) as caught:
            DistributedLion(**(options | wrong if comm.rank == rank else options))
        comm.barrier()
        DistributedLion(**options)
        return str(caught.value)

    texts = as_threads(3, body)
    assert text in texts[rank]
    for other in {0, 1, 2} - {rank}:
        assert texts[other].startswith(f"rank {rank} refuses its parameters: ")
        assert texts[other].endswith(texts[rank])


def test_what_all_ranks_refuse_alike_is_the_error_of_each() -> None:
    def body(comm: signccl.Communicator) -> None:
        with pytest.raises(ValueError, match=r"^tie is 'coin'"):
            DistributedLion([torch.nn.Parameter(torch.ones(3))], comm=comm, tie="coin")
        comm.barrier()

    as_threads(2, body)


def test_a_module_that_one_rank_cannot_prepare_is_prepared_on_none() -> None:
    def body(comm: signccl.Communicator) -> str:
        model = tiny_model()
        with pytest.raises((TypeError, ValueError)) as caught:
            prepare(model if comm.rank == 0 else model.parameters(), comm=comm)
        comm.barrier()
        return str(caught.value)

    first, second = as_threads(2, body)
    assert second == "module is of type generator, expected a torch.nn.Module"
    assert first == f"rank 1 refuses its modules: TypeError: {second}"


# ---------------------------------------------------------------------------------------------------------- the ops

REFUSED_OPS: dict[str, tuple[Callable[[signccl.Communicator], Any], type[Exception], str]] = {
    "complex": (
        lambda comm: all_reduce_vote(torch.ones(3, dtype=torch.complex64), comm=comm),
        TypeError,
        "tensor has dtype torch.complex64",
    ),
    "sparse": (lambda comm: all_reduce_vote_(torch.eye(3).to_sparse(), comm=comm), TypeError, "torch.sparse_coo"),
    "gradient": (
        lambda comm: all_reduce_vote(torch.ones(3, requires_grad=True), comm=comm),
        RuntimeError,
        "has no gradient, but a tensor requires grad",
    ),
    "out": (
        lambda comm: all_reduce_avg(torch.ones(3), comm=comm, out=torch.ones(4)),
        ValueError,
        "out has shape (4,), expected (3,)",
    ),
    "dtype": (
        lambda comm: all_reduce_avg(torch.ones(3), comm=comm, out=torch.ones(3), dtype=torch.int8),
        TypeError,
        "dtype is torch.int8, but out is given",
    ),
    "no tensor": (lambda comm: all_reduce_vote([1.0], comm=comm), Exception, ""),
}


@pytest.mark.parametrize("kind", REFUSED_OPS)
def test_the_others_are_told_what_a_rank_refuses_in_an_op(kind: str) -> None:
    refuse, error, text = REFUSED_OPS[kind]
    first, second = outcomes_of_threads(
        2, lambda comm: refuse(comm) if comm.rank == 1 else all_reduce_vote(torch.ones(3), comm=comm)
    )
    assert isinstance(second, error)
    assert not isinstance(second, signccl.SignCCLError)
    assert text in str(second)
    expect_remote_error(first, "rank 1 aborted the communicator: ", text)


def refuse_in_a_group(rank: int) -> tuple[str, str]:
    """Kind and text of the error of the first vote of a group of the backend "signccl"."""
    group = dist.new_group([0, 1], backend="signccl")
    try:
        group.all_reduce_vote_(torch.ones(3, dtype=torch.int64 if rank == 1 else torch.float32))
    except (TypeError, signccl.RemoteError) as error:
        dist.barrier()
        return type(error).__name__, str(error)
    raise AssertionError("the vote was made")


def test_the_others_are_told_what_a_rank_refuses_in_a_group_of_the_backend() -> None:
    first, second = run_processes(2, refuse_in_a_group)
    assert second[0] == "TypeError"
    assert first[0] == "RemoteError"
    assert f"rank 1 aborted the communicator: TypeError: {second[1]}" in first[1]
