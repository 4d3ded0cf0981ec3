# SPDX-License-Identifier: Apache-2.0
"""A GradScaler whose scale is the same on all ranks."""

from __future__ import annotations

from typing import Any, cast

import torch

from .optimizer import DistributedLion


class GradScaler(torch.amp.GradScaler):
    """torch.amp.GradScaler for :class:`DistributedLion`.

    With local gradients an overflow is local too. If any rank meets one, DistributedLion skips the step on all ranks,
    whatever scaler is used. With torch's own, only the ranks that met it lower their scale, which does no harm by
    itself, since gradients are unscaled before their signs are sent. With this one all ranks lower it, for programs
    that look at the scale, such as those that then skip a step of their learning rate's schedule.
    """

    def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> Any:
        """As torch.amp.GradScaler.step()."""
        result = super().step(optimizer, *args, **kwargs)
        if isinstance(optimizer, DistributedLion) and self.is_enabled():
            found = cast("dict[Any, torch.Tensor]", self._found_inf_per_device(optimizer))
            if not found:  # no gradients here: update() of the base class would refuse
                found[torch.device(self._device)] = torch.zeros(())
            skipped = optimizer._session.step_was_skipped
            for found_inf in found.values():
                if isinstance(skipped, torch.Tensor):  # on a device, where nobody waits for it
                    torch.maximum(found_inf, skipped.to(found_inf).view(()), out=found_inf)
                elif skipped:
                    found_inf.fill_(1.0)
        return result
