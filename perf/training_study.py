#!/usr/bin/env python3
"""Trains examples/torch_gpt.py with every optimizer, each with its own best learning rate, and compares final losses.

    python perf/training_study.py --out study --workers 4 8 --steps 1000

For every number of workers and every optimizer it tries a grid of learning rates with the first seed, takes the best
one, and repeats it with the other seeds. All optimizers see as many characters. Runs that are in --out already are not
made again, so a study can be stopped and continued. It ends with the tables of docs/training.md and a picture of the
curves.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "examples" / "torch_gpt.py"

# Name, arguments, and the grid of learning rates.
LION_RATES = (3e-4, 1e-3, 2e-3)
METHODS: dict[str, tuple[list[str], tuple[float, ...]]] = {
    "Distributed Lion, vote": (["--optimizer", "dlion", "--aggregation", "vote"], LION_RATES),
    "Distributed Lion, avg": (["--optimizer", "dlion", "--aggregation", "avg"], LION_RATES),
    "Lion, averaged gradients": (["--optimizer", "lion"], LION_RATES),
    "AdamW, averaged gradients": (["--optimizer", "adamw"], (3e-3, 6e-3, 1e-2)),
}
# Decay in units of 1 / lr: all methods shrink weights alike, whatever their learning rate.
SHRINKING = 1e-4


def run(options: argparse.Namespace, workers: int, method: str, rate: float, seed: int) -> float:
    """The final validation loss of one run, made unless it is there."""
    slug = method.lower().replace(",", "").replace(" ", "-")
    folder = options.out / f"{workers}-{slug}-{rate:g}-{seed}"
    curve = folder / "curves.csv"
    if not (folder / "done").exists():
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(workers), str(PROGRAM)]
        command += [*METHODS[method][0], "--lr", f"{rate:g}", "--seed", str(seed), "--out", str(folder)]
        command += ["--weight-decay", f"{SHRINKING / rate:g}", "--steps", str(options.steps)]
        command += ["--save-every", str(options.steps), "--validate-every", str(max(1, options.steps // 10))]
        for name in ("batch", "context", "width", "layers", "warmup"):
            command += [f"--{name}", str(getattr(options, name))]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "SIGNCCL_NTHREADS": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-3000:]}")
        (folder / "done").touch()
        for checkpoint in folder.glob("checkpoint-*"):
            checkpoint.unlink()
    with curve.open(newline="") as file:
        loss = float(list(csv.DictReader(file))[-1]["validation_loss"])
    print(f"{workers} workers, {method}, lr {rate:g}, seed {seed}: {loss:.4f}", flush=True)
    return loss


def study(options: argparse.Namespace, workers: int) -> dict[str, dict[str, object]]:
    """For each method its best learning rate, the losses of the grid, and those of the seeds."""
    results: dict[str, dict[str, object]] = {}
    for method, (_, rates) in METHODS.items():
        grid = {rate: run(options, workers, method, rate, 1) for rate in rates}
        best = min(grid, key=grid.__getitem__)
        losses = [run(options, workers, method, best, seed) for seed in range(1, options.seeds + 1)]
        results[method] = {"rate": best, "grid": grid, "losses": losses}
    return results


def table(workers: int, results: dict[str, dict[str, object]], options: argparse.Namespace) -> str:
    characters = options.batch * options.context * workers * options.steps
    lines = [
        f"{workers} workers, {characters / 1e6:.1f}M characters, {options.seeds} seeds:",
        "",
        "| optimizer | best lr | final loss, mean | spread over seeds | losses of the grid |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for method, result in results.items():
        losses = result["losses"]
        assert isinstance(losses, list)
        grid = ", ".join(f"{rate:g}: {loss:.3f}" for rate, loss in result["grid"].items())  # type: ignore[attr-defined]
        spread = f"{min(losses):.3f} to {max(losses):.3f}"
        lines.append(f"| {method} | {result['rate']:g} | {statistics.mean(losses):.3f} | {spread} | {grid} |")
    return "\n".join(lines)


def draw(options: argparse.Namespace, everything: dict[int, dict[str, dict[str, object]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    _, axes = pyplot.subplots(1, len(everything), figsize=(6 * len(everything), 4), sharey=True, squeeze=False)
    for axis, (workers, results) in zip(axes[0], everything.items(), strict=True):
        for method, result in results.items():
            slug = method.lower().replace(",", "").replace(" ", "-")
            with (options.out / f"{workers}-{slug}-{result['rate']:g}-1" / "curves.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            steps = [int(row["step"]) for row in rows]
            axis.plot(steps, [float(row["validation_loss"]) for row in rows], label=f"{method}, lr {result['rate']:g}")
        axis.set_title(f"{workers} workers")
        axis.set_xlabel("step")
        axis.legend()
    axes[0][0].set_ylabel("validation loss (nats per character)")
    pyplot.tight_layout()
    pyplot.savefig(options.out / "training_curves.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training_study"))
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8, help="sequences per worker and step")
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    everything = {workers: study(options, workers) for workers in options.workers}
    for workers, results in everything.items():
        print("\n" + table(workers, results, options))
    (options.out / "results.json").write_text(json.dumps({str(n): r for n, r in everything.items()}, indent=1))
    draw(options, everything)


if __name__ == "__main__":
    main()
