# SPDX-License-Identifier: Apache-2.0
"""The two collectives for NumPy arrays, and for arrays on CUDA devices."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from . import _arrays
from ._arguments import whole_number
from ._c import lib
from ._c_types import DataType, SignConfig, TieRule, ZeroRule
from ._device_arrays import DeviceArray, stream_of_call
from .communicator import Communicator

_LARGEST_COUNT = 2**63 - 1


def all_reduce_vote(
    array: Any,
    comm: Communicator,
    out: Any = None,
    *,
    zero: str = "binary",
    tie: str = "random",
    dtype: Any = None,
    count: int | None = None,
    stream: Any = None,
) -> Any:
    """Majority vote of signs: every rank gets, element by element, the sign that most ranks have.

    All ranks call it with arrays of the same shape and dtype and with the same rules. The result is the same on every
    rank, bit for bit. Returns when it is there; a call on a CUDA stream returns at once, see `stream`.

    Parameters
    ----------
    array
        Elements of float16, float32, float64, bfloat16 (of ``ml_dtypes``) or int8, of any shape, C-contiguous. A
        NumPy array, or an object whose memory NumPy can use without a copy (``__array_interface__``, buffer
        protocol), or one in the memory of a CUDA device (``__cuda_array_interface__``, as CuPy's and Numba's arrays
        have it). Or packed signs: uint64 of shape ``(ceil(count / 64),)``, sign i in bit i % 64 of word i // 64, 1
        for positive; with ``count``.
    comm
        This rank's communicator.
    out
        Where the result goes, or None for a new NumPy array; a call on a stream needs it. Writable, C-contiguous, of
        the shape of `array`, or of packed signs if its dtype is uint64. It may be `array` itself; it may not overlap
        it in part.
    zero
        Sign of 0, -0 and NaN: "binary": +1. "ternary": 0, an abstention, for twice the bits that a rank sends first.
    tie
        Result where as many ranks are positive as are negative: "random": +1 or -1 by a bit of the call number and
        the element, the same on all ranks. "positive", "negative". "zero": 0, as in the formula of the paper.
    dtype
        Of a new result: one of those of `array`. By default that of `array`.
    count
        Number of signs; for packed signs only, as input.
    stream
        A CUDA stream: its handle as an int, or an object with ``__cuda_stream__``. The call is then enqueued on it and
        returns at once, with the result there when the stream has come so far; `array` and `out` must stay alive and
        untouched until then. They are in the memory of the stream's device, or in pinned host memory. None: if an array
        is on a device, the stream that its ``__cuda_array_interface__`` names, else the legacy default stream.

    Returns
    -------
    `out`, or a new array: +1, -1, or 0 with ``tie="zero"``; packed signs if its dtype is uint64.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype, shape, rule or layout, an `out` that cannot be written. The call had no effect on `out`. With
        more than one rank the communicator was aborted: the others raise RemoteError with this rank and the text
        instead of waiting for it.
    InvalidUsageError, RemoteError, OperationTimeoutError
        Ranks disagree; a rank failed or left; a rank did not come in time. The communicator is to be closed. Calls on a
        stream that fail after they returned are told by ``comm.error`` and by the next call; `out` is undefined then.
    CudaError
        A call of CUDA failed. The communicator is to be closed.
    KeyboardInterrupt
        Ctrl-C while it waited. The communicator was aborted; what is in `out` is undefined.
    """
    with _checked(comm)._taking_part():
        call = _Call(array, comm, out, zero, tie, dtype, count, stream)
        call.check_results("a vote", _arrays.VOTE_RESULTS)
        if call.receive_type is DataType.BITS and tie == "zero":
            raise ValueError(
                "tie is 'zero', but packed signs (uint64) cannot hold the result 0: expected another rule or dtype"
            )
        return call.run(lib.signcclAllReduceVote, lib.signcclAllReduceVoteAsync)


def all_reduce_avg(
    array: Any,
    comm: Communicator,
    out: Any = None,
    *,
    zero: str = "binary",
    dtype: Any = None,
    count: int | None = None,
    stream: Any = None,
) -> Any:
    """Mean of signs: every rank gets, element by element, (positive - negative) / nranks.

    A floating-point result is correctly rounded. A result of int8, int16 or int32 is the sum of the signs, which
    `nranks` must fit. Everything else is as in :func:`all_reduce_vote`.

    Parameters
    ----------
    array, comm, out, zero, count, stream
        As in :func:`all_reduce_vote`; `out` may not be packed signs.
    dtype
        Of a new result: float16, float32, float64 or bfloat16 for the mean; int8, int16 or int32 for the sum. By
        default that of a floating-point `array`, else float32.
    """
    with _checked(comm)._taking_part():
        call = _Call(array, comm, out, zero, "random", dtype, count, stream, mean=True)
        call.check_results("a mean", _arrays.AVG_RESULTS)
        return call.run(lib.signcclAllReduceAvg, lib.signcclAllReduceAvgAsync)


def _checked(comm: Any) -> Communicator:
    if not isinstance(comm, Communicator):
        raise TypeError(f"comm is of type {type(comm).__name__}, expected a signccl.Communicator")
    return comm


class _Call:
    """The arguments of one call, checked, with the buffers that they name."""

    def __init__(
        self,
        array: Any,
        comm: Communicator,
        out: Any,
        zero: str,
        tie: str,
        dtype: Any,
        count: int | None,
        stream: Any,
        *,
        mean: bool = False,
    ) -> None:
        self.rules = _rules(_choice("zero", zero, _ZERO_RULES), _choice("tie", tie, _TIE_RULES))
        self.comm = comm
        self.send = _arrays.as_array("array", array)
        self.send_type = _arrays.send_type(self.send, count)
        self._count_elements(count)
        self.result = out
        if out is None:
            self._refuse_to_make(stream)
            self.receive: _arrays.Array | DeviceArray = self._new(dtype, mean)
            self.result = self.receive
            self.receive_type = _arrays.data_type("dtype", self.receive.dtype)
        elif dtype is not None:
            raise TypeError(f"dtype is {dtype!r}, but out is given, whose dtype holds: expected one of the two")
        else:
            self.receive = _arrays.as_array("out", out)
            self.receive_type = _arrays.data_type("out", self.receive.dtype)
            self._check_out()
        self.stream = stream_of_call(stream, (("array", self.send), ("out", self.receive)))

    def _refuse_to_make(self, stream: Any) -> None:
        """Memory that a stream writes is the caller's: only its module knows how to make it, and when to free it."""
        if isinstance(self.send, DeviceArray):
            raise TypeError(
                f"out is None, and array is of type {type(self.send.owner).__name__} in the memory of a CUDA device, "
                "where signccl makes no arrays: expected out=, such as empty_like(array) of its module"
            )
        if stream is not None:
            raise TypeError("out is None, but stream is given: expected out=, which the stream writes")

    def _count_elements(self, count: int | None) -> None:
        """Packed signs have a shape of their own: that of `count` elements."""
        if count is None:
            self.shape, self.count = self.send.shape, self.send.size
            return
        self.count = whole_number("count", count, 0, _LARGEST_COUNT)
        self.shape = (self.count,)
        _arrays.require_words("array", self.send, self.count)

    def _new(self, dtype: Any, mean: bool) -> _arrays.Array:
        if dtype is not None:
            chosen = _arrays.as_dtype(dtype)
        elif mean and self.send_type in (DataType.INT8, DataType.BITS):
            chosen = np.dtype(np.float32)
        else:
            chosen = self.send.dtype
        is_packed = _arrays.data_type("dtype", chosen) is DataType.BITS
        return np.empty(_arrays.words(self.count) if is_packed else self.shape, chosen)

    def _check_out(self) -> None:
        if not _arrays.is_writeable(self.receive):
            raise ValueError("out is read-only, expected an array that can be written")
        if self.receive_type is DataType.BITS:
            _arrays.require_words("out", self.receive, self.count)
        elif self.receive.shape != self.shape:
            raise ValueError(f"out has shape {self.receive.shape}, expected {self.shape}, that of array")

    def check_results(self, subject: str, allowed: frozenset[DataType]) -> None:
        if self.receive_type not in allowed:
            names = ", ".join(sorted(kind.name.lower().replace("bits", "uint64 (packed signs)") for kind in allowed))
            raise TypeError(f"the result has dtype {self.receive.dtype}, expected for {subject}: {names}")

    def run(self, enqueue: Any, begin: Any) -> Any:
        """By the C function `enqueue` on a stream, or by `begin` and a wait on host memory."""
        arguments = (
            _arrays.address(self.send),
            _arrays.address(self.receive),
            self.count,
            int(self.send_type),
            int(self.receive_type),
            self.rules,
        )
        if self.stream is None:
            self.comm._run(begin, *arguments, keep=(self.send, self.receive))
        else:
            self.comm._enqueue(enqueue, *arguments, stream=self.stream)
        return self.result


_ZERO_RULES = {rule.name.lower(): rule for rule in ZeroRule}
_TIE_RULES = {rule.name.lower(): rule for rule in TieRule}


def _choice(name: str, value: Any, choices: dict[str, Any]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of: {', '.join(choices)}")
    return int(choices[value])


@cache
def _rules(zero: int, tie: int) -> SignConfig:
    return SignConfig(zero, tie)
