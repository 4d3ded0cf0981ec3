# SPDX-License-Identifier: Apache-2.0
"""The two collectives as PyTorch ops, for eager code and for torch.compile.

:func:`all_reduce_vote` and :func:`all_reduce_avg` make a new tensor or fill ``out``; :func:`all_reduce_vote_` and
:func:`all_reduce_avg_` put the result into the tensor itself. They are the ops ``torch.ops.signccl.all_reduce_vote``,
``.all_reduce_vote_`` and ``.all_reduce_vote.out``, and the same three for ``avg``. These take a text for the
communicator (_op_keys.py has its forms) and work under ``torch.compile(fullgraph=True)`` and ``torch.export``.

**No gradient.** A vote and a mean of signs are constant almost everywhere. An input that requires grad is an error
while grad mode is on: give ``tensor.detach()`` or call under ``torch.no_grad()``.

**Call numbers under torch.compile.** Every call counts, and ``tie="random"`` depends on the number of the call. A
compiler drops a call whose result nobody uses, also in place on a tensor that nobody reads afterwards, and in a graph
with a backward pass it makes one of equal calls of one tensor (seen in PyTorch 2.13 with aot_eager and inductor). All
ranks that compile the same code do the same, so results stay equal on all ranks, but the calls that follow have other
numbers than in eager code, and break ties differently. Use every result, or another tie rule, where compiled and eager
runs are to be equal to the bit; read ``comm.call_number`` to see what was made. Ranks must not run different graphs.
"""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any, Callable

import torch

from .._c import lib
from .._c_types import DataType, SignConfig, TieRule, ZeroRule
from ..communicator import Communicator
from ..errors import SignCCLError
from . import _device
from ._op_keys import key_of, resolve

_torch_library: Any = torch.library  # untyped in part

_TYPES = {
    torch.float32: DataType.FLOAT32,
    torch.float16: DataType.FLOAT16,
    torch.bfloat16: DataType.BFLOAT16,
    torch.float64: DataType.FLOAT64,
    torch.int8: DataType.INT8,
    torch.int16: DataType.INT16,
    torch.int32: DataType.INT32,
}
_SEND = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8)
_RESULTS = {"vote": _SEND, "avg": tuple(_TYPES)}
_ZEROS = {rule.name.lower(): rule for rule in ZeroRule}
_TIES = {rule.name.lower(): rule for rule in TieRule}
_FUNCTIONS = {"vote": lib.signcclAllReduceVoteAsync, "avg": lib.signcclAllReduceAvgAsync}
_ON_STREAMS = {"vote": lib.signcclAllReduceVote, "avg": lib.signcclAllReduceAvg}
_DEVICES = ("cpu", "cuda", "meta")


def all_reduce_vote(
    tensor: torch.Tensor,
    *,
    comm: Communicator | None = None,
    process_group: Any = None,
    out: torch.Tensor | None = None,
    zero: str = "binary",
    tie: str = "random",
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Majority vote of signs: every rank gets, element by element, the sign that most ranks have.

    All ranks call it with tensors of the same shape and dtype and with the same rules. The result is the same on
    every rank, bit for bit. Returns when it is there; for a tensor on a CUDA device at once, and the result is there
    when the current stream has come so far. ``tensor`` is not changed.

    Args:
        tensor: elements of float32, float16, bfloat16, float64 or int8 on the CPU or on a CUDA device, of any shape and
            strides. Elements meet by their index, whatever their order in memory is. Ranks may have theirs in different
            places. A DTensor is given as ``tensor.to_local()``.
        comm: this rank's :class:`signccl.Communicator`, or
        process_group: the ranks that vote, a group of torch.distributed of any backend; its first use joins them,
            with :func:`signccl.torch.communicator`. Neither: the default group or, where torch.distributed is not
            initialised, the processes of the launcher.
        out: where the result goes, of the shape of ``tensor`` and on its device; it may be ``tensor``. None: a new
            contiguous tensor.
        zero: sign of 0, -0 and NaN: "binary": +1. "ternary": 0, an abstention, for twice the bits sent first.
        tie: result of a balanced vote: "random": +1 or -1 by a bit of the call number and the index, the same on all
            ranks. "positive", "negative". "zero": 0.
        dtype: of a new result, one of those of ``tensor``; None: that of ``tensor``.

    Returns ``out`` or the new tensor: +1, -1, or 0 with ``tie="zero"``.

    Raises TypeError or ValueError for wrong arguments and RuntimeError if a gradient would be needed; no tensor has
    changed then. If there are other ranks, they raise RemoteError with the same text instead of waiting for this one,
    and the communicator cannot be used any more. Raises :class:`signccl.SignCCLError` as
    :func:`signccl.all_reduce_vote` does: ranks disagree, a rank failed or did not come. On a device such an error may
    come after the call: ``comm.error`` has it, as does the next call, and the result is undefined.
    """
    key = key_of(comm, process_group)
    return _call_out_of_place("vote", tensor, key, (zero, tie), out, dtype)


def all_reduce_vote_(
    tensor: torch.Tensor,
    *,
    comm: Communicator | None = None,
    process_group: Any = None,
    zero: str = "binary",
    tie: str = "random",
) -> torch.Tensor:
    """:func:`all_reduce_vote` in place: ``tensor`` gets the result, and is returned."""
    _call(_ops.all_reduce_vote_, tensor, key_of(comm, process_group), zero, tie)
    return tensor


def all_reduce_avg(
    tensor: torch.Tensor,
    *,
    comm: Communicator | None = None,
    process_group: Any = None,
    out: torch.Tensor | None = None,
    zero: str = "binary",
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Mean of signs: every rank gets, element by element, (positive - negative) / nranks.

    Args:
        tensor, comm, process_group, zero: as in :func:`all_reduce_vote`.
        out: as there; its dtype may be any that ``dtype`` may be.
        dtype: of a new result: float32, float16, bfloat16 or float64 for the mean, correctly rounded; int8, int16 or
            int32 for the sum of the signs, in which the number of ranks must fit. None: that of a floating-point
            ``tensor``, else float32.

    Returns ``out`` or the new tensor. Errors are those of :func:`all_reduce_vote`.
    """
    key = key_of(comm, process_group)
    return _call_out_of_place("avg", tensor, key, (zero,), out, dtype)


def all_reduce_avg_(
    tensor: torch.Tensor, *, comm: Communicator | None = None, process_group: Any = None, zero: str = "binary"
) -> torch.Tensor:
    """:func:`all_reduce_avg` in place: ``tensor`` gets the mean, or the sum if it is int8, and is returned."""
    _call(_ops.all_reduce_avg_, tensor, key_of(comm, process_group), zero)
    return tensor


def _call_out_of_place(
    operation: str,
    tensor: torch.Tensor,
    key: str,
    rules: tuple[str, ...],
    out: torch.Tensor | None,
    dtype: torch.dtype | None,
) -> torch.Tensor:
    op = getattr(_ops, f"all_reduce_{operation}")
    if out is None:
        made: torch.Tensor = _call(op, tensor, key, *rules, dtype=dtype)
        return made
    if dtype is not None:
        error = TypeError(f"dtype is {dtype}, but out is given, whose dtype holds: expected one of the two")
        _tell(key, error)
        raise error
    _call(op.out, tensor, key, *rules, out=out)
    return out


def _call(op: Any, tensor: torch.Tensor, key: str, *rules: str, **options: Any) -> Any:
    """Calls an op. What it refuses on this rank alone ends the call of the other ranks too."""
    if torch.compiler.is_compiling():
        return op(tensor, key, *rules, **options)
    try:
        return op(tensor, key, *rules, **options)
    except SignCCLError:  # the other ranks know of it
        raise
    except Exception as error:
        _tell(key, error)
        raise


def _tell(key: str, error: Exception) -> None:
    """Tells the other ranks why this one takes no part. It joins them first if this is its first call."""
    if not torch.compiler.is_compiling():
        with contextlib.suppress(Exception):  # one that nobody can join has nobody to tell
            resolve(key)._abort_for(error)


# ------------------------------------------------------------------------------------------------ checks and kernels


def _choice(name: str, value: str, choices: dict[str, Any]) -> int:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of: {', '.join(choices)}")
    return int(choices[value])


@cache
def _rules(zero: str, tie: str) -> SignConfig:
    return SignConfig(_choice("zero", zero, _ZEROS), _choice("tie", tie, _TIES))


def _check_tensor(name: str, tensor: torch.Tensor, dtypes: tuple[torch.dtype, ...]) -> None:
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} has layout {tensor.layout}, expected torch.strided")
    if tensor.device.type not in _DEVICES:
        raise TypeError(f"{name} is on device {tensor.device}, expected cpu or cuda")
    _check_dtype(name, tensor.dtype, dtypes)


def _check_dtype(name: str, dtype: torch.dtype, dtypes: tuple[torch.dtype, ...]) -> None:
    if dtype not in dtypes:
        raise TypeError(f"{name} has dtype {dtype}, expected one of: {', '.join(map(str, dtypes))}")


def _check_out(tensor: torch.Tensor, out: torch.Tensor, operation: str) -> None:
    _check_tensor("out", out, _RESULTS[operation])
    if out.device != tensor.device:
        raise ValueError(f"out is on device {out.device}, expected {tensor.device}, that of tensor")
    if out.shape != tensor.shape:
        raise ValueError(f"out has shape {tuple(out.shape)}, expected {tuple(tensor.shape)}, that of tensor")


def _result_dtype(tensor: torch.Tensor, operation: str, dtype: torch.dtype | None) -> torch.dtype:
    if dtype is None:
        dtype = tensor.dtype if operation == "vote" or tensor.is_floating_point() else torch.float32
    _check_dtype("the result", dtype, _RESULTS[operation])
    return dtype


def _is_direct(tensor: torch.Tensor, out: torch.Tensor) -> bool:
    """Whether the library can write into `out`: in order, and equal to the input's memory or apart from it."""
    if not out.is_contiguous():
        return False
    if out.data_ptr() == tensor.data_ptr():
        return tensor.is_contiguous()
    return out.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


def _fill(operation: str, tensor: torch.Tensor, out: torch.Tensor, key: str, zero: str, tie: str) -> None:
    """Runs a collective on checked tensors: on those of a CUDA device by enqueueing it on the current stream."""
    rules = _rules(zero, tie)
    if torch._debug_has_internal_overlap(out) == 1:
        raise ValueError(f"out has shape {tuple(out.shape)} and strides {out.stride()}: elements share memory")
    comm = resolve(key)
    send = tensor.contiguous()
    receive = out if _is_direct(tensor, out) else _device.empty_like(out, out.dtype)
    arguments = (
        send.data_ptr(),
        receive.data_ptr(),
        send.numel(),
        int(_TYPES[send.dtype]),
        int(_TYPES[receive.dtype]),
        rules,
    )
    stream = _device.stream_of(send)
    if stream is None:
        comm._run(_FUNCTIONS[operation], *arguments, keep=(send, receive))
    else:
        comm._enqueue(_ON_STREAMS[operation], *arguments, stream=stream)
    if receive is not out:
        out.copy_(receive)


def _new(operation: str, tensor: torch.Tensor, zero: str, tie: str, dtype: torch.dtype | None) -> torch.Tensor:
    """Checks the arguments, and makes the tensor for the result: all that a compiler has to know of the op."""
    _rules(zero, tie)
    _check_tensor("tensor", tensor, _SEND)
    kind = _result_dtype(tensor, operation, dtype)
    return _device.empty_like(tensor, kind)


def _check(operation: str, tensor: torch.Tensor, out: torch.Tensor, zero: str, tie: str) -> None:
    _rules(zero, tie)
    _check_tensor("tensor", tensor, _SEND)
    _check_out(tensor, out, operation)


# --------------------------------------------------------------------------------------------------------- the ops

_library: Any = _torch_library.Library("signccl", "DEF")
#: torch.compile(mode="reduce-overhead") leaves the ops out of its CUDA graphs: who votes is found when they run.
_TAGS = tuple(getattr(torch.Tag, name) for name in ("cudagraph_unsafe",) if hasattr(torch.Tag, name))
_ops: Any = torch.ops.signccl


def _define(schema: str, kernel: Callable[..., Any], fake: Callable[..., Any], mutated: str | None) -> None:
    """Defines an op. `mutated`: the argument that it changes."""
    name = schema.partition("(")[0]
    _library.define(schema, tags=_TAGS)
    _library.impl(name, kernel, "CompositeExplicitAutograd")
    _torch_library.register_fake(f"signccl::{name}", fake, lib=_library)
    base, _, overload = name.partition(".")
    op = getattr(getattr(_ops, base), overload or "default")

    def autograd(*args: Any, **kwargs: Any) -> Any:
        tensors = [args[0], *(value for value in (kwargs.get("out"),) if value is not None)]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            raise RuntimeError(
                f"signccl.{name}() has no gradient, but a tensor requires grad: give tensor.detach(), or call it "
                "under torch.no_grad()"
            )
        if mutated is not None:
            changed = args[0] if mutated == "tensor" else kwargs[mutated]
            if not changed.is_inference():
                torch.autograd.graph.increment_version(changed)
        with torch._C._AutoDispatchBelowAutograd():
            return op(*args, **kwargs)

    _library.impl(name, autograd, "Autograd")


def _define_all(operation: str, with_tie: bool) -> None:
    """The functional op, the one in place, and the one with out=."""
    base = f"all_reduce_{operation}"
    rules = 'str zero="binary", str tie="random"' if with_tie else 'str zero="binary"'

    def new(tensor: Any, comm: str, zero: str = "binary", tie: str = "random", *, dtype: Any = None) -> Any:
        out = _new(operation, tensor, zero, tie, dtype)
        _fill(operation, tensor, out, comm, zero, tie)
        return out

    def new_fake(tensor: Any, comm: str, zero: str = "binary", tie: str = "random", *, dtype: Any = None) -> Any:
        return _new(operation, tensor, zero, tie, dtype)

    def into(tensor: Any, comm: str, zero: str = "binary", tie: str = "random", *, out: Any = None) -> None:
        target = tensor if out is None else out
        _check(operation, tensor, target, zero, tie)
        _fill(operation, tensor, target, comm, zero, tie)

    def into_fake(tensor: Any, comm: str, zero: str = "binary", tie: str = "random", *, out: Any = None) -> None:
        _check(operation, tensor, tensor if out is None else out, zero, tie)

    given = f"Tensor tensor, str comm, {rules}"
    _define(f"{base}({given}, *, ScalarType? dtype=None) -> Tensor", new, new_fake, None)
    _define(f"{base}_(Tensor(a!) tensor, str comm, {rules}) -> ()", into, into_fake, "tensor")
    _define(f"{base}.out({given}, *, Tensor(a!) out) -> ()", into, into_fake, "out")


_define_all("vote", with_tie=True)
_define_all("avg", with_tie=False)
