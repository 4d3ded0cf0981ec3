#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the model of examples/torch_gpt.py with several optimizers, and writes the tables of docs/training.md.

    python perf/training_study.py optimizers --out study       # Distributed Lion beside Lion and AdamW, 4 and 8 workers
    python perf/training_study.py lion --workers 4             # what decides how well Lion itself does
    python perf/training_study.py votes --workers 4            # rules of a vote, and momenta averaged now and then
    python perf/training_study.py parts --workers 4            # where each worker has files of its own
    python perf/training_study.py long --workers 4 --steps 1800 --seeds 2

A study is a list of methods. Each is run with every learning rate of its grid and the first seed; the best rate is
repeated with the other seeds. All methods see as many characters. A run whose curve is in --out is not made again, so
a study can be stopped and continued, and studies share runs.

The workers are simulated in one process, so that a run costs what its arithmetic costs: their gradients are computed
one after the other, and their DistributedLion optimizers, one in each of as many threads, exchange signs over
communicators of this process. Distributed Lion gives the same parameters, to the bit, as in the job that torchrun
starts (tests/python/test_training_study.py); averages of more than two gradients have another order of summation than
DistributedDataParallel's. --torchrun starts that job instead.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

import signccl

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "examples" / "torch_gpt.py"
sys.path.insert(0, str(PROGRAM.parent))

import torch_gpt  # noqa: E402


class Method(NamedTuple):
    """A row of a table: arguments of examples/torch_gpt.py, and the learning rates to try."""

    name: str
    arguments: str
    rates: tuple[float, ...]


VOTE = "--optimizer dlion --aggregation vote"
AVG = "--optimizer dlion --aggregation avg"
LION = "--optimizer lion"
ADAMW = "--optimizer adamw"
STUDIES: dict[str, list[Method]] = {
    "optimizers": [
        Method("Distributed Lion, vote", VOTE, (2e-3, 4e-3, 8e-3)),
        Method("Distributed Lion, avg", AVG, (2e-3, 4e-3, 8e-3, 16e-3)),
        Method("Lion, averaged gradients", LION, (1e-3, 2e-3, 4e-3, 8e-3)),
        Method("AdamW, averaged gradients", ADAMW, (6e-3, 12e-3, 24e-3)),
    ],
    # Each row but the last two changes one thing more.
    "lion": [
        Method("Lion, beta2 0.99, weights 0.02", f"{LION} --init 0.02 --clip 0 --beta2 0.99", (1e-3, 2e-3)),
        Method("... weights 1 / 8", f"{LION} --clip 0 --beta2 0.99", (1e-3, 2e-3)),
        Method("... gradients clipped", f"{LION} --beta2 0.99", (1e-3, 2e-3)),
        Method("... beta2 0.95", LION, (1e-3, 2e-3)),
        Method("AdamW, weights 0.02", f"{ADAMW} --init 0.02 --clip 0", (6e-3, 12e-3)),
        Method("AdamW, weights 1 / 8, gradients clipped", ADAMW, (6e-3, 12e-3)),
    ],
    "votes": [
        Method("vote", VOTE, (4e-3,)),
        Method("vote, ties are 0", f"{VOTE} --tie zero", (4e-3,)),
        Method("vote, ternary signs, ties are 0", f"{VOTE} --tie zero --zero ternary", (4e-3,)),
        Method("vote, momenta averaged every 16 steps", f"{VOTE} --momentum-sync-every 16", (4e-3,)),
        Method("vote, beta2 0.99", f"{VOTE} --beta2 0.99", (4e-3,)),
    ],
    # Each worker draws from files of its own.
    "parts": [
        Method("vote", f"{VOTE} --own-part", (4e-3,)),
        Method("vote, momenta averaged every 10 steps", f"{VOTE} --own-part --momentum-sync-every 10", (4e-3,)),
        Method("Lion, averaged gradients", f"{LION} --own-part", (2e-3,)),
    ],
    # For --steps 1800.
    "long": [
        Method("Lion, beta2 0.99", f"{LION} --beta2 0.99", (2e-3,)),
        Method("Lion, beta2 0.95", LION, (2e-3,)),
        Method("vote, beta2 0.95", VOTE, (4e-3,)),
        Method("AdamW", ADAMW, (12e-3,)),
    ],
}

# Decay in units of 1 / lr: all methods shrink weights alike, whatever their learning rate.
SHRINKING = 1e-4


# -------------------------------------------------------------------------------------------------------- one run


def simulate(arguments: argparse.Namespace, nranks: int, texts: tuple[Any, Any, int]) -> list[nn.Module]:
    """Trains like examples/torch_gpt.py in `nranks` processes, but in this one.

    Writes the curve to arguments.out. Returns the models: one for each rank with Distributed Lion, else one of all.
    """
    text, validation, alphabet = texts
    parts = [torch_gpt.part_of(text, rank, nranks, arguments) for rank in range(nranks)]
    is_voting = arguments.optimizer == "dlion"
    comms: list[Any] = list(signccl.Communicator.all_in_process(nranks)) if is_voting else [None]
    models = [torch_gpt.make_model(alphabet, arguments) for _ in comms]
    generators = [torch_gpt.batches_of(rank, arguments) for rank in range(nranks)]
    curve = torch_gpt.Curve(arguments.out, 0)
    with ThreadPoolExecutor(len(models)) as threads:  # steps are collectives: every rank makes its own at once
        optimizers = list(threads.map(lambda m, comm: torch_gpt.make_optimizer(m, arguments, comm)[1], models, comms))
        rates = [torch_gpt.make_schedule(optimizer, arguments) for optimizer in optimizers]
        for step in range(arguments.steps):
            for optimizer in optimizers:
                optimizer.zero_grad()
            for rank, generator in enumerate(generators):
                model = models[rank % len(models)]
                loss = model(*torch_gpt.draw_batch(parts[rank], generator, arguments.batch, arguments.context))
                (loss / (nranks // len(models))).backward()
            for model in models:
                torch_gpt.clip(model, arguments)
            list(threads.map(lambda optimizer: optimizer.step(), optimizers))
            for rate in rates:
                rate.step()
            if (step + 1) % arguments.validate_every == 0 or step + 1 == arguments.steps:
                curve.add(step + 1, 0.0, loss.item(), torch_gpt.validate(models[0], validation, arguments))
    for comm in comms:
        if comm is not None:
            comm.close()
    return models


def words_of(options: argparse.Namespace, method: Method, rate: float, seed: int, out: Path) -> list[str]:
    """The arguments of examples/torch_gpt.py for a run."""
    words = ["--device", "cpu", "--lr", f"{rate:g}", "--seed", str(seed), "--out", str(out)]
    words += ["--weight-decay", f"{SHRINKING / rate:g}"]
    words += ["--steps", str(options.steps), "--save-every", str(options.steps)]
    words += ["--validate-every", str(max(1, options.steps // 20))]
    for name in ("batch", "context", "width", "layers", "warmup"):
        words += [f"--{name}", str(getattr(options, name))]
    return words + method.arguments.split()


def launch(words: list[str], nranks: int) -> None:
    """The run as a job of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(nranks), str(PROGRAM), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SIGNCCL_NTHREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr[-3000:]}")


class Runs:
    """The runs of --out."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._texts: tuple[Any, Any, int] | None = None

    def curve(self, workers: int, method: Method, rate: float, seed: int) -> dict[int, float]:
        """The validation loss by step. Makes the run unless it is there."""
        o = self._options
        size = f"{workers}x{o.batch}x{o.context}-w{o.width}-l{o.layers}-s{o.steps}-u{o.warmup}"
        slug = method.arguments.replace("--", "").replace(" ", "-")
        folder = o.out / f"{size}-{slug}-{rate:g}-{seed}"
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            words = words_of(o, method, rate, seed, folder)
            if o.torchrun:
                launch(words, workers)
            else:
                self._texts = self._texts or torch_gpt.load_text()
                simulate(torch_gpt.parse(words), workers, self._texts)
            for checkpoint in folder.glob("checkpoint-*"):
                checkpoint.unlink()
            (folder / "done").touch()
        with (folder / "curves.csv").open(newline="") as file:
            curve = {int(row["step"]): float(row["validation_loss"]) for row in csv.DictReader(file)}
        print(f"{workers} workers, {method.name}, lr {rate:g}, seed {seed}: {curve[o.steps]:.4f}", flush=True)
        return curve


# -------------------------------------------------------------------------------------------------------- a study


class Result(NamedTuple):
    method: Method
    rate: float  # the best one
    grid: dict[float, float]  # rate -> final loss, first seed
    curves: list[dict[int, float]]  # of the best rate, one for each seed

    @property
    def losses(self) -> list[float]:
        return [curve[max(curve)] for curve in self.curves]

    def steps_to(self, loss: float) -> str:
        """The first validated step at which the mean over the seeds is below a loss."""
        means = {step: statistics.mean(curve[step] for curve in self.curves) for step in self.curves[0]}
        return next((f"{step}" for step, mean in means.items() if mean <= loss), "-")


def study(options: argparse.Namespace, runs: Runs, workers: int) -> list[Result]:
    results = []
    for method in STUDIES[options.study]:
        grid = {rate: runs.curve(workers, method, rate, 1)[options.steps] for rate in method.rates}
        best = min(grid, key=grid.__getitem__)
        curves = [runs.curve(workers, method, best, seed) for seed in range(1, options.seeds + 1)]
        results.append(Result(method, best, grid, curves))
    return results


def table(workers: int, results: list[Result], options: argparse.Namespace) -> str:
    characters = options.batch * options.context * workers * options.steps
    lines = [
        f"{workers} workers, {characters / 1e6:.1f}M characters, {options.seeds} seeds:",
        "",
        f"| method | best lr | final loss, mean | spread over seeds | losses of the grid, first seed "
        f"| steps to {options.goal:g} |",
        "| --- | ---: | ---: | --- | --- | ---: |",
    ]
    for result in results:
        grid = ", ".join(f"{rate:g}: {loss:.3f}" for rate, loss in result.grid.items())
        spread = f"{min(result.losses):.3f} to {max(result.losses):.3f}"
        cells = [result.method.name, f"{result.rate:g}", f"{statistics.mean(result.losses):.3f}", spread, grid]
        lines.append(f"| {' | '.join(cells)} | {result.steps_to(options.goal)} |")
    return "\n".join(lines)


def draw(path: Path, everything: dict[int, list[Result]]) -> None:
    """The curves of the best rates: means over the seeds, and between lowest and highest a band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    _, axes = pyplot.subplots(1, len(everything), figsize=(6 * len(everything), 4), sharey=True, squeeze=False)
    for axis, (workers, results) in zip(axes[0], everything.items(), strict=True):
        for result in results:
            steps = list(result.curves[0])
            columns = [[curve[step] for curve in result.curves] for step in steps]
            (line,) = axis.plot(
                steps, [statistics.mean(c) for c in columns], label=f"{result.method.name}, lr {result.rate:g}"
            )
            axis.fill_between(
                steps, [min(c) for c in columns], [max(c) for c in columns], color=line.get_color(), alpha=0.2
            )
        axis.set_title(f"{workers} workers")
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend()
    axes[0][0].set_ylabel("validation loss (nats per character)")
    pyplot.tight_layout()
    pyplot.savefig(path, dpi=100)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--out", type=Path, default=Path("training_study"))
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8, help="sequences per worker and step")
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--goal", type=float, default=2.0, help="a loss: the table has the steps that reach it")
    parser.add_argument("--torchrun", action="store_true", help="real jobs in processes, not simulated ones")
    return parser.parse_args()


def main() -> None:
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    runs = Runs(options)
    everything = {workers: study(options, runs, workers) for workers in options.workers}
    for workers, results in everything.items():
        print("\n" + table(workers, results, options))
    draw(options.out / f"{options.study}.png", everything)


if __name__ == "__main__":
    main()
