# SPDX-License-Identifier: Apache-2.0
"""One rank of a job of which rank 1 does nothing but wait for a signal, while the others wait for it in a call.

wait.py vote|large|gather|split|join: says "waiting", and then how the call ended.
"""

import sys
import time

import numpy as np

import signccl

call = sys.argv[1]
if call == "join":
    unique_id = signccl.get_unique_id()
    print("waiting", flush=True)
    try:
        signccl.Communicator.from_unique_id(unique_id, 0, 2, timeout=300)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        raise
comm = signccl.Communicator.from_env(timeout=300)
signccl.all_reduce_vote(np.ones(8), comm)
print("waiting", flush=True)
if comm.rank == 1:
    time.sleep(300)
calls = {
    "vote": lambda: signccl.all_reduce_vote(np.ones(8), comm),
    "large": lambda: signccl.all_reduce_vote(np.ones(10_000_000, "f4"), comm),
    "gather": lambda: comm.all_gather(b"x"),
    "split": lambda: comm.split(0),
}
try:
    calls[call]()
except KeyboardInterrupt:
    print("interrupted", type(comm.error).__name__, flush=True)
    raise
except signccl.SignCCLError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(3)
