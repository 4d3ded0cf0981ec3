# SPDX-License-Identifier: Apache-2.0
"""Control flow of a kernel: its blocks, its loops, and the ways through a loop.

A kernel has loops over tiles, or one with several ways through it: for whole tiles of aligned buffers, in accesses of
128 bits, and for everything else. What a warp executes for a tile is thus a path through a loop. Where a path has an
inner loop, that is taken as often as it turns, or once if neither a constant nor the caller says how often that is.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from disassembly import Instruction
from turns import constant_turns

# What a path is chosen by: the larger, the better. Sums over blocks are sums of these numbers.
Weight = tuple[int, ...]
WeightOf = Callable[[Iterable[Instruction]], Weight]
# How often an inner loop turns whose number of turns is no constant, by the instructions of a turn; None: not known.
TurnsOf = Callable[[tuple[Instruction, ...]], int | None]


class FlowError(Exception):
    """A jump that this reading of machine code does not understand."""


@dataclass
class Block:
    """Instructions that follow each other without a jump, and the blocks that may come next, by their numbers."""

    instructions: list[Instruction]
    next: list[int] = field(default_factory=list)


@dataclass
class Loop:
    """A loop, by the numbers of its blocks; `inner` are the loops directly in it."""

    header: int
    blocks: set[int]
    inner: list["Loop"] = field(default_factory=list)


@dataclass(frozen=True)
class Path:
    """One turn of a loop.

    uncounted: how many inner loops turn as often as the arguments of the kernel say; each is here once.
    inner: the instructions of all inner loops.
    """

    instructions: tuple[Instruction, ...]
    uncounted: int
    inner: frozenset[Instruction] = frozenset()

    def then(self, rest: "Path") -> "Path":
        return Path(self.instructions + rest.instructions, self.uncounted + rest.uncounted, self.inner | rest.inner)


ENDS = {"EXIT", "RET", "KILL", "RTT"}
JUMPS = {"BRA", "JMP"}
UNKNOWN = {"BRX", "BRXU", "JMX", "JMXU", "BRK", "CONT", "SYNC", "PBK", "SSY"}


def target(instruction: Instruction) -> int:
    found = re.search(r"(0x[0-9a-f]+)\)?$", instruction.operands)
    if not found:
        raise FlowError(f"{instruction.opcode} {instruction.operands} names no address")
    return int(found[1], 16)


def is_jump(instruction: Instruction) -> bool:
    """For sm_80 some loops end in a CALL of the place that comes next; that of a function has its name."""
    return instruction.name in JUMPS or (instruction.name == "CALL" and instruction.operands.startswith("0x"))


def continuations(instruction: Instruction) -> tuple[bool, bool]:
    """Whether a warp whose lanes are together may jump, and whether it may go on to the next instruction."""
    if instruction.name in UNKNOWN:
        raise FlowError(f"{instruction.opcode} at {instruction.offset:#x} jumps to an address that is computed")
    if instruction.predicate == "@!PT":  # never
        return False, True
    if instruction.name in ENDS:
        return False, bool(instruction.predicate)
    if not is_jump(instruction) or ".DIV" in instruction.opcode:  # .DIV: for lanes that are not together
        return False, True
    if ".CONV" in instruction.opcode:  # for lanes that are together
        return True, False
    conditional = bool(instruction.predicate) or "," in instruction.operands
    return True, conditional


def split(instructions: tuple[Instruction, ...]) -> list[Block]:
    """The blocks in order; the first one is where the kernel begins."""
    moves = [continuations(instruction) for instruction in instructions]
    starts = {0}
    for number, (instruction, (jumps, goes_on)) in enumerate(zip(instructions, moves, strict=True)):
        if jumps:
            starts.add(target(instruction))
        if (jumps or not goes_on) and number + 1 < len(instructions):
            starts.add(instructions[number + 1].offset)
    numbers = {offset: number for number, offset in enumerate(sorted(starts))}
    blocks = [Block([]) for _ in numbers]
    current = 0
    for number, (instruction, (jumps, goes_on)) in enumerate(zip(instructions, moves, strict=True)):
        current = numbers.get(instruction.offset, current)
        blocks[current].instructions.append(instruction)
        following = instructions[number + 1].offset if number + 1 < len(instructions) else -1
        if jumps:
            blocks[current].next.append(numbers[target(instruction)])
        if goes_on and following in numbers and numbers[following] not in blocks[current].next:
            blocks[current].next.append(numbers[following])
    return blocks


def order_of(blocks: list[Block]) -> list[int]:
    """The blocks that are reached from the first one, each before those that follow it but for jumps back."""
    seen, order = {0}, []
    stack = [(0, iter(blocks[0].next))]
    while stack:
        number, following = stack[-1]
        unseen = next((one for one in following if one not in seen), None)
        if unseen is None:
            order.append(number)
            stack.pop()
        else:
            seen.add(unseen)
            stack.append((unseen, iter(blocks[unseen].next)))
    return order[::-1]


def dominators(blocks: list[Block], order: list[int]) -> dict[int, set[int]]:
    """For each block those that every way from the first block to it goes through."""
    before: dict[int, list[int]] = {number: [] for number in order}
    for number in order:
        for following in blocks[number].next:
            before[following].append(number)
    result = {number: set(order) for number in order}
    result[0] = {0}
    changed = True
    while changed:
        changed = False
        for number in order[1:]:
            new = set.intersection(*(result[one] for one in before[number])) | {number}
            changed = changed or new != result[number]
            result[number] = new
    return result


def body_of(blocks: list[Block], order: list[int], header: int, last: int) -> set[int]:
    """The blocks from which `last` is reached without passing `header`."""
    body, waiting = {header, last}, [last]
    while waiting:
        number = waiting.pop()
        if number == header:
            continue
        for before in order:
            if number in blocks[before].next and before not in body:
                body.add(before)
                waiting.append(before)
    return body


def loops_of(blocks: list[Block]) -> list[Loop]:
    """The outermost loops, which hold the others."""
    order = order_of(blocks)
    place = {number: index for index, number in enumerate(order)}
    dominating = dominators(blocks, order)
    found: dict[int, Loop] = {}
    for number in order:
        for following in blocks[number].next:
            if place[following] > place[number]:
                continue
            if following not in dominating[number]:
                raise FlowError(f"a loop is entered in two places, one of them block {following}")
            body = body_of(blocks, order, following, number)
            found.setdefault(following, Loop(following, set())).blocks |= body
    outermost = []
    for loop in sorted(found.values(), key=lambda one: len(one.blocks)):
        around = [other for other in found.values() if other is not loop and loop.blocks < other.blocks]
        if around:
            min(around, key=lambda one: len(one.blocks)).inner.append(loop)
        else:
            outermost.append(loop)
    return sorted(outermost, key=lambda one: one.header)


def unknown_turns(_: tuple[Instruction, ...]) -> None:
    return None


def all_turns(blocks: list[Block], loop: Loop, turn: Path, turns_of: TurnsOf) -> Path:
    """All turns of an inner loop, if their number is a constant or known by turns_of(); else one."""
    starts = {block.instructions[0].offset: number for number, block in enumerate(blocks)}
    following = {block.instructions[-1].offset: block.next for block in blocks}

    def leaves(jump: Instruction, taken: bool) -> bool:
        to = starts[target(jump)]
        others = [one for one in following.get(jump.offset, []) if one != to]
        return (to if taken else others[0] if others else to) not in loop.blocks

    turns = constant_turns(before_loop(blocks, loop), turn.instructions, leaves)
    inner = turn.inner | frozenset(turn.instructions)
    if turns is None:
        turns = turns_of(turn.instructions)
    if turns is None:
        return Path(turn.instructions, turn.uncounted + 1, inner)
    return Path(turn.instructions * turns, turn.uncounted, inner)


def before_loop(blocks: list[Block], loop: Loop) -> list[Instruction]:
    """What is certainly executed just before a loop: the blocks that lead to it and nowhere else come from."""
    way: list[int] = []
    number, inside = loop.header, loop.blocks
    reached = order_of(blocks)
    while True:
        before = [one for one in reached if number in blocks[one].next and one not in inside]
        if len(before) != 1 or before[0] in way:
            return [instruction for one in reversed(way) for instruction in blocks[one].instructions]
        number, inside = before[0], set()
        way.append(number)


def best_path(blocks: list[Block], loop: Loop, weigh: WeightOf, turns_of: TurnsOf = unknown_turns) -> Path:
    """The way from the loop's header back to it that weighs most."""
    inner = {number: one for one in loop.inner for number in one.blocks}
    order = [number for number in order_of(blocks) if number in loop.blocks]
    place = {number: index for index, number in enumerate(order)}
    best: dict[int, tuple[Weight, Path]] = {}

    def after(number: int, exits: list[int]) -> tuple[Weight, Path] | None:
        """The best continuation of those that lead back to the header."""
        ways: list[tuple[Weight, Path]] = []
        for following in exits:
            if following == loop.header:
                ways.append(((), Path((), 0)))
            elif following in best and place[following] > place[number]:
                ways.append(best[following])
        return max(ways, key=lambda way: way[0], default=None)

    for number in reversed(order):
        within = inner.get(number)
        if within is not None and number != within.header:
            continue  # part of its header
        if within is None:
            own, exits = Path(tuple(blocks[number].instructions), 0), blocks[number].next
        else:
            own = all_turns(blocks, within, best_path(blocks, within, weigh, turns_of), turns_of)
            exits = [one for member in within.blocks for one in blocks[member].next if one not in within.blocks]
        rest = after(number, exits)
        if rest is not None:
            path = own.then(rest[1])
            best[number] = (weigh(path.instructions), path)
    if loop.header not in best:
        raise FlowError(f"no way through the loop at block {loop.header} was found")
    return best[loop.header][1]
