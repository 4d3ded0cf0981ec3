# SPDX-License-Identifier: Apache-2.0
"""What the machine code of each kernel must hold, by the name of the kernel."""

import re
from dataclasses import dataclass

from disassembly import Instruction
from figures import H200, Analysis

# Of the time that the memory of an H200 takes, for aligned buffers.
ISSUE_LIMIT = 0.60
# At least, for architectures without an instruction that rounds to bfloat16. Their GPUs have slower memory by far.
ISSUE_LIMIT_WITHOUT_ROUNDING = 0.70
WITHOUT_ROUNDING = {"sm_75"}


@dataclass(frozen=True)
class Rule:
    """What a family of kernels must hold beside what all must, on the path for aligned buffers.

    loads, stores: in how many bits at once a lane loads and stores elements, 0 if not checked. Sign words, one for 32
        elements, are narrower, so a family names the direction in which it has none. What is the same for all lanes may
        have any width.
    fused: whether a product and a sum may be rounded as one.
    searches: whether inner loops may load less, as the search for the tensor of a tile does.
    issue: the most that issuing may take of the time that the memory of an H200 takes; 0 if there is no such path.
    """

    loads: int = 0
    stores: int = 0
    fused: bool = True
    searches: bool = False
    issue: float = ISSUE_LIMIT


# The first pattern that fits a kernel's name without signccl_ counts; a new kernel meets the last one.
RULES = (
    # One lane that writes or awaits a word, or looks at a few.
    (r"(write|wait)_word|count_replay|compare_replays", Rule(issue=0)),
    # A few hundred numbers.
    (r"lion_(begin|gradients)", Rule(issue=0)),
    # Packed signs are words, which are aligned to 8 bytes only.
    (r".*_bits", Rule()),
    # Rows of 4 elements, so that types of 2 and 4 bytes fit together: 64 bits of one, 128 of the other.
    (r"lion_encode_.*float32.*float32", Rule(loads=128, fused=False, searches=True)),
    (r"lion_encode_.*", Rule(loads=64, fused=False, searches=True)),
    (r"lion_decode_.*", Rule(stores=128, fused=False, searches=True)),
    # What it writes is a word for the whole launch, by whichever lane has met something.
    (r"check_signs_.*", Rule(loads=128)),
    (r"encode_.*", Rule(loads=128)),
    (r"decode_.*", Rule(stores=128)),
    # 16 planes of 128 bits would be too many registers.
    (r"count_16_planes", Rule(loads=64, stores=64)),
    (r".*", Rule(loads=128, stores=128)),
)
PREFIX = "signccl_"
FUSED = {"FFMA", "FFMA2", "DFMA", "HFMA2"}


def rule_for(name: str) -> Rule:
    short = name.removeprefix(PREFIX)
    return next(rule for pattern, rule in RULES if re.fullmatch(pattern, short))


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


def issue_faults(analysis: Analysis, rule: Rule) -> list[str]:
    if analysis.aligned is None or rule.issue == 0:
        return []
    limit = rule.issue
    if analysis.kernel.architecture in WITHOUT_ROUNDING:
        limit = max(limit, ISSUE_LIMIT_WITHOUT_ROUNDING)
    share = analysis.aligned.issue_share(H200)
    if share <= limit:
        return []
    return [
        f"issues instructions for {share:.0%} of the time that the memory of an {H200.name} takes, expected at most "
        f"{limit:.0%}: {analysis.aligned.instructions} instructions for {analysis.aligned.bytes} bytes"
    ]


def faults_of(analysis: Analysis) -> list[str]:
    """What is wrong with a kernel, in sentences without their subject."""
    rule = rule_for(analysis.kernel.name)
    return [
        *resource_faults(analysis),
        *fused_faults(analysis, rule),
        *width_faults(analysis, rule),
        *issue_faults(analysis, rule),
    ]
