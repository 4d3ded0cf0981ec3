# SPDX-License-Identifier: Apache-2.0
"""One rank of a job of which rank 1 ends by an exception of its own, while the others wait for it in a call."""

import sys

import numpy as np

import signccl

comm = signccl.Communicator.from_env(timeout=300)
try:
    comm.barrier()
    if comm.rank == 1:
        raise LookupError("no such file of data")
    signccl.all_reduce_vote(np.ones(8), comm)
except signccl.SignCCLError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(3)
