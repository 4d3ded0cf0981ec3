# SPDX-License-Identifier: Apache-2.0
"""Compares steps of DistributedLion on CUDA with those on the CPU, bit by bit, on every process of torchrun.

Prints what was compared as a line of JSON. Ends with an AssertionError, which names the case, where bits differ.
With --device cpu, on machines without CUDA, all of it runs on the CPU but for the graph.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

import signccl.torch
from signccl.torch import DistributedLion, GradScaler

SHAPES = ((1000, 33), (4097,), (), (64, 64, 3), (200_000,))
CASES: tuple[tuple[str, torch.dtype, dict[str, Any]], ...] = (
    ("float32, vote", torch.float32, {}),
    ("float32, avg", torch.float32, {"aggregation": "avg"}),
    ("bfloat16, stochastic rounding", torch.bfloat16, {"rounding": "stochastic", "seed": 5}),
    ("bfloat16, bfloat16 momenta", torch.bfloat16, {"momentum_dtype": torch.bfloat16, "tie": "negative"}),
    ("float16, avg of ternary signs", torch.float16, {"aggregation": "avg", "zero": "ternary"}),
)
STEPS = 6


class Twins:
    """Parameters on the device and on the CPU, with an optimizer each, that begin alike."""

    def __init__(self, device: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
        drawn = torch.Generator().manual_seed(3)
        values = [torch.randn(shape, generator=drawn).to(dtype) for shape in SHAPES]
        self.device = [torch.nn.Parameter(value.to(device, copy=True)) for value in values]
        self.host = [torch.nn.Parameter(value.clone()) for value in values]
        settings = {"lr": 0.01, "weight_decay": 0.1, **options}
        self.on_device = DistributedLion(self.device, **settings)
        self.on_host = DistributedLion(self.host, **settings)
        # Two optimizers number their steps apart, and random ties and roundings depend on the number.
        self.on_host.load_state_dict(self.on_device.state_dict())

    def pairs(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Parameters and momenta, on the device and on the CPU."""
        for here, there in zip(self.device, self.host, strict=True):
            yield here.detach(), there.detach()
            yield self.on_device.state[here]["momentum"], self.on_host.state[there]["momentum"]

    def set_gradients(self, step: int) -> None:
        """Many of them are zero, so that ranks tie; one parameter has none in each step."""
        drawn = torch.Generator().manual_seed(1000 * step + dist.get_rank())
        for number, (here, there) in enumerate(zip(self.device, self.host, strict=True)):
            gradient = torch.randn(there.shape, generator=drawn)
            gradient = torch.where(gradient.abs() < 0.7, 0.0, gradient).to(there.dtype)
            there.grad = None if number == step % len(SHAPES) else gradient
            here.grad = None if there.grad is None else gradient.to(here.device, copy=True)

    def compare(self, case: str) -> None:
        """Raises AssertionError unless all bits are the same, also on all ranks."""
        for number, (here, there) in enumerate(self.pairs()):
            what = f"{case}: {'momentum' if number % 2 else 'parameter'} {number // 2}, rank {dist.get_rank()}"
            assert as_bytes(here) == as_bytes(there), f"{what}: other bits"
        mine = digest(self.device)
        everybodys: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everybodys, mine)
        assert set(everybodys) == {mine}, f"{case}: ranks have different parameters"


def as_bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()


def digest(parameters: list[torch.nn.Parameter]) -> str:
    return hashlib.sha256(b"".join(map(as_bytes, parameters))).hexdigest()


def steps(device: str) -> int:
    """All cases. Gives the number of steps."""
    for case, dtype, options in CASES:
        twins = Twins(device, dtype, options)
        for step in range(STEPS):
            twins.set_gradients(step)
            twins.on_device.step()
            twins.on_host.step()
        twins.compare(case)
    return len(CASES) * STEPS


def overflow(device: str) -> float:
    """One rank has an overflow under a GradScaler: nobody's parameters change, and all scales are halved."""
    parameter = torch.nn.Parameter(torch.ones(1000, device=device))
    optimizer = DistributedLion([parameter], lr=0.1)
    scaler = GradScaler(device, init_scale=1024.0)
    for is_bad in (True, False):
        before = parameter.detach().clone()
        factor = torch.full((1000,), 1.0, device=device)
        if is_bad and dist.get_rank() == dist.get_world_size() - 1:
            factor[7] = float("inf")
        optimizer.zero_grad()
        scaler.scale((parameter * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert optimizer.step_was_skipped is is_bad, f"overflow: step_was_skipped is {optimizer.step_was_skipped}"
        assert torch.equal(before, parameter.detach()) is is_bad, "overflow: the parameters"
    scale = float(scaler.get_scale())
    assert scale == 512.0, f"overflow: the scale is {scale}, expected 512"
    return scale


def replays(device: str, nreplays: int) -> None:
    """A step in a CUDA graph, with gradients that change in each replay. A replay has a number of its own, on which
    nothing may depend here: no random ties."""
    twins = Twins(device, torch.float32, {"tie": "positive"})
    twins.set_gradients(0)

    def one_step(parameters: list[torch.nn.Parameter], optimizer: DistributedLion) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(-0.99)
        optimizer.step()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        one_step(twins.device, twins.on_device)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        one_step(twins.device, twins.on_device)
    for _ in range(nreplays):
        graph.replay()
    torch.cuda.synchronize()
    for _ in range(1 + nreplays):
        one_step(twins.host, twins.on_host)
    twins.compare(f"{nreplays} replays of a graph")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--replays", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("gloo")
    figures: dict[str, object] = {"steps compared": steps(arguments.device), "scale": overflow(arguments.device)}
    if arguments.device == "cuda":
        replays(arguments.device, arguments.replays)
        figures["replays compared"] = arguments.replays
    if dist.get_rank() == 0:
        print(json.dumps(figures), flush=True)
    signccl.torch.communicator().close()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
