# SPDX-License-Identifier: Apache-2.0
"""What the machine code of each kernel must hold, by the name of the kernel."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from disassembly import Instruction, Kernel
from figures import H200, Analysis, Figures, analyse

# Of the time that the memory of an H200 takes, for whole tiles.
ISSUE_LIMIT = 0.60
# At least, for architectures without an instruction that rounds to bfloat16. Their GPUs have slower memory by far.
ISSUE_LIMIT_WITHOUT_ROUNDING = 0.70
WITHOUT_ROUNDING = {"sm_75"}
# For whole tiles of unaligned tensors by a few Lion kernels for parameters of 2 bytes.
ISSUE_LIMIT_OF_UNALIGNED_HALVES = 0.85


class Unaligned(Enum):
    """How a kernel treats whole tiles of buffers that are aligned to their elements only."""

    NARROW = "in narrower accesses, as far as it takes such buffers"
    SHIFTED = "in accesses as wide, by a loop of its own"
    SINGLE = "in rows of which each lane has one element"
    SAME = "as aligned ones, behind the first elements"


@dataclass(frozen=True)
class Rule:
    """What a family of kernels must hold beside what all must, on the path for aligned buffers.

    loads, stores: in how many bits at once a lane loads and stores elements, 0 if not checked. Sign words, one for 32
        elements, are narrower, so a family names the direction in which it has none. What is the same for all lanes may
        have any width.
    fused: whether a product and a sum may be rounded as one.
    searches: whether inner loops may load less, as the search for the tensor of a tile does.
    issue: the most that issuing may take of the time that the memory of an H200 takes; 0 if a kernel does not work on
        data, and such a share says nothing of it.
    unaligned: how whole tiles of unaligned buffers go.
    unaligned_issue: the same limit for those.
    row_elements: of those with Unaligned.SINGLE: how many elements of a row the way for aligned buffers stores at
        once; else 0.
    """

    loads: int = 0
    stores: int = 0
    fused: bool = True
    searches: bool = False
    issue: float = ISSUE_LIMIT
    unaligned: Unaligned = Unaligned.NARROW
    unaligned_issue: float = ISSUE_LIMIT
    row_elements: int = 0


def lion_rule(**others: Any) -> Rule:
    return Rule(fused=False, searches=True, unaligned=Unaligned.SINGLE, **others)


# The first pattern that fits a kernel's name without signccl_ counts; a new kernel meets the last one.
RULES = (
    # One lane that writes a word, waits for one, or compares a few: words, not data.
    (r"(write|wait)_word|count_replay|compare_replays", Rule(issue=0)),
    # A few hundred numbers.
    (r"lion_(begin|gradients)", Rule(issue=0)),
    # Packed signs are words, which are aligned to 8 bytes only.
    (r".*_bits", Rule()),
    # Rows of 4 elements, so that types of 2 and 4 bytes fit together: 64 bits of one, 128 of the other.
    (r"lion_encode_.*_float32_float32", lion_rule(loads=128, row_elements=4)),
    (r"lion_encode_.*", lion_rule(loads=64, row_elements=4)),
    (r"lion_decode_.*float32", lion_rule(stores=128, row_elements=4)),
    # For unaligned parameters of 2 bytes means of counts and random bits are too much: each plane takes five exchanges
    # among lanes, each parameter a load and a store of its own.
    (
        r"lion_decode_(avg.*float16|.*_stochastic)",
        lion_rule(stores=128, row_elements=8, unaligned_issue=ISSUE_LIMIT_OF_UNALIGNED_HALVES),
    ),
    (r"lion_decode_.*", lion_rule(stores=128, row_elements=8)),
    # What it writes is a word for the whole launch, by whichever lane has met something.
    (r"check_signs_.*", Rule(loads=128, unaligned=Unaligned.SAME)),
    (r"encode_.*", Rule(loads=128, unaligned=Unaligned.SHIFTED)),
    (r"decode_.*", Rule(stores=128, unaligned=Unaligned.SHIFTED)),
    # 16 planes of 128 bits would be too many registers.
    (r"count_16_planes", Rule(loads=64, stores=64)),
    (r".*", Rule(loads=128, stores=128)),
)
PREFIX = "signccl_"
FUSED = {"FFMA", "FFMA2", "DFMA", "HFMA2"}


def rule_for(name: str) -> Rule:
    short = name.removeprefix(PREFIX)
    return next(rule for pattern, rule in RULES if re.fullmatch(pattern, short))


def analysis_of(kernel: Kernel) -> Analysis:
    rule = rule_for(kernel.name)
    return analyse(kernel, has_shifted=rule.unaligned is Unaligned.SHIFTED, row_elements=rule.row_elements)


def resource_faults(analysis: Analysis) -> list[str]:
    kernel = analysis.kernel
    faults = []
    if kernel.stack_bytes or kernel.local_bytes:
        faults.append(
            f"has a stack of {kernel.stack_bytes} and local memory of {kernel.local_bytes} bytes, expected none"
        )
    local = [one for one in kernel.instructions if one.name in {"LDL", "STL"}]
    if local:
        faults.append(f"spills registers: {len(local)} accesses to local memory, the first {written(local[0])}")
    if kernel.shared_bytes:
        faults.append(f"has {kernel.shared_bytes} bytes of shared memory, expected none")
    return faults


def written(instruction: Instruction) -> str:
    text = f"{instruction.predicate} {instruction.opcode} {instruction.operands}".strip()
    return f"{instruction.offset:#x}: {text}"


def fused_faults(analysis: Analysis, rule: Rule) -> list[str]:
    # HFMA2 R1, -RZ, RZ, 1, 2 loads a constant.
    fused = [one for one in analysis.kernel.instructions if one.name in FUSED and "RZ, RZ" not in spaced(one.operands)]
    if rule.fused or not fused:
        return []
    return [f"rounds a product and a sum as one in {len(fused)} places, the first {written(fused[0])}"]


def spaced(operands: str) -> str:
    return re.sub(r",\s*", ", ", operands.replace("-RZ", "RZ"))


def width_faults(analysis: Analysis, rule: Rule) -> list[str]:
    if not rule.loads and not rule.stores:
        return []
    if analysis.aligned is None:
        return ["has no loop over tiles"]
    inner = analysis.aligned.path.inner
    faults = []
    for bits, is_load, what in ((rule.loads, True, "loads"), (rule.stores, False, "stores")):
        found = [one for one in analysis.aligned.accesses if one.by_lane and one.is_load == is_load]
        if bits and not any(one.bits >= bits for one in found):
            faults.append(f"{what} nothing in {bits} bits at once on the path for aligned buffers")
        narrow = [one for one in found if one.bits < bits and not (rule.searches and one.instruction in inner)]
        if narrow:
            faults.append(
                f"{what} {narrow[0].bits} bits at once on the path for aligned buffers, expected {bits}: "
                f"{written(narrow[0].instruction)}"
            )
    return faults


def unaligned_of(analysis: Analysis) -> Figures | None:
    """The way of whole tiles of unaligned buffers."""
    ways = {
        Unaligned.NARROW: analysis.narrow,
        Unaligned.SHIFTED: analysis.shifted,
        Unaligned.SINGLE: analysis.single,
        Unaligned.SAME: analysis.aligned,
    }
    return ways[rule_for(analysis.kernel.name).unaligned]


def issue_faults(analysis: Analysis, rule: Rule) -> list[str]:
    if rule.issue == 0:
        return []
    faults = []
    if rule.unaligned is Unaligned.SHIFTED and analysis.shifted is None:
        faults.append("has no loop for whole tiles of unaligned buffers with accesses as wide as for aligned ones")
    if rule.unaligned is Unaligned.SINGLE and analysis.single is None:
        faults.append("has no way for whole tiles of unaligned buffers in which lanes exchange bits")
    ways = [("aligned", analysis.aligned, rule.issue)]
    if rule.unaligned is not Unaligned.SAME:
        ways.append(("unaligned", unaligned_of(analysis), rule.unaligned_issue))
    for which, figures, most in ways:
        limit = max(most, ISSUE_LIMIT_WITHOUT_ROUNDING) if analysis.kernel.architecture in WITHOUT_ROUNDING else most
        if figures is None or figures.issue_share(H200) <= limit:
            continue
        faults.append(
            f"issues instructions for {figures.issue_share(H200):.0%} of the time that the memory of an {H200.name} "
            f"takes, expected at most {limit:.0%}: {figures.instructions} instructions for {figures.bytes} bytes of "
            f"{which} buffers"
        )
    return faults


def faults_of(analysis: Analysis) -> list[str]:
    """What is wrong with a kernel, in sentences without their subject."""
    rule = rule_for(analysis.kernel.name)
    return [
        *resource_faults(analysis),
        *fused_faults(analysis, rule),
        *width_faults(analysis, rule),
        *issue_faults(analysis, rule),
    ]
