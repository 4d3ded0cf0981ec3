"""The ops on tensors in device memory, over the fake CUDA driver: PyTorch for the CPU holds nothing but addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import signccl
from cuda_support import FakeProcess, HeldUp, Stream, current, needs_fake
from signccl.torch import ops
from support import as_threads
from torch_cuda_support import from_device, on_device, put, put_in_place, use
from torch_support import assert_same, expected_mean, expected_vote, values

pytestmark = needs_fake


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A process with the driver."""
    with FakeProcess() as process:
        yield process


def exact_ops() -> None:
    put_in_place()
    dtypes = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8]

    def body(comm: signccl.Communicator) -> None:
        with current():
            stream = Stream()
            use(stream)
            for dtype in dtypes:
                inputs = [values(rank, (5, 41), dtype) for rank in range(comm.nranks)]
                mine = on_device(inputs[comm.rank])
                call = comm.call_number
                vote = ops.all_reduce_vote(mine, comm=comm, dtype=torch.int8)
                out = on_device(torch.zeros(5, 41, dtype=torch.bfloat16))
                assert ops.all_reduce_vote(mine, comm=comm, out=out, zero="ternary", tie="zero") is out
                mean = ops.all_reduce_avg(mine, comm=comm, dtype=torch.float32)
                stream.synchronize()
                torch.testing.assert_close(from_device(mine), inputs[comm.rank], rtol=0, atol=0, equal_nan=True)
                ops.all_reduce_vote_(mine, comm=comm, tie="positive")
                stream.synchronize()
                assert_same(from_device(vote), expected_vote(inputs, call=call).to(torch.int8))
                assert_same(from_device(out), expected_vote(inputs, "ternary", "zero").to(torch.bfloat16))
                assert_same(from_device(mean), expected_mean(inputs, torch.float32))
                assert_same(from_device(mine), expected_vote(inputs, tie="positive").to(dtype))

    as_threads(3, body)


def test_results_are_exact(fake: FakeProcess) -> None:
    fake.run(exact_ops, queues=2)


def returns_at_once() -> None:
    put_in_place()
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        stream = Stream()
        use(stream)
        tensor = on_device(torch.tensor([3.0, -3.0]))
        ops.all_reduce_vote_(tensor, comm=comm)  # the first call may wait for the device
        stream.synchronize()
        put(tensor, torch.tensor([-5.0, 5.0]))
        held = HeldUp(stream)
        ops.all_reduce_vote_(tensor, comm=comm)
        assert from_device(tensor).tolist() == [-5, 5]
        held.let_go()
        stream.synchronize()
        assert from_device(tensor).tolist() == [-1, 1]


def test_a_vote_returns_before_the_current_stream_has_come_to_it(fake: FakeProcess) -> None:
    fake.run(returns_at_once)


def refused() -> None:
    put_in_place()
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        use(Stream())
        tensor = on_device(torch.ones(4))
        with pytest.raises(ValueError, match="pageable host memory"):
            ops.all_reduce_vote(tensor, comm=comm, out=torch.ones(4))
        with pytest.raises(ValueError, match="out is on device meta, expected cpu, that of tensor"):
            ops.all_reduce_vote(tensor, comm=comm, out=torch.ones(4, device="meta"))


def test_out_on_another_device_is_refused(fake: FakeProcess) -> None:
    fake.run(refused)


def test_compilers_see_the_device_of_a_result() -> None:
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        tensor: Any = torch.empty(3, 4, dtype=torch.bfloat16, device="cuda")
        vote = torch.ops.signccl.all_reduce_vote(tensor, "", dtype=torch.int8)
        assert (vote.device.type, vote.dtype, vote.shape) == ("cuda", torch.int8, (3, 4))
        with pytest.raises(ValueError, match="out is on device cpu, expected cuda"):
            torch.ops.signccl.all_reduce_vote.out(tensor, "", out=torch.empty(3, 4))
