#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures our collectives beside those of MPI, in turn on the same ranks, hosts and sizes.

  perf/compare.py shm -n 4 --count 64M                     ranks on this machine
  perf/compare.py hosts --hosts 4 --rate 1gbit --count 64M ranks on hosts of tools/hosts, one each
  perf/compare.py shm -n 2 --latency                       vectors of 8 elements

Each round runs every contender once, so that noise of the machine hits all alike; figures are medians over the rounds,
ratios are taken within a round. Writes a table, results.json and plot.svg. docs/bench.md says more.
"""

import argparse
import os
import sys
from pathlib import Path

import compare_launch as launch
import compare_parse as parse
import compare_plot as plot
import compare_report as report
from compare_contenders import PEERS, contenders, iterations


def add_common_options(parser):
    parser.add_argument("--count", nargs="+", type=parse.count, default=[], metavar="N", help="elements, as in 64M")
    parser.add_argument("--latency", action="store_true", help="measure vectors of 8 elements too")
    parser.add_argument("--op", nargs="*", choices=["vote", "avg"], default=["vote"], help="ours; none: peers alone")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--rounds", type=parse.positive, default=5, help="times that all contenders run (default 5)")
    parser.add_argument("--iters", type=parse.positive, help="timed iterations of a run; default by size")
    parser.add_argument("--warmup", type=parse.positive, help="untimed ones; default by size")
    parser.add_argument("--in-place", action="store_true", help="one buffer per rank for input and result")
    parser.add_argument("--ranks-as", choices=["auto", "mpirun", "processes", "threads"], default="auto",
                        help="our ranks on this machine; mpirun: processes that it starts and binds to cores as the "
                             "peers'; auto: processes if the program has them")
    parser.add_argument("--out", type=Path, default=launch.ROOT / "build/compare", help="folder of the results")
    parser.add_argument("--timeout", type=parse.positive, default=300, help="seconds for one run (default 300)")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="perf/compare.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for mode in launch.add_places(parser, "cmp"):
        add_common_options(mode)
    options = launch.parse_places(parser, arguments)
    if not options.count and not options.latency:
        parser.error("give --count, --latency or both")
    if not options.op and not options.peers:
        parser.error("there is nothing to measure without --op and --peers")
    options.count = ([8] if options.latency else []) + options.count
    return options


def measure(place, options, temporary):
    """All rounds of all counts: {count: {contender: [measurement of each round]}}."""
    results = {}
    for count in options.count:
        entries = contenders(options.op, options.peers)
        warmup, iters = iterations(count, place.crosses_network, options.warmup, options.iters)
        rows = results[count] = {contender.name: [] for contender in entries}
        for number in range(options.rounds):
            for contender in entries:
                output = Path(temporary) / f"{contender.name}.{count}.{number}.json"
                run = launch.Run(contender, count, warmup, iters, options.in_place, output)
                measurement = place.measure(run)
                rows[contender.name].append(measurement)
                print(f"# round {number + 1} of {options.rounds}: {contender.name}, {count} elements: "
                      f"{measurement.us:.2f} us", file=sys.stderr)
    return results


def main(arguments):
    options = parse_arguments(arguments)
    try:  # before the minutes that measuring takes
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"perf/compare.py: --out {options.out} cannot be a folder: {error.strerror}", file=sys.stderr)
        return 2
    measured, status = launch.measure_at_place("perf/compare.py", options, options.ranks_as,
                                               lambda place, folder: measure(place, options, folder))
    if measured is None:
        return status
    place, results = measured
    document = report.document(results, place.description, place.rate_bits, options, sys.argv)
    text = report.markdown(document)
    report.write_json(options.out / "results.json", document)
    (options.out / "results.md").write_text(text, encoding="utf-8")
    (options.out / "plot.svg").write_text(plot.svg(document), encoding="utf-8")
    print(text)
    print(f"# written to {os.path.relpath(options.out)}: results.md, results.json, plot.svg", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
