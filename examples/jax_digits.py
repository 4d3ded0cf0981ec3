#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a network on handwritten digits with JAX and Distributed Lion: one bit per parameter and process travels.

    mpirun -np 4 python examples/jax_digits.py              # or srun, or torchrun --nproc-per-node 4
    python examples/jax_digits.py                           # one process

or, where jax.distributed lets the processes meet, each of them with its number:

    python examples/jax_digits.py --coordinator HOST:PORT --processes 4 --process 0

The job is that of examples/digits: 17,226 parameters, each process with its own part of the digits, 8 of them per step.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import signccl.jax

DATA = Path(__file__).parent / "digits" / "data" / "digits.csv"
WIDTHS = (64, 128, 64, 10)
SETTINGS = {"vote": (2e-3, 1.0), "avg": (4e-3, 0.3)}  # learning rate and weight decay, as examples/digits has them
MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # of an image, by pixels down and to the right

Batch = tuple[np.ndarray, np.ndarray]  #: images [n, 8, 8] with pixels of 0 to 1, labels [n]


def read_digits() -> tuple[Batch, Batch]:
    """Those to train on, and a fifth of each class that is held out."""
    with DATA.open(newline="") as file:
        rows = np.array([[int(field) for field in row] for row in csv.reader(file)])
    labels = rows[:, 64]
    images = (rows[:, :64] / 16).astype(np.float32).reshape(-1, 8, 8)
    held_out = np.zeros(len(rows), bool)
    for label in range(10):
        held_out[np.flatnonzero(labels == label)[4::5]] = True
    return (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out])


def batches(digits: Batch, size: int, random: np.random.Generator) -> Iterator[Batch]:
    """Endless: each digit once, in random order, each time in place or moved by a pixel, and again."""
    images, labels = digits
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))  # what comes from outside is 0
    order: list[int] = []
    while True:
        while len(order) < size:
            order.extend(random.permutation(len(labels)))
        chosen, order = order[:size], order[size:]
        moves = [MOVES[number] for number in random.integers(len(MOVES), size=size)]
        moved = [
            padded[i, 1 - down : 9 - down, 1 - right : 9 - right]
            for i, (down, right) in zip(chosen, moves, strict=True)
        ]
        yield np.stack(moved), labels[chosen]


def initial_parameters(seed: int) -> list[dict[str, jax.Array]]:
    keys = jax.random.split(jax.random.key(seed), len(WIDTHS) - 1)
    shapes = zip(keys, WIDTHS[:-1], WIDTHS[1:], strict=True)
    return [{"w": jax.random.normal(key, (n, m)) * jnp.sqrt(2.0 / n), "b": jnp.zeros(m)} for key, n, m in shapes]


def logits(params: Any, images: Any) -> jax.Array:
    x = images.reshape(len(images), -1)
    for number, layer in enumerate(params):
        x = x @ layer["w"] + layer["b"]
        x = jax.nn.relu(x) if number + 1 < len(params) else x
    return x


def loss_of(params: Any, images: Any, labels: Any) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()


def train(comm: signccl.Communicator, arguments: argparse.Namespace) -> float:
    """Returns the share of the digits held out that are recognised."""
    training, held_out = read_digits()
    deal = np.random.default_rng(arguments.seed).permutation(len(training[1]))
    mine = deal if arguments.shards == "whole" else deal[comm.rank :: comm.nranks]
    random = np.random.default_rng([arguments.seed, comm.rank])
    source = batches((training[0][mine], training[1][mine]), arguments.batch, random)
    rate, decay = SETTINGS[arguments.aggregation]
    schedule = optax.cosine_decay_schedule(rate, arguments.steps)

    def step(params: Any, state: Any, images: Any, labels: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, images, labels)  # of this process alone: no pmean
        params, state = signccl.jax.lion_step(
            params, grads, state, schedule, weight_decay=decay, aggregation=arguments.aggregation, comm=comm
        )
        return params, state, loss

    run = jax.jit(step, donate_argnums=(0, 1))
    accuracy_of = jax.jit(lambda params: jnp.mean(logits(params, held_out[0]).argmax(1) == held_out[1]))
    params = initial_parameters(arguments.seed)
    signccl.jax.check_equal(params, comm)
    state = signccl.jax.lion_init(params)
    for number in range(arguments.steps):
        params, state, loss = run(params, state, *next(source))
        if comm.rank == 0 and (number + 1) % arguments.report_every == 0:
            print(f"step {number + 1:5}  loss {loss:.3f}  held out {100 * accuracy_of(params):.2f} %", flush=True)
    signccl.jax.check_equal(params, comm)  # to the bit, after all steps
    return float(accuracy_of(params))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aggregation", choices=SETTINGS, default="vote", help="what is done with the signs")
    parser.add_argument("--shards", choices=("own", "whole"), default="own", help="which digits a process draws from")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8, help="digits per process and step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=200, help="steps between lines of output")
    parser.add_argument("--coordinator", help="HOST:PORT of process 0, for jax.distributed")
    parser.add_argument("--processes", type=int, help="for jax.distributed")
    parser.add_argument("--process", type=int, help="number of this one, for jax.distributed")
    arguments = parser.parse_args()
    if arguments.coordinator:
        jax.distributed.initialize(arguments.coordinator, arguments.processes, arguments.process)
    with signccl.jax.communicator() as comm:
        accuracy = train(comm, arguments)
        if comm.rank == 0:
            print(f"{comm.nranks} processes: {100 * accuracy:.2f} % of the digits held out, replicas equal to the bit")


if __name__ == "__main__":
    main()
