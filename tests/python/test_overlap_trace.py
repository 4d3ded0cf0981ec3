# SPDX-License-Identifier: Apache-2.0
"""perf/overlap_trace.py: when buckets are exchanged, seen in the traces of two processes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from support import ROOT
from torch_jobs import run_processes

sys.path.insert(0, str(ROOT / "perf"))
import overlap_trace

pytestmark = pytest.mark.timeout(120)


class Hold(torch.autograd.Function):
    """Passes its input on. Its backward pass goes on once `weight` has changed, or after some seconds."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, seconds: float) -> torch.Tensor:
        ctx.weight, ctx.before, ctx.seconds = weight, weight.detach().clone(), seconds
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override]
        end = time.monotonic() + ctx.seconds
        while torch.equal(ctx.weight, ctx.before) and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.005)  # more than the clocks of the two traces can be apart
        return gradient, None, None


class Held(torch.nn.Module):
    """Two layers. The backward pass of the first one waits until the last one's bucket was exchanged; not for long
    where that cannot be."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self._seconds = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6), seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(Hold.apply(self.first(x), self.last.weight.detach(), self._seconds))


def record(rank: int, folder: str) -> None:
    for name, overlap in overlap_trace.NAMES.items():
        model = Held(30.0 if overlap else 0.05)
        overlap_trace.record(Path(folder), name, model, torch.ones(4, 6), 3, overlap=overlap, bucket_mb=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks recorded, with overlap and without."""
    made = tmp_path_factory.mktemp("traces")
    run_processes(2, record, str(made))
    return made


def first_exchanges(trace: Any, rank: int) -> list[tuple[float, float]]:
    """When the backward pass of each step ended, and when the first exchange after its beginning began."""
    exchanges = overlap_trace.spans(trace, rank, overlap_trace.is_exchange)
    return [
        (end, next(exchange[0] for exchange in exchanges if exchange[0] >= begin))
        for begin, end in overlap_trace.spans(trace, rank, overlap_trace.named("backward"))
    ]


@pytest.mark.parametrize("rank", [0, 1])
def test_with_overlap_the_first_bucket_is_exchanged_before_the_backward_pass_ends(folder: Path, rank: int) -> None:
    found = first_exchanges(overlap_trace.load(folder, "overlap"), rank)
    assert len(found) == 3
    assert all(exchange < end for end, exchange in found)


@pytest.mark.parametrize("rank", [0, 1])
def test_without_overlap_nothing_is_exchanged_before_the_backward_pass_ends(folder: Path, rank: int) -> None:
    trace = overlap_trace.load(folder, "plain")
    found = first_exchanges(trace, rank)
    assert len(found) == 3
    assert all(exchange > end for end, exchange in found)
    steps = overlap_trace.spans(trace, rank, overlap_trace.named("step"))
    assert [any(begin < exchange < end for _, exchange in found) for begin, end in steps] == [True] * 3


def test_a_merged_file_has_a_row_for_each_process_and_keeps_every_event(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.glob("overlap-*.json"))
    merged = tmp_path / "merged.json"
    command = [sys.executable, str(ROOT / "perf" / "overlap_trace.py"), "merge", *files, "-o", merged]
    subprocess.run(list(map(str, command)), check=True)
    events = json.loads(merged.read_text())["traceEvents"]
    parts = [json.loads(file.read_text())["traceEvents"] for file in files]
    assert sum(event["ph"] == "X" for event in events) == sum(event["ph"] == "X" for part in parts for event in part)
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert {"SignCCL, rank 0 of overlap", "SignCCL, rank 1 of overlap"} <= set(names)
    rows = {event["pid"] for event in events if event.get("cat") == "signccl"}
    assert len(rows) == 2
    assert min(event["ts"] for event in events if event["ph"] == "X") >= 0


def test_a_trace_without_a_clock_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a trace has no baseTimeNanoseconds: expected traces of torch.profiler"):
        overlap_trace.merge([{"traceEvents": []}])


def test_times_of_different_clocks_meet_in_a_merged_trace() -> None:
    span = {"ph": "X", "name": "backward", "cat": "user_annotation", "pid": 7, "tid": 7, "ts": 5.0, "dur": 1.0}
    torch_trace = {"schemaVersion": 1, "baseTimeNanoseconds": 1_000_000, "traceEvents": [span]}
    row = {"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "rank 3"}}
    sent = {"ph": "X", "name": "send", "pid": 0, "tid": 0, "ts": 905.0, "dur": 1.0, "args": {"bytes": 8}}
    ours = {"baseTimeNanoseconds": 101_000, "traceEvents": [row, sent]}
    trace = overlap_trace.merge([copy.deepcopy(torch_trace), copy.deepcopy(ours)])
    assert overlap_trace.spans(trace, 0, overlap_trace.named("backward")) == [(0.0, 1.0)]
    assert overlap_trace.spans(trace, 3, overlap_trace.is_exchange) == [(1.0, 2.0)]


def rank_trace(rank: int, base: int) -> dict[str, Any]:
    """What rank `rank` writes: its row of the group, and one of a communicator in which it is rank 0."""
    events: list[Any] = []
    for pid, name in ((rank, f"rank {rank} of world"), (32768, "rank 0 of part")):
        events.append({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}})
        events.append({"ph": "X", "name": "send", "pid": pid, "tid": 0, "ts": 1.0, "dur": 1.0, "args": {"bytes": rank}})
    return {"baseTimeNanoseconds": base, "traceEvents": events}


def test_rows_of_many_processes_do_not_lie_on_one_another_and_have_the_rank_as_process_id() -> None:
    trace = overlap_trace.merge([rank_trace(1, 3000), rank_trace(0, 1000), rank_trace(2, 1000)])
    names = {e["pid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "process_name"}
    assert len(names) == 6
    assert [names[rank] for rank in range(3)] == [f"SignCCL, rank {rank} of world" for rank in range(3)]
    sent = {(e["pid"], e["ts"], e["args"]["bytes"]) for e in trace["traceEvents"] if e["ph"] == "X"}
    assert {one for one in sent if one[0] < 3} == {(0, 0.0, 0), (1, 2.0, 1), (2, 0.0, 2)}
    assert len({pid for pid, _, _ in sent}) == 6


def test_traces_are_merged_without_pytorch(tmp_path: Path) -> None:
    files = []
    for rank in range(2):
        files.append(tmp_path / f"trace.{rank}.json")
        files[-1].write_text(json.dumps(rank_trace(rank, 0)))
    merged = tmp_path / "merged.json"
    command = [sys.executable, "-I", str(ROOT / "perf" / "overlap_trace.py"), "merge", *files, "-o", merged]
    subprocess.run(list(map(str, command)), check=True)
    assert {e["pid"] for e in json.loads(merged.read_text())["traceEvents"]} == {0, 1, 32768, 65536}
