# SPDX-License-Identifier: Apache-2.0
"""One step: a function that runs programs, within a limit, and says how it ended and what it measured."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from context import Context

Figures = dict[str, object]
GRACE_SECONDS = 5  # of a program that is to end since its time is over


class Failed(Exception):
    """A step has failed; the text says why."""


class Skipped(Exception):
    """A step cannot run here; the text says why."""


@dataclass
class Step:
    what: str
    seconds: float  # at most
    run: "Callable[[Context, Runner], Figures]"


@dataclass
class Result:
    name: str
    what: str
    status: str  # passed, failed or skipped
    seconds: float = 0.0
    detail: str = ""
    figures: Figures = field(default_factory=dict)

    def line(self) -> str:
        detail = f": {self.detail.splitlines()[0]}" if self.detail else ""
        return f"{self.status:8}{self.seconds:7.1f} s  {self.name}{detail}"


def end_group(process: subprocess.Popen[str]) -> None:
    """Ends a program and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Runner:
    """Runs the programs of one step, whose output goes to its log."""

    def __init__(self, log: Path, seconds: float) -> None:
        self.log = log
        self.deadline = time.monotonic() + seconds
        log.write_text("")

    def left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.1)

    def note(self, text: str) -> None:
        with self.log.open("a") as output:
            output.write(text + "\n")

    def start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        """Starts a program in a process group of its own, with both outputs in one pipe."""
        self.note("$ " + " ".join(command))
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Waits for the end of a program and returns its output. Raises Failed if it does not end in time."""
        try:
            output, _ = process.communicate(timeout=self.left())
        except subprocess.TimeoutExpired:
            process.terminate()  # torchrun ends its processes, which are in groups of their own
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            end_group(process)
            output, _ = process.communicate()
            self.note(output)
            raise Failed("has not ended in time (see the log)") from None
        self.note(output)
        return output

    def run(self, command: list[str], environment: Mapping[str, str], expected: int = 0) -> str:
        """Runs a program. Raises Failed if it ends with another status."""
        process = self.start(command, environment)
        output = self.finish(process)
        if process.returncode != expected:
            last = output.strip().splitlines()[-1:] or [""]
            raise Failed(f"{Path(command[0]).name} ended with status {process.returncode}: {last[0]}")
        return output


def run_step(name: str, step: Step, context: "Context", seconds_left: float) -> Result:
    """Runs a step if a part of its time is left."""
    result = Result(name, step.what, "skipped")
    if seconds_left < min(step.seconds / 4, 10):
        result.detail = "no time was left"
        return result
    began = time.monotonic()
    runner = Runner(context.out / f"{name}.log", min(step.seconds, seconds_left))
    try:
        result.figures = step.run(context, runner)
        result.status = "passed"
    except Skipped as reason:
        result.detail = str(reason)
    except Failed as reason:
        result.status, result.detail = "failed", str(reason)
    except (OSError, KeyError, ValueError) as error:
        result.status, result.detail = "failed", f"{type(error).__name__}: {error}"
    result.seconds = time.monotonic() - began
    return result
