# SPDX-License-Identifier: Apache-2.0
"""What a run has found, as text and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from machine import Facts
from steps import Figures, Result


def rows_of(figures: Figures, prefix: str = "") -> Iterator[str]:
    """A line for each number, nested ones under the names of what holds them."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from rows_of(value, f"{prefix}{name} / ")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield f"    {prefix}{name}: {text}"


def text_of(facts: Facts, results: list[Result], seconds: float) -> str:
    lines = [f"{name}: {value}" for name, value in facts.items()]
    lines.append(f"seconds in all: {seconds:.0f}")
    for result in results:
        lines += ["", result.line(), f"    ({result.what})"]
        if result.status == "failed":
            lines += [f"    {line}" for line in result.detail.splitlines()]
        lines += rows_of(result.figures)
    return "\n".join(lines) + "\n"


def write_report(folder: Path, facts: Facts, results: list[Result], seconds: float) -> None:
    """Writes results.json and report.txt, and prints where they are."""
    failed = [result.name for result in results if result.status == "failed"]
    document = {
        "version": 1,
        "passed": not failed,
        "failed_steps": failed,
        "machine": facts,
        "seconds": round(seconds, 1),
        "steps": {result.name: asdict(result) for result in results},
    }
    (folder / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "report.txt").write_text(text_of(facts, results, seconds))
    print(f"{'failed: ' + ', '.join(failed) if failed else 'all well'}; {folder}/results.json and report.txt")
