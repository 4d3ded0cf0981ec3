# SPDX-License-Identifier: Apache-2.0
"""Checks the machine code of the kernels in a library, and prints what they cost.

  python3 tools/sass_check [OPTION...] LIBRARY

tools/sass calls this. No kernel runs: the figures are counts of instructions and bytes, and limits of data sheets. Exit
status 1: a kernel is not as expected; 2: the library cannot be read.
"""

import argparse
import json
import sys
from pathlib import Path

from disassembly import DisassemblyError, Kernel, Tools, read_kernels
from flow import FlowError
from report import document, table
from rules import analysis_of, faults_of


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sass_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", type=Path, help="libsignccl_cuda.so, a cubin or a fatbin")
    parser.add_argument("--cuobjdump", default="cuobjdump", metavar="FILE")
    parser.add_argument("--nvdisasm", default="nvdisasm", metavar="FILE")
    parser.add_argument("--names", type=Path, metavar="FILE", help="names of the kernels that there must be, no others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all figures of all architectures go")
    parser.add_argument("--architecture", default="sm_90", help="of the table that is printed (default sm_90)")
    return parser.parse_args(arguments)


def architectures_of(kernels: list[Kernel]) -> list[str]:
    return sorted({kernel.architecture for kernel in kernels}, key=lambda name: int(name.removeprefix("sm_")))


def name_faults(kernels: list[Kernel], names: set[str]) -> list[str]:
    """Kernels that are missing or that nobody asked for, for each architecture."""
    faults = []
    for architecture in architectures_of(kernels):
        there = {kernel.name for kernel in kernels if kernel.architecture == architecture}
        faults += [f"{name} ({architecture}) is missing" for name in sorted(names - there)]
        faults += [f"{name} ({architecture}) is in no list of kernels" for name in sorted(there - names)]
    return faults


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    try:
        kernels = read_kernels(Tools(options.cuobjdump, options.nvdisasm), options.library)
        analyses = [analysis_of(kernel) for kernel in kernels]
        names = set(options.names.read_text().split()) if options.names else {kernel.name for kernel in kernels}
    except (DisassemblyError, FlowError, OSError) as error:
        print(f"sass_check: {error}", file=sys.stderr)
        return 2
    print(table(analyses, options.architecture), end="")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document(analyses), indent=1) + "\n")
    faults = name_faults(kernels, names)
    faults += [f"{one.kernel.name} ({one.kernel.architecture}) {fault}" for one in analyses for fault in faults_of(one)]
    for fault in faults:
        print(fault, file=sys.stderr)
    verdict = f"{len(faults)} faults" if faults else "as expected"
    print(f"{len(names)} kernels for {', '.join(architectures_of(kernels))}: {verdict}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
