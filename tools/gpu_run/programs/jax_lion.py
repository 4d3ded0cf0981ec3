# SPDX-License-Identifier: Apache-2.0
"""Compares lion_step() and votes of JAX on CUDA with those on the CPU, bit by bit, in one process.

Prints what was compared as a line of JSON. Ends with an AssertionError, which names the case, where bits differ.
"""

from __future__ import annotations

import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import signccl
import signccl.jax

SHAPES = {"a": (1000, 33), "b": (4097,), "c": (), "d": (0,), "e": (300_000,)}
CASES = (
    ("float32", {}),
    ("bfloat16", {"aggregation": "avg", "zero": "ternary"}),
    ("float16", {"tie": "negative"}),
)
STEPS = 6


def tree(dtype: str, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    values = {name: random.standard_normal(shape).astype("f4") for name, shape in SHAPES.items()}
    return {name: jnp.asarray(np.where(abs(value) < 0.7, 0, value), dtype) for name, value in values.items()}


def trained(device: jax.Device, dtype: str, options: dict[str, Any], *, donates: bool) -> tuple[Any, float]:
    """Parameters and state after some steps on a device, and the milliseconds of a step."""
    with jax.default_device(device), signccl.Communicator.all_in_process(1)[0] as comm:

        def train(params: Any, state: Any, grads: Any) -> Any:
            return signccl.jax.lion_step(params, grads, state, 0.01, weight_decay=0.1, comm=comm, **options)

        run = jax.jit(train, donate_argnums=(0, 1) if donates else ())
        params = tree(dtype, 1)
        state = signccl.jax.lion_init(params)
        given = [tree(dtype, 10 + step) for step in range(STEPS)]
        begin = 0.0
        for step in range(STEPS):
            if step == 2:
                jax.block_until_ready((params, state))
                begin = time.perf_counter()
            params, state = run(params, state, given[step])
        jax.block_until_ready((params, state))
        milliseconds = 1e3 * (time.perf_counter() - begin) / (STEPS - 2)
        return jax.tree.map(np.asarray, (params, state.mu)), milliseconds


def voted(device: jax.Device) -> Any:
    with jax.default_device(device), signccl.Communicator.all_in_process(1)[0] as comm:
        vote = jax.jit(lambda arrays: signccl.jax.all_reduce_vote(arrays, comm, tie="positive"))
        mean = jax.jit(lambda arrays: signccl.jax.all_reduce_avg(arrays, comm, zero="ternary"))
        return jax.tree.map(np.asarray, (vote(tree("float32", 5)), mean(tree("bfloat16", 6))))


def compare(case: str, here: Any, there: Any) -> None:
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(here), jax.tree.leaves(there), strict=True):
        same = one.dtype == other.dtype and one.tobytes() == other.tobytes()
        assert same, f"{case}: {jax.tree_util.keystr(path)}: other bits"


def main() -> None:
    gpu, cpu = jax.devices("cuda")[0], jax.devices("cpu")[0]
    figures: dict[str, object] = {"device": str(gpu)}
    for dtype, options in CASES:
        expected, _ = trained(cpu, dtype, options, donates=False)
        for donates in (True, False):
            case = f"{dtype}, {'donated' if donates else 'copied'}"
            got, milliseconds = trained(gpu, dtype, options, donates=donates)
            compare(case, got, expected)
            figures[f"{case}: ms of a step"] = milliseconds
    compare("votes", voted(gpu), voted(cpu))
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
