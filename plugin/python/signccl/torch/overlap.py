# SPDX-License-Identifier: Apache-2.0
"""Exchanges buckets of tensors while the backward pass still runs.

Buckets go from the last tensor to the first, which is about the order in which gradients come, and they are sent
strictly in this order, so that all ranks send the same ones. A bucket that misses a gradient waits for step(); a
rank on which some parameters are not used therefore holds up nobody before its own step().
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from .plan import Plan, key_of
from .tensors import local

if TYPE_CHECKING:
    from .optimizer import DistributedLion


class Overlap:
    """The buckets of one optimizer."""

    def __init__(self, optimizer: DistributedLion, bucket_mb: float) -> None:
        self._optimizer = weakref.proxy(optimizer)
        self._bucket_bytes = bucket_mb * (1 << 20)
        self._hooked: dict[int, weakref.ref[torch.Tensor]] = {}  # by id: tensors have an equality of their own
        self._hooks: list[Any] = []
        self._is_accumulating = False
        self._plan: Plan | None = None  #: of the step whose gradients come
        self._buckets: list[tuple[int, int]] = []  #: [first, last) of tensors
        self._bucket_of: list[int] = []
        self._bucketed: Plan | None = None
        self._missing: list[int] = []  #: gradients that a bucket waits for
        self._versions: dict[int, int] = {}  #: of gradients that have come, by tensor
        self._next = 0  #: the bucket to be sent next
        self._hyperparameters: Any = None
        self.hook_all()

    def __del__(self) -> None:
        for hook in self._hooks:
            hook.remove()

    @property
    def is_begun(self) -> bool:
        """Whether a bucket of the step has been sent."""
        return self._plan is not None and self._next > 0

    @contextlib.contextmanager
    def accumulate(self) -> Iterator[None]:
        """Lets backward passes only add to the gradients."""
        before = self._is_accumulating
        self._is_accumulating = True
        try:
            yield
        finally:
            self._is_accumulating = before

    def hook_all(self) -> None:
        """Hears of the gradients of all parameters."""
        this = weakref.ref(self)

        def on_gradient(parameter: torch.Tensor) -> None:
            overlap = this()
            if overlap is None or overlap._is_accumulating:
                return
            try:
                overlap._on_gradient(parameter)
            except BaseException as error:
                overlap._optimizer.comm._abort_for(error)
                raise

        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                hooked = self._hooked.get(id(parameter))
                if parameter.requires_grad and (hooked is None or hooked() is not parameter):
                    self._hooked[id(parameter)] = weakref.ref(parameter)
                    self._hooks.append(parameter.register_post_accumulate_grad_hook(on_gradient))

    def forget_gradients(self) -> None:
        """Forgets gradients that have come, unless a bucket has been sent: after a backward pass that failed."""
        if not self.is_begun:
            self._plan = None
            self._versions.clear()

    def _on_gradient(self, parameter: torch.Tensor) -> None:
        if self._plan is None:
            self._expect(self._optimizer._current_plan())
        plan = self._plan
        assert plan is not None
        number = plan.number_of.get(id(parameter))
        if number is None:
            return
        if number in self._versions:
            raise RuntimeError(
                f"the gradient of {plan.entries[number].name} came twice in one step, and with overlap=True it may "
                "have been exchanged already: wrap all backward passes of a step but the last one in "
                "optimizer.accumulate(), or use overlap=False (shared layers under reentrant checkpointing need that)"
            )
        assert parameter.grad is not None
        self._versions[number] = local(parameter.grad)._version
        self._missing[self._bucket_of[number]] -= 1
        while self._next < len(self._buckets) and self._missing[self._next] == 0:
            self._send_next(plan, background=True)

    def _expect(self, plan: Plan) -> None:
        """Waits for the gradients of a step."""
        if self._bucketed is not plan:
            self._cut(plan)
            self.hook_all()
        self._missing = [last - first for first, last in self._buckets]
        self._versions.clear()
        self._next = 0
        self._plan = plan

    def _cut(self, plan: Plan) -> None:
        self._buckets.clear()
        self._bucket_of = [0] * len(plan.entries)
        last = len(plan.entries)
        size = 0.0
        for number in reversed(range(len(plan.entries))):
            entry = plan.entries[number]
            size += entry.part.numel() * entry.gradient_dtype.itemsize
            self._bucket_of[number] = len(self._buckets)
            if size >= self._bucket_bytes or number == 0:
                self._buckets.append((number, last))
                last = number
                size = 0.0
        self._bucketed = plan

    def _send_next(self, plan: Plan, *, background: bool) -> None:
        assert plan.lion is not None
        first, last = self._buckets[self._next]
        gradients, kept = plan.gradients(first, last)
        if self._next == 0:
            self._hyperparameters = plan.state_of(self._optimizer.param_groups)
            self._optimizer._begin(plan, background=background)
        self._next += 1
        plan.note_changes(first, last)  # from here on, while the backward pass may still run
        plan.submit(first, gradients, kept)

    def step(self, *, is_scaled: bool) -> None:
        """Sends the rest of the buckets and ends the step."""
        optimizer = self._optimizer
        with optimizer.comm._taking_part():
            is_replaced = self._plan is not None and self._plan.key != key_of(optimizer.param_groups, optimizer.state)
            if self._plan is None or (is_replaced and not self.is_begun):
                self._expect(optimizer._current_plan())
                is_replaced = False
            plan = self._plan
            assert plan is not None
            versions = dict(self._versions)
            nsent = self._next
            try:
                while self._next < len(self._buckets):
                    self._send_next(plan, background=False)
                optimizer._finish(plan)
            finally:
                self._plan = None
                self._versions.clear()
        # Whatever is wrong from here on, all ranks have made the step.
        if is_scaled:
            raise ValueError("GradScaler with overlap=True: gradients are exchanged before they are unscaled")
        if is_replaced:
            raise RuntimeError(
                "parameters or momenta were replaced between the backward pass and step(), which with overlap=True "
                "has begun by then"
            )
        if self._hyperparameters != plan.state_of(optimizer.param_groups):
            raise RuntimeError(
                "lr, betas or weight_decay were changed between the backward pass and step(); with overlap=True a "
                "step begins in the backward pass: change them after step()"
            )
        self._check_unchanged(plan, nsent, versions)

    def _check_unchanged(self, plan: Plan, nsent: int, versions: dict[int, int]) -> None:
        """Raises RuntimeError if a gradient is not the one that was sent with the first `nsent` buckets."""
        for first, last in self._buckets[:nsent]:
            for number in range(first, last):
                gradient = plan.entries[number].parameter.grad
                if gradient is None or local(gradient)._version != versions[number]:
                    raise RuntimeError(
                        f"the gradient of {plan.entries[number].name} was changed after it had been exchanged: "
                        "gradient clipping and other changes between the backward pass and step() need overlap=False"
                    )
