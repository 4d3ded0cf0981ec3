# SPDX-License-Identifier: Apache-2.0
"""Exceptions, one for each kind of error that the C library returns.

Every one is a :class:`SignCCLError`, and also the built-in exception that a Python user would catch for it. The text
names what was given and what was expected. Arguments that are wrong in Python's own terms (a dtype, a shape, a type)
raise ``TypeError`` or ``ValueError`` before the library is called.
"""

from __future__ import annotations

import sys
from typing import ClassVar

from ._c_types import Result


class SignCCLError(RuntimeError):
    """An error of SignCCL. ``result`` is its code in the C API."""

    result: ClassVar[Result] = Result.INTERNAL_ERROR


class CudaError(SignCCLError):
    """A CUDA call failed."""

    result = Result.UNHANDLED_CUDA_ERROR


class SystemCallError(SignCCLError, OSError):
    """The operating system or a library refused something: memory, a thread, a file, a port, UCX."""

    result = Result.SYSTEM_ERROR


class InternalError(SignCCLError):
    """A bug in SignCCL. Please report it with the output of ``SIGNCCL_DEBUG=INFO``."""

    result = Result.INTERNAL_ERROR


class InvalidArgumentError(SignCCLError, ValueError):
    """An argument is wrong. No buffer has changed. A communicator of several ranks is unusable then."""

    result = Result.INVALID_ARGUMENT


class InvalidUsageError(SignCCLError):
    """The calls do not fit together: ranks that disagree, a closed communicator, a setting that does not exist.

    A communicator whose ranks disagreed cannot be used any more.
    """

    result = Result.INVALID_USAGE


class RemoteError(SignCCLError, ConnectionError):
    """Another rank failed, was aborted or left. The text names it; the communicator is unusable."""

    result = Result.REMOTE_ERROR


class OperationTimeoutError(SignCCLError, TimeoutError):
    """A deadline passed. The text names the ranks that did not come; the communicator is unusable."""

    result = Result.TIMEOUT


_BY_RESULT: dict[int, type[SignCCLError]] = {
    kind.result: kind
    for kind in (
        CudaError,
        SystemCallError,
        InternalError,
        InvalidArgumentError,
        InvalidUsageError,
        RemoteError,
        OperationTimeoutError,
    )
}


def reason_of(error: BaseException) -> str:
    """What other ranks are told of an exception."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def uncaught_reason() -> str | None:
    """At the exit of the interpreter: what other ranks are told of the exception that ended the program; None if
    none did. A session at a prompt goes on after exceptions, so they do not count there."""
    error = getattr(sys, "last_value", None)
    return None if error is None or hasattr(sys, "ps1") else reason_of(error)


def error_for(result: int, text: str) -> SignCCLError:
    """The exception for a result code that is not a success."""
    return _BY_RESULT.get(result, InternalError)(text or f"result code {result} without a text")
