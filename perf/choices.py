#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures every algorithm at every size, and how much slower the one is that the library chooses by itself.

  perf/choices.py shm -n 4                        ranks on this machine
  perf/choices.py hosts --hosts 4 --rate 1gbit    ranks on hosts of tools/hosts, one each

Algorithms run in turn in every round; times are medians over the rounds. Prints a table. docs/bench.md says more.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import compare_launch as launch
import compare_parse as parse

ALGORITHMS = ["oneshot", "direct", "ring", "tree", "knomial"]
GOAL = 1.15
STEP = 4  # from one size to the next


@dataclass(frozen=True)
class Sweep:
    """Sizes that take the same number of iterations."""

    smallest: int  # elements
    largest: int
    warmup: int
    iters: int


def sweeps(smallest, largest, crosses_network):
    """The sizes from `smallest` to `largest`, by powers of STEP, in sweeps of about a second each."""
    bounds = [(1 << 16, 20, 200), (1 << 22, 3, 20), (1 << 40, 1, 3)]
    if not crosses_network:
        bounds[0] = (1 << 16, 200, 2000)
    made = []
    for bound, warmup, iters in bounds:
        sizes = [size for size in powers(smallest, largest) if size <= bound and (not made or size > made[-1].largest)]
        if sizes:
            made.append(Sweep(sizes[0], sizes[-1], warmup, iters))
    return made


def powers(smallest, largest):
    size = smallest
    while size <= largest:
        yield size
        size *= STEP


def run_sweep(place, sweep, op, algorithm, output):
    """{count: (microseconds, algorithm)}"""
    output.unlink(missing_ok=True)  # an existing file is not overwritten
    forced = ["--algo", algorithm] if algorithm else []
    place.run_ours(["-o", op, "-d", "float",
                    "-b", str(4 * sweep.smallest), "-e", str(4 * sweep.largest), "-f", str(STEP),
                    "-w", str(sweep.warmup), "-n", str(sweep.iters), "-a", "3", "-c", "0", "-J", str(output), *forced])
    rows = parse.load(output)["results"]
    return {row["count"]: (row["out_of_place"]["time"], row["algorithm"]) for row in rows}


def measure(place, options, temporary):
    """What is chosen, and all times: {count: algorithm}, {count: {algorithm: [microseconds of each round]}}."""
    algorithms = ALGORITHMS + (["hierarchical"] if options.mode == "hosts" and options.per_host > 1 else [])
    output = Path(temporary) / "results.json"
    chosen, times = {}, {}
    for sweep in sweeps(options.smallest, options.largest, place.crosses_network):
        once = Sweep(sweep.smallest, sweep.largest, 0, 1)
        for count, (_, algorithm) in run_sweep(place, once, options.op, None, output).items():
            chosen[count] = algorithm
        for number in range(options.rounds):
            for algorithm in algorithms:
                for count, (us, _) in run_sweep(place, sweep, options.op, algorithm, output).items():
                    times.setdefault(count, {}).setdefault(algorithm, []).append(us)
            print(f"# {sweep.smallest} to {sweep.largest} elements: round {number + 1} of {options.rounds}",
                  file=sys.stderr)
    return chosen, times


def seconds(us):
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if us >= factor:
            return f"{us / factor:.3g} {unit}"
    return f"{us:.3g} us"


def size(count):
    for unit, shift in (("G", 30), ("M", 20), ("K", 10)):
        if count >= 1 << shift and count % (1 << shift) == 0:
            return f"{count >> shift}{unit}"
    return str(count)


def table(chosen, times):
    lines = ["| elements | chosen | best | chosen / best | all |", "| ---: | --- | --- | ---: | --- |"]
    ratios = []
    for count, by_algorithm in sorted(times.items()):
        medians = {algorithm: statistics.median(us) for algorithm, us in by_algorithm.items()}
        best = min(medians, key=medians.get)
        mine = medians[chosen[count]]
        ratios.append(mine / medians[best])
        everyone = ", ".join(f"{algorithm} {seconds(us)}" for algorithm, us in medians.items())
        lines.append(f"| {size(count)} | {chosen[count]}, {seconds(mine)} | {best}, {seconds(medians[best])} | "
                     f"{ratios[-1]:.2f} | {everyone} |")
    within = sum(ratio <= GOAL for ratio in ratios)
    return "\n".join(lines) + f"\n\nWithin {GOAL}: {within} of {len(ratios)}; worst {max(ratios):.2f}"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="perf/choices.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for mode in launch.add_places(parser, "cho"):
        mode.add_argument("--op", choices=["vote", "avg"], default="vote", help="(default vote)")
        mode.add_argument("--smallest", type=parse.count, default=1 << 10, metavar="N", help="elements (default 1K)")
        mode.add_argument("--largest", type=parse.count, default=1 << 28, metavar="N", help="elements (default 256M)")
        mode.add_argument("--rounds", type=parse.positive, default=3, help="(default 3)")
        mode.add_argument("--timeout", type=parse.positive, default=600, help="seconds for one run (default 600)")
    options = launch.parse_places(parser, arguments)
    if options.largest < options.smallest:
        parser.error(f"--largest {options.largest} is less than --smallest {options.smallest}")
    return options


def main(arguments):
    options = parse_arguments(arguments)
    measured, status = launch.measure_at_place("perf/choices.py", options, "processes",
                                               lambda place, folder: measure(place, options, folder))
    if measured is None:
        return status
    place, (chosen, times) = measured
    print(f"{options.op}, {place.description}\n\n{table(chosen, times)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
