# SPDX-License-Identifier: Apache-2.0
"""Steps that measure and test the library itself: streams, ranks that share a GPU, faults, kernels."""

import json
import os
import re
import signal
import time
from pathlib import Path

from context import Context, perf
from steps import Failed, Figures, Runner, end_group

LIMIT_SECONDS = 3  # of a call, where a peer is lost


def latency(context: Context, runner: Runner) -> Figures:
    rounds = "20" if context.fake else "2000"
    output = runner.run([context.program("stream_latency"), "--rounds", rounds, "--json"], context.environment)
    figures: Figures = json.loads(output)
    return figures


def threads(context: Context, runner: Runner) -> Figures:
    """More ranks than a device has queues by default, and fewer; with queues of their own and with one for all."""
    sizes = "-b 4K -e 4K" if context.fake else "-b 4K -e 256M -f 64"
    figures: Figures = {}
    for nranks in (2,) if context.fake else (1, 2, 4, 8, 9):
        for connections in ("8",) if context.fake else ("8", "1", "32"):
            name = f"{nranks} ranks, CUDA_DEVICE_MAX_CONNECTIONS={connections}"
            arguments = f"-t {nranks} -g 1 {sizes} -n 10 -o all -d bfloat16 -T 20"
            figures[name] = perf(context, runner, arguments, CUDA_DEVICE_MAX_CONNECTIONS=connections)
    return figures


def types(context: Context, runner: Runner) -> Figures:
    """All types and rules, checked more than once."""
    size = "4001" if context.fake else "1000003"
    figures: Figures = {}
    for rules in ("--zero binary --tie random", "--zero ternary --tie zero"):
        kinds = "-d all" if "random" in rules else "-d float"
        arguments = f"-t 3 -g 1 -b {size} -e {size} -n 2 -c 3 -o all {kinds} {rules} -T 20"
        figures[rules] = perf(context, runner, arguments)
    return figures


def waits(context: Context, runner: Runner) -> Figures:
    """The same by kernels that wait, and with launches that block, as tools that look into kernels make them."""
    size = "64K" if context.fake else "16M"
    arguments = f"-t 2 -g 1 -b {size} -e {size} -n 10 -T 20"
    return {
        "stream memory operations": perf(context, runner, arguments, SIGNCCL_CUDA_WAIT="memory"),
        "kernels that wait": perf(context, runner, arguments, SIGNCCL_CUDA_WAIT="kernel"),
        "launches that block": perf(context, runner, arguments, CUDA_LAUNCH_BLOCKING="1"),
    }


def processes(context: Context, runner: Runner) -> Figures:
    sizes = "-b 4K -e 4K" if context.fake else "-b 4K -e 256M -f 64"
    figures: Figures = {}
    for nranks in (2,) if context.fake else (2, 4, 8):
        figures[f"{nranks} processes"] = perf(context, runner, f"-p {nranks} -g 1 {sizes} -n 10 -d bfloat16 -T 20")
    return figures


def large(context: Context, runner: Runner) -> Figures:
    """Vectors as large as a model's: what kernels, copies and the exchange reach together."""
    size = "64K" if context.fake else "256M"
    figures: Figures = {}
    for nranks in (2,) if context.fake else (1, 2, 4):
        arguments = f"-t {nranks} -g 1 -b {size} -e {size} -n 10 -d bfloat16 -T 20"
        figures[f"{nranks} ranks"] = perf(context, runner, arguments)
    return figures


def children_of(parent: int) -> list[int]:
    children = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            children.append(int(entry.name))
    return sorted(children)


def lose_a_peer(context: Context, runner: Runner, what: signal.Signals) -> float:
    """A process of three gets a signal while all vote. Gives the seconds until the others have ended with an error."""
    arguments = f"-p 3 -g 1 --oversubscribe -b 1M -e 1M -n 5 -N 0 -c 0 -T {LIMIT_SECONDS}"
    process = runner.start([context.program("sign_all_reduce_perf"), *arguments.split()], context.environment)
    try:
        assert process.stdout is not None
        for line in process.stdout:  # until they have voted a few times
            runner.note(line.rstrip())
            if re.match(r"\s+1048576\s", line):
                break
        children = children_of(process.pid)
        if len(children) != 3:
            raise Failed(f"there are {len(children)} processes instead of 3")
        os.kill(children[1], what)
        began = time.monotonic()
        output = runner.finish(process)
    finally:
        end_group(process)
    if process.returncode != 1 or "rank 0: " not in output or "rank 1" not in output:
        raise Failed(f"status {process.returncode} instead of 1, or the errors do not name rank 1 (see the log)")
    return time.monotonic() - began


def faults(context: Context, runner: Runner) -> Figures:
    return {
        "seconds after SIGKILL of a peer": lose_a_peer(context, runner, signal.SIGKILL),
        f"seconds after SIGSTOP of a peer, with a limit of {LIMIT_SECONDS} s": lose_a_peer(
            context, runner, signal.SIGSTOP
        ),
    }


def kernel_tests(context: Context, runner: Runner, command: list[str], test_filter: str) -> Figures:
    """Runs tests of kernels on the device, none of which may be left out."""
    program = [*command, context.program("kernels_test"), f"--gtest_filter={test_filter}"]
    output = runner.run(program, context.environment | {"SIGNCCL_TEST_DEVICE": "1"})
    passed = re.search(r"\[  PASSED  \] (\d+) test", output)
    if passed is None or int(passed[1]) == 0 or "SKIPPED" in output:
        raise Failed("tests were left out (see the log)")
    return {"tests": int(passed[1])}


def kernels(context: Context, runner: Runner) -> Figures:
    return kernel_tests(context, runner, [], "DeviceLaunch*:*16Bits*/device" if context.fake else "*/device")


def bandwidth(context: Context, runner: Runner) -> Figures:
    file = context.out / "kernel_bench.json"
    command = [context.program("kernel_bench"), "--benchmark_filter=gpu/", f"--benchmark_out={file}"]
    command += ["--benchmark_out_format=json", "--benchmark_format=console"]
    if context.fake:
        command += ["--gpu_elements=20000", "--gpu_rounds=1"]
    runner.run(command, context.environment)
    figures: Figures = {}
    for row in json.loads(file.read_text())["benchmarks"]:
        name = row["name"].removeprefix("gpu/").split("_of_copy")[0]
        if row.get("error_occurred"):
            raise Failed(f"{name}: {row.get('error_message')}")
        figures[name] = {
            "GB/s": row["bytes/s"] / 1e9,
            "copy GB/s": row["peer_bytes/s"] / 1e9,
            "of a copy": row["ratio"],
        }
    return figures
