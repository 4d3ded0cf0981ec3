#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables of a page that a command makes: compares them with what the command prints now, or writes them anew.

    perf/doc_tables.py --programs build/release/perf docs/does_it_pay.md            # status 1 if one differs
    perf/doc_tables.py --programs build/release/perf --write docs/does_it_pay.md

A command is a block of the page with ```sh, of one line, whose first word is a program of that folder. Its output is
the tables that follow the block, up to the next line of text.
"""

from __future__ import annotations

import argparse
import difflib
import shlex
import subprocess
import sys
from pathlib import Path


def renewed(page: str, programs: Path) -> str:
    """The page with the tables as its commands print them."""
    lines = page.split("\n")
    made: list[str] = []
    at = 0
    while at < len(lines):
        made.append(lines[at])
        at += 1
        if lines[at - 1] != "```sh" or lines[at + 1] != "```":
            continue
        command = shlex.split(lines[at])
        if not (programs / command[0]).is_file():
            continue
        made += [*lines[at : at + 2], "", *_output(programs, command), ""]
        at += 2
        while at < len(lines) and (not lines[at] or lines[at].startswith("|")):
            at += 1
    return "\n".join(made)


def _output(programs: Path, command: list[str]) -> list[str]:
    printed = subprocess.run([programs / command[0], *command[1:]], check=True, capture_output=True, text=True).stdout
    return printed.rstrip("\n").split("\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--programs", type=Path, required=True, help="folder of the programs")
    parser.add_argument("--write", action="store_true", help="write the page anew instead of comparing")
    arguments = parser.parse_args()
    page = arguments.page.read_text(encoding="utf-8")
    now = renewed(page, arguments.programs)
    if arguments.write:
        arguments.page.write_text(now, encoding="utf-8")
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(page.splitlines(True), now.splitlines(True), str(arguments.page), "as commands print it")
    )
    return 0 if page == now else 1


if __name__ == "__main__":
    sys.exit(main())
