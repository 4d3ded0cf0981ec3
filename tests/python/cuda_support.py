# SPDX-License-Identifier: Apache-2.0
"""Processes with the fake CUDA driver of tests/fake_cuda, in which tests run functions, and what these use of it.

A driver cannot be unloaded, and where there is one the library asks it about every buffer, so the process of the tests
has none. Nothing here imports signccl before the driver is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

FOLDER = os.environ.get("SIGNCCL_TEST_FAKE_CUDA", "")
DEADLINE = 50.0  # seconds; less than that of a test

needs_fake = pytest.mark.skipif(not FOLDER, reason="SIGNCCL_TEST_FAKE_CUDA names no folder of the fake driver")

_NON_BLOCKING = 1
_PORTABLE = 1


class FakeProcess:
    """A process with the driver. A context manager that ends it."""

    def __init__(self) -> None:
        self._begin()

    def __enter__(self) -> FakeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join(10)

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def run(self, body: Callable[..., Any], *arguments: Any, devices: int = 1, queues: int = 8) -> Any:
        """What body(*arguments) returns there, on a machine of its own. Raises AssertionError with what it raised."""
        self._pipe.send((body, arguments, devices, queues))
        try:
            if not self._pipe.poll(DEADLINE):
                raise AssertionError(f"{body.__name__} has not ended after {DEADLINE} s")
            failure, result = self._pipe.recv()
        except (EOFError, AssertionError) as error:
            self._process.kill()
            self._process.join(10)
            status = self._process.exitcode
            self._begin()
            raise AssertionError(f"the process of {body.__name__} is gone, exit status {status}: {error}") from None
        assert not failure, failure
        return result


def _serve(pipe: Any) -> None:
    faulthandler.enable()
    os.environ["SIGNCCL_CUDA_LIBRARY"] = os.path.join(FOLDER, "emulated")
    driver()
    while True:
        try:
            body, arguments, devices, queues = pipe.recv()
        except EOFError:
            return
        driver().fakeCudaPoseAs(devices, queues, ctypes.c_ulonglong(0))
        check(driver().cuInit(0))
        try:
            result = ("", body(*arguments))
        except BaseException:
            result = (traceback.format_exc(), None)
        pipe.send(result)


@cache
def driver() -> ctypes.CDLL:
    """The fake, loaded where the library finds it: as libcuda.so.1 of the process."""
    return ctypes.CDLL(os.path.join(FOLDER, "libcuda.so.1"), mode=ctypes.RTLD_GLOBAL)


def check(result: int) -> None:
    """Raises AssertionError unless a call of the driver went well."""
    assert result == 0, f"CUDA error {result}"


@contextlib.contextmanager
def current(device: int = 0) -> Iterator[None]:
    """This thread uses a device, as a program with the CUDA runtime does after cudaSetDevice()."""
    context = ctypes.c_void_p()
    check(driver().cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    check(driver().cuCtxPushCurrent_v2(context))
    try:
        yield
    finally:
        driver().cuCtxPopCurrent_v2(ctypes.byref(context))
        driver().cuDevicePrimaryCtxRelease_v2(device)


class Stream:
    """A stream of the current device."""

    def __init__(self) -> None:
        made = ctypes.c_void_p()
        check(driver().cuStreamCreateWithPriority(ctypes.byref(made), _NON_BLOCKING, 0))
        assert made.value is not None
        self.handle = made.value

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.handle

    def synchronize(self) -> None:
        check(driver().cuStreamSynchronize(ctypes.c_void_p(self.handle)))


def wait_for(first: int, second: int) -> None:
    """Makes stream `second` wait for what stream `first` has been given so far."""
    event = ctypes.c_void_p()
    check(driver().cuEventCreate(ctypes.byref(event), 2))
    check(driver().cuEventRecord(event, ctypes.c_void_p(first)))
    check(driver().cuStreamWaitEvent(ctypes.c_void_p(second), event, 0))
    check(driver().cuEventDestroy_v2(event))


class HeldUp:
    """Keeps a stream busy until it is let go: what is enqueued behind it has not begun until then."""

    _FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def __init__(self, stream: Stream) -> None:
        import threading

        self._event = threading.Event()
        self._function = self._FUNCTION(lambda _: self._wait())
        check(driver().cuLaunchHostFunc(ctypes.c_void_p(stream.handle), self._function, None))

    def _wait(self) -> None:
        self._event.wait(DEADLINE)

    def let_go(self) -> None:
        self._event.set()


class DeviceMemory:
    """Memory of the current device with some elements of NumPy, which is freed with it."""

    def __init__(self, values: np.ndarray) -> None:
        self.shape, self.dtype = values.shape, values.dtype
        self.nbytes = values.nbytes
        made = ctypes.c_ulonglong()
        check(driver().cuMemAlloc_v2(ctypes.byref(made), ctypes.c_size_t(max(1, values.nbytes))))
        self.address = made.value
        self.put(values)

    def __del__(self) -> None:
        driver().cuMemFree_v2(ctypes.c_ulonglong(self.address))

    def put(self, values: np.ndarray) -> None:
        given = np.ascontiguousarray(values)
        assert given.nbytes == self.nbytes
        if self.nbytes:
            to = ctypes.c_ulonglong(self.address)
            check(driver().cuMemcpyHtoD_v2(to, ctypes.c_void_p(given.ctypes.data), ctypes.c_size_t(self.nbytes)))

    def get(self) -> np.ndarray:
        """A copy of what is there; nothing waits for streams."""
        result = np.empty(self.shape, self.dtype)
        if self.nbytes:
            source = ctypes.c_ulonglong(self.address)
            check(driver().cuMemcpyDtoH_v2(ctypes.c_void_p(result.ctypes.data), source, ctypes.c_size_t(self.nbytes)))
        return result


class CudaArray(DeviceMemory):
    """An array as CuPy and Numba have them. `changes` go into its interface."""

    def __init__(self, values: np.ndarray, **changes: Any) -> None:
        super().__init__(values)
        self.changes = changes

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        interface = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.nbytes else 0, False),
            "strides": None,
            "version": 3,
            "stream": None,
        }
        return {**interface, **self.changes}


def pinned(values: np.ndarray) -> np.ndarray:
    """A copy in pinned host memory, which the driver frees with its machine."""
    made = ctypes.c_void_p()
    check(driver().cuMemHostAlloc(ctypes.byref(made), ctypes.c_size_t(values.nbytes), _PORTABLE))
    assert made.value is not None
    memory = (ctypes.c_char * values.nbytes).from_address(made.value)
    result = np.frombuffer(memory, values.dtype).reshape(values.shape)
    result[...] = values
    return result
