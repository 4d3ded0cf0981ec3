#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures optimizer steps of signccl.jax beside psum of float32 gradients and optax.lion, in turns in the same run.

    python perf/jax_step_perf.py -p 4                                  # 4 processes of this machine: shm, and Gloo
    tools/hosts run --no-prefix -- python perf/jax_step_perf.py        # a process on each host
    python perf/jax_step_perf.py --overhead                            # what a call costs beside the work, one process

Gradients differ from process to process, parameters do not. Times are medians over rounds, of the slowest process. In
each round every contender makes one step.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import signccl.jax

LR, DECAY = 1e-4, 0.1
P = jax.sharding.PartitionSpec

Contender = Callable[[], object]


def make_tree(total: int, arrays: int, seed: int) -> dict[str, jax.Array]:
    source = np.random.default_rng(seed)
    shape = (total // arrays,)
    return {f"p{i:03}": jnp.asarray(source.standard_normal(shape, dtype=np.float32)) for i in range(arrays)}


class Stepper:
    """Steps that give parameters and state from one to the next, donated."""

    def __init__(self, step: Callable[..., Any], params: Any, state: Any, grads: Any) -> None:
        self._step, self._trees, self._grads = jax.jit(step, donate_argnums=(0, 1)), (params, state), grads

    def __call__(self) -> object:
        self._trees = self._step(*self._trees, self._grads)
        return self._trees


def with_optax(optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


class Averaging:
    """What programs do without SignCCL: jax.lax.pmean of the gradients of all processes, by Gloo."""

    def __init__(self, grads: Any) -> None:
        self.mesh = jax.sharding.Mesh(np.array(jax.devices()), ("dp",))
        rows = jax.sharding.NamedSharding(self.mesh, P("dp"))
        self.grads = jax.tree.map(lambda g: jax.make_array_from_process_local_data(rows, np.asarray(g)[None]), grads)

    def everywhere(self, tree: Any) -> Any:
        """Copies for all processes, as JAX's arrays of all of them."""
        copies = jax.sharding.NamedSharding(self.mesh, P())
        return jax.tree.map(lambda a: jax.make_array_from_process_local_data(copies, np.asarray(a)), tree)

    def mapped(self, function: Callable[..., Any], nreplicated: int, results: Any) -> Callable[..., Any]:
        specs = (*[P()] * nreplicated, P("dp"))
        return jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=results, check_vma=False)


def mean(grads: Any) -> Any:
    return jax.lax.pmean(jax.tree.map(lambda g: g[0], grads), "dp")


def mean_of_flat(grads: Any) -> Any:
    flat, unravel = jax.flatten_util.ravel_pytree(jax.tree.map(lambda g: g[0], grads))
    return unravel(jax.lax.pmean(flat, "dp"))


def make_contenders(arguments: argparse.Namespace, comm: signccl.Communicator) -> dict[str, Contender]:
    """Steps first, then what they communicate alone."""
    params = make_tree(arguments.parameters, arguments.arrays, seed=0)
    grads = make_tree(arguments.parameters, arguments.arrays, seed=1 + comm.rank)
    copy = lambda tree: jax.tree.map(jnp.copy, tree)  # noqa: E731
    averaging = Averaging(grads)
    lion = optax.lion(LR, weight_decay=DECAY)
    ours = signccl.jax.distributed_lion(LR, weight_decay=DECAY, comm=comm)

    def fused(params: Any, state: Any, grads: Any) -> Any:
        return signccl.jax.lion_step(params, grads, state, LR, weight_decay=DECAY, comm=comm)

    def averaged(means: Callable[[Any], Any]) -> Stepper:
        step = averaging.mapped(lambda p, s, g: with_optax(lion)(p, s, means(g)), 2, (P(), P()))
        return Stepper(step, *(averaging.everywhere(t) for t in (params, lion.init(params))), averaging.grads)

    vote = jax.jit(lambda g: signccl.jax.all_reduce_vote(g, comm))
    psums = [jax.jit(averaging.mapped(means, 0, P())) for means in (mean, mean_of_flat)]
    return {
        "signccl.jax.lion_step": Stepper(fused, copy(params), signccl.jax.lion_init(params), grads),
        "signccl.jax.distributed_lion (optax)": Stepper(with_optax(ours), copy(params), ours.init(params), grads),
        "pmean + optax.lion": averaged(mean),
        "pmean of one flat array + optax.lion": averaged(mean_of_flat),
        "communication: all_reduce_vote": lambda: vote(grads),
        "communication: pmean": lambda: psums[0](averaging.grads),
        "communication: pmean of one flat array": lambda: psums[1](averaging.grads),
    }


def measure(contenders: dict[str, Contender], comm: signccl.Communicator, rounds: int) -> dict[str, list[float]]:
    """Seconds of the slowest process, for every contender in every round."""
    for run in contenders.values():
        jax.block_until_ready(run())
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            comm.barrier()
            begin = time.perf_counter()
            jax.block_until_ready(run())
            mine = struct.pack("<d", time.perf_counter() - begin)
            times[name].append(max(struct.unpack("<d", other)[0] for other in comm.all_gather(mine)))
    return times


def show(times: dict[str, list[float]]) -> None:
    print(f"{'':44} {'median ms':>10} {'least ms':>10} {'x ours':>8}")
    base = 1.0
    for name, seconds in times.items():
        median = statistics.median(seconds)
        if "signccl.jax.lion_step" in name or "all_reduce_vote" in name:
            base = median
        print(f"{name:44} {1e3 * median:10.2f} {1e3 * min(seconds):10.2f} {median / base:8.2f}")


def show_overhead(rounds: int) -> None:
    """Calls with almost no work, of one process, beside an addition of the same arrays."""
    (comm,) = signccl.Communicator.all_in_process(1)
    host = np.ones(8, np.float32)
    runs: dict[str, Contender] = {
        "C API through ctypes: vote of 8 elements": lambda: signccl.all_reduce_vote(host, comm)
    }
    for number in (1, 150):
        arrays = [jnp.ones(8)] * number
        vote = jax.jit(lambda xs: signccl.jax.all_reduce_vote(xs, comm, dtype=jnp.int8))
        add = jax.jit(lambda xs: [(x + 1).astype(jnp.int8) for x in xs])
        runs[f"jit, vote of {number} arrays"] = lambda vote=vote, arrays=arrays: vote(arrays)
        runs[f"jit, addition to {number} arrays"] = lambda add=add, arrays=arrays: add(arrays)
    for name, run in runs.items():
        seconds = []
        for _ in range(100 * rounds):
            begin = time.perf_counter()
            jax.block_until_ready(run())
            seconds.append(time.perf_counter() - begin)
        print(f"{name:44} {1e6 * statistics.median(seconds):8.1f} us")


def join_jax(host: str, port: int, nprocesses: int, process: int) -> None:
    """jax.distributed with Gloo, which by itself looks up the name of the host; those of tools/hosts have none."""
    from jax._src.lib import _jax

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        mine = probe.getsockname()[0]
    _jax.make_gloo_tcp_collectives = partial(_jax.make_gloo_tcp_collectives, hostname=mine)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"{host}:{port}", nprocesses, process)


def spawn(nprocesses: int, command: list[str]) -> int:
    """Runs this program as several processes of this machine. Returns the first exit status that is not 0."""
    port = random.randrange(10_000, 30_000)
    common = {**os.environ, "WORLD_SIZE": str(nprocesses), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [subprocess.Popen(command, env={**common, "RANK": str(rank)}) for rank in range(nprocesses)]
    return max(rank.wait() for rank in ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--parameters", type=int, default=10_000_000)
    parser.add_argument("-t", "--arrays", type=int, default=150)
    parser.add_argument("-r", "--rounds", type=int, default=9)
    parser.add_argument(
        "-p", "--processes", type=int, help="processes to start here; default: this one, as it was launched"
    )
    parser.add_argument("--overhead", action="store_true", help="measure what a call costs beside the work")
    parser.add_argument("--json", help="writes the times to this file")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    if arguments.overhead:
        return show_overhead(arguments.rounds)
    if arguments.processes and "RANK" not in os.environ:
        sys.exit(spawn(arguments.processes, [sys.executable, *sys.argv]))
    port = int(os.environ["MASTER_PORT"]) + 1
    join_jax(os.environ["MASTER_ADDR"], port, int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"]))
    with signccl.jax.communicator() as comm:
        times = measure(make_contenders(arguments, comm), comm, arguments.rounds)
        if comm.rank == 0:
            print(f"{arguments.parameters:,} float32 parameters in {arguments.arrays} arrays, {comm.nranks} processes")
            show(times)
            if arguments.json:
                with open(arguments.json, "w") as file:
                    json.dump({"arguments": vars(arguments), "seconds": times}, file)
    return None


if __name__ == "__main__":
    main()
