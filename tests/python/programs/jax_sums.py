# SPDX-License-Identifier: Apache-2.0
"""Sums signs of all ranks inside of jit, as programs of JAX on CPUs do, and prints the digest of the sums on rank 0.

jax_sums.py mpi4jax          by mpi4jax.allreduce
jax_sums.py mpi <host:port>  by jax.lax.psum over JAX's own collectives by MPI; process 0 listens there
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable

import jax
import numpy as np

COUNT = 1 << 17
CALLS = 4
RANK = int(os.environ["OMPI_COMM_WORLD_RANK"])
RANKS = int(os.environ["OMPI_COMM_WORLD_SIZE"])


def signs(call: int) -> np.ndarray:
    """[COUNT] float32, -1 or +1."""
    return np.random.default_rng((call, RANK)).choice(np.array([-1, 1], np.float32), COUNT)


def sum_by_mpi4jax() -> Callable[[np.ndarray], jax.Array]:
    import mpi4jax
    from mpi4py import MPI

    return jax.jit(lambda x: mpi4jax.allreduce(x, op=MPI.SUM, comm=MPI.COMM_WORLD))


def sum_by_collectives(address: str) -> Callable[[np.ndarray], jax.Array]:
    from jax.sharding import NamedSharding, PartitionSpec

    jax.config.update("jax_cpu_collectives_implementation", "mpi")
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # these collectives demand the main thread
    jax.distributed.initialize(address, RANKS, RANK)
    mesh = jax.make_mesh((RANKS,), ("ranks",), devices=jax.devices())
    sharding = NamedSharding(mesh, PartitionSpec("ranks"))
    total = jax.jit(
        jax.shard_map(
            lambda x: jax.lax.psum(x, "ranks"), mesh=mesh, in_specs=PartitionSpec("ranks"), out_specs=PartitionSpec()
        )
    )

    def sum_all(x: np.ndarray) -> jax.Array:
        whole = jax.make_array_from_process_local_data(sharding, x[np.newaxis])
        result: jax.Array = total(whole).addressable_data(0)
        return result

    return sum_all


def main() -> None:
    sum_all = sum_by_mpi4jax() if sys.argv[1] == "mpi4jax" else sum_by_collectives(sys.argv[2])
    digest = hashlib.sha256()
    for call in range(CALLS):
        digest.update(np.asarray(sum_all(signs(call))).tobytes())
    if RANK == 0:
        print(f"digest {digest.hexdigest()}", flush=True)


if __name__ == "__main__":
    main()
