# SPDX-License-Identifier: Apache-2.0
"""Steps of Distributed Lion on addresses: what the optimizers of torch and JAX, and tests with NumPy, are made of."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._c import check, lib
from ._c_lion import LionAggregation, LionConfig, LionRounding, LionStepConfig
from ._c_types import DataType, TieRule, ZeroRule
from ._waiting import call
from .communicator import Communicator
from .errors import InvalidUsageError, SignCCLError, reason_of

_WAIT_MS = 100  # how late a signal of the interpreter, such as Ctrl-C, may be heeded
_MS_TO_END = 5000  # what a step is given to end once its communicator was aborted


class LionTensor(NamedTuple):
    """Parameters and momenta of one tensor, which must stay where they are."""

    parameters: int  #: address
    momenta: int  #: address
    elements: int
    parameter_type: DataType = DataType.FLOAT32
    momentum_type: DataType = DataType.FLOAT32
    gradient_type: DataType = DataType.FLOAT32
    group: int = 0  #: which hyperparameters it has


class LionRules(NamedTuple):
    """What the ranks do with their signs."""

    aggregation: LionAggregation = LionAggregation.VOTE
    zero: ZeroRule = ZeroRule.BINARY
    tie: TieRule = TieRule.RANDOM
    rounding: LionRounding = LionRounding.NEAREST
    rounding_seed: int = 0


class LionGroup(NamedTuple):
    """Hyperparameters of one group of tensors in one step."""

    learning_rate: float
    beta1: float
    beta2: float
    weight_decay: float


class OnDevice(NamedTuple):
    """Where a step of tensors in device memory is carried out, by addresses of that memory."""

    stream: int  #: handle of a CUDA stream
    found_inf: int = 0  #: of a float32: unless it is 0 when the stream comes to it, this rank skips the step
    skipped: int = 0  #: of an int32, which gets 1 on the stream if a rank skipped the step, else 0
    learning_rates: int = 0  #: of a float32 for each group, instead of those of the groups


class Lion:
    """The Lion steps of one rank. One thread at a time, the one that uses the communicator.

    `keep` holds the memory behind the addresses until the object is closed. Steps of tensors in device memory are
    enqueued on a stream: no method waits for it.
    """

    def __init__(
        self, comm: Communicator, tensors: Sequence[LionTensor], ngroups: int, rules: LionRules, keep: object
    ) -> None:
        self.comm = comm
        self.ntensors = len(tensors)
        self._keep = keep
        self._gradients: object = None
        self._pid = os.getpid()
        self._handle = ctypes.c_void_p()
        self._hyperparameters = np.zeros((4, ngroups))
        self._step = LionStepConfig()
        first = self._hyperparameters.ctypes.data
        row = self._hyperparameters.strides[0]
        self._step.learningRates, self._step.beta1s, self._step.beta2s, self._step.weightDecays = (
            first + row * i for i in range(4)
        )
        config, arrays = _make_config(tensors, ngroups, rules)
        with comm._lock:
            handle = comm._open()
            check(lib.signcclLionCreate(ctypes.byref(self._handle), ctypes.byref(config), handle), handle)
        del arrays  # the library has copied them

    def begin(
        self,
        groups: Sequence[LionGroup],
        *,
        skip: bool = False,
        background: bool = False,
        device: OnDevice | None = None,
    ) -> None:
        """Begins a step. Buckets follow, the same ones in the same order on all ranks, and :meth:`finish`.

        `device` is given for tensors in device memory, and only for those.
        """
        self._hyperparameters[:] = np.transpose(groups)
        self._step.skip = skip
        self._step.background = background
        step, place = self._step, device or OnDevice(0)
        step.stream, step.foundInf, step.deviceSkipped, step.deviceLearningRates = place
        with self.comm._lock:
            self._check(lib.signcclLionBegin(self._open(), ctypes.byref(self._step)))
            if device is not None:
                self.comm._has_streams = True

    def submit(self, first: int, gradients: npt.NDArray[np.uintp], keep: object = None) -> None:
        """Adds tensors from number `first` on as one bucket. `gradients`: addresses, 0 for none; what they belong to
        is `keep`, which lives until the step is over."""
        if self._gradients is None:
            self._gradients = []
        assert isinstance(self._gradients, list)
        self._gradients.append(keep)
        with self.comm._lock:
            self._check(lib.signcclLionSubmit(self._open(), first, len(gradients), gradients.ctypes.data))

    def submit_or_fail(self, first: int, gradients: npt.NDArray[np.uintp], keep: object = None) -> None:
        """:meth:`submit` that leaves the error of a failed exchange to :meth:`finish`."""
        try:
            self.submit(first, gradients, keep)
        except SignCCLError:
            if not self.comm.error:
                raise

    def finish(self) -> bool:
        """Waits until the step is over. True if a rank skipped it. On a device: enqueues the rest, and returns False.

        KeyboardInterrupt, or whatever a signal handler raises, aborts the communicator and ends the step.
        """
        done = ctypes.c_int()
        skipped = ctypes.c_int()
        try:
            while not done.value:
                with self.comm._lock:
                    self._check(
                        lib.signcclLionFinish(self._open(), _WAIT_MS, ctypes.byref(done), ctypes.byref(skipped))
                    )
        except SignCCLError:
            raise
        except BaseException as error:
            self.comm.abort(reason_of(error))
            lib.signcclLionFinish(self._handle, _MS_TO_END, ctypes.byref(done), ctypes.byref(skipped))
            raise
        finally:
            if done.value:
                self._gradients = None
        return skipped.value > 0  # -1: nobody knows yet

    def step(
        self,
        groups: Sequence[LionGroup],
        gradients: npt.NDArray[np.uintp],
        keep: object = None,
        *,
        skip: bool = False,
        device: OnDevice | None = None,
    ) -> bool:
        """A whole step of all tensors in one exchange. Returns what :meth:`finish` does."""
        self.begin(groups, skip=skip, device=device)
        self.submit_or_fail(0, gradients, keep)
        return self.finish()

    def changed(self) -> list[bool]:
        """Which tensors' parameters the last step may have changed."""
        flags = np.zeros(self.ntensors, np.uint8)
        self._check(lib.signcclLionGetChanged(self._open(), flags.ctypes.data))
        return [bool(flag) for flag in flags]

    def retry(self, comm: Communicator, *, are_parameters_restored: bool = False) -> bool:
        """Exchanges the signs of a failed step again over `comm`, which it uses from then on.

        Ctrl-C aborts `comm`. So does a rank of several that may not retry: the others do not wait for it.
        """
        skipped = ctypes.c_int()
        before, self.comm = self.comm, comm

        def exchange() -> None:
            result = lib.signcclLionRetry(self._open(), comm._open(), are_parameters_restored, ctypes.byref(skipped))
            self._check(result)

        with comm._taking_part():
            try:
                with comm._lock:
                    call(exchange, comm.abort)
            except InvalidUsageError:
                if comm.closed or not comm.error:  # it was refused before anything was exchanged
                    self.comm = before
                raise
        return bool(skipped.value)

    def close(self) -> None:
        """Frees it. A step that is under way is waited for; Ctrl-C ends that and aborts the communicator."""
        if self._handle.value is None:
            return
        if self._pid == os.getpid():
            try:
                if self._gradients is not None and not self.comm.closed:
                    with contextlib.suppress(SignCCLError):
                        self.finish()
            finally:
                lib.signcclLionDestroy(self._handle)
        self._handle = ctypes.c_void_p()
        self._keep = self._gradients = None

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self.close()

    def _open(self) -> ctypes.c_void_p:
        if self._handle.value is None:
            raise InvalidUsageError("the Lion object is closed")
        return self._handle

    def _check(self, result: int) -> None:
        check(result, self.comm._handle)


def _make_config(
    tensors: Sequence[LionTensor], ngroups: int, rules: LionRules
) -> tuple[LionConfig, list[npt.NDArray[np.generic]]]:
    """The config, and the arrays that it points to."""
    config = LionConfig()
    config.tensorCount = len(tensors)
    arrays: list[npt.NDArray[np.generic]] = []
    fields = ("parameters", "momenta", "counts", "parameterTypes", "momentumTypes", "gradientTypes", "groups")
    for number, name in enumerate(fields):
        array = np.array([tensor[number] for tensor in tensors], np.uintp if number < 3 else np.intc)
        arrays.append(array)
        setattr(config, name, array.ctypes.data)
    config.groupCount = ngroups
    config.aggregation = rules.aggregation
    config.zeroRule = rules.zero
    config.tieRule = rules.tie
    config.rounding = rules.rounding
    config.roundingSeed = rules.rounding_seed
    return config, arrays
