# SPDX-License-Identifier: Apache-2.0
"""From the parameter groups of an optimizer to one Lion object, and from gradients to addresses."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.graph import increment_version

from .._lion import Lion, LionGroup, LionRules, LionTensor, OnDevice
from ..communicator import Communicator
from ..errors import SignCCLError
from . import _device
from .hyperparameters import hyperparameters_of, is_scalar_on_device
from .tensors import check_disjoint, check_parameter, data_type, gradient_like, local, names_of


class Entry(NamedTuple):
    """One tensor of the plan."""

    parameter: torch.Tensor  #: as it is in the parameter group
    part: torch.Tensor  #: what of it this rank holds
    gradient_dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]
    name: str


#: What a plan was made for. Parameters and momenta may be replaced, moved, and frozen, at any time.
Key = list[tuple[object, ...]]


def key_of(groups: list[dict[str, Any]], state: dict[torch.Tensor, dict[str, torch.Tensor]]) -> Key:
    """Changes with everything that a plan depends on."""
    key: Key = []
    for number, group in enumerate(groups):
        for parameter in group["params"]:
            momentum = state[parameter].get("momentum") if parameter in state else None
            part = local(parameter)
            key.append(
                (
                    number,
                    id(parameter),
                    part.data_ptr(),
                    part.stride(),
                    part.dtype,
                    -1 if momentum is None else local(momentum).data_ptr(),
                    parameter.requires_grad,
                    _grad_dtype(parameter),
                )
            )
    return key


class Plan:
    """The tensors of all parameter groups that take gradients, in their order, as one Lion object."""

    def __init__(
        self,
        comm: Communicator,
        groups: list[dict[str, Any]],
        state: dict[torch.Tensor, dict[str, torch.Tensor]],
        rules: LionRules,
    ) -> None:
        self.key = key_of(groups, state)
        self.entries: list[Entry] = []
        self.ngroups = len(groups)
        tensors: list[LionTensor] = []
        names = names_of(groups)
        for number, group in enumerate(groups):
            for parameter in group["params"]:
                if not parameter.requires_grad:
                    continue
                entry = _entry(parameter, names[id(parameter)])
                self.entries.append(entry)
                tensors.append(_tensor(entry, local(state[parameter]["momentum"]), number))
        check_disjoint(
            [(entry.part, entry.name) for entry in self.entries]
            + [(local(state[entry.parameter]["momentum"]), f"the momentum of {entry.name}") for entry in self.entries]
        )
        self.number_of = {id(entry.parameter): number for number, entry in enumerate(self.entries)}
        self._check_places(state)
        #: On a device: what the last step said of being skipped, when the stream had come so far.
        self.skipped = None if self._on_device is None else _device.flag_like(self._on_device)
        self._stream: int | None = None  #: of the step that has begun
        self._rates: torch.Tensor | None = None  #: that the last step reads on the device
        keep = (list(self.entries), [state[entry.parameter]["momentum"] for entry in self.entries])
        # Without a tensor there is nothing to exchange; all ranks have the same ones.
        self.lion = Lion(comm, tensors, self.ngroups, rules, keep) if tensors else None

    def _check_places(self, state: dict[torch.Tensor, dict[str, torch.Tensor]]) -> None:
        """Raises ValueError unless all tensors are in host memory or all on one device; notes which."""
        self._on_device: torch.Tensor | None = None
        first = self.entries[0] if self.entries else None
        for entry in self.entries:
            assert first is not None
            momentum = local(state[entry.parameter]["momentum"])
            for tensor, name in ((entry.part, entry.name), (momentum, f"the momentum of {entry.name}")):
                if tensor.device != first.part.device:
                    raise ValueError(
                        f"{name} is on device {tensor.device} and {first.name} on {first.part.device}, expected all "
                        "parameters of an optimizer and their momenta on one device: make an optimizer for each"
                    )
        if first is not None and _device.is_on_device(first.part):
            self._on_device = first.part

    def is_captured(self) -> bool:
        """Whether what is enqueued now becomes part of a CUDA graph."""
        return self._on_device is not None and _device.is_captured(self._on_device)

    def can_read(self, found_inf: torch.Tensor) -> bool:
        """Whether a step can read the flag where it is carried out: both are on the same device."""
        return (
            self._on_device is not None
            and _device.is_on_device(found_inf)
            and found_inf.device == self._on_device.device
            and found_inf.dtype is torch.float32
        )

    def _reads(self, rate: Any) -> bool:
        """Whether a step reads a learning rate where it is carried out, so that the host need not wait for it."""
        return self._on_device is not None and is_scalar_on_device(rate) and rate.device == self._on_device.device

    def hyperparameters(self, groups: list[dict[str, Any]]) -> list[LionGroup]:
        """What the parameter groups say now. A learning rate that the device reads is 0. Raises ValueError that names
        the group of a wrong one."""
        return [
            hyperparameters_of(group, f" of group {number}", is_lr_read_later=self._reads(group["lr"]))
            for number, group in enumerate(groups)
        ]

    def state_of(self, groups: list[dict[str, Any]]) -> tuple[object, ...]:
        """Changes when a hyperparameter does; nothing is read from a device."""
        rates = [(g["lr"].data_ptr(), g["lr"]._version) if self._reads(g["lr"]) else None for g in groups]
        return self.hyperparameters(groups), rates

    def _rates_on_device(self, groups: list[dict[str, Any]]) -> torch.Tensor | None:
        """The learning rates of all groups if the device reads one of them."""
        if self._on_device is None or not any(self._reads(g["lr"]) for g in groups):
            return None
        rates = [g["lr"] if self._reads(g["lr"]) else float(g["lr"]) for g in groups]
        return _device.floats_like(self._on_device, rates)

    def begin(
        self, groups: list[dict[str, Any]], *, skip: bool, background: bool, found_inf: torch.Tensor | None
    ) -> None:
        """Begins a step with the hyperparameters of the groups. `found_inf`, on the tensors' device: this rank skips
        the step unless it is 0."""
        assert self.lion is not None
        device = None
        if self._on_device is not None:
            assert self.skipped is not None
            self._stream = _device.stream_of(self._on_device)
            assert self._stream is not None
            inf = 0 if found_inf is None else found_inf.data_ptr()
            self._rates = self._rates_on_device(groups)
            rates = 0 if self._rates is None else self._rates.data_ptr()
            device = OnDevice(self._stream, inf, self.skipped.data_ptr(), rates)
        self.lion.begin(self.hyperparameters(groups), skip=skip, background=background, device=device)

    def submit(self, first: int, gradients: npt.NDArray[np.uintp], kept: list[torch.Tensor]) -> None:
        """Exchanges a bucket, after what the current stream has been given: it computes the gradients. An error of the
        exchange is left to :meth:`finish`."""
        assert self.lion is not None
        if self._on_device is not None:
            current = _device.stream_of(self._on_device)
            assert self._stream is not None and current is not None
            _device.order(self._on_device, current, self._stream)
        self.lion.submit_or_fail(first, gradients, kept)

    def gradients(self, first: int, last: int) -> tuple[npt.NDArray[np.uintp], list[torch.Tensor]]:
        """Addresses of the gradients of tensors [first, last), 0 where there is none, and what they belong to."""
        addresses = np.zeros(last - first, np.uintp)
        kept: list[torch.Tensor] = []
        for place, entry in enumerate(self.entries[first:last]):
            gradient = entry.parameter.grad
            if gradient is None:
                continue
            gradient = local(gradient)
            if (
                gradient.dtype is not entry.gradient_dtype
                or gradient.layout is not torch.strided
                or gradient.stride() != entry.stride
                or gradient.shape != entry.shape
                or gradient.device != entry.part.device
                or gradient.is_neg()
            ):
                gradient = gradient_like(entry.part, gradient, entry.gradient_dtype, entry.name)
            kept.append(gradient)
            addresses[place] = gradient.data_ptr()
        return addresses, kept

    def note_changes(self, first: int, last: int) -> None:
        """Tells autograd that the parameters of tensors [first, last) change, as operations in place do by themselves:
        a graph that still needs their old values then raises in its backward pass."""
        increment_version([local(entry.parameter) for entry in self.entries[first:last]])

    def finish(self) -> bool:
        """Ends the step. True if a rank skipped it; on a device `skipped` says so later. The current stream comes after
        the step. An error that has the number of a tensor gets its name too."""
        if self.lion is None:
            return False
        try:
            was_skipped = self.lion.finish()
            if self._on_device is not None:
                current = _device.stream_of(self._on_device)
                assert self._stream is not None and current is not None
                _device.order(self._on_device, self._stream, current)
            return was_skipped
        except SignCCLError as error:
            found = re.search(r"\btensor (\d+)\b", str(error))
            if found is None or int(found[1]) >= len(self.entries):
                raise
            raise type(error)(f"{error}; {found[0]} is {self.entries[int(found[1])].name}") from None

    def close(self) -> None:
        """Frees the Lion object."""
        if self.lion is not None:
            self.lion.close()


def _entry(parameter: torch.Tensor, name: str) -> Entry:
    part = local(parameter).detach()
    check_parameter(part, name)
    return Entry(parameter, part, _grad_dtype(parameter) or part.dtype, part.shape, part.stride(), name)


def _grad_dtype(parameter: torch.Tensor) -> torch.dtype | None:
    """The dtype that its gradients are declared to have; None if that is open."""
    dtype: torch.dtype | None = getattr(parameter, "grad_dtype", None)
    return dtype


def _tensor(entry: Entry, momentum: torch.Tensor, group: int) -> LionTensor:
    part = entry.part
    name = f"the momentum of {entry.name}"
    check_parameter(momentum, name)
    if momentum.shape != part.shape or momentum.stride() != part.stride():
        raise ValueError(
            f"{name} has shape {tuple(momentum.shape)} and strides {momentum.stride()}, expected those of the "
            f"parameter, {tuple(part.shape)} and {part.stride()}"
        )
    return LionTensor(
        part.data_ptr(),
        momentum.data_ptr(),
        part.numel(),
        data_type(part.dtype, entry.name),
        data_type(momentum.dtype, name),
        data_type(entry.gradient_dtype, f"the gradient of {entry.name}"),
        group,
    )
