#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures optimizer steps of signccl.torch.DistributedLion beside those of PyTorch, in turns in the same run.

    python perf/torch_step_perf.py                                     # one rank: 50M float32 parameters, 150 tensors
    torchrun --nproc-per-node 4 perf/torch_step_perf.py -n 8000000     # with the exchange, against Gloo

Times are medians over rounds, of the slowest rank. In each round every contender makes one step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import torch
import torch.distributed as dist
from baselines.torch_lion import AveragedLion, ForeachLion, PackedVoteLion

import signccl.torch

LR, BETAS, DECAY = 1e-4, (0.9, 0.99), 0.1


def make_parameters(total: int, tensors: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    parameters = []
    for _ in range(tensors):
        parameter = torch.nn.Parameter(torch.randn(total // tensors, generator=generator))
        parameter.grad = torch.randn(total // tensors, generator=generator)
        parameters.append(parameter)
    return parameters


def slowest(seconds: float) -> float:
    if not dist.is_initialized():
        return seconds
    worst = torch.tensor(seconds)
    dist.all_reduce(worst, dist.ReduceOp.MAX)
    return worst.item()


def measure(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every contender in every round."""
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


def copier(total: int) -> Callable[[], object]:
    """Copies as many bytes as a float32 step touches, 20 per parameter: 10 are read and 10 written."""
    source = torch.randn(total * 10 // 4)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--parameters", type=int, default=50_000_000)
    parser.add_argument("-t", "--tensors", type=int, default=150)
    parser.add_argument("-r", "--rounds", type=int, default=10)
    parser.add_argument("--slow", action="store_true", help="also Distributed Lion in tensor operations; takes seconds")
    parser.add_argument("--threads", type=int, help="threads of PyTorch and of SignCCL; default: what they choose")
    parser.add_argument("--json", help="writes the times to this file")
    arguments = parser.parse_args()
    is_launched = "RANK" in os.environ
    if is_launched:
        dist.init_process_group("gloo")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        os.environ["SIGNCCL_NTHREADS"] = str(arguments.threads)

    def fresh() -> list[torch.nn.Parameter]:
        return make_parameters(arguments.parameters, arguments.tensors)

    ours = "signccl DistributedLion, vote"
    contenders: dict[str, Callable[[], object]] = {
        ours: signccl.torch.DistributedLion(fresh(), lr=LR, betas=BETAS, weight_decay=DECAY).step,
        "signccl DistributedLion, avg": signccl.torch.DistributedLion(
            fresh(), lr=LR, betas=BETAS, weight_decay=DECAY, aggregation="avg"
        ).step,
    }
    if is_launched:
        contenders["float32 all-reduce (Gloo) + foreach Lion"] = AveragedLion(fresh(), LR, BETAS, DECAY).step
        if arguments.slow:
            contenders["pack + all-gather (Gloo) + mode"] = PackedVoteLion(fresh(), LR, BETAS, DECAY).step
    else:
        contenders["foreach Lion"] = ForeachLion(fresh(), LR, BETAS, DECAY).step
        contenders["torch.optim.AdamW(fused=True)"] = torch.optim.AdamW(fresh(), lr=LR, fused=True).step
        contenders["copy of as many bytes"] = copier(arguments.parameters)
    times = measure(contenders, arguments.rounds)
    if not is_launched or dist.get_rank() == 0:
        base = statistics.median(times[ours])
        print(f"{arguments.parameters:,} float32 parameters in {arguments.tensors} tensors, {arguments.rounds} rounds")
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
