# SPDX-License-Identifier: Apache-2.0
"""Ends in many ways without closing its communicator. exit.py return|raise|sys.exit|thread|daemon|request|cycle FILE

Who raises waits until there is such a file, since what it raises would end the vote of a rank that is still in it.
"""

import contextlib
import sys
import threading
import time
from pathlib import Path

import numpy as np

import signccl

how = sys.argv[1]
comm = signccl.Communicator.from_env(timeout=300)
signccl.all_reduce_vote(np.ones(8), comm)


def wait_for_ever() -> None:
    with contextlib.suppress(signccl.SignCCLError):
        signccl.all_reduce_vote(np.ones(8), comm)


if how == "thread" and comm.rank == 0:
    # A thread that Python waits for is freed by the other rank, which leaves.
    threading.Thread(target=wait_for_ever).start()
elif how == "daemon":
    if comm.rank == 0:
        threading.Thread(target=wait_for_ever, daemon=True).start()
        time.sleep(0.2)
    else:
        time.sleep(1)
elif how == "request":
    parts = [comm.split(0) for _ in range(5)]
elif how == "cycle":
    cycle = [comm.split(0)]
    cycle.append(cycle)
    del cycle
print("bye", flush=True)
if how == "raise":
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    raise KeyError("the program itself")
if how == "sys.exit":
    sys.exit()
