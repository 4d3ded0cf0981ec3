# SPDX-License-Identifier: Apache-2.0
"""What a path through a kernel's loop moves and costs.

The cost that counts is the share of issue slots: how long a GPU takes to issue the instructions of a path, as a part of
how long its memory takes for the bytes of the path. Far below 1, memory alone decides how fast the kernel is.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from disassembly import Instruction, Kernel
from flow import Path, Weight, WeightOf, best_path, loops_of, split
from uniform import Addresses, addresses_of

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


def figures_of(path: Path, addresses: Addresses) -> Figures:
    found = tuple(accesses(path.instructions, addresses))
    executed = [one for one in path.instructions if one.name != "NOP"]
    return Figures(path, found, len(executed), sum(one.bytes for one in found), bytes_in_flight(executed))


def accesses(instructions: Iterable[Instruction], addresses: Addresses) -> Iterator[Access]:
    """The accesses to memory among instructions, without lookups, which the cache serves."""
    for instruction in instructions:
        found = access(instruction, instruction.offset in addresses.by_lane)
        if found is not None and instruction.offset not in addresses.lookups:
            yield found


def wide_first(addresses: Addresses) -> WeightOf:
    """Weight of the path for aligned buffers, which has the wide accesses. The longest of those is taken."""

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        bits = [one.bits for one in accesses(listed, addresses) if one.by_lane]
        return sum(one for one in bits if one >= 128), sum(one for one in bits if one == 64), len(listed)

    return weigh


def narrower_than(widest: int, addresses: Addresses) -> WeightOf:
    """Weight of the path for other buffers, which has accesses below so many bits."""

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        bits = [one.bits for one in accesses(listed, addresses) if one.by_lane]
        return -sum(one for one in bits if one >= widest), sum(one for one in bits if one < widest), len(listed)

    return weigh


@dataclass(frozen=True)
class Analysis:
    """The path for aligned buffers, and that for others; None where there is none.

    That for others is None as well where it has inner loops, since how often those turn decides what it costs.
    """

    kernel: Kernel
    aligned: Figures | None
    unaligned: Figures | None


def analyse(kernel: Kernel) -> Analysis:
    blocks = split(kernel.instructions)
    loops = loops_of(blocks)
    if not loops:
        return Analysis(kernel, None, None)
    addresses = addresses_of(blocks)

    def heaviest(weigh: WeightOf) -> Figures:
        paths = [best_path(blocks, loop, weigh) for loop in loops]
        return figures_of(max(paths, key=lambda one: weigh(one.instructions)), addresses)

    aligned = heaviest(wide_first(addresses))
    widest = max((one.bits for one in aligned.accesses if one.by_lane), default=0)
    if widest <= 32:
        return Analysis(kernel, aligned, None)
    other = heaviest(narrower_than(widest, addresses))
    has_two = other.bytes > 0 and not any(one.by_lane and one.bits >= widest for one in other.accesses)
    return Analysis(kernel, aligned, other if has_two and other.path.uncounted == 0 else None)
