# SPDX-License-Identifier: Apache-2.0
"""Forks while communicators are open: in children nothing works, nothing hangs, and nothing of the parent's is harmed.

fork.py threads|processes: the ranks.
"""

import multiprocessing
import os
import sys
import threading
import time
import warnings

import numpy as np

import signccl

warnings.simplefilter("ignore", DeprecationWarning)  # of fork() in a process with threads


def refused(comm: signccl.Communicator) -> None:
    """In a child: every method says whose the communicator is."""
    for use in (
        lambda: signccl.all_reduce_vote(np.ones(3), comm),
        lambda: comm.all_gather(b""),
        lambda: comm.split(0),
        lambda: comm.call_number,
        lambda: comm.stats,
    ):
        try:
            use()
        except signccl.InvalidUsageError as error:
            assert "is a child after fork()" in str(error), error
        else:
            raise AssertionError("a child can use its parent's communicator")
    comm.abort()
    comm.close()
    own = signccl.Communicator.all_in_process(1)[0]
    assert signccl.all_reduce_vote(np.array([-2.0]), own).tolist() == [-1]


def square(number: int) -> int:
    return number * number


def check(comm: signccl.Communicator) -> None:
    context = multiprocessing.get_context("fork")
    child = context.Process(target=refused, args=(comm,))
    child.start()
    child.join(20)
    assert child.exitcode == 0, child.exitcode
    with context.Pool(2) as pool:  # as data loaders do
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    # A child that ends as an ordinary program, with atexit functions.
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


if __name__ == "__main__":
    if sys.argv[1] == "threads":
        comms = signccl.Communicator.all_in_process(2)
        other = threading.Thread(
            target=lambda: signccl.all_reduce_vote(np.ones(3), comms[1], tie="positive"), daemon=True
        )
        other.start()
        time.sleep(0.2)  # until it waits, with the lock of its communicator, which the child then finds locked
        check(comms[0])
        refused_other = multiprocessing.get_context("fork").Process(target=refused, args=(comms[1],))
        refused_other.start()
        refused_other.join(20)
        assert refused_other.exitcode == 0
        assert signccl.all_reduce_vote(np.array([1.0, 1.0, -1.0]), comms[0], tie="positive").tolist() == [1, 1, 1]
        other.join(10)
    else:
        comm = signccl.Communicator.from_env(timeout=30)
        signccl.all_reduce_vote(np.ones(3), comm)
        check(comm)
        assert signccl.all_reduce_vote(np.array([-2.0]), comm).tolist() == [-1]
        comm.close()
    print("works", flush=True)
