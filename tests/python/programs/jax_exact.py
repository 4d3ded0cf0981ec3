# SPDX-License-Identifier: Apache-2.0
"""One rank of a job: compares results of signccl.jax with NumPy's, to the bit.

jax_exact.py SHARE MEETING: checks 1 of SHARE cases. MEETING is how the processes meet: "launcher"; "distributed", by
jax.distributed, also with two devices in each process; "broadcast", by jax.distributed where its store is hidden.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np

import signccl.jax
from jax_cases import TRAININGS, first_wrong, first_wrong_step, inputs_of, reductions, run_in_turn
from signccl.jax import communicators

share, meeting = int(sys.argv[1]), sys.argv[2]
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
if meeting != "launcher":
    jax.config.update("jax_num_cpu_devices", 2)
    nprocesses, process = int(os.environ.pop("WORLD_SIZE")), int(os.environ.pop("RANK"))
    jax.distributed.initialize(os.environ.pop("SIGNCCL_COMM_ID"), nprocesses, process)
if meeting == "broadcast":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    communicators._distributed_state = lambda: None  # as in a version of JAX that moved it


def wrong_of_processes() -> str:
    """One rank for each process."""
    comm = signccl.jax.communicator(timeout=60)
    assert comm is signccl.jax.communicator()
    cases = reductions(("float32", "float16", "bfloat16", "float64"))[::share]
    for first in range(0, len(cases), 25):
        some = cases[first : first + 25]
        call = comm.call_number
        got = jax.jit(lambda inputs, some=some: run_in_turn(some, inputs))(inputs_of(some, comm.rank))
        wrong = first_wrong(some, got, comm.nranks, call)
        if wrong:
            return wrong
    for number, training in enumerate(TRAININGS[:: min(share, 3)]):
        wrong = first_wrong_step(training, comm.rank, comm.nranks, donated=number % 2 == 0)
        if wrong:
            return wrong
    return ""


def wrong_of_devices() -> str:
    """One rank for each of the devices of all processes."""
    P = jax.sharding.PartitionSpec
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("dp",))
    some = reductions(("float32",))[:8]
    nranks = jax.device_count()
    inputs = [inputs_of(some, rank) for rank in range(nranks)]
    sharding = jax.sharding.NamedSharding(mesh, P("dp"))

    def stack(*arrays: np.ndarray) -> jax.Array:
        whole = np.stack(arrays)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    with signccl.jax.device_communicators(mesh.devices, timeout=60) as comms:

        def body(tree: dict) -> list:
            mine = jax.tree.map(lambda array: array[0], tree)
            return jax.tree.map(lambda array: array[None], run_in_turn(some, mine, comm=comms, axis_name="dp"))

        run = jax.shard_map(body, mesh=mesh, in_specs=P("dp"), out_specs=P("dp"), check_vma=False)
        got = jax.jit(run)(jax.tree.map(stack, *inputs))
        for place, comm in enumerate(comms.comms):
            mine = jax.tree.map(lambda array, place=place: np.asarray(array.addressable_shards[place].data)[0], got)
            wrong = first_wrong(some, mine, nranks, 0)
            if wrong:
                return f"rank {comm.rank}: {wrong}"
    return ""


wrong = wrong_of_processes()
if not wrong and meeting == "distributed":
    wrong = wrong_of_devices()
sys.exit(wrong or None)
