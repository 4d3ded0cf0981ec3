# SPDX-License-Identifier: Apache-2.0
"""Distributed Lion for PyTorch.

::

    from signccl.torch import DistributedLion, prepare

    prepare(model)                                   # every rank begins with rank 0's parameters
    optimizer = DistributedLion(model.parameters(), lr=1e-4, weight_decay=0.1)
    loss.backward()                                  # gradients stay local: no DistributedDataParallel
    optimizer.step()                                 # one bit per parameter and rank travels
"""

from __future__ import annotations

from . import backend as backend  # importing it registers the backend "signccl" of torch.distributed
from .ddp import disable_grad_sync, prepare, sync_buffers
from .grad_scaler import GradScaler
from .groups import communicator
from .ops import all_reduce_avg, all_reduce_avg_, all_reduce_vote, all_reduce_vote_
from .optimizer import DistributedLion

__all__ = [
    "DistributedLion",
    "GradScaler",
    "all_reduce_avg",
    "all_reduce_avg_",
    "all_reduce_vote",
    "all_reduce_vote_",
    "communicator",
    "disable_grad_sync",
    "prepare",
    "sync_buffers",
]
