# SPDX-License-Identifier: Apache-2.0
"""One rank of a job in which something goes wrong inside jit; says how it ended.

jax_faults.py killed: rank 1 says "waiting" and sleeps, while the others vote, and say how that ended.
jax_faults.py mixed: the ranks disagree in one thing after the other, each time with a new communicator.
jax_faults.py exit: every rank dispatches many votes and ends without waiting for them.
jax_faults.py raise|daemon: rank 0 raises, or ends, while a vote of its daemon thread waits for rank 1, which sleeps.
"""

import sys
import threading
import time

import jax
import jax.numpy as jnp

import signccl.jax

jax.config.update("jax_platforms", "cpu")
what = sys.argv[1]
comm = signccl.jax.communicator(timeout=300)
vote = jax.jit(lambda x: signccl.jax.all_reduce_vote(x, comm))
vote(jnp.ones(8)).block_until_ready()


def outcome_of(call: object) -> str:
    try:
        jax.block_until_ready(call())
    except jax.errors.JaxRuntimeError as error:
        return str(error).splitlines()[0]
    return "no error"


def step_of(params: dict, lr: float, comm: signccl.Communicator) -> object:
    grads = jax.tree.map(jnp.ones_like, params)
    return signccl.jax.lion_step(params, grads, signccl.jax.lion_init(params), lr, comm=comm)


if what == "killed":
    print("waiting", flush=True)
    if comm.rank == 1:
        time.sleep(300)
    print(outcome_of(lambda: vote(jnp.ones(8))), flush=True)
elif what == "mixed":
    calls = [
        lambda other: signccl.jax.all_reduce_vote(jnp.ones(8 + comm.rank), other),
        lambda other: signccl.jax.all_reduce_vote(jnp.ones(8, "float16" if comm.rank else "float32"), other),
        lambda other: signccl.jax.all_reduce_vote([jnp.ones(8)] * (1 + comm.rank), other),
        lambda other: signccl.jax.all_reduce_vote(jnp.ones(8), other, tie=("zero", "positive")[comm.rank]),
        lambda other: step_of({"w": jnp.ones((2, 3 + comm.rank))}, 0.1, other),
        lambda other: step_of({"w": jnp.ones(6)}, 0.1 * (1 + comm.rank), other),
    ]
    for call in calls:
        with comm.split(0) as other:
            print(outcome_of(lambda call=call, other=other: call(other)), flush=True)
elif what == "exit":
    big = jnp.ones(1_000_000)
    for _ in range(30):
        big = vote(big)
    print("bye", flush=True)
elif what in ("raise", "daemon"):
    print("waiting", flush=True)
    if comm.rank == 1:
        time.sleep(300)
    threading.Thread(target=lambda: outcome_of(lambda: vote(jnp.ones(8))), daemon=True).start()
    time.sleep(0.5)
    if what == "raise":
        raise KeyError("the program itself")
