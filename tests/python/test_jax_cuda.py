# SPDX-License-Identifier: Apache-2.0
"""XLA's handlers for CUDA over the fake CUDA driver, called as XLA calls them: jaxlib for CPUs has no streams."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

import reference as ref
import signccl
from cuda_support import DeviceMemory, FakeProcess, HeldUp, Stream, current
from support import as_threads
from xla_cuda_support import (
    F4,
    FAILED_PRECONDITION,
    FRAMES,
    Outcome,
    add_ranks,
    call,
    handler,
    needs_handlers,
    place,
    remove_ranks,
)

pytestmark = needs_handlers

FIT_FOR_COMMAND_BUFFERS = 1


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A process with the driver."""
    with FakeProcess() as process:
        yield process


def exact() -> None:
    """Two arrays travel in one exchange, one of them in place."""
    inputs = [[ref.values(rank, 700, F4), ref.values(rank, 130, ref.BFLOAT16)] for rank in range(3)]

    def body(comm: signccl.Communicator) -> None:
        number = add_ranks([comm], [-1])
        with current():
            stream = Stream()
            kept: list[DeviceMemory] = []  # freeing waits for the device, and so for a stream that is held up
            for round_ in range(3):
                mine = [DeviceMemory(one) for one in inputs[comm.rank]]
                outs = [mine[0], DeviceMemory(np.zeros(130, np.int8))]
                here = place()
                kept += [*mine, *outs, here]
                held = HeldUp(stream) if round_ > 0 else None
                first = comm.call_number
                vote = call("signcclJaxVoteOnCuda", 0, stream, [here, *mine], outs, ranks=number, zero=0, tie=3, seed=5)
                assert vote == (0, "")
                if held is not None:
                    assert not outs[1].get().any()  # it has returned before the stream came to it
                    held.let_go()
                stream.synchronize()
                for index, (out, dtype) in enumerate(zip(outs, (F4, np.dtype("i1")), strict=True)):
                    votes = [ref.signs(one[index], "binary") for one in inputs]
                    assert ref.same_bits(out.get(), ref.vote(votes, "random", first + index).astype(dtype))
                mine[0].put(inputs[comm.rank][0])
                outs = [DeviceMemory(np.zeros(700, F4))]
                kept += outs
                mean = call("signcclJaxAvgOnCuda", 0, stream, [here, mine[0]], outs, ranks=number, zero=1, seed=0)
                assert mean == (0, "")
                stream.synchronize()
                expected = ref.mean([ref.signs(one[0], "ternary") for one in inputs], F4)
                assert ref.same_bits(outs[0].get(), expected)

    as_threads(3, body)


def test_results_are_those_of_numpy(fake: FakeProcess) -> None:
    fake.run(exact)


def ranks_of_devices() -> None:
    """Each device is the rank that was made for it, whatever the order."""
    comms = signccl.Communicator.all_in_process(2)
    number = add_ranks(comms, [1, 0])
    numbers = {"ranks": number, "zero": 0, "tie": 3, "seed": 0}

    def body(other: signccl.Communicator) -> Outcome:
        device = other.rank
        with current(device):
            stream = Stream()
            array = DeviceMemory(np.full(5, 1 - 2 * device, F4))
            outcome = call(
                "signcclJaxAvgOnCuda", device, stream, [place(), array], [array], ranks=number, zero=0, seed=0
            )
            stream.synchronize()
            assert array.get().tolist() == [0] * 5
            return outcome

    assert as_threads(2, body) == [(0, "")] * 2
    with current(2):
        array = DeviceMemory(np.ones(5, F4))
        code, text = call("signcclJaxVoteOnCuda", 2, Stream(), [place(), array], [array], **numbers)
    assert code == FAILED_PRECONDITION and "device 2 takes part, but this process holds ranks 0, 1" in text
    for comm in comms:
        assert comm.error is not None  # the others are not to wait for a device that was refused
        comm.close()


def test_a_device_is_the_rank_that_was_made_for_it(fake: FakeProcess) -> None:
    fake.run(ranks_of_devices, devices=3)


def errors() -> None:
    (comm,) = signccl.Communicator.all_in_process(1)
    number = add_ranks([comm], [-1])
    numbers = {"ranks": number, "zero": 0, "tie": 3, "seed": 0}
    with current(), comm:
        stream = Stream()
        array = DeviceMemory(np.ones(5, F4))
        assert call("signcclJaxVoteOnCuda", 0, stream, [place(), array], [array], **numbers) == (0, "")
        code, text = call("signcclJaxVoteOnCuda", 1, stream, [place(), array], [array], **numbers)
        assert code == FAILED_PRECONDITION and "device 1 uses the communicator of rank 0, which device 0 uses" in text
        remove_ranks(number)
        code, text = call("signcclJaxVoteOnCuda", 0, stream, [place(), array], [array], **numbers)
        assert code == FAILED_PRECONDITION and "the communicator of this program is closed" in text


def test_errors_of_a_call_are_those_of_xla(fake: FakeProcess) -> None:
    fake.run(errors, devices=2)


def traits() -> list[int]:
    names = ("signcclJaxVoteOnCuda", "signcclJaxAvgOnCuda", "signcclJaxLionStepOnCuda")
    return [ctypes.CDLL(FRAMES).xlaTraits(handler(name)) & FIT_FOR_COMMAND_BUFFERS for name in names]


def test_no_handler_is_declared_fit_for_command_buffers(fake: FakeProcess) -> None:
    assert fake.run(traits) == [0, 0, 0]
