# SPDX-License-Identifier: Apache-2.0
"""Steps under the tools of compute-sanitizer."""

import shutil

from context import Context
from measurements import kernel_tests
from steps import Figures, Runner, Skipped

KERNEL_TESTS = "*Misalignment*/device:VotePropertyTest.*/device:RestoreTop*/device:LionRounding*/device"


def command_of(context: Context, tool: str) -> list[str]:
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if context.fake:
        raise Skipped("the fake driver has no kernels to look into")
    if program is None:
        raise Skipped("there is no compute-sanitizer")
    return [program, "--tool", tool, "--error-exitcode", "9"]


def votes(context: Context, runner: Runner, command: list[str], size: int) -> None:
    arguments = f"-t 2 -g 1 --oversubscribe -b {size} -e {size} -n 2 -o all -d float -T 60"
    runner.run([*command, context.program("sign_all_reduce_perf"), *arguments.split()], context.environment)


def memcheck(context: Context, runner: Runner) -> Figures:
    """Accesses outside of allocations."""
    command = command_of(context, "memcheck")
    figures = kernel_tests(context, runner, command, KERNEL_TESTS)
    votes(context, runner, command, 100001)
    return figures


def racecheck(context: Context, runner: Runner) -> Figures:
    """Races in shared memory, of which no kernel has any; the tool is slow, so with fewer tests."""
    command = [*command_of(context, "racecheck"), "--racecheck-report", "all"]
    return kernel_tests(context, runner, command, "RestoreTop*/device:VotePropertyTest.*/device")


def initcheck(context: Context, runner: Runner) -> Figures:
    """Device memory that is read before it was written."""
    command = command_of(context, "initcheck")
    figures = kernel_tests(context, runner, command, "RestoreTop*/device:LionRounding*/device")
    votes(context, runner, command, 10001)
    return figures
