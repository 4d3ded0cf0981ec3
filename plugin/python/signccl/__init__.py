# SPDX-License-Identifier: Apache-2.0
"""SignCCL: collective communication of signs.

Every rank gives the signs of a vector; :func:`all_reduce_vote` gives every rank the majority sign of each element,
and :func:`all_reduce_avg` the mean of the signs. One bit per element and rank travels, counts are exact, and the
result is bit-identical on every rank::

    import numpy as np
    import signccl

    with signccl.Communicator.from_env() as comm:  # under torchrun, mpirun or srun
        update = np.random.default_rng(comm.rank).standard_normal(1000, dtype=np.float32)
        signccl.all_reduce_vote(update, comm, out=update)
"""

from __future__ import annotations

from ._bootstrap import get_unique_id
from ._version import __version__
from .collectives import all_reduce_avg, all_reduce_vote
from .communicator import Communicator, Stats
from .errors import (
    CudaError,
    InternalError,
    InvalidArgumentError,
    InvalidUsageError,
    OperationTimeoutError,
    RemoteError,
    SignCCLError,
    SystemCallError,
)

__all__ = [
    "Communicator",
    "CudaError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidUsageError",
    "OperationTimeoutError",
    "RemoteError",
    "SignCCLError",
    "Stats",
    "SystemCallError",
    "__version__",
    "all_reduce_avg",
    "all_reduce_vote",
    "get_unique_id",
]
