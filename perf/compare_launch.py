# SPDX-License-Identifier: Apache-2.0
"""Runs the programs that perf/compare.py and perf/choices.py measure, on this machine or on hosts of tools/hosts."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import compare_parse as parse
from compare_contenders import Contender

ROOT = Path(__file__).resolve().parent.parent
EXIT_FAILED = 1
EXIT_SKIP = 77  # as tools/hosts has it: no hosts can be made here
SUBNET = "10.99.0.0/24"  # of tools/hosts
# mpirun refuses to run as root, which tools/hosts needs.
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


class RunFailed(Exception):
    """A program could not be run, or failed."""


class CannotMakeHosts(Exception):
    """tools/hosts says that this machine or user cannot."""


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    contender: Contender
    count: int
    warmup: int
    iters: int
    in_place: bool
    output: Path  # gets the program's JSON


class Programs:
    """The two programs of a build tree."""

    def __init__(self, build):
        self.ours = build.resolve() / "perf/sign_all_reduce_perf"
        self.mpi = build.resolve() / "perf/baselines/mpi_allreduce_perf"


def ours_arguments(run):
    """-a 3 reports the slowest rank, as mpi_allreduce_perf does."""
    size = str(4 * run.count)
    return ["-o", run.contender.op, "-d", "float", "-b", size, "-e", size, "-w", str(run.warmup),
            "-n", str(run.iters), "-a", "3", "-c", "1", "-J", str(run.output)]


def mpi_arguments(program, run):
    """The last ones of every command that runs MPI."""
    return [str(program), "--op", run.contender.op, "--count", str(run.count), "--warmup", str(run.warmup),
            "--iters", str(run.iters), "--json", str(run.output)] + (["--in-place"] if run.in_place else [])


def has_processes(help_text):
    """Whether -p is ours, for processes, rather than that of nccl-tests, which is about how ranks join."""
    match = re.search(r"-p\s*,\s*--(\w+)", help_text)
    return bool(match) and match[1] != "parallel_init"


def execute(command, timeout):
    """Runs a command to its end; what it started ends with it. Returns its standard output."""
    environment = {**os.environ, **MPI_ENVIRONMENT}
    try:
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException:
                # Also when the user interrupts. mpirun and tools/hosts end their ranks when they are asked to end.
                end(process)
                raise
    except FileNotFoundError as error:
        raise RunFailed(f"cannot run {error.filename}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"not done after {timeout} s: {shlex.join(command)}") from error
    if process.returncode != 0:
        raise RunFailed(f"{shlex.join(command)} ended with {process.returncode}:\n{(output + errors)[-4000:]}")
    return output


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


class Shm:
    """All ranks on this machine."""

    crosses_network = False
    rate_bits = None

    def __init__(self, programs, nranks, timeout, ranks_as):
        self.programs = programs
        self.nranks = nranks
        self.timeout = timeout
        self._ranks_as = ranks_as

    @property
    def description(self):
        ranks_as = f", ours as {self._ranks_as}" if self._ranks_as != "auto" else ""
        return f"{self.nranks} ranks on one machine with {os.cpu_count()} cores{ranks_as}"

    def run_ours(self, arguments):
        if self._ranks_as == "auto":
            text = execute([str(self.programs.ours), "--help"], self.timeout)
            self._ranks_as = "processes" if has_processes(text) else "threads"
        if self._ranks_as == "mpirun":
            execute([*self.mpirun(), str(self.programs.ours), *arguments], self.timeout)
            return
        option = {"processes": "-p", "threads": "-t"}[self._ranks_as]
        execute([str(self.programs.ours), *arguments, option, str(self.nranks)], self.timeout)

    def mpirun(self):
        return ["mpirun", "-np", str(self.nranks), "--oversubscribe"]

    def measure(self, run):
        if run.contender.ours:
            self.run_ours(ours_arguments(run))
        else:
            execute([*self.mpirun(), *run.contender.mpi_arguments, *mpi_arguments(self.programs.mpi, run)],
                    self.timeout)
        return read(run, self.nranks, 1 if self._ranks_as == "threads" else self.nranks)


class Hosts:
    """Ranks on hosts that exist from __enter__ to __exit__."""

    crosses_network = True

    def __init__(self, programs, options, tool, folder):
        self.programs = programs
        self.nranks = options.ranks
        self.timeout = options.timeout
        self.options = options
        self.tool = [str(tool), "--name", options.name]
        self.agent = Path(folder) / "agent"

    @property
    def rate_bits(self):
        """None where a link carries more than one rank's bytes, so that there is no simple bound."""
        alone = self.options.per_host == 1 and not self.options.racks
        return parse.rate_bits(self.options.rate) if alone else None

    @property
    def description(self):
        racks = f", racks {self.options.racks}" if self.options.racks else ""
        return (f"{self.nranks} ranks on {self.options.hosts} hosts on one machine with {os.cpu_count()} cores, links "
                f"of {self.options.rate}{racks}")

    def __enter__(self):
        racks = ["--racks", self.options.racks] if self.options.racks else []
        command = [*self.tool, "up", str(self.options.hosts), self.options.rate, *racks]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode == EXIT_SKIP:
            raise CannotMakeHosts(made.stderr.strip())
        if made.returncode != 0:
            raise RunFailed(made.stderr.strip())
        # mpirun starts a daemon of its own in each host, with this in the place of ssh.
        self.agent.write_text("#!/bin/sh\nhost=$1\nshift\n"
                              f'exec {shlex.join(self.tool)} exec "$host" sh -c "$*"\n', encoding="utf-8")
        self.agent.chmod(0o755)
        return self

    def __exit__(self, *_):
        if subprocess.run([*self.tool, "down"], check=False).returncode != 0:
            print(f"perf/compare.py: {shlex.join(self.tool)} down failed", file=sys.stderr)

    def mpirun(self, run):
        """mpirun beside the switch, with shared memory within a host and TCP between hosts."""
        slots = ",".join(f"{self.options.name}-h{host}:{self.options.per_host}" for host in range(self.options.hosts))
        # No host knows that it shares its cores with the others, and that the links between them need some too.
        idle = ["--mca", "mpi_yield_when_idle", "1"] if self.nranks >= (os.cpu_count() or 1) else []
        return [*self.tool, "exec", "sw", "mpirun", "-np", str(self.nranks), "-H", slots,
                "--mca", "plm_rsh_agent", str(self.agent), "--mca", "oob_tcp_if_include", SUBNET,
                "--mca", "pml", "ob1", "--mca", "btl", "tcp,vader,self",
                "--mca", "btl_tcp_if_include", "eth0", *idle, *run.contender.mpi_arguments]

    def run_ours(self, arguments):
        execute([*self.tool, "run", "--quiet", "--fail-fast", "--per-host", str(self.options.per_host), "--timeout",
                 str(self.timeout), "--", str(self.programs.ours), *arguments], self.timeout + 10)

    def measure(self, run):
        if run.contender.ours:
            self.run_ours(ours_arguments(run))
        else:
            execute(self.mpirun(run) + mpi_arguments(self.programs.mpi, run), self.timeout)
        return read(run, self.nranks, self.nranks)


def read(run, nranks, nprocesses):
    document = parse.load(run.output)
    if not run.contender.ours:
        return parse.mpi(document, run.contender.op, run.count, nranks)
    parse.check_ranks(document["config"]["devices"], nranks, nprocesses)
    return parse.ours(document, run.contender.op, run.count, run.in_place)


def add_places(parser, name):
    """The modes shm and hosts with the options of both; hosts have names that begin with `name`. Returns both."""
    modes = parser.add_subparsers(dest="mode", required=True, metavar="shm|hosts")
    shm = modes.add_parser("shm", help="ranks on this machine")
    shm.add_argument("-n", "--ranks", type=parse.positive, default=4, help="(default 4)")
    hosts = modes.add_parser("hosts", help="ranks on hosts of tools/hosts; needs root")
    hosts.add_argument("--hosts", type=parse.positive, default=4, help="(default 4)")
    hosts.add_argument("--per-host", type=parse.positive, default=1, help="ranks in each host (default 1)")
    hosts.add_argument("--rate", default="1gbit", help="of the links, or none (default 1gbit)")
    hosts.add_argument("--racks", help="R:RATE, as for tools/hosts up")
    # Two runs on one machine must not remove each other's hosts.
    name = f"{name}{os.getpid()}"
    hosts.add_argument("--name", default=name, help=f"of the setup, which must not exist (default here {name})")
    for mode in (shm, hosts):
        mode.add_argument("--build", type=Path, default=ROOT / "build/release",
                          help="build tree (default build/release)")
    return shm, hosts


def parse_places(parser, arguments):
    """The options, of which `ranks` is set in both modes."""
    options = parser.parse_args(arguments)
    if options.mode == "hosts":
        options.ranks = options.hosts * options.per_host
    return options


def measure_at_place(program, options, ranks_as, measure):
    """Calls measure(place, folder for its files) at the place of the options; hosts are removed whatever happens.

    Returns (place, its result) and 0, or None and the exit status of `program` if something failed, which is said."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    programs = Programs(options.build)
    try:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="signccl-perf-"))
            if options.mode == "shm":
                place = Shm(programs, options.ranks, options.timeout, ranks_as)
            else:
                place = stack.enter_context(Hosts(programs, options, ROOT / "tools/hosts", folder))
            return (place, measure(place, folder)), 0
    except CannotMakeHosts as error:
        print(f"{program}: {error}", file=sys.stderr)
        return None, EXIT_SKIP
    except (RunFailed, parse.WrongOutput) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return None, EXIT_FAILED
