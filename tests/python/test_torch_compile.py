# SPDX-License-Identifier: Apache-2.0
"""The ops of signccl.torch.ops under opcheck, torch.compile and torch.export."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import signccl
from signccl.torch import ops
from signccl.torch._op_keys import key_of
from torch_support import Ranks, assert_same, expected_mean, expected_vote, meeting, values

BACKENDS = ["eager", "aot_eager", "inductor"]


@pytest.fixture
def alone() -> Iterator[signccl.Communicator]:
    """A communicator of one rank."""
    with signccl.Communicator.all_in_process(1)[0] as comm:
        yield comm


@pytest.mark.parametrize("operation", ["vote", "avg"])
@pytest.mark.parametrize("overload", ["new", "in place", "out"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.timeout(180)
def test_opcheck_passes(alone: signccl.Communicator, operation: str, overload: str) -> None:
    key = key_of(alone, None)
    packet = getattr(torch.ops.signccl, f"all_reduce_{operation}")
    in_place = getattr(torch.ops.signccl, f"all_reduce_{operation}_").default
    for tensor in (torch.randn(4, 3), torch.randn(4, 3).t(), torch.randn(0), torch.randn(5).bfloat16()):
        if overload == "new":
            torch.library.opcheck(packet.default, (tensor, key), {"dtype": torch.int8})
            torch.library.opcheck(packet.default, (tensor, key, "ternary"))
        elif overload == "in place":
            torch.library.opcheck(in_place, (tensor, key))
        else:
            out = torch.empty(tensor.shape, dtype=torch.int8)
            torch.library.opcheck(packet.out, (tensor, key), {"out": out})


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


compiles = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@compiles
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_code_gives_what_eager_code_gives(alone: signccl.Communicator, backend: str) -> None:
    def function(tensor: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vote = ops.all_reduce_vote(2 * tensor, comm=alone)
        copy = tensor.clone()
        ops.all_reduce_vote_(copy, comm=alone, tie="zero", zero="ternary")
        total = torch.empty(tensor.shape, dtype=torch.int16)
        ops.all_reduce_avg(tensor, comm=alone, out=total)
        ops.all_reduce_avg_(state, comm=alone)
        return vote + copy, total + 1, ops.all_reduce_avg(tensor, dtype=torch.float64).sum()

    compiled = torch.compile(function, fullgraph=True, backend=backend)
    for count in (33, 33, 50, 70):  # the third has dynamic shapes
        tensor = values(0, (count,))
        states = [tensor.clone(), tensor.clone()]
        before = alone.call_number
        results = compiled(tensor, states[0])
        assert alone.call_number == before + 4
        for one, other in zip([*results, states[0]], [*function(tensor, states[1]), states[1]], strict=True):
            assert_same(one, other)


@compiles
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_code_takes_the_communicator_of_each_call() -> None:
    first, second = (signccl.Communicator.all_in_process(1)[0] for _ in range(2))

    @torch.compile(fullgraph=True, backend="aot_eager")
    def function(tensor: torch.Tensor, comm: signccl.Communicator) -> torch.Tensor:
        return ops.all_reduce_vote(tensor, comm=comm)

    for comm in (first, first, second, first):
        function(torch.ones(3), comm)
    assert (first.call_number, second.call_number) == (3, 1)


@compiles
@pytest.mark.usefixtures("fresh_dynamo")
def test_calls_that_nobody_reads_are_dropped_as_documented(alone: signccl.Communicator) -> None:
    def function(tensor: torch.Tensor) -> torch.Tensor:
        ops.all_reduce_vote(tensor, comm=alone)
        return tensor + 1

    for backend, calls in (("eager", 1), ("aot_eager", 0)):
        torch._dynamo.reset()
        before = alone.call_number
        torch.compile(function, fullgraph=True, backend=backend)(torch.ones(3))
        assert alone.call_number - before == calls


@compiles
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_code_refuses_tensors_that_require_grad(alone: signccl.Communicator) -> None:
    @torch.compile(fullgraph=True, backend="aot_eager")
    def function(tensor: torch.Tensor) -> torch.Tensor:
        return ops.all_reduce_vote(tensor, comm=alone)

    with pytest.raises(Exception, match="has no gradient"):
        function(torch.ones(3, requires_grad=True))


@compiles
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("fresh_dynamo")
def test_votes_stand_beside_a_backward_pass(alone: signccl.Communicator) -> None:
    @torch.compile(fullgraph=True, backend="inductor")
    def function(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (ops.all_reduce_vote(tensor, comm=alone) * weight * weight).sum()

    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    function(torch.tensor([-7.0, 7.0]), weight).backward()
    assert weight.grad is not None and weight.grad.tolist() == [-4.0, 6.0]
    assert alone.call_number == 1  # the backward pass does not vote again


@compiles
def test_exported_program_votes(alone: signccl.Communicator) -> None:
    class Module(torch.nn.Module):
        def forward(self, tensor: torch.Tensor) -> torch.Tensor:
            return ops.all_reduce_vote(tensor) + 1

    program = torch.export.export(Module(), (torch.zeros(3),))
    assert any("signccl.all_reduce_vote" in str(node.target) for node in program.graph.nodes)
    assert program.module()(torch.tensor([-2.0, 0.0, 2.0])).tolist() == [0.0, 2.0, 2.0]


# ----------------------------------------------------------------------------------------------- ranks of processes


def compiled_on_ranks(rank: int, nranks: int, backend: str) -> list[tuple[torch.Tensor, int]]:
    torch.distributed.init_process_group("gloo", **meeting())
    group = torch.distributed.new_group(list(range(nranks)))
    comm = signccl.torch.communicator(group)

    @torch.compile(fullgraph=True, backend=backend)
    def function(tensor: torch.Tensor) -> torch.Tensor:
        state = tensor * 1
        ops.all_reduce_avg_(state)  # of the default group
        return ops.all_reduce_vote(tensor, process_group=group) + 10 * state

    results = []
    for seed in range(3):
        call = comm.call_number
        results.append((function(values(rank, (100,), seed=seed)), call))
    comm.close()
    signccl.torch.communicator().close()
    torch.distributed.destroy_process_group()
    return results


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_ranks_of_process_groups_run_compiled_code(backend: str) -> None:
    with Ranks(2) as ranks:
        ranks.start(compiled_on_ranks, backend)
        outcomes = ranks.outcomes(250)
    for outcome in outcomes:
        assert isinstance(outcome, list), outcome
        for seed, (result, call) in enumerate(outcome):
            inputs = [values(rank, (100,), seed=seed) for rank in range(2)]
            mean = expected_mean(inputs, torch.float32)
            assert_same(result, expected_vote(inputs, call=call).float() + 10 * mean)
