"""What a path through a kernel's loop moves and costs.

The cost that counts is the share of issue slots: how long a GPU takes to issue the instructions of a path, as a part of
how long its memory takes for the bytes of the path. Far below 1, memory alone decides how fast the kernel is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from disassembly import Instruction, Kernel
from flow import Block, Loop, Path, Weight, WeightOf, best_path, loops_of, split, way_to
from uniform import lane_accesses

LANES = 32
SECTOR_BYTES = 32


@dataclass(frozen=True)
class Gpu:
    """As the data sheets have them: the clock under load, and the peak of the memory."""

    name: str
    multiprocessors: int
    hertz: float
    bytes_per_second: float

    @property
    def issued_per_second(self) -> float:
        return self.multiprocessors * 4 * self.hertz


H100 = Gpu("H100", 132, 1.755e9, 3.35e12)
H200 = Gpu("H200", 132, 1.755e9, 4.8e12)
GPUS = (H100, H200)


@dataclass(frozen=True)
class Access:
    """An access to global memory; `by_lane`: whether each lane has an address of its own."""

    instruction: Instruction
    is_load: bool
    bits: int
    by_lane: bool = True

    @property
    def bytes(self) -> int:
        """Of a warp."""
        return self.bits // 8 * LANES if self.by_lane else max(SECTOR_BYTES, self.bits // 8)


def access(instruction: Instruction, by_lane: bool = True) -> Access | None:
    """What the instruction does to global memory, None if nothing."""
    if instruction.name not in {"LDG", "STG", "LD", "ST"}:
        return None
    width = re.search(r"\.([US]?)(8|16|64|128|256)(\.|$)", instruction.opcode)
    return Access(instruction, instruction.name.startswith("LD"), int(width[2]) if width else 32, by_lane)


def registers_in(operands: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bR(\d+)\b", operands)]


def bytes_in_flight(path: Iterable[Instruction]) -> int:
    """The most bytes that a lane has asked for and not yet used, over one turn of the loop."""
    waiting: list[tuple[range, int]] = []
    most = 0
    for instruction in path:
        used = registers_in(instruction.operands)
        waiting = [(loaded, size) for loaded, size in waiting if not any(one in loaded for one in used)]
        found = access(instruction)
        if found and found.is_load and used:
            first = used[0]
            waiting.append((range(first, first + max(1, found.bits // 32)), found.bits // 8))
            most = max(most, sum(size for _, size in waiting))
    return most


@dataclass(frozen=True)
class Figures:
    """One turn of a loop by a warp."""

    path: Path
    accesses: tuple[Access, ...]
    instructions: int
    bytes: int
    bytes_in_flight: int

    def issue_share(self, gpu: Gpu) -> float:
        """Time to issue the instructions / time to move the bytes; infinite if there are none."""
        if self.bytes == 0:
            return float("inf")
        return self.instructions / gpu.issued_per_second / (self.bytes / gpu.bytes_per_second)


def figures_of(blocks: list[Block], loop: Loop, path: Path) -> Figures:
    # Twice, so that what a turn leaves to the next one is known.
    before = (*way_to(blocks, loop.header), *path.instructions)
    turn = list(lane_accesses((*before, *path.instructions)))[len(before) :]
    found = tuple(one for one in (access(*each) for each in turn) if one is not None)
    executed = [one for one in path.instructions if one.name != "NOP"]
    return Figures(path, found, len(executed), sum(one.bytes for one in found), bytes_in_flight(executed))


def bits_of(instructions: Iterable[Instruction], least: int) -> int:
    """Bits that a lane moves in accesses of at least `least` bits."""
    found = (access(one) for one in instructions)
    return sum(one.bits for one in found if one is not None and one.bits >= least)


def wide_first(instructions: Iterable[Instruction]) -> Weight:
    """Weight of the path for aligned buffers, which has the wide accesses. The longest of those is taken."""
    listed = list(instructions)
    return bits_of(listed, 128), bits_of(listed, 64), len(listed)


def narrower_than(bits: int) -> WeightOf:
    """Weight of the path for other buffers, which has accesses below so many bits."""

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        wide = bits_of(listed, bits)
        return -wide, bits_of(listed, 0) - wide, len(listed)

    return weigh


@dataclass(frozen=True)
class Analysis:
    """The path for aligned buffers, and that for others; None where there is none.

    That for others is None as well where it has inner loops, since how often those turn decides what it costs.
    """

    kernel: Kernel
    aligned: Figures | None
    unaligned: Figures | None


def heaviest(blocks: list[Block], loops: list[Loop], weigh: WeightOf) -> Figures:
    paths = [(loop, best_path(blocks, loop, weigh)) for loop in loops]
    loop, path = max(paths, key=lambda one: weigh(one[1].instructions))
    return figures_of(blocks, loop, path)


def analyse(kernel: Kernel) -> Analysis:
    blocks = split(kernel.instructions)
    loops = loops_of(blocks)
    if not loops:
        return Analysis(kernel, None, None)
    aligned = heaviest(blocks, loops, wide_first)
    widest = max((one.bits for one in aligned.accesses if one.by_lane), default=0)
    if widest <= 32:
        return Analysis(kernel, aligned, None)
    other = heaviest(blocks, loops, narrower_than(widest))
    has_two = other.bytes > 0 and not any(one.by_lane and one.bits >= widest for one in other.accesses)
    return Analysis(kernel, aligned, other if has_two and other.path.inner_loops == 0 else None)
