# SPDX-License-Identifier: Apache-2.0
"""Ops and optimizer on tensors in device memory, over the fake CUDA driver: PyTorch for the CPU has only addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import signccl
from cuda_support import FakeProcess, HeldUp, Stream, current, needs_fake
from signccl.torch import DistributedLion, GradScaler, ops
from signccl.torch.tensors import unscale_
from support import as_threads
from torch_cuda_support import from_device, on_device, pose_as_captured, put, put_in_place, use
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


# --------------------------------------------------------------------------------------------------- the optimizer

SHAPES = [((33, 7), torch.float32), ((130,), torch.bfloat16), ((5, 4, 3), torch.float16)]
NSTEPS = 4


class Trained:
    """One rank's parameters, on the device or not, with gradients that depend on rank and step."""

    def __init__(self, comm: signccl.Communicator, place: str, **options: Any) -> None:
        self.rank, self.is_on_device = comm.rank, place == "device"
        given = [values(99, shape, torch.float32).nan_to_num(0, 1, -1).to(dtype) for shape, dtype in SHAPES]
        given[2] = given[2].transpose(0, 2).contiguous().transpose(0, 2)
        self.parameters = [torch.nn.Parameter(self.put(one)) for one in given]
        self.optimizer = DistributedLion(self.parameters, lr=0.1, weight_decay=0.01, comm=comm, **options)

    def put(self, host: torch.Tensor) -> torch.Tensor:
        return on_device(host) if self.is_on_device else host.clone()

    def get(self, tensor: torch.Tensor) -> torch.Tensor:
        return from_device(tensor.detach()) if self.is_on_device else tensor.detach().clone()

    def set_gradients(self, step: int) -> None:
        for number, parameter in enumerate(self.parameters):
            gradient = values(self.rank, parameter.shape, torch.float32, seed=10 * step + number).nan_to_num(0, 1, -1)
            host = torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype).copy_(gradient)
            parameter.grad = self.put(host) if number != step else None

    def state(self) -> list[torch.Tensor]:
        momenta = [self.optimizer.state[parameter]["momentum"] for parameter in self.parameters]
        return [self.get(tensor) for tensor in (*self.parameters, *momenta)]


def trained(places: list[str], **options: Any) -> list[list[torch.Tensor]]:
    """Parameters and momenta of every rank after some steps."""

    def body(comm: signccl.Communicator) -> list[torch.Tensor]:
        with current():
            stream = Stream()
            use(stream)
            job = Trained(comm, places[comm.rank], **options)
            for step in range(NSTEPS):
                job.set_gradients(step)
                job.optimizer.step()
                stream.synchronize()
                assert not job.optimizer.step_was_skipped
            return job.state()

    return as_threads(len(places), body)


def assert_all_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for one, other in zip(got, expected, strict=True):
        assert_same(one, other)


def steps_as_in_host_memory() -> None:
    put_in_place()
    for options in ({}, {"aggregation": "avg", "zero": "ternary"}, {"rounding": "stochastic", "tie": "positive"}):
        expected = trained(["host", "host", "host"], **options)
        for places in (["device", "device", "device"], ["device", "host", "device"]):
            for got, wanted in zip(trained(places, **options), expected, strict=True):
                assert_all_same(got, wanted)


def test_steps_on_a_device_are_those_in_host_memory(fake: FakeProcess) -> None:
    fake.run(steps_as_in_host_memory)


def steps_return() -> None:
    put_in_place()
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        stream = Stream()
        use(stream)
        job = Trained(comm, "device")
        job.set_gradients(0)
        job.optimizer.step()  # the first step may wait for the device
        stream.synchronize()
        before = job.state()
        held = HeldUp(stream)
        job.set_gradients(1)
        job.optimizer.step()
        assert_all_same(job.state(), before)
        held.let_go()
        stream.synchronize()
        assert not torch.equal(job.state()[0], before[0])


def test_a_step_returns_before_the_current_stream_has_come_to_it(fake: FakeProcess) -> None:
    fake.run(steps_return)


def skipped_steps() -> None:
    """Rank 1 has an overflow, which only its device knows of."""
    put_in_place()

    def body(comm: signccl.Communicator) -> None:
        with current():
            stream = Stream()
            use(stream)
            job = Trained(comm, "device")
            before = job.state()
            job.set_gradients(0)
            job.optimizer.found_inf = on_device(torch.tensor([float(comm.rank == 1)]))
            held = HeldUp(stream)
            job.optimizer.step()
            held.let_go()
            assert job.optimizer.step_was_skipped
            assert_all_same(job.state()[:3], before[:3])
            job.optimizer.found_inf = on_device(torch.tensor([0.0]))
            job.optimizer.step()
            assert not job.optimizer.step_was_skipped
            assert not torch.equal(job.state()[0], before[0])

    as_threads(2, body)


def test_an_overflow_on_one_device_lets_all_ranks_skip_the_step(fake: FakeProcess) -> None:
    fake.run(skipped_steps)


def rates_on_device() -> None:
    """The stream reads them when it comes to the step, with one parameter group and with two."""
    put_in_place()
    for ngroups in (1, 2):
        (comm,) = signccl.Communicator.all_in_process(1)
        with current(), comm:
            stream = Stream()
            use(stream)
            rate = on_device(torch.tensor(0.5))
            parameters = [torch.nn.Parameter(on_device(torch.zeros(70))) for _ in range(2)]
            groups: list[Any] = [{"params": parameters[:1], "lr": rate}, {"params": parameters[1:], "lr": 0.25}]
            if ngroups == 1:
                groups = [{"params": parameters, "lr": rate}]
            optimizer = DistributedLion(groups, comm=comm)
            for parameter in parameters:
                parameter.grad = on_device(torch.full((70,), -1.0))
            optimizer.step()
            stream.synchronize()
            rates = [0.5, 0.5 if ngroups == 1 else 0.25]
            for parameter, expected in zip(parameters, rates, strict=True):
                assert_same(from_device(parameter.detach()), torch.full((70,), expected))
            if ngroups == 1:
                held = HeldUp(stream)
                optimizer.step()
                put(rate, torch.tensor(2.0))  # after step() has returned, and before the stream has come to it
                held.let_go()
                stream.synchronize()
                assert_same(from_device(parameters[0].detach()), torch.full((70,), 2.5))


def test_a_learning_rate_on_the_device_is_read_by_the_stream(fake: FakeProcess) -> None:
    fake.run(rates_on_device)


def test_a_learning_rate_of_several_elements_is_refused() -> None:
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        rates: Any = torch.ones(2, device="cuda")
        with (
            signccl.Communicator.all_in_process(1)[0] as comm,
            pytest.raises(ValueError, match="lr is a tensor of 2 elements, expected 1"),
        ):
            DistributedLion([torch.nn.Parameter(torch.ones(3))], lr=rates, comm=comm)


def captured_steps() -> None:
    put_in_place()
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        use(Stream())
        job = Trained(comm, "device", momentum_sync_every=10)
        job.set_gradients(0)
        pose_as_captured(True)
        try:
            with pytest.raises(ValueError, match="momentum_sync_every=10 cannot be part of a CUDA graph"):
                job.optimizer.step()
        finally:
            pose_as_captured(False)


def test_what_goes_through_host_memory_is_refused_in_a_cuda_graph(fake: FakeProcess) -> None:
    fake.run(captured_steps)


def overlapped_steps() -> None:
    """Gradients come on two streams; the step is over on the stream that is current at step()."""
    put_in_place()
    expected = trained(["host", "host"])

    def body(comm: signccl.Communicator) -> list[torch.Tensor]:
        with current():
            streams = [Stream(), Stream()]
            use(streams[0])
            job = Trained(comm, "device", overlap=True, bucket_mb=1e-6)
            for step in range(NSTEPS):
                job.set_gradients(step)
                for number, parameter in reversed(list(enumerate(job.parameters))):
                    use(streams[number % 2])
                    if parameter.grad is not None:
                        job.optimizer._overlap._on_gradient(parameter)
                use(streams[1])
                job.optimizer.step()
                streams[1].synchronize()
            return job.state()

    for got, wanted in zip(as_threads(2, body), expected, strict=True):
        assert_all_same(got, wanted)


def test_buckets_on_several_streams_give_the_same_bits(fake: FakeProcess) -> None:
    fake.run(overlapped_steps)


def test_unscaling_on_a_device_divides_and_finds_what_is_not_finite() -> None:
    for bad, found in ((1.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0)):
        found_inf = torch.zeros(())
        gradients = [torch.tensor([3.0, bad]), torch.tensor([6.0], dtype=torch.float16), torch.tensor([12.0])]
        unscale_(gradients, found_inf, torch.tensor(4.0))
        assert found_inf.item() == found
        assert [one[0].item() for one in gradients] == [0.75, 1.5, 3.0]


@pytest.mark.parametrize("skipped", [0, 1])
def test_scaler_takes_the_word_of_the_device_without_asking_for_it(skipped: int) -> None:
    with signccl.Communicator.all_in_process(1)[0] as comm:
        parameter = torch.nn.Parameter(torch.ones(3))
        optimizer = DistributedLion([parameter], comm=comm)
        scaler = GradScaler("cpu", init_scale=8.0)
        scaler.scale(parameter.sum()).backward()

        def step() -> None:
            optimizer._session.step_was_skipped = torch.tensor([skipped], dtype=torch.int32)

        optimizer.step = step  # type: ignore[method-assign]
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == (4.0 if skipped else 8.0)


def test_parameters_of_two_devices_in_one_optimizer_are_refused() -> None:
    with signccl.Communicator.all_in_process(1)[0] as comm:
        here, there = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3, device="meta"))
        plan = DistributedLion([here], comm=comm)._current_plan()
        (entry,) = plan.entries
        plan.entries.append(entry._replace(parameter=there, part=there.detach(), name="parameter 'there'"))
        state = {tensor: {"momentum": torch.zeros_like(tensor.detach())} for tensor in (here, there)}
        with pytest.raises(
            ValueError, match=r"parameter 'there' is on device meta and parameter 0 .* on cpu, expected"
        ):
            plan._check_places(state)


def test_a_parameter_that_is_neither_in_host_memory_nor_on_a_cuda_device_is_refused() -> None:
    with signccl.Communicator.all_in_process(1)[0] as comm:
        tensors = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3, device="meta"))]
        with pytest.raises(TypeError, match="parameter 1 of group 0 is on device meta, expected cpu or cuda"):
            DistributedLion(tensors, comm=comm)
