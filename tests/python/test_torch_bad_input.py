# SPDX-License-Identifier: Apache-2.0
"""What DistributedLion refuses, and what wrong gradients and ranks that disagree come to. Nothing hangs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lion_reference as reference
import signccl
from signccl.torch import DistributedLion
from support import as_threads, expect_remote_error, outcomes_of_threads
from torch_jobs import all_bits, alone, backward, tiny_model, train

pytestmark = pytest.mark.timeout(60)


def parameter(tensor: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(tensor, requires_grad=tensor.is_floating_point() or tensor.is_complex())


# -------------------------------------------------------------------------------------------------------- parameters

_WRONG: dict[str, tuple[Callable[[], torch.Tensor], type[Exception], str]] = {
    "float64": (
        lambda: torch.ones(3, dtype=torch.float64),
        TypeError,
        "has dtype torch.float64, expected",
    ),
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), TypeError, "has dtype torch.complex64"),
    "integer": (lambda: torch.ones(3, dtype=torch.int64), TypeError, "has dtype torch.int64"),
    "float8": (lambda: torch.ones(3).to(torch.float8_e4m3fn), TypeError, "has dtype torch.float8_e4m3fn"),
    "sparse": (lambda: torch.eye(3).to_sparse(), TypeError, "has layout torch.sparse_coo, expected torch.strided"),
    "meta": (lambda: torch.ones(3, device="meta"), TypeError, "is on device meta, expected cpu or cuda"),
    "gaps": (
        lambda: torch.ones(4, 6)[:, ::2],
        ValueError,
        r"of shape \(4, 3\) has strides \(6, 2\): .* gaps",
    ),
    "expanded": (lambda: torch.ones(1, 3).expand(4, 3), ValueError, r"of shape \(4, 3\) has strides \(0, 1\)"),
    "negative": (lambda: torch._neg_view(torch.ones(3)), ValueError, "has the negative bit"),
}


@pytest.mark.parametrize("kind", _WRONG)
def test_a_parameter_that_has_no_place_in_a_step_is_named(kind: str) -> None:
    make, error, message = _WRONG[kind]
    good = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(error, match=f"parameter 1 of group 0 {message}"):
        DistributedLion([good, parameter(make())], comm=alone())
    with pytest.raises(error, match=f"parameter 'bad' {message}"):
        DistributedLion([("good", good), ("bad", parameter(make()))], comm=alone())


def test_wrong_momenta_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"momentum_dtype has dtype torch\.float64"):
        DistributedLion([torch.nn.Parameter(torch.ones(2))], comm=alone(), momentum_dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_parameters_that_share_memory_are_refused_with_both_names() -> None:
    storage = torch.arange(10.0)
    one, part = torch.nn.Parameter(storage[:6]), torch.nn.Parameter(storage[5:])
    with pytest.raises(ValueError, match="parameter 'one' and parameter 'part' share memory"):
        DistributedLion([("part", part), ("one", one)], comm=alone())
    with pytest.raises(ValueError, match="parameter 0 of group 0 and parameter 1 of group 1 share memory"):
        DistributedLion([{"params": [one]}, {"params": [torch.nn.Parameter(torch.ones(1)), part]}], comm=alone())
    with pytest.raises(ValueError, match="share memory: expected each parameter once"):
        DistributedLion([one, one], comm=alone())
    DistributedLion([one, torch.nn.Parameter(storage[6:]), torch.nn.Parameter(storage[:0])], comm=alone())


def test_tied_weights_of_a_module_are_one_parameter() -> None:
    model = tiny_model()
    model.tied = torch.nn.Linear(6, 9)
    model.tied.weight = model[0].weight
    assert len(DistributedLion(model.parameters(), comm=alone()).state) == 5


def test_both_a_communicator_and_a_group_are_refused() -> None:
    with pytest.raises(ValueError, match="both comm and process_group are given"):
        DistributedLion(tiny_model().parameters(), comm=alone(), process_group=object())


# --------------------------------------------------------------------------------------------------------- gradients


def test_a_sparse_gradient_is_refused_and_nothing_changes() -> None:
    table = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = DistributedLion(table.named_parameters(), lr=0.5, comm=alone())
    before = all_bits(table.parameters())
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(TypeError, match=r"the gradient of parameter 'weight' has layout torch\.sparse_coo.*no sparse"):
        optimizer.step()
    assert all_bits(table.parameters()) == before
    table.weight.grad = torch.ones(5, 3)
    optimizer.step()
    assert all_bits(table.parameters()) != before


def test_a_gradient_of_another_shape_is_refused() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 4))
    optimizer = DistributedLion([weight], comm=alone())
    weight.grad = torch.ones(2, 4)
    # Both have the strides (4, 1).
    weight.grad.data = torch.ones(1, 4)
    with pytest.raises(ValueError, match=r"the gradient of parameter 0 .* has shape \(1, 4\), expected \(2, 4\)"):
        optimizer.step()


def test_a_parameter_that_grew_needs_a_momentum_of_its_shape() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 4))
    optimizer = DistributedLion([weight], comm=alone())
    weight.data = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"the momentum of parameter 0 of group 0 has shape \(2, 4\) .* \(3, 4\)"):
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("zero", ["binary", "ternary"])
def test_nan_and_infinite_gradients_vote_as_documented(dtype: torch.dtype, zero: str) -> None:
    values = [[torch.nan, torch.inf, -torch.inf, -torch.nan, 1e38], [-1.0, -1.0, 1.0, torch.nan, -torch.inf]]
    name = str(dtype).removeprefix("torch.")

    def body(comm: signccl.Communicator) -> Any:
        weight = torch.nn.Parameter(torch.ones(5, dtype=dtype))
        optimizer = DistributedLion([weight], lr=0.25, comm=comm, zero=zero, tie="zero")
        seen = []
        for _ in range(3):
            weight.grad = torch.tensor(values[comm.rank]).to(dtype)
            optimizer.step()
            seen.append(weight.detach().to(torch.float32).numpy().tobytes())
        return seen, optimizer.state[weight]["momentum"].numpy().tobytes()

    results = as_threads(2, body)
    zeros = [np.zeros(5, np.float32), np.zeros(5, np.float32)]
    tensor = reference.Tensor(np.ones(5, np.float32), name, "float32", reference.Hyperparameters(0.25), zeros)
    gradients: list[Any] = [[reference.to_nearest(np.array(row, np.float32), name)] for row in values]
    for step in range(3):
        reference.step([tensor], gradients, reference.Rules(zero=zero, tie="zero"), step)
        assert [seen[step] for seen, _ in results] == [tensor.value.tobytes()] * 2
    assert [momentum for _, momentum in results] == [momentum.tobytes() for momentum in tensor.momenta]


# ----------------------------------------------------------------------------------------------- ranks that disagree


def lists(rank: int, kind: str) -> list[tuple[str, torch.nn.Parameter]]:
    named = [("a", torch.ones(3)), ("b", torch.ones(2, 4)), ("c", torch.ones(5))]
    if rank == 1:
        named = {
            "name": [named[0], ("other", named[1][1]), named[2]],
            "shape": [named[0], ("b", torch.ones(4, 2)), named[2]],
            "strides": [named[0], ("b", torch.ones(4, 2).t()), named[2]],
            "dtype": [named[0], ("b", torch.ones(2, 4, dtype=torch.bfloat16)), named[2]],
            "order": [named[0], named[2], named[1]],
            "count": named[:2],
        }.get(kind, named)
    made = [(name, torch.nn.Parameter(tensor)) for name, tensor in named]
    if kind == "frozen" and rank == 1:
        made[1][1].requires_grad_(False)
    return made


_B = "parameter 'b', shape (2, 4), strides (4, 1), float32 on rank 0, and "


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("name", _B + "parameter 'other', shape (2, 4), strides (4, 1), float32 on rank 1"),
        ("shape", _B + "parameter 'b', shape (4, 2), strides (2, 1), float32 on rank 1"),
        ("strides", _B + "parameter 'b', shape (2, 4), strides (1, 2), float32 on rank 1"),
        ("dtype", _B + "parameter 'b', shape (2, 4), strides (4, 1), bfloat16 on rank 1"),
        ("order", _B + "parameter 'c', shape (5,), strides (1,), float32 on rank 1"),
        ("frozen", _B + "parameter 'b', shape (2, 4), strides (4, 1), float32, frozen on rank 1"),
        ("count", "3 on rank 0, and 2 on rank 1, which lacks parameter 'c', shape (5,), strides (1,), float32"),
    ],
)
def test_different_lists_of_parameters_are_refused_on_all_ranks(kind: str, message: str) -> None:
    outcomes = outcomes_of_threads(3, lambda comm: DistributedLion(lists(comm.rank, kind), comm=comm))
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert [str(outcome) for outcome in outcomes] == ["the ranks have different parameters: " + message] * 3


def disagree(kind: str, rank: int, model: torch.nn.Module, optimizer: DistributedLion) -> None:
    if rank != 1:
        return
    if kind == "lr":
        optimizer.param_groups[0]["lr"] = 0.25
    elif kind == "betas":
        optimizer.param_groups[0]["betas"] = (0.5, 0.99)
    elif kind == "group":
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
    elif kind == "number":
        optimizer.param_groups[0]["signccl_call_number"] += 1
    elif kind == "frozen":
        model[0].weight.requires_grad_(False)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("kind", ["lr", "betas", "group", "number", "frozen", "tie", "zero", "aggregation", "overlap"])
def test_ranks_that_disagree_all_raise_and_no_parameter_changes(kind: str, overlap: bool) -> None:
    others = {"tie": "zero", "zero": "ternary", "aggregation": "avg", "overlap": not overlap}

    def body(comm: signccl.Communicator) -> Any:
        model = tiny_model()
        before = all_bits(model.parameters())
        settings: dict[str, Any] = {"overlap": overlap, "bucket_mb": 1e-6}
        if kind in others and comm.rank == 1:
            settings[kind] = others[kind]
        optimizer = DistributedLion(model.parameters(), lr=0.125, comm=comm, **settings)
        disagree(kind, comm.rank, model, optimizer)
        try:
            backward(model, comm.rank, 0)
            optimizer.step()
        finally:
            assert all_bits(model.parameters()) == before
        return None

    outcomes = outcomes_of_threads(3, body)
    for outcome in outcomes:
        assert isinstance(outcome, signccl.InvalidUsageError), repr(outcome)
        assert "the ranks disagree" in str(outcome)
        if kind == "lr":
            assert re.search(
                r"the learning rate of tensor (\d) .*; tensor \1 is parameter \1 of group 0$", str(outcome)
            )
            assert "0.25 on rank 1" in str(outcome)
            assert "0.125 on rank" in str(outcome)


# ------------------------------------------------------------------------------------------------- the communicator


def test_a_closed_communicator_is_said_to_be_closed() -> None:
    comm = alone()
    optimizer = DistributedLion(tiny_model().parameters(), comm=comm)
    comm.close()
    with pytest.raises(signccl.InvalidUsageError, match="the communicator is closed"):
        optimizer.step()
    with pytest.raises(signccl.InvalidUsageError, match="the communicator is closed"):
        DistributedLion(tiny_model().parameters(), comm=comm)
    optimizer.state_dict()


@pytest.mark.parametrize("overlap", [False, True])
def test_a_step_after_an_abort_raises_on_every_rank(overlap: bool) -> None:
    def body(comm: signccl.Communicator) -> None:
        if comm.rank == 0:
            train(comm, 2, overlap=overlap)
            comm.abort()
        train(comm, 3, overlap=overlap)

    first, second = outcomes_of_threads(2, body)
    expect_remote_error(first, "rank 0")
    expect_remote_error(second, "rank 0")


def test_a_rank_that_leaves_is_named_and_momenta_have_taken_their_gradients() -> None:
    def body(comm: signccl.Communicator) -> Any:
        model = tiny_model()
        optimizer = DistributedLion(model.parameters(), betas=(0.9, 0.0), comm=comm)
        if comm.rank == 2:
            comm.close()
            return None
        before = all_bits(model.parameters())
        backward(model, comm.rank, 0)
        with pytest.raises(signccl.RemoteError) as caught:
            optimizer.step()
        assert all_bits(model.parameters()) == before
        gradients = all_bits(p.grad for p in model.parameters())
        assert all_bits(optimizer.state[p]["momentum"] for p in model.parameters()) == gradients
        with pytest.raises(signccl.SignCCLError):
            optimizer.step()
        return str(caught.value)

    first, second, _ = as_threads(3, body)
    assert "rank 2" in first
    assert "rank 2" in second


@pytest.mark.parametrize("overlap", [False, True])
def test_an_interrupt_before_a_rank_waits_ends_the_step_of_the_others(overlap: bool) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def body(comm: signccl.Communicator) -> None:
        model = tiny_model()
        optimizer = DistributedLion(model.parameters(), comm=comm, overlap=overlap)
        if comm.rank != 0:
            backward(model, comm.rank, 0)
            optimizer.step()
            return
        assert optimizer._plan is not None and optimizer._plan.lion is not None
        optimizer._plan.lion.submit_or_fail = interrupt  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            backward(model, comm.rank, 0)
            optimizer.step()

    first, second = outcomes_of_threads(2, body)
    assert first is None
    expect_remote_error(second, "rank 0 aborted the communicator: KeyboardInterrupt")


def test_an_optimizer_may_outlive_its_communicator() -> None:
    for is_first in (True, False):
        comm = alone()
        model = tiny_model()
        optimizer = DistributedLion(model.parameters(), comm=comm, overlap=True, bucket_mb=1e-6)
        backward(model, 0, 0)
        with contextlib.suppress(signccl.SignCCLError):
            if is_first:
                comm.close()
            optimizer.step()
        comm.close()
        del optimizer


@pytest.mark.filterwarnings("ignore")  # jax, if another test has imported it, warns at every fork
def test_a_child_process_is_told_that_the_optimizer_is_its_parents() -> None:
    optimizer = DistributedLion(tiny_model().parameters(), comm=alone())
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            optimizer.step()
            os.write(write, b"no error")
        except BaseException as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert "is a child after fork()" in os.read(read, 4096).decode()
    optimizer.step()
