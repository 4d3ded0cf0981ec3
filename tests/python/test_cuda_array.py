# SPDX-License-Identifier: Apache-2.0
"""The collectives on arrays in device memory, over the fake CUDA driver: a host that touches such an array dies."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import reference as ref
import signccl
from cuda_support import CudaArray, FakeProcess, HeldUp, Stream, check, current, driver, needs_fake, pinned
from support import Job, as_threads, outcomes_of_threads

pytestmark = needs_fake

F4 = np.dtype("f4")
BY_OPERATION = {"vote": signccl.all_reduce_vote, "avg": signccl.all_reduce_avg}
CASES = [
    ("vote", F4, F4, "binary", "random"),
    ("vote", F4, np.dtype("i1"), "ternary", "zero"),
    ("vote", ref.BFLOAT16, ref.BFLOAT16, "binary", "random"),
    ("vote", np.dtype("f2"), np.dtype("f8"), "ternary", "negative"),
    ("vote", np.dtype("i1"), ref.PACKED, "binary", "positive"),
    ("vote", ref.PACKED, F4, "binary", "random"),
    ("avg", F4, F4, "binary", ""),
    ("avg", np.dtype("f8"), ref.BFLOAT16, "ternary", ""),
    ("avg", ref.BFLOAT16, np.dtype("i4"), "binary", ""),
]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A process with the driver."""
    with FakeProcess() as process:
        yield process


def check_case(comm: signccl.Communicator, case: Any, shape: Any, stream: Any) -> None:
    """Runs a collective on this rank's arrays, and compares the bits with those of NumPy."""
    operation, send, receive, zero, tie = case
    inputs = [ref.values(rank, shape, np.dtype("i1") if send == ref.PACKED else send) for rank in range(comm.nranks)]
    votes = [ref.signs(one, zero) for one in inputs]
    options: dict[str, Any] = {"zero": zero, "stream": stream}
    mine: np.ndarray = inputs[comm.rank]
    if send == ref.PACKED:
        votes = [vote.ravel() for vote in votes]
        mine = ref.pack(votes[comm.rank] > 0)
        options["count"] = votes[0].size
    if operation == "vote":
        options["tie"] = tie
        expected = ref.vote(votes, tie, comm.call_number)
        expected = ref.pack(expected.ravel() > 0) if receive == ref.PACKED else expected.astype(receive)
    else:
        expected = ref.mean(votes, receive)
    array = CudaArray(mine)
    out = CudaArray(np.zeros(expected.shape, receive))
    assert BY_OPERATION[operation](array, comm, out, **options) is out
    stream.synchronize()
    assert ref.same_bits(out.get(), expected), f"{case} {shape}: got {out.get()}, expected {expected}"
    assert ref.same_bits(array.get(), mine), f"{case} {shape}: the input has changed"


def exact_body(comm: signccl.Communicator) -> None:
    with current():
        stream = Stream()
        for case in CASES:
            for shape in [(), (65,), (5, 13), (2, 3, 500)]:
                check_case(comm, case, shape, stream)


def exact(nranks: int) -> None:
    as_threads(nranks, exact_body)


@pytest.mark.parametrize(("nranks", "queues"), [(1, 8), (2, 1), (4, 2)])
def test_results_are_those_of_numpy(fake: FakeProcess, nranks: int, queues: int) -> None:
    fake.run(exact, nranks, queues=queues)


def returns_at_once() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        stream = Stream()
        array = CudaArray(np.array([-2, 3, 0], F4))
        signccl.all_reduce_vote(array, comm, array, stream=stream)  # the first call may wait for the device
        stream.synchronize()
        array.put(np.array([4, -5, 6], F4))
        held = HeldUp(stream)
        signccl.all_reduce_vote(array, comm, array, stream=stream)
        assert array.get().tolist() == [4, -5, 6]
        held.let_go()
        stream.synchronize()
        assert array.get().tolist() == [1, -1, 1]


def test_a_call_returns_before_its_stream_has_come_to_it(fake: FakeProcess) -> None:
    fake.run(returns_at_once)


def on_streams() -> None:
    """One call behind the other on the stream that is held up, by each way to name a stream."""
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        stream = Stream()
        signccl.all_reduce_vote(CudaArray(np.ones(3, F4)), comm, CudaArray(np.ones(3, F4)), stream=stream)
        stream.synchronize()

        class Holder:
            __cuda_stream__ = (0, stream.handle)

        values = np.array([-1, 1, -1], F4)
        named = {"stream": stream.handle}
        ways: list[tuple[Any, Any, Any]] = [
            (CudaArray(values), CudaArray(0 * values), stream.handle),
            (CudaArray(values), CudaArray(0 * values), np.uint64(stream.handle)),
            (CudaArray(values), CudaArray(0 * values), stream),
            (CudaArray(values), CudaArray(0 * values), Holder()),
            (CudaArray(values, **named), CudaArray(0 * values), None),
            (CudaArray(values), CudaArray(0 * values, **named), None),
            (CudaArray(values, **named), CudaArray(0 * values, **named), None),
            (CudaArray(values, stream=2), CudaArray(0 * values, **named), stream),
            (pinned(values), pinned(0 * values), stream),
            (CudaArray(values), pinned(0 * values), stream),
        ]
        held = HeldUp(stream)
        for array, out, given in ways:
            signccl.all_reduce_vote(array, comm, out, stream=given)
        outs = [out if isinstance(out, np.ndarray) else out.get() for _, out, _ in ways]
        assert not any(map(np.any, outs))
        held.let_go()
        stream.synchronize()
        for number, (_, out, _) in enumerate(ways):
            result = out if isinstance(out, np.ndarray) else out.get()
            assert result.tolist() == values.tolist(), number


def test_a_call_is_on_the_stream_that_is_given_or_else_on_that_of_the_arrays(fake: FakeProcess) -> None:
    fake.run(on_streams)


def on_default_streams() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    with current(), comm:
        for given, stream in [(None, None), (0, None), (1, None), (2, None), (None, 1), (None, 2)]:
            array = CudaArray(np.array([-1, 1], F4), stream=stream)
            out = CudaArray(np.zeros(2, F4))
            signccl.all_reduce_vote(array, comm, out, stream=given)
            check(driver().cuCtxSynchronize())
            assert out.get().tolist() == [-1, 1], (given, stream)


def test_default_streams_are_streams(fake: FakeProcess) -> None:
    fake.run(on_default_streams)


def beside_host_memory() -> None:
    inputs = [ref.values(rank, 1000, F4) for rank in range(3)]
    expected = ref.vote([ref.signs(one, "binary") for one in inputs], "random", 0).astype(F4)

    def body(comm: signccl.Communicator) -> None:
        if comm.rank == 1:
            assert ref.same_bits(signccl.all_reduce_vote(inputs[1], comm), expected)
            return
        with current():
            stream = Stream()
            array = CudaArray(inputs[comm.rank])
            signccl.all_reduce_vote(array, comm, array, stream=stream)
            stream.synchronize()
            assert ref.same_bits(array.get(), expected)

    as_threads(3, body)


def test_ranks_with_host_arrays_take_part(fake: FakeProcess) -> None:
    fake.run(beside_host_memory)


def refusal(error: type[BaseException], text: str, array: Any, out: Any, **options: Any) -> None:
    """A rank that is alone can go on after a call that is refused; of two, the other one learns why."""
    (comm,) = signccl.Communicator.all_in_process(1)
    with comm:
        with pytest.raises(error, match=re.escape(text)):
            signccl.all_reduce_vote(array, comm, out, **options)
        assert signccl.all_reduce_vote(np.array([-2.0]), comm).tolist() == [-1]


def refusals() -> None:
    with current(0):
        stream = Stream()
        values = np.zeros((4, 6), F4)
        array, out, large = CudaArray(values), CudaArray(values), CudaArray(np.zeros(64000, F4))
        one, other = CudaArray(values, stream=stream.handle), CudaArray(values, stream=Stream().handle)

        def other_with(**changes: Any) -> CudaArray:
            return CudaArray(values, **changes)

        f_order = other_with(strides=(4, 16))
        sliced = other_with(strides=(48, 4))
        for error, text, given, into, options in [
            (ValueError, "array of shape (4, 6) has strides (4, 16), expected a C-contiguous", f_order, out, {}),
            (ValueError, "out of shape (4, 6) has strides (48, 4), expected", array, sliced, {}),
            (ValueError, "out is read-only", array, other_with(data=(out.address, True)), {}),
            (ValueError, "out has shape (24,), expected (4, 6)", array, CudaArray(values.ravel()), {}),
            (ValueError, "array has shape (4, -6), expected no negative", other_with(shape=(4, -6)), out, {}),
            (ValueError, "array of shape (4, 6) has the address 0", other_with(data=(0, False)), out, {}),
            (TypeError, "array has dtype int64, expected", other_with(typestr="<i8"), out, {}),
            (TypeError, "array has dtype float32 with foreign", other_with(typestr=">f4"), out, {}),
            (TypeError, "array has typestr 'no type', expected", other_with(typestr="no type"), out, {}),
            (TypeError, "array has a mask", other_with(mask=array), out, {}),
            (TypeError, "array is of type CudaArray, whose __cuda_array_interface__ is", other_with(data=3), out, {}),
            (TypeError, "out is None, and array is of type CudaArray in the memory", array, None, {}),
            (TypeError, "out is None, but stream is given", values, None, {"stream": stream}),
            (TypeError, "stream is 'legacy', expected a handle", array, out, {"stream": "legacy"}),
            (TypeError, "stream is True, expected a handle", array, out, {"stream": True}),
            (ValueError, "stream is -1, expected 0 to", array, out, {"stream": -1}),
            (ValueError, "array has the stream 0 in its", other_with(stream=0), out, {}),
            (ValueError, f"array is used on stream {stream.handle:#x} and out on", one, other, {}),
            (ValueError, "is pageable host memory", array, values, {"stream": stream}),
            (ValueError, "and stream is not NULL", values, values.copy(), {"stream": stream}),
            (ValueError, "misaligned device pointer", other_with(data=(large.address + 2, False)), out, {}),
            (ValueError, "expected an allocation that holds all", other_with(shape=(64000,)), large, {}),
        ]:
            refusal(error, text, given, into, **options)


def test_wrong_arguments_are_refused_with_their_values(fake: FakeProcess) -> None:
    fake.run(refusals)


def refusals_of_devices() -> None:
    with current(1):
        there, stream_there = CudaArray(np.zeros(8, F4)), Stream()
        with current(0):
            here = CudaArray(np.zeros(8, F4))
            refusal(ValueError, "expected all buffers of a call on one device", here, there)
            refusal(ValueError, "belongs to device 1, and the buffers are on", here, here, stream=stream_there)


def test_buffers_and_streams_of_other_devices_are_refused(fake: FakeProcess) -> None:
    fake.run(refusals_of_devices, devices=2)


class NoDevice:
    """An array in a process without a driver."""

    __cuda_array_interface__ = {"shape": (3,), "typestr": "<f4", "data": (0x7F0000000000, False), "version": 3}  # noqa: RUF012


def test_device_array_without_a_driver_is_an_error() -> None:
    refusal(ValueError, "libcuda.so.1", NoDevice(), NoDevice())


def refused_on_one_rank() -> None:
    def body(comm: signccl.Communicator) -> None:
        with current():
            array = CudaArray(np.zeros(3, F4))
            signccl.all_reduce_vote(array, comm, array if comm.rank == 0 else None)

    outcomes = outcomes_of_threads(2, body)
    assert isinstance(outcomes[1], TypeError)
    assert isinstance(outcomes[0], signccl.RemoteError)
    assert "rank 1" in str(outcomes[0]) and "out is None" in str(outcomes[0])


def test_the_others_learn_what_a_rank_refused(fake: FakeProcess) -> None:
    fake.run(refused_on_one_rank)


def failed_later() -> None:
    """A rank aborts while the stream of the other one waits for it."""
    both_have_called = threading.Barrier(2)

    def body(comm: signccl.Communicator) -> None:
        with current():
            stream = Stream()
            array = CudaArray(np.ones(3, F4))
            signccl.all_reduce_vote(array, comm, array, stream=stream)
            stream.synchronize()
            if comm.rank == 0:
                held = HeldUp(stream)
            signccl.all_reduce_vote(array, comm, array, stream=stream)
            both_have_called.wait(10)
            if comm.rank == 0:
                comm.abort("enough")
                held.let_go()
            stream.synchronize()
            assert isinstance(comm.error, signccl.RemoteError) and "enough" in str(comm.error)
            with pytest.raises(signccl.RemoteError, match="enough"):
                signccl.all_reduce_vote(array, comm, array, stream=stream)

    as_threads(2, body)


def test_a_failure_after_the_call_is_told_by_the_communicator(fake: FakeProcess) -> None:
    fake.run(failed_later)


def test_a_process_that_ends_after_its_call_gives_its_signs_to_the_others() -> None:
    with Job(2, "cuda_exit") as job:
        assert job.expect_success() == ["", "[1.0, -1.0] None\n"]
