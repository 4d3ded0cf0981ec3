#!/usr/bin/env python3
"""Measures our collectives beside those of MPI, in turn on the same ranks, hosts and sizes.

  perf/compare.py shm -n 4 --count 64M                     ranks on this machine
  perf/compare.py hosts --hosts 4 --rate 1gbit --count 64M ranks on hosts of tools/hosts, one each
  perf/compare.py shm -n 2 --latency                       vectors of 8 elements

Each round runs every contender once, so that noise of the machine hits all alike; figures are medians over the rounds,
ratios are taken within a round. Writes a table, results.json and plot.svg. docs/bench.md says more.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import compare_launch as launch
import compare_parse as parse
import compare_plot as plot
import compare_report as report
from compare_contenders import PEERS, contenders, iterations

ROOT = Path(__file__).resolve().parent.parent
EXIT_FAILED = 1
EXIT_CANNOT = 77  # as tools/hosts has it: no hosts can be made here


def add_common_options(parser):
    parser.add_argument("--count", nargs="+", type=parse.count, default=[], metavar="N", help="elements, as in 64M")
    parser.add_argument("--latency", action="store_true", help="measure vectors of 8 elements too")
    parser.add_argument("--op", nargs="*", choices=["vote", "avg"], default=["vote"], help="ours; none: peers alone")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--rounds", type=parse.positive, default=5, help="times that all contenders run (default 5)")
    parser.add_argument("--iters", type=parse.positive, help="timed iterations of a run; default by size")
    parser.add_argument("--warmup", type=parse.positive, help="untimed ones; default by size")
    parser.add_argument("--in-place", action="store_true", help="one buffer per rank for input and result")
    parser.add_argument("--ranks-as", choices=["auto", "processes", "threads"], default="auto",
                        help="our ranks on this machine; auto: processes if the program has them")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="build tree (default build/release)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/compare", help="folder of the results")
    parser.add_argument("--timeout", type=parse.positive, default=300, help="seconds for one run (default 300)")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="perf/compare.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True, metavar="shm|hosts")
    shm = modes.add_parser("shm", help="ranks on this machine")
    shm.add_argument("-n", "--ranks", type=parse.positive, default=4, help="(default 4)")
    hosts = modes.add_parser("hosts", help="ranks on hosts of tools/hosts; needs root")
    hosts.add_argument("--hosts", type=parse.positive, default=4, help="(default 4)")
    hosts.add_argument("--per-host", type=parse.positive, default=1, help="ranks in each host (default 1)")
    hosts.add_argument("--rate", default="1gbit", help="of the links, or none (default 1gbit)")
    hosts.add_argument("--racks", help="R:RATE, as for tools/hosts up")
    hosts.add_argument("--name", default="cmp", help="of the setup, which must not exist (default cmp)")
    for mode in (shm, hosts):
        add_common_options(mode)
    options = parser.parse_args(arguments)
    if not options.count and not options.latency:
        parser.error("give --count, --latency or both")
    if not options.op and not options.peers:
        parser.error("there is nothing to measure without --op and --peers")
    options.count = ([8] if options.latency else []) + options.count
    if options.mode == "hosts":
        options.ranks = options.hosts * options.per_host
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
    # So that hosts are removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    programs = launch.Programs(options.build)
    try:
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="signccl-compare-"))
            if options.mode == "shm":
                place = launch.Shm(programs, options.ranks, options.timeout, options.ranks_as)
            else:
                place = stack.enter_context(launch.Hosts(programs, options, ROOT / "tools/hosts", temporary))
            results = measure(place, options, temporary)
    except launch.CannotMakeHosts as error:
        print(f"perf/compare.py: {error}", file=sys.stderr)
        return EXIT_CANNOT
    except (launch.RunFailed, parse.WrongOutput) as error:
        print(f"perf/compare.py: {error}", file=sys.stderr)
        return EXIT_FAILED
    document = report.document(results, place.description, place.rate_bits, options, sys.argv)
    text = report.markdown(document)
    options.out.mkdir(parents=True, exist_ok=True)
    report.write_json(options.out / "results.json", document)
    (options.out / "results.md").write_text(text, encoding="utf-8")
    (options.out / "plot.svg").write_text(plot.svg(document), encoding="utf-8")
    print(text)
    print(f"# written to {os.path.relpath(options.out)}: results.md, results.json, plot.svg", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
