# SPDX-License-Identifier: Apache-2.0
"""Signum with a majority vote over MPI, written without SignCCL: int8 signs, one all-reduce for each parameter.

    pip install mpi4py numpy
    mpirun -n 2 python examples/mpi_signum.py
    mpirun -n 2 signccl-run --rules rules.json -- python examples/mpi_signum.py

Trains a network of two hidden layers to say what a fixed linear map says of random vectors. With rules that take sums
of int8 (docs/preload.md) it prints the same losses, to the last bit. Each rank draws its own data.
"""

import argparse
import sys
import time

import numpy as np
from mpi4py import MPI

INPUTS, CLASSES, BATCH = 784, 10, 16
WARM_UP = 5  # steps that are not timed
FLOAT = np.float32


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Signum with a majority vote over MPI")
    parser.add_argument("--hidden", type=int, default=2048, help="width of the hidden layers")
    parser.add_argument("--steps", type=int, default=30)
    return parser.parse_args()


def new_parameters(hidden: int) -> list[np.ndarray]:
    """Weights, the same on all ranks: [inputs, hidden], [hidden, hidden], [hidden, classes]."""
    draw = np.random.default_rng(1)
    shapes = [(INPUTS, hidden), (hidden, hidden), (hidden, CLASSES)]
    return [draw.standard_normal(shape).astype(FLOAT) / FLOAT(np.sqrt(shape[0])) for shape in shapes]


def loss_and_gradients(parameters: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Mean cross-entropy of a batch, and its gradients by hand. x: [batch, inputs]; y: [batch], the right classes."""
    first, second, last = parameters
    a = np.maximum(x @ first, 0)
    b = np.maximum(a @ second, 0)
    logits = b @ last
    logits -= logits.max(axis=1, keepdims=True)
    error = np.exp(logits)
    error /= error.sum(axis=1, keepdims=True)
    loss = float(-np.log(error[np.arange(len(y)), y] + 1e-9).mean())
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    error_b = (error @ last.T) * (b > 0)
    error_a = (error_b @ second.T) * (a > 0)
    return loss, [x.T @ error_a, a.T @ error_b, b.T @ error]


def step(comm: MPI.Comm, parameters: list[np.ndarray], momenta: list[np.ndarray], gradients: list[np.ndarray]) -> None:
    """One step of Signum: each weight moves by the sign that most ranks' momenta have, and stays where they tie."""
    for parameter, momentum, gradient in zip(parameters, momenta, gradients, strict=True):
        momentum *= 0.9
        momentum += 0.1 * gradient
        signs = np.where(momentum >= 0, 1, -1).astype(np.int8)
        comm.Allreduce(MPI.IN_PLACE, signs, op=MPI.SUM)
        parameter -= 1e-3 * np.sign(signs)


def main() -> None:
    options = parse_arguments()
    comm = MPI.COMM_WORLD
    parameters = new_parameters(options.hidden)
    momenta = [np.zeros_like(parameter) for parameter in parameters]
    data = np.random.default_rng(100 + comm.Get_rank())
    teacher = np.random.default_rng(7).standard_normal((INPUTS, CLASSES)).astype(FLOAT)
    steps_s = updates_s = 0.0
    for number in range(options.steps):
        comm.Barrier()
        begin = time.perf_counter()
        x = data.standard_normal((BATCH, INPUTS)).astype(FLOAT)
        loss, gradients = loss_and_gradients(parameters, x, (x @ teacher).argmax(axis=1))
        comm.Barrier()
        begin_update = time.perf_counter()
        step(comm, parameters, momenta, gradients)
        end = time.perf_counter()
        if number >= WARM_UP:
            steps_s += end - begin
            updates_s += end - begin_update
        mean_loss = comm.allreduce(loss) / comm.Get_size()
        if comm.Get_rank() == 0 and number % 5 == 4:
            print(f"step {number + 1}: loss {mean_loss!r}")
    if comm.Get_rank() == 0 and options.steps > WARM_UP:
        ms = 1e3 / (options.steps - WARM_UP)
        print(f"each step: {ms * steps_s:.1f} ms, {ms * updates_s:.1f} of them for the update", file=sys.stderr)


if __name__ == "__main__":
    main()
