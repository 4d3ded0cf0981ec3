# SPDX-License-Identifier: Apache-2.0
"""The steps, in the order in which a first run on a GPU has to answer them."""

import json
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from builder import Built, library_folder
from steps import Failed, Figures, Runner, Skipped, Step, end_group

LIMIT_SECONDS = 3  # of a call, where a peer is lost


@dataclass
class Context:
    built: Built
    out: Path
    fake: bool
    packages: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """That of all programs: carried libraries, and the fake driver if it is asked for."""
        variables = dict(os.environ)
        folders = [variables["LD_LIBRARY_PATH"]] if variables.get("LD_LIBRARY_PATH") else []
        if self.packages is not None:
            folders.append(str(library_folder(self.packages)))
        if self.fake:
            driver = self.built.folder / "tests/fake_cuda"
            folders.insert(0, str(driver))
            variables["SIGNCCL_CUDA_LIBRARY"] = str(driver / "emulated/libsignccl_cuda.so")
        if folders:
            variables["LD_LIBRARY_PATH"] = ":".join(folders)
        return variables

    def program(self, name: str) -> str:
        path = self.built.program(name)
        if not path.is_file():
            raise Failed(f"{path} is missing")
        return str(path)


def perf(context: Context, runner: Runner, arguments: str, **variables: str) -> Figures:
    """Runs sign_all_reduce_perf, checks all results, and gives a time and a rate for each of its rows."""
    file = context.out / "perf.json"
    file.unlink(missing_ok=True)
    command = [context.program("sign_all_reduce_perf"), *arguments.split(), "--oversubscribe", "-J", str(file)]
    runner.run(command, context.environment | variables)
    figures: Figures = {}
    document = json.loads(file.read_text())
    for row in document["results"]:
        if row["out_of_place"]["nwrong"] != 0 or row["in_place"]["nwrong"] != 0:
            raise Failed(f"wrong results: {row}")
        name = f"{row['redop']} {row['type']} {row['size']} B"
        figures[name] = {"us": row["out_of_place"]["time"], "alg_bw GB/s": row["out_of_place"]["alg_bw"]}
    if not figures:
        raise Failed("no case was measured")
    return figures


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


def memcheck(context: Context, runner: Runner) -> Figures:
    """Kernels under compute-sanitizer, which sees accesses outside of allocations."""
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if context.fake or tool is None:
        raise Skipped(
            "there is no compute-sanitizer" if tool is None else "the fake driver has no kernels to look into"
        )
    command = [tool, "--tool", "memcheck", "--error-exitcode", "9"]
    tests = "*Misalignment*/device:VotePropertyTest.*/device:RestoreTop*/device:LionRounding*/device"
    figures = kernel_tests(context, runner, command, tests)
    arguments = "-t 2 -g 1 --oversubscribe -b 100001 -e 100001 -n 2 -o all -d float -T 60"
    runner.run([*command, context.program("sign_all_reduce_perf"), *arguments.split()], context.environment)
    return figures


STEPS = {
    "latency": Step("how long a stream and the host take to tell each other something", 30, latency),
    "types": Step("three ranks on one GPU: results of all types and operations", 40, types),
    "threads": Step("ranks that are threads on one GPU, with more and fewer queues than streams", 120, threads),
    "waits": Step("the ways in which a stream waits", 30, waits),
    "processes": Step("ranks that are processes on one GPU", 60, processes),
    "large": Step("large vectors of ranks that are threads on one GPU", 60, large),
    "faults": Step("a peer is killed, or stopped, while streams wait", 60, faults),
    "kernels": Step("every kernel against the reference, bit by bit", 120, kernels),
    "bandwidth": Step("every kernel beside a copy of as many bytes", 120, bandwidth),
    "memcheck": Step("kernels under compute-sanitizer", 90, memcheck),
}
