"""The two collectives for NumPy arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from . import _arrays
from ._arguments import whole_number
from ._c import lib
from ._c_types import DataType, SignConfig, TieRule, ZeroRule
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
) -> Any:
    """Majority vote of signs: every rank gets, element by element, the sign that most ranks have.

    All ranks call it with arrays of the same shape and dtype and with the same rules. The result is the same on every
    rank, bit for bit. Returns when it is there.

    Parameters
    ----------
    array
        Elements of float16, float32, float64, bfloat16 (of ``ml_dtypes``) or int8, of any shape, C-contiguous. A
        NumPy array, or an object whose memory NumPy can use without a copy (``__array_interface__``, buffer
        protocol). Or packed signs: uint64 of shape ``(ceil(count / 64),)``, sign i in bit i % 64 of word i // 64, 1
        for positive; with ``count``.
    comm
        This rank's communicator.
    out
        Where the result goes, or None for a new array. Writable, C-contiguous, of the shape of `array`, or of packed
        signs if its dtype is uint64. It may be `array` itself; it may not overlap it in part.
    zero
        Sign of 0, -0 and NaN: "binary": +1. "ternary": 0, an abstention, for twice the bits that a rank sends first.
    tie
        Result where as many ranks are positive as are negative: "random": +1 or -1 by a bit of the call number and
        the element, the same on all ranks. "positive", "negative". "zero": 0, as in the formula of the paper.
    dtype
        Of a new result: one of those of `array`. By default that of `array`.
    count
        Number of signs; for packed signs only, as input.

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
        Ranks disagree; a rank failed or left; a rank did not come in time. The communicator is to be closed.
    KeyboardInterrupt
        Ctrl-C while it waited. The communicator was aborted; what is in `out` is undefined.
    """
    with _checked(comm)._taking_part():
        call = _Call(array, comm, out, zero, tie, dtype, count)
        call.check_results("a vote", _arrays.VOTE_RESULTS)
        if call.receive_type is DataType.BITS and tie == "zero":
            raise ValueError(
                "tie is 'zero', but packed signs (uint64) cannot hold the result 0: expected another rule or dtype"
            )
        return call.run(lib.signcclAllReduceVoteAsync)


def all_reduce_avg(
    array: Any,
    comm: Communicator,
    out: Any = None,
    *,
    zero: str = "binary",
    dtype: Any = None,
    count: int | None = None,
) -> Any:
    """Mean of signs: every rank gets, element by element, (positive - negative) / nranks.

    A floating-point result is correctly rounded. A result of int8, int16 or int32 is the sum of the signs, which
    `nranks` must fit. Everything else is as in :func:`all_reduce_vote`.

    Parameters
    ----------
    array, comm, out, zero, count
        As in :func:`all_reduce_vote`; `out` may not be packed signs.
    dtype
        Of a new result: float16, float32, float64 or bfloat16 for the mean; int8, int16 or int32 for the sum. By
        default that of a floating-point `array`, else float32.
    """
    with _checked(comm)._taking_part():
        call = _Call(array, comm, out, zero, "random", dtype, count, mean=True)
        call.check_results("a mean", _arrays.AVG_RESULTS)
        return call.run(lib.signcclAllReduceAvgAsync)


def _checked(comm: Any) -> Communicator:
    if not isinstance(comm, Communicator):
        raise TypeError(f"comm is a {type(comm).__name__}, expected a signccl.Communicator")
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
            self.receive = self.result = self._new(dtype, mean)
            self.receive_type = _arrays.data_type("dtype", self.receive.dtype)
        elif dtype is not None:
            raise TypeError(f"dtype is {dtype!r}, but out is given, whose dtype holds: expected one of the two")
        else:
            self.receive = _arrays.as_array("out", out)
            self.receive_type = _arrays.data_type("out", self.receive.dtype)
            self._check_out()

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
        if not self.receive.flags.writeable:
            raise ValueError("out is read-only, expected an array that can be written")
        if self.receive_type is DataType.BITS:
            _arrays.require_words("out", self.receive, self.count)
        elif self.receive.shape != self.shape:
            raise ValueError(f"out has shape {self.receive.shape}, expected {self.shape}, that of array")

    def check_results(self, subject: str, allowed: frozenset[DataType]) -> None:
        if self.receive_type not in allowed:
            names = ", ".join(sorted(kind.name.lower().replace("bits", "uint64 (packed signs)") for kind in allowed))
            raise TypeError(f"the result has dtype {self.receive.dtype}, expected for {subject}: {names}")

    def run(self, function: Any) -> Any:
        self.comm._run(
            function,
            self.send.ctypes.data,
            self.receive.ctypes.data,
            self.count,
            int(self.send_type),
            int(self.receive_type),
            self.rules,
            keep=(self.send, self.receive),
        )
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
