# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments of the collectives: a clear error before anything is sent, and a communicator that still works."""

from __future__ import annotations

import array
import re
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import signccl


@pytest.fixture
def comm() -> Iterator[signccl.Communicator]:
    """The only rank of its communicator, which must work at the end of the test."""
    (only,) = signccl.Communicator.all_in_process(1)
    yield only
    assert signccl.all_reduce_vote(np.array([-2.0]), only).tolist() == [-1]
    only.close()


def vote(comm: Any, *arguments: Any, **options: Any) -> Any:
    return signccl.all_reduce_vote(arguments[0], comm, *arguments[1:], **options)


F4 = np.zeros(3, "f4")
READ_ONLY = np.zeros(3, "f4")
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (np.zeros(3, "c8"), "array has dtype complex64, expected float16"),
        (np.array([{}, {}]), "array has dtype object, expected"),
        (np.zeros(3, ">f4"), "array has dtype float32 with foreign byte order, expected"),
        (np.zeros(3, bool), "array has dtype bool, expected"),
        (np.zeros(3, "u1"), "array has dtype uint8, expected"),
        (np.zeros(3, "i8"), "array has dtype int64, expected"),
        (np.zeros(3, "i4"), "array has dtype int32, expected int8 or a floating-point type"),
        (np.zeros(3, "U4"), "array has dtype <U4, expected"),
        (np.zeros(3, "M8[s]"), "expected"),
        (np.zeros(3, [("a", "f4")]), "expected"),
        (np.zeros(3, np.longdouble), "array has dtype float128, expected"),
        (np.zeros(3, ml_dtypes.float8_e4m3fn), "array has dtype float8_e4m3fn, expected"),
        (np.ma.masked_array([1.0]), "array is a masked array, expected one without a mask"),
        (
            [1.0, 2.0],
            "array is of type list, expected a NumPy array, or an object with __array_interface__ or a buffer",
        ),
        (1.0, "array is of type float, expected"),
        (None, "array is of type NoneType, expected"),
        ("text", "array is of type str, expected"),
        (np.zeros(3, "u8"), "array has dtype uint64, which holds packed signs, 64 to a word: expected count="),
    ],
)
def test_array_of_a_wrong_type(comm: signccl.Communicator, wrong: Any, text: str) -> None:
    with pytest.raises(TypeError, match=re.escape(text)):
        signccl.all_reduce_vote(wrong, comm)
    with pytest.raises(TypeError, match=re.escape(text)):
        signccl.all_reduce_avg(wrong, comm)


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((F4, np.zeros(2, "f4")), {}, "out has shape (2,), expected (3,), that of array"),
        ((F4, np.zeros((3, 1), "f4")), {}, "out has shape (3, 1), expected (3,)"),
        ((F4, READ_ONLY), {}, "out is read-only, expected an array that can be written"),
        ((F4, b"\0" * 12), {}, "out has dtype"),
        ((F4, np.zeros(6, "f4")[::2]), {}, "out of shape (3,) has strides (8,), expected a C-contiguous array"),
        ((np.zeros(6, "f4")[::2],), {}, "array of shape (3,) has strides (8,), expected a C-contiguous array"),
        (
            (np.zeros((3, 2), "f4", order="F"),),
            {},
            "array of shape (3, 2) has strides (4, 12), expected a C-contiguous",
        ),
        ((F4[::-1],), {}, "expected a C-contiguous array"),
        ((F4, np.zeros(3, "u8")), {}, "out has shape (3,), expected (1,): 3 packed signs"),
        ((F4, np.zeros(3, "c8")), {}, "out has dtype complex64, expected"),
        ((F4, np.zeros(3, "i4")), {}, "the result has dtype int32, expected for a vote"),
        ((F4,), {"dtype": "i2"}, "the result has dtype int16, expected for a vote"),
        ((F4,), {"dtype": "nonsense"}, "dtype is 'nonsense', expected what numpy.dtype() takes"),
        ((F4,), {"dtype": object}, "dtype has dtype object, expected"),
        ((F4, np.zeros(3, "f4")), {"dtype": "f4"}, "dtype is 'f4', but out is given"),
        ((F4,), {"zero": "none"}, "zero is 'none', expected one of: binary, ternary"),
        ((F4,), {"tie": "coin"}, "tie is 'coin', expected one of: zero, positive, negative, random"),
        ((F4,), {"tie": 3}, "tie is 3, expected one of"),
        ((F4,), {"tie": []}, "tie is [], expected one of"),
        ((F4,), {"tie": "zero", "dtype": "u8"}, "tie is 'zero', but packed signs (uint64) cannot hold the result 0"),
        ((F4,), {"count": 3}, "count is 3, but array has dtype float32: count goes with packed signs"),
        ((np.zeros(2, "u8"),), {"count": 64}, "array has shape (2,), expected (1,): 64 packed signs"),
        ((np.zeros((1, 1), "u8"),), {"count": 64}, "array has shape (1, 1), expected (1,)"),
        ((np.zeros(2, "u8"),), {"count": -1}, "count is -1, expected 0 to"),
        ((np.zeros(2, "u8"),), {"count": 2**70}, "expected 0 to"),
        ((np.zeros(2, "u8"),), {"count": 1.5}, "count is 1.5, expected a whole number"),
    ],
)
def test_arguments_that_do_not_fit(comm: signccl.Communicator, arguments: Any, options: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(text)):
        vote(comm, *arguments, **options)


def test_mean_cannot_be_packed(comm: signccl.Communicator) -> None:
    with pytest.raises(TypeError, match="the result has dtype uint64, expected for a mean: bfloat16"):
        signccl.all_reduce_avg(F4, comm, dtype="u8")
    with pytest.raises(TypeError, match="the result has dtype uint64, expected for a mean"):
        signccl.all_reduce_avg(F4, comm, out=np.zeros(1, "u8"))


@pytest.mark.parametrize("wrong", [None, 7, "comm", object()])
def test_communicator_of_a_wrong_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"comm is of type .*, expected a signccl.Communicator"):
        signccl.all_reduce_vote(F4, wrong)


def test_buffers_that_overlap_in_part(comm: signccl.Communicator) -> None:
    memory = np.zeros(10, "f4")
    with pytest.raises(signccl.InvalidArgumentError, match="overlap") as caught:
        signccl.all_reduce_vote(memory[:8], comm, out=memory[1:9])
    assert isinstance(caught.value, ValueError)
    assert caught.value.result == 4


def test_sum_that_does_not_fit_is_refused() -> None:
    comms = signccl.Communicator.all_in_process(130)
    with pytest.raises(signccl.InvalidArgumentError, match="130"):
        signccl.all_reduce_avg(F4, comms[0], dtype="i1")
    for comm in comms:
        comm.close()


class Interface:
    """Someone else's array, which lends its memory."""

    def __init__(self, owner: np.ndarray) -> None:
        self.__array_interface__ = owner.__array_interface__


def test_memory_of_others_is_used_without_a_copy(comm: signccl.Communicator) -> None:
    floats = array.array("f", [1.5, -2.5])
    assert signccl.all_reduce_vote(floats, comm, out=floats) is floats
    assert floats.tolist() == [1, -1]
    owner = np.array([1.5, -2.5])
    lender = Interface(owner)
    assert signccl.all_reduce_vote(lender, comm, out=lender) is lender
    assert owner.tolist() == [1, -1]
    view = memoryview(np.array([3, -3], np.int8))
    assert signccl.all_reduce_vote(view, comm).tolist() == [1, -1]


def test_address_that_is_no_buffer_is_not_touched(comm: signccl.Communicator) -> None:
    class Liar:
        __array_interface__ = "nonsense"

    with pytest.raises((TypeError, ValueError)):
        signccl.all_reduce_vote(Liar(), comm)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", ml_dtypes.bfloat16])
def test_unaligned_arrays_work(comm: signccl.Communicator, dtype: Any) -> None:
    memory = np.zeros(81, np.uint8)
    unaligned = memory[1:].view(dtype)
    unaligned[...] = -1
    assert (signccl.all_reduce_vote(unaligned, comm) == -1).all()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((b"short", 0, 1), ValueError, "unique_id is 5 bytes, expected the 128 bytes of get_unique_id()"),
        (("text", 0, 1), ValueError, "unique_id is str, expected the 128 bytes"),
        ((bytes(128), 0, 1), signccl.InvalidArgumentError, "commId was not made by signcclGetUniqueId()"),
        ((bytes(128), 1, 1), ValueError, "rank is 1, expected 0 to 0"),
        ((bytes(128), -1, 2), ValueError, "rank is -1, expected 0 to 1"),
        ((bytes(128), 0, 0), ValueError, "nranks is 0, expected 1 to 32767"),
        ((bytes(128), 0, 2**40), ValueError, "nranks is 1099511627776, expected 1 to 32767"),
        ((bytes(128), 0.5, 1), TypeError, "rank is 0.5, expected a whole number"),
        ((bytes(128), None, 1), TypeError, "rank is None, expected a whole number"),
    ],
)
def test_wrong_place(arguments: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        signccl.Communicator.from_unique_id(*arguments)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": 3}, "name is 3, expected a str"),
        ({"name": "a\0b"}, "expected a text without a null character"),
        ({"algorithm": "fast"}, "fast"),
        ({"threads": 0}, "threads is 0, expected 1 to 1024"),
        ({"threads": 1.5}, "threads is 1.5, expected a whole number"),
        ({"timeout": 0}, "timeout is 0, expected more than 0"),
        ({"timeout": -1.0}, "timeout is -1.0, expected more than 0"),
        ({"timeout": float("nan")}, "timeout is nan, expected more than 0"),
        ({"timeout": 1e30}, "timeout is 1e+30, expected more than 0 and at most"),
        ({"timeout": "soon"}, "timeout is 'soon', expected seconds as a number"),
        ({"time": 3}, "'time' is no setting of a communicator, expected among: name, timeout, algorithm, threads"),
        ({"nccl_comm": 0}, "nccl_comm is 0, expected 1 to"),
        ({"nccl_comm": "here"}, "nccl_comm is 'here', expected a whole number"),
    ],
)
def test_wrong_settings(settings: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError, signccl.SignCCLError), match=re.escape(text)):
        signccl.Communicator.from_unique_id(signccl.get_unique_id(), 0, 1, **settings)


@pytest.mark.parametrize("nranks", [0, -1, 2**33, "2", 1.0])
def test_wrong_number_of_threads(nranks: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="nranks is"):
        signccl.Communicator.all_in_process(nranks)
