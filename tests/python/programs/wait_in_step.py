# SPDX-License-Identifier: Apache-2.0
"""One rank of a job of which rank 1 does nothing but wait for a signal, while the others wait for it in a Lion step.

wait_in_step.py retry|finish|close|forget|exit: says "waiting", and then how the call ended.
"""

import sys
import time

import numpy as np

import signccl
from signccl._lion import Lion, LionGroup, LionRules, LionTensor

GROUPS = [LionGroup(0.5, 0.9, 0.99, 0.0)]


def make(comm: signccl.Communicator) -> Lion:
    arrays = np.ones(10, "f4"), np.zeros(10, "f4")
    tensor = LionTensor(arrays[0].ctypes.data, arrays[1].ctypes.data, 10)
    return Lion(comm, [tensor], 1, LionRules(), arrays)


def begin(comm: signccl.Communicator) -> Lion:
    """A step whose only bucket is under way."""
    lion = make(comm)
    lion.begin(GROUPS, background=True)
    lion.submit(0, np.zeros(1, np.uintp))
    return lion


def retry(comm: signccl.Communicator, first: signccl.Communicator) -> None:
    """Exchanges again, over `comm`, what rank 1 has made fail."""
    lion = make(first)
    try:
        lion.step(GROUPS, np.zeros(1, np.uintp))
    except signccl.RemoteError:
        print("waiting", flush=True)
        lion.retry(comm)


call = sys.argv[1]
first = signccl.Communicator.from_env(timeout=300)
comm = signccl.Communicator.from_env(timeout=300)
if comm.rank == 1:
    time.sleep(1.0)  # until the others are in their step
    first.abort()
    print("waiting", flush=True)
    time.sleep(300)
try:
    if call == "retry":
        retry(comm, first)
    else:
        lion = begin(comm)
        print("waiting", flush=True)
        if call == "exit":
            sys.exit()
        elif call == "close":
            comm.close()
        elif call == "forget":
            lion.close()
        else:
            lion.finish()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
except signccl.SignCCLError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(3)
