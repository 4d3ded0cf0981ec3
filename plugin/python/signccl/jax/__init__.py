# SPDX-License-Identifier: Apache-2.0
"""Votes inside jit, and Distributed Lion for optax.

::

    import signccl.jax

    optimizer = signccl.jax.distributed_lion(learning_rate=1e-4, weight_decay=0.1)   # instead of optax.lion
    updates, state = optimizer.update(grads, state, params)                          # gradients stay local: no pmean

    params, state = signccl.jax.lion_step(params, grads, state, 1e-4)                # the same in two passes, in place
"""

from __future__ import annotations

from .check import check_equal
from .collectives import all_reduce_avg, all_reduce_vote
from .communicators import DeviceCommunicators, communicator, device_communicators
from .lion import LionState, lion_init, lion_step
from .transform import distributed_lion, scale_by_distributed_lion

__all__ = [
    "DeviceCommunicators",
    "LionState",
    "all_reduce_avg",
    "all_reduce_vote",
    "check_equal",
    "communicator",
    "device_communicators",
    "distributed_lion",
    "lion_init",
    "lion_step",
    "scale_by_distributed_lion",
]
