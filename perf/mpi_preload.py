#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what libsignccl_mpi.so changes for a program of Open MPI that sums vectors: perf/mpi_preload.c, plain and
preloaded in turns.

  perf/mpi_preload.py shm -n 4                      ranks on this machine
  perf/mpi_preload.py hosts --hosts 4 --rate 1gbit  ranks on hosts of tools/hosts, one each

Each round runs the job plain and preloaded, and checks that both have the same result. Times are those of the slowest
rank; the table has the best and the median of all calls of all rounds. "signs" are taken. "first" and "last" fall back,
since the first or the last element of one rank is no sign; there are so few of them that no rule is put on probation.
Calls with fewer elements than rules ask for go straight on.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import compare_launch as launch
import compare_parse as parse

RULES = '{"version": 1, "rules": [{"match": {"type": ["int8", "float32"], "op": "sum"}, "action": "sign_sum"}]}'
BELOW_THRESHOLD = 32768  # elements, half of what rules ask for by themselves
FALLBACKS_WATCHED = 5  # with the warm-ups of the program fewer than put a rule on probation
STARTS = 200  # of /bin/true


@dataclass
class Case:
    """Calls to measure, and the seconds that they took."""

    element: str
    count: int
    calls: int
    values: str
    plain: list = field(default_factory=list)
    preloaded: list = field(default_factory=list)


def cases(options):
    whole = [Case(element, options.count, options.calls, "signs") for element in ("int8", "float32")]
    other = [
        Case(element, options.count, min(options.calls, FALLBACKS_WATCHED), place)
        for element in ("int8", "float32")
        for place in ("first", "last")
    ]
    return [*whole, *other, Case("float32", BELOW_THRESHOLD, 500, "signs")]


def mpirun(place):
    if isinstance(place, launch.Hosts):
        return place.mpirun(SimpleNamespace(contender=SimpleNamespace(mpi_arguments=[])))
    return [*place.mpirun(), "--bind-to", "none"]


def run(place, program, case, variables):
    """The seconds of each call, and the digest of the result."""
    command = [
        *mpirun(place),
        "env",
        *variables,
        str(program),
        case.element,
        str(case.count),
        str(case.calls),
        case.values,
    ]
    output = launch.execute(command, place.timeout)
    times = [float(text) for text in re.findall(r"^time (\S+)$", output, re.MULTILINE)]
    digests = re.findall(r"^digest (\S+)$", output, re.MULTILINE)
    if len(times) != case.calls or len(digests) != 1:
        raise launch.RunFailed(f"{program.name} printed:\n{output[-2000:]}")
    return times, digests[0]


def measure(place, options, folder):
    program = Path(folder) / "mpi_preload"
    source = Path(__file__).with_suffix(".c")
    subprocess.run([options.mpicc, "-O2", "-o", str(program), str(source)], check=True)
    preload = [f"LD_PRELOAD={front(options)}", f"SIGNCCL_RULES={RULES}"]
    measured = cases(options)
    for number in range(options.rounds):
        for case in measured:
            plain, expected = run(place, program, case, [])
            preloaded, digest = run(place, program, case, preload)
            if digest != expected:
                raise launch.RunFailed(f"{case.element}, {case.values}: the results of plain and preloaded differ")
            case.plain += plain
            case.preloaded += preloaded
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return measured


def front(options):
    return options.build.resolve() / "plugin/mpi/libsignccl_mpi.so"


def table(measured):
    lines = [
        f"{'type':8}{'elements':>10} {'values':7}{'plain, ms: best':>17}{'median':>9}"
        f"{'preloaded: best':>17}{'median':>9}{'plain/preloaded: best':>23}{'median':>8}"
    ]
    for case in measured:
        best, median = min(case.plain), statistics.median(case.plain)
        our_best, our_median = min(case.preloaded), statistics.median(case.preloaded)
        lines.append(
            f"{case.element:8}{case.count:10} {case.values:7}{1e3 * best:17.3f}{1e3 * median:9.3f}"
            f"{1e3 * our_best:17.3f}{1e3 * our_median:9.3f}{best / our_best:23.2f}{median / our_median:8.2f}"
        )
    return "\n".join(lines)


def start_ms(environment):
    begin = time.perf_counter()
    subprocess.run(["/bin/true"], env=environment, check=True)
    return 1e3 * (time.perf_counter() - begin)


def starts(options):
    """What the preload costs a program without MPI."""
    preloaded = {**os.environ, "LD_PRELOAD": str(front(options)), "SIGNCCL_RULES": RULES}
    times = [(start_ms(dict(os.environ)), start_ms(preloaded)) for _ in range(STARTS)]
    plain, ours = (statistics.median(column) for column in zip(*times, strict=True))
    return f"/bin/true, median of {STARTS} starts: {plain:.3f} ms plain, {ours:.3f} ms preloaded"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for mode in launch.add_places(parser, "mpi"):
        mode.add_argument("--rounds", type=parse.positive, default=3, help="(default 3)")
        mode.add_argument("--calls", type=parse.positive, default=8, help="calls of a job that are timed (default 8)")
        mode.add_argument("--count", type=parse.positive, default=1 << 24, help="elements (default 16777216)")
        mode.add_argument("--mpicc", default="mpicc", help="Open MPI's compiler (default mpicc)")
        mode.add_argument("--timeout", type=parse.positive, default=300, help="seconds for a job (default 300)")
    return launch.parse_places(parser, arguments)


def measure_at_place(program, options, measure):
    """What launch.measure_at_place() returns; fails if the preload library is not built."""
    if not front(options).exists():
        print(f"{program}: there is no {front(options)}; build it, or say where by --build", file=sys.stderr)
        return None, launch.EXIT_FAILED
    return launch.measure_at_place(program, options, "mpirun", measure)


def main(arguments):
    options = parse_arguments(arguments)
    measured, status = measure_at_place(
        "perf/mpi_preload.py", options, lambda place, folder: measure(place, options, folder)
    )
    if measured is None:
        return status
    place, calls = measured
    print(f"{place.description}\n\n{table(calls)}\n\n{starts(options)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
