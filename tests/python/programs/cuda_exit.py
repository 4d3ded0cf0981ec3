# SPDX-License-Identifier: Apache-2.0
"""One rank of two: votes on device memory. Rank 0 ends right after the call; rank 1 comes later and needs its signs."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import cuda_support as cuda
import signccl

os.environ["SIGNCCL_CUDA_LIBRARY"] = os.path.join(cuda.FOLDER, "emulated")
cuda.check(cuda.driver().cuInit(0))
comm = signccl.Communicator.from_env(timeout=20)
with cuda.current():
    stream = cuda.Stream()
    array = cuda.CudaArray(np.array([3, -3], np.float32))
    if comm.rank == 1:
        time.sleep(0.3)
    signccl.all_reduce_vote(array, comm, array, stream=stream)
    if comm.rank == 0:
        sys.exit(0)
    stream.synchronize()
    print(array.get().tolist(), comm.error)
