#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures optimizer steps of signccl.torch.DistributedLion beside those of PyTorch.

    python perf/torch_step_perf.py                                     # one rank: 50M float32 parameters, 150 tensors
    torchrun --nproc-per-node 4 perf/torch_step_perf.py -n 8000000     # with the exchange, against Gloo
    python perf/torch_step_perf.py --device cuda -n 1300000000 --dtype bfloat16

Times are medians over rounds, of the slowest rank. On the CPU every contender makes one step in each round. On CUDA,
where memory is short, they come one after the other, and times are those of the device.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from baselines.torch_lion import AveragedLion, ForeachLion, PackedVoteLion

import signccl.torch

LR, BETAS, DECAY = 1e-4, (0.9, 0.99), 0.1
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WARM_UP = 3  # steps on CUDA
# Bytes of a step for each parameter: gradients are read, momenta (float32) and parameters read and written.
BYTES = {"float32": 4 + 8 + 8, "bfloat16": 2 + 8 + 4}

#: Makes a contender: what one step of it is.
Factory = Callable[[], Callable[[], object]]


def make_parameters(arguments: argparse.Namespace) -> list[torch.nn.Parameter]:
    generator = torch.Generator(arguments.device).manual_seed(1)
    size = arguments.parameters // arguments.tensors

    def drawn() -> torch.Tensor:
        return torch.randn(size, generator=generator, device=arguments.device).to(DTYPES[arguments.dtype])

    parameters = []
    for _ in range(arguments.tensors):
        parameter = torch.nn.Parameter(drawn())
        parameter.grad = drawn()
        parameters.append(parameter)
    return parameters


def slowest(seconds: float) -> float:
    if not dist.is_initialized():
        return seconds
    worst = torch.tensor(seconds)
    dist.all_reduce(worst, dist.ReduceOp.MAX)
    return worst.item()


def measure(factories: Mapping[str, Factory], rounds: int) -> dict[str, list[float]]:
    """Seconds of every contender in every round."""
    contenders = {name: make() for name, make in factories.items()}
    for run in contenders.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if dist.is_initialized():
                dist.barrier()
            begin = time.perf_counter()
            run()
            times[name].append(slowest(time.perf_counter() - begin))
    return times


def measure_on_cuda(factories: Mapping[str, Factory], rounds: int) -> dict[str, list[float]]:
    """The same by the clock of the device, one contender after the other."""
    times: dict[str, list[float]] = {}
    for name, make in factories.items():
        run = make()
        for _ in range(WARM_UP):
            run()
        events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(rounds)]
        for begin, end in events:
            begin.record()
            run()
            end.record()
        torch.cuda.synchronize()
        times[name] = [slowest(begin.elapsed_time(end) / 1e3) for begin, end in events]
        del run, begin, end
        torch.cuda.empty_cache()
    return times


def copier(arguments: argparse.Namespace) -> Callable[[], object]:
    """Copies as many bytes as a step touches: half of them are read and half written."""
    source = torch.empty(arguments.parameters * BYTES[arguments.dtype] // 2, dtype=torch.uint8, device=arguments.device)
    source.fill_(7)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def cupy_contenders(fresh: Callable[[], Any], dtype: str) -> dict[str, Factory]:
    """None without CuPy, which has no bfloat16."""
    if dtype != "float32":
        return {}
    try:
        from baselines.cupy_lion import FusedLion, PackedLion
    except ImportError as error:
        print(f"without the peers in CuPy: {error}")
        return {}
    return {
        "fused Lion, a launch for each tensor (CuPy)": lambda: FusedLion(fresh(), LR, BETAS, DECAY).step,
        "Lion by packbits and unpackbits (CuPy)": lambda: PackedLion(fresh(), LR, BETAS, DECAY).step,
    }


def contenders_of(arguments: argparse.Namespace, ours: str) -> dict[str, Factory]:
    def fresh() -> list[torch.nn.Parameter]:
        return make_parameters(arguments)

    def distributed(**options: Any) -> Factory:
        return lambda: signccl.torch.DistributedLion(fresh(), lr=LR, betas=BETAS, weight_decay=DECAY, **options).step

    contenders: dict[str, Factory] = {
        ours: distributed(),
        "signccl DistributedLion, avg": distributed(aggregation="avg"),
    }
    if arguments.dtype != "float32":
        name = f"signccl DistributedLion, vote, {arguments.dtype} momenta"
        contenders[name] = distributed(momentum_dtype=DTYPES[arguments.dtype])
    if "RANK" in os.environ:
        contenders["float32 all-reduce (Gloo) + foreach Lion"] = lambda: AveragedLion(fresh(), LR, BETAS, DECAY).step
        if arguments.slow:
            contenders["pack + all-gather (Gloo) + mode"] = lambda: PackedVoteLion(fresh(), LR, BETAS, DECAY).step
        return contenders
    contenders["foreach Lion"] = lambda: ForeachLion(fresh(), LR, BETAS, DECAY).step
    contenders["torch.optim.AdamW(fused=True)"] = lambda: torch.optim.AdamW(fresh(), lr=LR, fused=True).step
    if arguments.device == "cuda":
        contenders |= cupy_contenders(fresh, arguments.dtype)
    contenders["copy of as many bytes"] = lambda: copier(arguments)
    return contenders


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--parameters", type=int, default=50_000_000)
    parser.add_argument("-t", "--tensors", type=int, default=150)
    parser.add_argument("-r", "--rounds", type=int, default=10)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float32", help="of the parameters and gradients")
    parser.add_argument("--slow", action="store_true", help="also Distributed Lion in tensor operations; takes seconds")
    parser.add_argument("--threads", type=int, help="threads of PyTorch and of SignCCL; default: what they choose")
    parser.add_argument("--json", help="writes the times to this file")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and arguments.slow:
        parser.error("--slow is for the CPU")
    return arguments


def main() -> None:
    arguments = parse()
    is_launched = "RANK" in os.environ
    if is_launched:
        dist.init_process_group("gloo")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        os.environ["SIGNCCL_NTHREADS"] = str(arguments.threads)
    if arguments.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    ours = "signccl DistributedLion, vote"
    take_times = measure_on_cuda if arguments.device == "cuda" else measure
    times = take_times(contenders_of(arguments, ours), arguments.rounds)
    if not is_launched or dist.get_rank() == 0:
        base = statistics.median(times[ours])
        what = f"{arguments.parameters:,} {arguments.dtype} parameters in {arguments.tensors} tensors"
        print(f"{what}, {arguments.device}, {arguments.rounds} rounds")
        print(f"{'':44} {'median ms':>10} {'least ms':>10} {'x ours':>8}")
        for name, seconds in times.items():
            median = statistics.median(seconds)
            print(f"{name:44} {1e3 * median:10.2f} {1e3 * min(seconds):10.2f} {median / base:8.2f}")
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump({"arguments": vars(arguments), "seconds": times}, file)
    if is_launched:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
