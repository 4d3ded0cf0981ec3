# SPDX-License-Identifier: Apache-2.0
"""DistributedLion, a torch.optim.Optimizer."""

from __future__ import annotations

import itertools
import warnings
import weakref
from contextlib import AbstractContextManager
from typing import Any, Callable

import torch
from torch._compile import _disable_dynamo

from .._c_lion import LionAggregation, LionRounding
from .._c_types import TieRule, ZeroRule
from .._compare import compare_texts, comparing
from .._lion import LionRules
from ..communicator import Communicator
from . import _device, checkpoint
from .compare import texts_of
from .groups import communicator, group_for_cpu
from .hyperparameters import hyperparameters_of, is_scalar_on_device
from .momenta import average_momenta
from .overlap import Overlap
from .plan import Plan, key_of
from .tensors import check_parameter, data_type, local, names_of, unscale_

# Optimizers number their steps apart, so that a resumed job goes on to the bit whatever else it votes on.
_CALLS_PER_OPTIMIZER = 1 << 48
_index_of: weakref.WeakKeyDictionary[Communicator, itertools.count[int]] = weakref.WeakKeyDictionary()

_AGGREGATIONS = {"vote": LionAggregation.VOTE, "avg": LionAggregation.AVG}
_ZEROS = {"binary": ZeroRule.BINARY, "ternary": ZeroRule.TERNARY}
_TIES = {"zero": TieRule.ZERO, "positive": TieRule.POSITIVE, "negative": TieRule.NEGATIVE, "random": TieRule.RANDOM}
_ROUNDINGS = {"nearest": LionRounding.NEAREST, "stochastic": LionRounding.STOCHASTIC}


class _Session:
    """What changes during training. Wrappers of trainers copy the attributes of an optimizer, and share this one."""

    def __init__(self) -> None:
        self.consolidated: dict[torch.Tensor, torch.Tensor] | None = None
        self.rows_mesh: Any = None
        self.step_was_skipped: bool | torch.Tensor = False  #: a tensor on a device has it when its stream has come


class DistributedLion(torch.optim.Optimizer):
    r"""Distributed Lion (Liu et al. 2024, arXiv:2404.00438), one bit per parameter and rank on the wire.

    Every rank has gradients and momenta of its own; only the signs of their updates are exchanged, and every rank
    makes the same step with the majority, or with the mean, of the signs::

        u = b1 m + (1 - b1) g;   m = b2 m + (1 - b2) g;   x = x - lr (vote(u) + weight_decay x)

    Gradients must stay local: do not average them (DistributedDataParallel does, unless
    :func:`~signccl.torch.disable_grad_sync` is called). All ranks must begin with the same parameters
    (:func:`~signccl.torch.prepare`); they then stay equal to the bit. docs/torch.md has the details.

    Args:
        params: parameters, parameter groups, or named parameters, as for any optimizer. float32, bfloat16 and float16
            on the CPU, or all on one CUDA device, where steps are enqueued on the current stream; DTensors are updated
            by their local parts.
        lr: learning rate; that of Lion is 3 to 10 times smaller than AdamW's.
        betas: b1 and b2.
        weight_decay: decoupled; that of Lion is 3 to 10 times larger than AdamW's.
        aggregation: "vote" for the majority sign, "avg" for the mean of the signs, which costs about log2(N) bits
            back instead of 1.
        zero: sign of an update that is exactly 0: "binary" counts it as +1, "ternary" lets the rank abstain and
            sends 2 bits.
        tie: what a balanced vote gives: "random", "zero", "positive" or "negative".
        process_group: the ranks that exchange signs: a group of torch.distributed. None: all of them, or the
            processes of the launcher, or this process alone.
        comm: a :class:`signccl.Communicator`, instead of ``process_group``.
        overlap: exchange buckets of tensors, and update their parameters, while the backward pass still runs. Needs
            :meth:`accumulate` around all backward passes of a step but the last, and excludes gradient clipping and
            GradScaler.
        bucket_mb: gradients per bucket, in MiB; for ``overlap``.
        momentum_dtype: of the momenta; None: float32 whatever the parameters have.
        momentum_sync_every: average the momenta of all ranks after every so many steps; None: never. It helps where
            each rank has data of its own, and costs 2 (N - 1) / N times 32 bits per parameter each time.
        rounding: of bfloat16 parameters: "nearest", or "stochastic", which does not lose small steps.
        seed: for stochastic rounding, the same on every rank.

    The constructor is a collective: ranks compare names, shapes, strides and types of their parameters, and ValueError
    names the first difference. ``step()`` is one too, on every rank in every step, also on ranks without a gradient.

    ``state_dict()`` does no communication. It holds this rank's momenta (docs/torch.md, "Checkpoints").
    """

    # GradScaler then calls step() on every rank, also where gradients are infinite.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Any,
        lr: float | torch.Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        aggregation: str = "vote",
        zero: str = "binary",
        tie: str = "random",
        process_group: Any = None,
        comm: Communicator | None = None,
        overlap: bool = False,
        bucket_mb: float = 25.0,
        momentum_dtype: torch.dtype | None = None,
        momentum_sync_every: int | None = None,
        rounding: str = "nearest",
        seed: int = 0,
    ) -> None:
        if comm is not None and process_group is not None:
            raise ValueError("both comm and process_group are given, expected one of them")
        self.comm = communicator(process_group) if comm is None else comm
        self._group_for_cpu = group_for_cpu(process_group) if comm is None else None
        self._momentum_dtype = torch.float32 if momentum_dtype is None else momentum_dtype
        self._plan: Plan | None = None
        self._overlap: Overlap | None = None
        self._session = _Session()
        with comparing(self.comm, "parameters") as texts:
            if not bucket_mb > 0:
                raise ValueError(f"bucket_mb is {bucket_mb}, expected more than 0")
            if momentum_sync_every is not None and not _is_count(momentum_sync_every):
                raise ValueError(
                    f"momentum_sync_every is {momentum_sync_every!r}, expected None or an int of at least 1"
                )
            self._momentum_sync_every = momentum_sync_every
            self._rules = LionRules(
                _chosen("aggregation", aggregation, _AGGREGATIONS),
                _chosen("zero", zero, _ZEROS),
                _chosen("tie", tie, _TIES),
                _chosen("rounding", rounding, _ROUNDINGS),
                seed,
            )
            data_type(self._momentum_dtype, "momentum_dtype")
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})
            self._current_plan()  # which finds what is wrong with the parameters
            texts += texts_of(self.param_groups)
        compare_texts(self.comm, [f"momentum_sync_every={momentum_sync_every}"], "settings")
        index = next(_index_of.setdefault(self.comm, itertools.count()))
        for group in self.param_groups:
            group["signccl_call_number"] = index * _CALLS_PER_OPTIMIZER
            group["signccl_rank"] = self.comm.rank
            group["signccl_nranks"] = self.comm.nranks
        if overlap:
            self._overlap = Overlap(self, bucket_mb)

    # -------------------------------------------------------------------------------------------------- the step

    @_disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes one step. All ranks call it, whether they have gradients or not.

        Args:
            closure: computes the loss and the gradients; called once, before the step.

        Returns what the closure returns. Raises :class:`signccl.SignCCLError` if another rank failed or the ranks
        disagree; the momenta of this rank then have taken their gradients, and some parameters may have changed.
        Raises TypeError or ValueError for gradients and parameters that it cannot take, with their names; the other
        ranks then raise :class:`signccl.RemoteError` with the same text, and all of them need a new communicator.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._session.consolidated = None
        if self._overlap is not None:
            self._overlap.step(is_scaled=self._is_scaled())
            return loss
        with self.comm._taking_part():
            plan = self._current_plan()
            skip, found_inf = self._scale_gradients(plan)
            gradients, kept = plan.gradients(0, len(plan.entries))
            if plan.lion is not None:
                self._begin(plan, skip=skip, found_inf=found_inf)
                plan.note_changes(0, len(plan.entries))
                plan.submit(0, gradients, kept)
            self._finish(plan)
        return loss

    @property
    def step_was_skipped(self) -> bool:
        """Whether the last step changed no parameter, since a rank's gradients were infinite under a GradScaler. On a
        device it waits for the step."""
        known = self._session.step_was_skipped
        return known if isinstance(known, bool) else _device.is_set(known)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As that of any optimizer."""
        super().zero_grad(set_to_none)
        if self._overlap is not None:
            self._overlap.forget_gradients()

    def accumulate(self) -> AbstractContextManager[None]:
        """With ``overlap``: goes around every backward pass of a step but the last one."""
        if self._overlap is None:
            raise ValueError("accumulate() is for overlap=True; without overlap gradients accumulate as usual")
        return self._overlap.accumulate()

    def _begin(
        self, plan: Plan, *, skip: bool = False, background: bool = False, found_inf: torch.Tensor | None = None
    ) -> None:
        """Begins a step under this optimizer's own number."""
        if self._momentum_sync_every is not None and plan.is_captured():
            raise ValueError(
                f"a step with momentum_sync_every={self._momentum_sync_every} cannot be part of a CUDA graph, since "
                "momenta are averaged in host memory: expected None"
            )
        number = self.comm.call_number
        self.comm.call_number = self._call_number
        try:
            plan.begin(self.param_groups, skip=skip, background=background, found_inf=found_inf)
        finally:
            self.comm.call_number = number

    def _finish(self, plan: Plan) -> None:
        """Ends a step and counts it."""
        was_skipped = plan.finish()
        self._session.step_was_skipped = was_skipped if plan.skipped is None else plan.skipped
        number = self._call_number + 1
        for group in self.param_groups:
            group["signccl_call_number"] = number
        if self._momentum_sync_every is not None and number % _CALLS_PER_OPTIMIZER % self._momentum_sync_every == 0:
            average_momenta(self)

    @property
    def _call_number(self) -> int:
        return int(self.param_groups[0]["signccl_call_number"])

    def _current_plan(self) -> Plan:
        self._ensure_momenta()
        if self._plan is None or self._plan.key != key_of(self.param_groups, self.state):
            if self._plan is not None:
                self._plan.close()
            self._forget_replaced()
            self._plan = Plan(self.comm, self.param_groups, self.state, self._rules)
        return self._plan

    def _forget_replaced(self) -> None:
        """Drops the momenta of parameters that are in no group any more: some trainers replace them."""
        present = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        for parameter in [key for key in self.state if isinstance(key, torch.Tensor) and id(key) not in present]:
            del self.state[parameter]

    def _is_scaled(self) -> bool:
        """Whether a GradScaler makes this step."""
        return getattr(self, "found_inf", None) is not None or getattr(self, "grad_scale", None) is not None

    def _scale_gradients(self, plan: Plan) -> tuple[bool, torch.Tensor | None]:
        """What GradScaler has this optimizer do: unscale its gradients. Whether this rank must skip the step; on a
        device the tensor that says so there, so that nobody waits for it."""
        found_inf = getattr(self, "found_inf", None)
        scale = getattr(self, "grad_scale", None)
        gradients = [local(p.grad) for group in self.param_groups for p in group["params"] if p.grad is not None]
        if isinstance(found_inf, torch.Tensor) and plan.can_read(found_inf):
            if scale is not None and gradients:
                unscale_(gradients, found_inf, scale)
            return False, found_inf
        if found_inf is not None and float(found_inf) != 0:
            return True, None
        if scale is not None and gradients:
            torch._foreach_mul_(gradients, 1.0 / float(scale))
        return False, None

    # ------------------------------------------------------------------------------------------------ the momenta

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a parameter group; on all ranks alike."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            hyperparameters_of(group, is_lr_read_later=is_scalar_on_device(group["lr"]))
            names = names_of(self.param_groups)
            for parameter in group["params"]:
                check_parameter(local(parameter), names[id(parameter)])
        except BaseException:
            self.param_groups.pop()
            raise
        for key in ("signccl_call_number", "signccl_rank", "signccl_nranks"):
            if key in self.param_groups[0]:
                group[key] = self.param_groups[0][key]
        self._ensure_momenta()
        if self._overlap is not None:
            self._overlap.hook_all()

    def _ensure_momenta(self) -> None:
        """Every parameter that takes gradients has a momentum, from the beginning, so that all ranks have the same
        keys, and so that nobody needs a hidden step to make them."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad and "momentum" not in self.state.get(parameter, ()):
                    self.state[parameter]["momentum"] = self._new_momentum(parameter)

    def _new_momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        return _device.zeros_like(local(parameter).detach(), self._momentum_dtype)

    # ------------------------------------------------------------------------------------------------ checkpoints

    @_disable_dynamo
    def state_dict(self) -> dict[str, Any]:
        """The state of this rank, without communication; after :meth:`consolidate_state_dict` that of all ranks."""
        self._forget_replaced()
        # Hooks of the user come after it.
        hook = self.register_state_dict_post_hook(lambda _, state: checkpoint.save(state, self), prepend=True)
        try:
            return super().state_dict()
        finally:
            hook.remove()

    @_disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a dict of this rank, of all ranks (this rank takes its own momenta), or of another rank: then every
        rank begins with that one's momenta, and a warning says so. Momenta keep their dtype."""
        if self._overlap is not None and self._overlap.is_begun:
            raise RuntimeError(
                "load_state_dict() between the backward pass and step(), which with overlap=True has begun"
            )
        loading = checkpoint.Loading(self)
        # Hooks of the user come before the one and after the other.
        hooks = [
            self.register_load_state_dict_pre_hook(lambda _, state: loading.begin(state)),
            self.register_load_state_dict_post_hook(lambda _: loading.end(), prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()
        if loading.warning:
            warnings.warn(loading.warning, stacklevel=4)  # two of them are those of _disable_dynamo

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gathers the momenta of all ranks, so that ``state_dict()`` on rank `to` holds them, until the next step.

        All ranks call it.
        """
        self._session.consolidated = checkpoint.gather_momenta(self, to)

    def use_checkpoint_rows(self, mesh: Any = None) -> None:
        """Makes ``state_dict()`` hold each momentum as this rank's row of a DTensor of shape [ranks, ...].

        For torch.distributed.checkpoint, which otherwise takes the momenta of different ranks for copies of one
        tensor. ``mesh``: a one-dimensional DeviceMesh of the ranks; None makes one of all of them. With parameters
        that ``fully_shard`` has sharded: that of replicas and shards, in this order. All ranks call it.
        """
        self._session.rows_mesh = checkpoint.rows_mesh(self, mesh)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a DistributedLion cannot be copied or pickled: save its state_dict() and make a new one")


def _chosen(name: str, value: Any, choices: dict[str, Any]) -> Any:
    try:
        return choices[value]
    except (KeyError, TypeError):
        expected = ", ".join(f"'{choice}'" for choice in choices)
        raise ValueError(f"{name} is {value!r}, expected one of {expected}") from None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
