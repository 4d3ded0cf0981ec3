# SPDX-License-Identifier: Apache-2.0
"""Builds SignCCL, and tests and measures it on the GPU of this machine.

  tools/gpu run --packages DIR            with what `tools/gpu pack DIR` has made
  tools/gpu run                           with the packages of this machine
  tools/gpu run --fake --build-dir DIR    against the fake driver of the tests, whose times mean nothing

Writes results.json, report.txt and a log for each step into --out. Every step has a limit, and steps that do not fit
into --seconds any more are left out, which the report says. Exit status: 0 all well; 1 a step has failed; 2 wrong
options; 77 there is no GPU.
"""

import argparse
import sys
import time
from pathlib import Path

from builder import ROOT, BuildError, Built, build
from context import Context
from machine import facts_of, no_gpu
from order import STEPS
from report import write_report
from steps import Result, run_step


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/gpu run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, metavar="DIR", help="what tools/gpu pack has made")
    parser.add_argument("--build-dir", type=Path, metavar="DIR", help="a build that is there; nothing is built")
    parser.add_argument("--out", type=Path, default=ROOT / "build/gpu", metavar="DIR", help="default build/gpu")
    parser.add_argument("--fake", action="store_true", help="the fake driver of the tests, and few small cases")
    parser.add_argument("--seconds", type=float, default=480, help="of all that runs (default 480)")
    names = ", ".join(STEPS)
    parser.add_argument("--only", metavar="STEP,...", help=f"steps to run: {names}")
    options = parser.parse_args(arguments)
    for folder in (options.packages, options.build_dir):
        if folder is not None and not folder.is_dir():
            parser.error(f"there is no folder {folder}")
    options.steps = list(STEPS) if options.only is None else options.only.split(",")
    for step in options.steps:
        if step not in STEPS:
            parser.error(f"--only: '{step}' is none of {names}")
    return options


def built_programs(options: argparse.Namespace, log: Path) -> Built:
    if options.build_dir is not None:
        return Built(options.build_dir.resolve(), 0.0)
    return build(ROOT, ROOT / "build/gpu-build", options.packages and options.packages.resolve(), options.fake, log)


def main() -> int:
    options = parse_arguments(sys.argv[1:])
    began = time.monotonic()
    if not options.fake and (why := no_gpu()):
        print(f"SKIPPED: {why}", file=sys.stderr)
        return 77
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        built = built_programs(options, options.out / "build.log")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    context = Context(built, options.out.resolve(), options.fake, options.packages and options.packages.resolve())
    results: list[Result] = []
    for name in options.steps:
        left = options.seconds - (time.monotonic() - began)
        results.append(run_step(name, STEPS[name], context, left))
        print(results[-1].line(), flush=True)
    facts = facts_of(context.environment, options.fake) | {"build_seconds": round(built.seconds, 1)}
    write_report(options.out, facts, results, time.monotonic() - began)
    return 1 if any(result.status == "failed" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
