# SPDX-License-Identifier: Apache-2.0
"""The table of all kernels, as text for people and docs, and as JSON for programs."""

from typing import Any

from figures import GPUS, Analysis, Figures
from rules import PREFIX, faults_of, rule_for, unaligned_of

HEADINGS = (
    "kernel",
    "instructions",
    "bytes",
    "bytes in flight",
    "registers",
    *(f"issue {gpu.name}" for gpu in GPUS),
    "unaligned: instructions",
    "bytes",
    f"issue {GPUS[-1].name}",
)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def counted(figures: Figures) -> str:
    return f"{figures.instructions}{'' if figures.path.uncounted == 0 else ' +'}"


def row(analysis: Analysis) -> list[str]:
    kernel, aligned, other = analysis.kernel, analysis.aligned, unaligned_of(analysis)
    name = kernel.name.removeprefix(PREFIX)
    if aligned is None:
        return [name, "", "", "", str(kernel.registers), *("" for _ in GPUS), "", "", ""]
    cells = [name, counted(aligned), str(aligned.bytes), str(aligned.bytes_in_flight), str(kernel.registers)]
    if rule_for(kernel.name).issue == 0:
        return [*cells, *("" for _ in GPUS), "", "", ""]
    cells += [percent(aligned.issue_share(gpu)) for gpu in GPUS]
    if other is None:
        return [*cells, "", "", ""]
    return [*cells, counted(other), str(other.bytes), percent(other.issue_share(GPUS[-1]))]


def table(analyses: list[Analysis], architecture: str) -> str:
    """Markdown of the kernels of one architecture."""
    lines = [HEADINGS, ["---"] * len(HEADINGS)]
    lines += [row(one) for one in analyses if one.kernel.architecture == architecture]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def figures_document(figures: Figures | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    return {
        "instructions": figures.instructions,
        "bytes": figures.bytes,
        "bytes_in_flight_per_lane": figures.bytes_in_flight,
        "uncounted_loops": figures.path.uncounted,
        "issue_share": {gpu.name: round(figures.issue_share(gpu), 4) for gpu in GPUS} if figures.bytes else None,
    }


def document(analyses: list[Analysis]) -> dict[str, Any]:
    """All kernels of all architectures. `aligned`, `unaligned` and `narrow` are ways of a warp through one tile."""
    return {
        "gpus": {
            gpu.name: {
                "multiprocessors": gpu.multiprocessors,
                "hertz": gpu.hertz,
                "bytes_per_second": gpu.bytes_per_second,
            }
            for gpu in GPUS
        },
        "kernels": [
            {
                "name": one.kernel.name,
                "architecture": one.kernel.architecture,
                "registers": one.kernel.registers,
                "stack_bytes": one.kernel.stack_bytes,
                "aligned": figures_document(one.aligned),
                "unaligned": figures_document(unaligned_of(one)),
                "narrow": figures_document(one.narrow),
                "faults": faults_of(one),
            }
            for one in analyses
        ],
    }
