# SPDX-License-Identifier: Apache-2.0
"""What a path through a kernel's loop moves and costs.

The cost that counts is the share of issue slots: how long a GPU takes to issue the instructions of a path, as a part of
how long its memory takes for the bytes of the path. Far below 1, memory alone decides how fast the kernel is.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from disassembly import Instruction, Kernel
from flow import Block, Loop, Path, TurnsOf, Weight, WeightOf, best_path, loops_of, split, unknown_turns
from uniform import Addresses, addresses_of

LANES = 32
SECTOR_BYTES = 32
ELEMENTS_OF_LANE = 32  # in a tile of 1,024


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
    """Weight of the ways for whole tiles, which have the wide accesses. The longest in a loop is taken."""

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        bits = [one.bits for one in accesses(listed, addresses) if one.by_lane]
        return sum(one for one in bits if one >= 128), sum(one for one in bits if one == 64), len(listed)

    return weigh


def narrower_than(widest: int, addresses: Addresses) -> WeightOf:
    """Weight of the way element by element, which has accesses below so many bits."""

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        bits = [one.bits for one in accesses(listed, addresses) if one.by_lane]
        return -sum(one for one in bits if one >= widest), sum(one for one in bits if one < widest), len(listed)

    return weigh


def single_rows(widest: int, addresses: Addresses) -> WeightOf:
    """Weight of the way for whole tiles in rows of single elements: of the ways in narrow accesses that in which lanes
    exchange bits. Those of a tile that is not whole get there by votes."""
    narrow = narrower_than(widest, addresses)

    def weigh(instructions: Iterable[Instruction]) -> Weight:
        listed = list(instructions)
        wide, *others = narrow(listed)
        return wide, exchanges(listed), *others

    return weigh


def exchanges(instructions: Iterable[Instruction]) -> int:
    return sum(one.name == "SHFL" for one in instructions)


def turns_over_rows(addresses: Addresses, elements: int) -> TurnsOf:
    """Turns of a loop over the rows of a whole tile, which has 32 elements for a lane: each turn stores some of them,
    by so many at once."""

    def turns(turn: tuple[Instruction, ...]) -> int | None:
        stores = sum(one.by_lane and not one.is_load for one in accesses(turn, addresses))
        return ELEMENTS_OF_LANE // (elements * stores) if stores else None

    return turns


@dataclass(frozen=True)
class Analysis:
    """The ways of a kernel, each for one tile by a warp; None where there is none.

    aligned: whole tiles of buffers that are aligned to 16 bytes.
    shifted: whole tiles of other buffers, in accesses as wide.
    single: whole tiles of other buffers, in rows of which each lane has one element.
    narrow: element by element, or in narrower accesses. None as well where it has inner loops of which nobody knows how
        often they turn, since that decides what it costs.
    """

    kernel: Kernel
    aligned: Figures | None
    shifted: Figures | None = None
    single: Figures | None = None
    narrow: Figures | None = None


def analyse(kernel: Kernel, *, has_shifted: bool = False, row_elements: int = 0) -> Analysis:
    """The ways of a kernel; the arguments say what it has beside the aligned one.

    has_shifted: whether there is a shifted way.
    row_elements: if it takes whole tiles of unaligned buffers in rows of single elements, how many elements of a row
        the aligned way stores at once; else 0. Loops over rows turn until all elements of the tile are stored. What the
        ends of buffers cost is not asked then.
    """
    blocks = split(kernel.instructions)
    loops = loops_of(blocks)
    if not loops:
        return Analysis(kernel, None)
    addresses = addresses_of(blocks)
    paths = ways_through(blocks, loops, addresses, wide_first(addresses), row_elements)
    aligned, shifted = whole_tiles(paths, addresses, has_shifted)
    widest = max((one.bits for one in aligned.accesses if one.by_lane), default=0)
    if widest <= 32:
        return Analysis(kernel, aligned, shifted)
    weigh = single_rows(widest, addresses) if row_elements else narrower_than(widest, addresses)
    paths = ways_through(blocks, loops, addresses, weigh, min(row_elements, 1))
    narrow = figures_of(max(paths, key=lambda one: weigh(one.instructions)), addresses)
    if narrow.bytes == 0 or any(one.by_lane and one.bits >= widest for one in narrow.accesses):
        return Analysis(kernel, aligned, shifted)
    if row_elements:
        is_whole = exchanges(narrow.path.instructions) != 0
        return Analysis(kernel, aligned, single=with_bytes_of(narrow, aligned) if is_whole else None)
    if narrow.path.uncounted != 0:
        return Analysis(kernel, aligned, shifted)
    return Analysis(kernel, aligned, shifted, narrow=narrow)


def ways_through(
    blocks: list[Block], loops: list[Loop], addresses: Addresses, weigh: WeightOf, row_elements: int
) -> list[Path]:
    """The way through each loop that weighs most."""
    turns_of = turns_over_rows(addresses, row_elements) if row_elements else unknown_turns
    return [best_path(blocks, loop, weigh, turns_of) for loop in loops]


def with_bytes_of(figures: Figures, aligned: Figures) -> Figures:
    """A whole tile moves the bytes of an aligned one on any way: what it reads twice, or beyond its end where another
    tile reads it as well, the cache has."""
    return replace(figures, bytes=aligned.bytes)


def whole_tiles(paths: list[Path], addresses: Addresses, has_shifted: bool) -> tuple[Figures, Figures | None]:
    """The aligned way and the shifted one: of loops with as many bits in wide accesses, that which reads more."""
    weigh = wide_first(addresses)
    best = max(paths, key=lambda one: weigh(one.instructions))
    if not has_shifted:
        return figures_of(best, addresses), None
    wide_bits = weigh(best.instructions)[0]
    ways = [figures_of(one, addresses) for one in paths if weigh(one.instructions)[0] == wide_bits]
    ways.sort(key=lambda one: (one.bytes, one.instructions))
    return ways[0], with_bytes_of(ways[-1], ways[0]) if len(ways) > 1 else None
