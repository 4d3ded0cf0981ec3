# SPDX-License-Identifier: Apache-2.0
"""Who is measured by perf/compare.py, and how often."""

from dataclasses import dataclass

# Algorithm 4 of Open MPI's "tuned" collectives. Its own choice is not always the best one for large vectors.
RING = ("--mca", "coll_tuned_use_dynamic_rules", "1", "--mca", "coll_tuned_allreduce_algorithm", "4")

# What can be asked for by name: the operation of mpi_allreduce_perf, and the ways to run it. The best one counts.
PEERS = {
    "ompi-fp32": ("fp32", {"": (), "-ring": RING}),
    "ompi-int8": ("int8", {"": (), "-ring": RING}),
    "ompi-bits": ("bits", {"": ()}),
}

LATENCY_COUNT = 1024  # at most this many elements: the time is that of messages, not of bytes


@dataclass(frozen=True)
class Contender:
    """One way to run one collective."""

    name: str
    ours: bool
    op: str
    peer: str = ""  # the key of PEERS that this is a way of; empty for ours
    mpi_arguments: tuple = ()


def contenders(ops, peers):
    """In the order in which a round runs them."""
    entries = [Contender(f"signccl-{op}", True, op) for op in ops]
    for peer in peers:
        op, ways = PEERS[peer]
        entries += [Contender(peer + suffix, False, op, peer, arguments) for suffix, arguments in ways.items()]
    return entries


def iterations(count, crosses_network, warmup=None, iters=None):
    """Untimed and timed iterations of one run: as many as take about a second or two, if nobody says otherwise."""
    if count <= LATENCY_COUNT:
        default = (200, 2000) if crosses_network else (20_000, 200_000)
    elif count < 1 << 22:
        default = (2, 20)
    else:
        default = (1, 3) if crosses_network else (1, 10)
    return (default[0] if warmup is None else warmup, default[1] if iters is None else iters)
