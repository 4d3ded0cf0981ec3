# SPDX-License-Identifier: Apache-2.0
"""The ops of signccl.torch.ops in eager code: results, arguments, errors."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import signccl
from signccl.torch import ops
from signccl.torch._op_keys import key_of
from support import as_threads
from torch_support import assert_same, expected_mean, expected_vote, values

ELEMENTS = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8]
SUMS = [torch.int8, torch.int16, torch.int32]


@pytest.fixture
def alone() -> Iterator[signccl.Communicator]:
    """A communicator of one rank."""
    with signccl.Communicator.all_in_process(1)[0] as comm:
        yield comm


# --------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("dtype", ELEMENTS, ids=str)
@pytest.mark.parametrize("nranks", [1, 2, 3])
def test_votes_are_exact(nranks: int, dtype: torch.dtype) -> None:
    inputs = [values(rank, (5, 41), dtype) for rank in range(nranks)]
    cases = [
        (zero, tie, kind)
        for zero in ("binary", "ternary")
        for tie in ("random", "positive", "negative", "zero")
        for kind in (None, torch.int8, torch.bfloat16)
    ]

    def body(comm: signccl.Communicator) -> list[torch.Tensor]:
        return [
            ops.all_reduce_vote(inputs[comm.rank], comm=comm, zero=zero, tie=tie, dtype=kind)
            for zero, tie, kind in cases
        ]

    for results in as_threads(nranks, body):
        for call, (result, (zero, tie, kind)) in enumerate(zip(results, cases, strict=True)):
            assert_same(result, expected_vote(inputs, zero, tie, call).to(kind or dtype))


@pytest.mark.parametrize("dtype", ELEMENTS, ids=str)
def test_means_are_exact(dtype: torch.dtype) -> None:
    inputs = [values(rank, (5, 41), dtype) for rank in range(3)]
    kinds = [None, torch.float16, torch.float32, torch.bfloat16, torch.float64, *SUMS]

    def body(comm: signccl.Communicator) -> list[torch.Tensor]:
        return [ops.all_reduce_avg(inputs[comm.rank], comm=comm, zero="ternary", dtype=kind) for kind in kinds]

    default = dtype if dtype.is_floating_point else torch.float32
    for results in as_threads(3, body):
        for result, kind in zip(results, kinds, strict=True):
            assert_same(result, expected_mean(inputs, kind or default, "ternary"))


def test_in_place_is_the_tensor_itself() -> None:
    inputs = [values(rank, (70,)) for rank in range(2)]

    def body(comm: signccl.Communicator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        vote, mean, total = inputs[comm.rank].clone(), inputs[comm.rank].clone(), inputs[comm.rank].to(torch.int8)
        assert ops.all_reduce_vote_(vote, comm=comm) is vote
        assert ops.all_reduce_avg_(mean, comm=comm) is mean
        assert ops.all_reduce_avg_(total, comm=comm) is total
        return vote, mean, total

    integers = [one.to(torch.int8) for one in inputs]
    for vote, mean, total in as_threads(2, body):
        assert_same(vote, expected_vote(inputs).float())
        assert_same(mean, expected_mean(inputs, torch.float32))
        assert_same(total, expected_mean(integers, torch.int8))


def test_change_in_place_is_seen_by_autograd(alone: signccl.Communicator) -> None:
    tensor, out = torch.ones(3), torch.ones(3)
    ops.all_reduce_vote_(tensor, comm=alone)
    ops.all_reduce_avg(tensor, comm=alone, out=out)
    assert (tensor._version, out._version) == (1, 1)
    weight = torch.ones(3, requires_grad=True)
    product = weight * tensor
    ops.all_reduce_avg_(tensor, comm=alone)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda base: base.t(),
        lambda base: base[:, ::2],
        lambda base: base[1],
        lambda base: base.new_zeros(()).expand(4, 3),
        lambda base: base[:4, :4].reshape(1, 4, 2, 2).to(memory_format=torch.channels_last),
    ],
)
def test_elements_meet_by_index_whatever_the_strides(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    inputs = [view(values(rank, (6, 8))) for rank in range(2)]

    def body(comm: signccl.Communicator) -> tuple[torch.Tensor, torch.Tensor]:
        mine = inputs[comm.rank] if comm.rank else inputs[0].contiguous()  # strides differ among the ranks
        in_place = mine if mine.is_contiguous() or 0 not in mine.stride() else mine.clone()
        result = ops.all_reduce_vote(mine, comm=comm, tie="positive")
        return result, ops.all_reduce_vote_(in_place.clone(), comm=comm, tie="positive")

    for result, in_place in as_threads(2, body):
        assert result.is_contiguous()
        assert_same(result, expected_vote(inputs, tie="positive").float())
        assert_same(in_place, result)


def test_out_may_be_anything_that_holds_the_result(alone: signccl.Communicator) -> None:
    tensor = values(0, (6, 4))
    expected = expected_vote([tensor]).float()
    strided = torch.zeros(4, 12)[:, ::2].t()
    assert ops.all_reduce_vote(tensor, comm=alone, out=strided) is strided
    assert_same(strided, expected)
    same = tensor.clone()
    assert_same(ops.all_reduce_vote(same, comm=alone, out=same), expected)
    overlapping = torch.zeros(30)
    overlapping[:24] = tensor.view(-1)
    ops.all_reduce_vote(overlapping[:24], comm=alone, out=overlapping[6:])
    assert_same(overlapping[6:], expected.view(-1))
    other_type = torch.zeros(6, 4, dtype=torch.int16)
    assert_same(ops.all_reduce_avg(tensor, comm=alone, out=other_type), expected.to(torch.int16))
    transposed = tensor[:4, :4].clone()
    ops.all_reduce_vote(transposed.t(), comm=alone, out=transposed)
    assert_same(transposed, expected[:4, :4].t())


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_any_shape_goes(alone: signccl.Communicator, shape: tuple[int, ...]) -> None:
    tensor = torch.full(shape, -2.0)
    assert_same(ops.all_reduce_vote(tensor, comm=alone), torch.full(shape, -1.0))
    assert_same(ops.all_reduce_avg_(tensor, comm=alone), torch.full(shape, -1.0))


def test_without_a_communicator_a_process_is_alone() -> None:
    assert_same(ops.all_reduce_vote(torch.tensor([-3.0, 2.0])), torch.tensor([-1.0, 1.0]))


# ---------------------------------------------------------------------------------------------------------- errors


ONES = torch.ones(2)

BAD: list[tuple[type[Exception], str, Callable[[signccl.Communicator], Any]]] = [
    (
        TypeError,
        "tensor has dtype torch.int64",
        lambda c: ops.all_reduce_vote(ONES.long(), comm=c),
    ),
    (
        TypeError,
        "tensor has dtype torch.int16",
        lambda c: ops.all_reduce_avg_(ONES.short(), comm=c),
    ),
    (
        TypeError,
        "result has dtype torch.int32",
        lambda c: ops.all_reduce_vote(ONES, comm=c, dtype=torch.int32),
    ),
    (TypeError, "layout torch.sparse_coo", lambda c: ops.all_reduce_vote(ONES.to_sparse(), comm=c)),
    (
        ValueError,
        "zero is 'x', expected one of: binary",
        lambda c: ops.all_reduce_vote(ONES, comm=c, zero="x"),
    ),
    (ValueError, "tie is 'x', expected one of: zero", lambda c: ops.all_reduce_vote_(ONES, comm=c, tie="x")),
    (ValueError, "out has shape", lambda c: ops.all_reduce_avg(ONES, comm=c, out=torch.ones(3))),
    (TypeError, "out has dtype", lambda c: ops.all_reduce_vote(ONES, comm=c, out=ONES.long())),
    (ValueError, "share memory", lambda c: ops.all_reduce_vote_(torch.ones(1).expand(4), comm=c)),
    (
        TypeError,
        "dtype is torch.int8, but out is given",
        lambda c: ops.all_reduce_vote(ONES, comm=c, out=ONES, dtype=torch.int8),
    ),
    (TypeError, "comm is of type str", lambda c: ops.all_reduce_vote(ONES, comm="0")),  # type: ignore[arg-type]
    (TypeError, "process_group is of type str", lambda c: ops.all_reduce_vote(ONES, process_group="0")),
    (ValueError, "both comm and process", lambda c: ops.all_reduce_vote(ONES, comm=c, process_group=object())),
    (ValueError, "not in the process group", lambda c: ops.all_reduce_vote(ONES, process_group=non_member())),
    (ValueError, "comm is 'x', expected", lambda c: torch.ops.signccl.all_reduce_vote(ONES, "x")),
    (ValueError, "no process group of that", lambda c: torch.ops.signccl.all_reduce_vote(ONES, "group:x")),
    (RuntimeError, "give tensor.detach()", lambda c: ops.all_reduce_vote(with_grad(), comm=c)),
    (
        RuntimeError,
        "no gradient",
        lambda c: ops.all_reduce_avg(ONES, comm=c, out=with_grad()),
    ),
]


def with_grad() -> torch.Tensor:
    return torch.ones(2, requires_grad=True)


def non_member() -> Any:
    return torch.distributed.GroupMember.NON_GROUP_MEMBER


@pytest.mark.parametrize("case", BAD, ids=[text for _, text, _ in BAD])
def test_bad_argument_is_named_and_has_no_effect(alone: signccl.Communicator, case: Any) -> None:
    kind, text, call = case
    with pytest.raises(kind) as caught:
        call(alone)
    assert text in str(caught.value)
    assert alone.call_number == 0


def test_tensors_that_require_grad_vote_without_grad_mode(alone: signccl.Communicator) -> None:
    weight = torch.tensor([-2.0, 3.0], requires_grad=True)
    assert_same(ops.all_reduce_vote(weight.detach(), comm=alone), torch.tensor([-1.0, 1.0]))
    with torch.no_grad():
        ops.all_reduce_vote_(weight, comm=alone)
    assert weight.tolist() == [-1.0, 1.0] and weight.requires_grad
    with torch.inference_mode():
        assert ops.all_reduce_avg_(torch.tensor([-5.0]), comm=alone).tolist() == [-1.0]


def test_communicator_that_is_gone_or_closed_is_an_error() -> None:
    comm = signccl.Communicator.all_in_process(1)[0]
    key = key_of(comm, None)
    comm.close()
    with pytest.raises(signccl.InvalidUsageError, match="closed"):
        ops.all_reduce_vote(torch.ones(2), comm=comm)
    del comm
    gc.collect()
    with pytest.raises(ValueError, match="is gone"):
        torch.ops.signccl.all_reduce_vote(torch.ones(2), key)


def test_ranks_that_disagree_get_the_error_of_the_library() -> None:
    def body(comm: signccl.Communicator) -> None:
        with pytest.raises(signccl.InvalidUsageError):
            ops.all_reduce_vote(torch.ones(2 + comm.rank), comm=comm)

    as_threads(2, body)


def test_meta_tensors_give_shapes_without_a_call(alone: signccl.Communicator) -> None:
    result = ops.all_reduce_avg(torch.empty(3, 2, device="meta"), comm=alone, dtype=torch.int32)
    assert (result.shape, result.dtype, result.device.type) == ((3, 2), torch.int32, "meta")
    assert alone.call_number == 0
