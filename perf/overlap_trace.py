#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several traces on one time axis: those of SIGNCCL_TRACE of many processes, with those of torch.profiler or without.

    python perf/overlap_trace.py merge trace.*.json -o merged.json                    # for ui.perfetto.dev
    python perf/overlap_trace.py merge torch-*.json signccl-*.json -o merged.json     # backward passes and exchanges
    torchrun --nproc-per-node 2 perf/overlap_trace.py record build/overlap            # a small job, with and without
    python perf/overlap_trace.py draw build/overlap overlap.png                       # what it recorded, as a picture

docs/torch.md says how a program of your own makes the two traces. Both have times of the clock of their host.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Trace = dict[str, Any]
NAMES = {"plain": False, "overlap": True}
_ROW = 1 << 30  # process rows of exchanges beside those of profilers, beyond all process ids
_NEXT_ROW = 1 << 15  # from a process row to one of the same rank


def merge(traces: Iterable[Trace]) -> Trace:
    """One trace whose times count from the first event. Exchanges have the category "signccl" and args["rank"]."""
    traces = list(traces)
    if not all("baseTimeNanoseconds" in trace for trace in traces):
        raise ValueError("a trace has no baseTimeNanoseconds: expected traces of torch.profiler and of SIGNCCL_TRACE")
    base = min(trace["baseTimeNanoseconds"] for trace in traces)
    events: list[Any] = []
    first_row = _ROW if any("schemaVersion" in trace for trace in traces) else 0  # else the rank is the process id
    used: set[int] = set()
    for trace in traces:
        later = (trace["baseTimeNanoseconds"] - base) / 1000
        moved = [{**e, "ts": e["ts"] + later} if "ts" in e else e for e in trace["traceEvents"]]
        if "schemaVersion" in trace:  # which PyTorch's have
            events += _of_torch(moved, trace.get("distributedInfo", {}).get("rank", 0))
        else:
            events += _of_signccl(moved, first_row, used)
    first = min((event["ts"] for event in events if event["ph"] != "M"), default=0)
    events = [{**e, "ts": e["ts"] - first} if "ts" in e else e for e in events]
    return {"displayTimeUnit": "ns", "traceEvents": events}


def _of_torch(events: list[Any], rank: int) -> list[Any]:
    marked = [{**e, "args": {**e.get("args", {}), "rank": rank}} if e.get("ph") == "X" else e for e in events]
    return [e for e in marked if e.get("name") != "process_sort_index"] + [
        {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": 2 * rank}}
        for pid in {event["pid"] for event in events if isinstance(event.get("pid"), int)}
    ]


def _of_signccl(events: list[Any], first_row: int, used: set[int]) -> list[Any]:
    ranks = {e["pid"]: int(e["args"]["name"].split()[1]) for e in events if e["name"] == "process_name"}
    rows: dict[int, int] = {}
    for pid in sorted(ranks):
        rows[pid] = next(row for row in itertools.count(first_row + pid, _NEXT_ROW) if row not in used)
        used.add(rows[pid])
    marked: list[Any] = []
    for event in events:
        rank, pid = ranks[event["pid"]], rows[event["pid"]]
        if event["ph"] == "X":
            event = {**event, "cat": "signccl", "args": {**event["args"], "rank": rank}}
        elif event["name"] == "process_name":
            event = {**event, "args": {"name": f"SignCCL, {event['args']['name']}"}}
        elif event["name"] == "process_sort_index":
            event = {**event, "args": {"sort_index": 2 * rank + 1}}
        marked.append({**event, "pid": pid})
    return marked


def spans(trace: Trace, rank: int, select: Callable[[Any], bool]) -> list[tuple[float, float]]:
    """Begin and end, in microseconds, of events of a rank, by their beginning."""
    return sorted(
        (event["ts"], event["ts"] + event["dur"])
        for event in trace["traceEvents"]
        if event["ph"] == "X" and event["args"].get("rank") == rank and select(event)
    )


def named(name: str) -> Callable[[Any], bool]:
    """Selects ranges of record_function()."""
    return lambda event: event["name"] == name and event.get("cat") == "user_annotation"


def is_exchange(event: Any) -> bool:
    """Selects what the library did."""
    return bool(event.get("cat") == "signccl")


def record(folder: Path, name: str, model: Any, inputs: Any, steps: int, warm_up: int = 2, **options: Any) -> None:
    """Trains on this rank and writes both traces of the steps. The default group of torch.distributed must exist."""
    import torch.distributed as dist
    from torch.profiler import ProfilerActivity, profile, record_function

    from signccl.torch import DistributedLion, communicator

    rank = dist.get_rank()
    os.environ["SIGNCCL_TRACE"] = str(folder / f"{name}-{rank}.signccl.json")  # read when a communicator is made
    comm = communicator(name=name)
    del os.environ["SIGNCCL_TRACE"]
    optimizer = DistributedLion(model.parameters(), comm=comm, **options)

    def step() -> None:
        optimizer.zero_grad()
        with record_function("forward"):
            loss = model(inputs).square().mean()
        with record_function("backward"):
            loss.backward()
        with record_function("step"):
            optimizer.step()

    for _ in range(warm_up):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            dist.barrier()
            step()
    profiler.export_chrome_trace(str(folder / f"{name}-{rank}.torch.json"))
    comm.close()  # which writes the other trace


def load(folder: Path, name: str) -> Trace:
    """What all ranks recorded under a name, on one time axis."""
    return merge(json.loads(file.read_text()) for file in sorted(folder.glob(f"{name}-*.json")))


def _record(arguments: argparse.Namespace) -> None:
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    width = arguments.width
    for name, overlap in NAMES.items():
        torch.manual_seed(0)
        layers = [part for _ in range(arguments.layers) for part in (torch.nn.Linear(width, width), torch.nn.ReLU())]
        inputs = torch.randn(arguments.batch, width)
        record(arguments.folder, name, torch.nn.Sequential(*layers), inputs, 2, overlap=overlap, bucket_mb=arguments.mb)
    dist.destroy_process_group()


def _draw(arguments: argparse.Namespace) -> None:
    import matplotlib.pyplot as plt

    rows: dict[str, tuple[Callable[[Any], bool], str]] = {
        "exchange": (is_exchange, "#c0392b"),
        "step()": (named("step"), "#1f6f8b"),
        "backward": (named("backward"), "#7f8c8d"),
        "forward": (named("forward"), "#bdc3c7"),
    }
    figure, axes = plt.subplots(len(NAMES), 1, figsize=(9, 4.2), sharex=True, layout="constrained")
    for axis, (name, overlap) in zip(axes, NAMES.items(), strict=True):
        trace = load(arguments.folder, name)
        first = spans(trace, 0, named("forward"))[-1][0]  # the last step is drawn
        last = spans(trace, 0, named("step"))[-1][1]
        for y, (select, color) in enumerate(rows.values()):
            bars = [(begin, end) for begin, end in spans(trace, 0, select) if first <= begin <= last]
            axis.broken_barh([((b - first) / 1000, (e - b) / 1000) for b, e in bars], (y - 0.4, 0.8), color=color)
        axis.set_yticks(range(len(rows)), rows)
        axis.set_title(f"overlap={overlap}: {(last - first) / 1000:.0f} ms", loc="left", fontsize=10)
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("ms since the step began, rank 0")
    figure.savefig(arguments.picture, dpi=110)


def _merge(arguments: argparse.Namespace) -> None:
    arguments.output.write_text(json.dumps(merge(json.loads(file.read_text()) for file in arguments.files)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="merge | record | draw")
    command = commands.add_parser("merge", help="writes traces of both kinds, of any number of ranks, to one file")
    command.add_argument("files", nargs="+", type=Path)
    command.add_argument("-o", "--output", type=Path, required=True)
    command.set_defaults(run=_merge)
    command = commands.add_parser("record", help="trains linear layers, with overlap and without; under torchrun")
    command.add_argument("folder", type=Path)
    command.add_argument("--layers", type=int, default=8)
    command.add_argument("--width", type=int, default=2048)
    command.add_argument("--batch", type=int, default=64)
    command.add_argument("--mb", type=float, default=16.0, help="gradients per bucket, in MiB")
    command.set_defaults(run=_record)
    command = commands.add_parser("draw", help="draws one step of what was recorded, of rank 0; needs matplotlib")
    command.add_argument("folder", type=Path)
    command.add_argument("picture", type=Path)
    command.set_defaults(run=_draw)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
