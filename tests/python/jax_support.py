# SPDX-License-Identifier: Apache-2.0
"""What the tests of signccl.jax share: four devices in this process, and ranks for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax._src import dispatch

import signccl
import signccl.jax

P = jax.sharding.PartitionSpec

NDEVICES = 4
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", NDEVICES)

#: What XLA reports at run time; it has another name in old versions.
RuntimeFailure = jax.errors.JaxRuntimeError


@contextmanager
def alone() -> Iterator[signccl.Communicator]:
    """The only rank of a communicator."""
    (comm,) = signccl.Communicator.all_in_process(1)
    with comm:
        yield comm


@contextmanager
def one_rank_per_device() -> Iterator[tuple[signccl.jax.DeviceCommunicators, Any]]:
    """Ranks for the four devices, and their mesh with the axis "dp"."""
    with signccl.jax.device_communicators() as comms:
        yield comms, jax.sharding.Mesh(np.array(jax.devices()), ("dp",))


def on_devices(body: Any, mesh: Any, check_vma: bool = False) -> Any:
    """body(*arguments of the device), whose arguments and results are stacked along the axis of devices, compiled."""

    def on_one(*stacked: Any) -> Any:
        results = body(*jax.tree.map(lambda array: array[0], stacked))
        return jax.tree.map(lambda array: array[None], results)

    return jax.jit(jax.shard_map(on_one, mesh=mesh, in_specs=P("dp"), out_specs=P("dp"), check_vma=check_vma))


def flush_errors() -> None:
    """Lets JAX forget a call that failed on purpose: it would report it again when it ends."""
    with contextlib.suppress(RuntimeFailure):
        jax.effects_barrier()
    dispatch.runtime_tokens.clear()
