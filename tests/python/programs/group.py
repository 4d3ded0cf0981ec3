# SPDX-License-Identifier: Apache-2.0
"""One rank of a job with a process group of torch too. group.py before|after|import: when that is made, if at all"""

import os
import sys

import numpy as np
import torch.distributed as dist

import signccl

if sys.argv[1] == "import":
    os.write(1, b"imported\n")
if sys.argv[1] == "before":
    dist.init_process_group("gloo")
with signccl.Communicator.from_env(timeout=30) as comm:
    if sys.argv[1] == "after":
        dist.init_process_group("gloo")
    dist.barrier()
    # The group's own store carries ids as well.
    store = dist.distributed_c10d._get_default_store()
    place = dist.get_rank(), dist.get_world_size()
    with signccl.Communicator.from_store(store, *place) as other, signccl.Communicator.from_env() as third:
        for one in (comm, other, third):
            total = signccl.all_reduce_avg(np.ones(5, np.int8), one, dtype=np.int8)
            os.write(1, f"{one.rank} {one.nranks} {total[0]}\n".encode())
dist.destroy_process_group()
