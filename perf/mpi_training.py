#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains examples/mpi_signum.py over Open MPI, plain and with libsignccl_mpi.so in turns, and compares the times.

  perf/mpi_training.py shm -n 4 --python venv/bin/python                      ranks on this machine
  perf/mpi_training.py hosts --hosts 4 --rate 1gbit --python venv/bin/python  ranks on hosts of tools/hosts, one each

The interpreter must have mpi4py and numpy. Each round trains twice, plain and preloaded, and fails if the losses are
not the same to the last bit. The times of a step are means of one training on rank 0.
"""

import argparse
import re
import statistics
import sys
from pathlib import Path

import compare_launch as launch
import compare_parse as parse
from mpi_preload import RULES, front, measure_at_place, mpirun

PROGRAM = Path(__file__).resolve().parent.parent / "examples/mpi_signum.py"


def train(place, options, variables):
    """The losses, and the milliseconds of a step and of the update in it."""
    # The times are on standard error, so that the output of two trainings can be compared.
    command = [*mpirun(place), "env", "OMP_NUM_THREADS=1", *variables, "sh", "-c", 'exec "$@" 2>&1', "sh",
               options.python, str(PROGRAM), "--hidden", str(options.hidden), "--steps", str(options.steps)]
    output = launch.execute(command, place.timeout)
    losses = re.findall(r"^step \d+: loss \S+$", output, re.MULTILINE)
    times = re.findall(r"^each step: (\S+) ms, (\S+) of them for the update$", output, re.MULTILINE)
    if not losses or len(times) != 1:
        raise launch.RunFailed(f"{PROGRAM.name} printed:\n{output[-2000:]}")
    return losses, tuple(float(time) for time in times[0])


def measure(place, options):
    preload = [f"LD_PRELOAD={front(options)}", f"SIGNCCL_RULES={RULES}"]
    rounds = []
    for number in range(options.rounds):
        losses, plain = train(place, options, [])
        same, preloaded = train(place, options, preload)
        if same != losses:
            raise launch.RunFailed(f"the losses differ: plain {losses}, preloaded {same}")
        rounds.append((plain, preloaded))
        print(f"round {number + 1} of {options.rounds}: plain {plain}, preloaded {preloaded}; losses are the same, "
              f"{losses[-1]}", file=sys.stderr)
    return rounds


def table(rounds):
    """Of each round, and medians."""
    lines = [f"{'':8}{'step, ms: plain':>17}{'preloaded':>11}{'ratio':>7}{'update, ms: plain':>19}{'preloaded':>11}"
             f"{'ratio':>7}"]
    medians = tuple(tuple(statistics.median(of_round[side][what] for of_round in rounds) for what in (0, 1))
                    for side in (0, 1))
    names = [f"round {number + 1}" for number in range(len(rounds))]
    for name, (plain, preloaded) in zip([*names, "median"], [*rounds, medians], strict=True):
        lines.append(f"{name:8}{plain[0]:17.1f}{preloaded[0]:11.1f}{plain[0] / preloaded[0]:7.2f}"
                     f"{plain[1]:19.1f}{preloaded[1]:11.1f}{plain[1] / preloaded[1]:7.2f}")
    return "\n".join(lines)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for mode in launch.add_places(parser, "mpit"):
        mode.add_argument("--python", default=sys.executable, help="interpreter with mpi4py (default this one)")
        mode.add_argument("--rounds", type=parse.positive, default=3, help="(default 3)")
        mode.add_argument("--steps", type=parse.positive, default=30, help="of a training (default 30)")
        mode.add_argument("--hidden", type=parse.positive, default=2048, help="width of the layers (default 2048)")
        mode.add_argument("--timeout", type=parse.positive, default=300, help="seconds for a training (default 300)")
    return launch.parse_places(parser, arguments)


def main(arguments):
    options = parse_arguments(arguments)
    options.python = str(Path(options.python).absolute())
    measured, status = measure_at_place("perf/mpi_training.py", options, lambda place, _: measure(place, options))
    if measured is None:
        return status
    place, rounds = measured
    print(f"{place.description}\n\n{table(rounds)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
