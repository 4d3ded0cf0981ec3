# SPDX-License-Identifier: Apache-2.0
"""Which values differ between the lanes of a warp: those that come from the number of the lane.

An access whose address is the same in all lanes, such as that of a hyperparameter, moves one sector of 32 bytes, not 32
elements. Values are followed along all ways through a kernel. What is not recognised counts as different.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from disassembly import Instruction

# Results that are the same in all lanes, whatever they come from. Registers of the warp (UR) hold such values only.
SAME = {"VOTE", "VOTEU", "REDUX", "CREDUX", "R2UR", "S2UR", "LDC", "ULDC", "LDCU", "MOV32I"}
NO_RESULT = {"STG", "ST", "STL", "STS", "BRA", "EXIT", "BSSY", "BSYNC", "NOP", "WARPSYNC", "CALL", "RET", "BREAK"}
LOADS = {"LDG", "LD"}
REGISTER = re.compile(r"\b(UR|UP|R|P)(\d+)\b")


def split_operands(operands: str) -> list[str]:
    """By the commas outside brackets."""
    parts = re.split(r",(?![^\[]*\])", operands)
    return [part.strip() for part in parts if part.strip()]


def width(instruction: Instruction) -> int:
    """Registers that a result takes."""
    if instruction.name == "CS2R" and not instruction.opcode.endswith(".32"):
        return 2
    for modifier, registers in ((".128", 4), (".64", 2), (".WIDE", 2)):
        if modifier in instruction.opcode:
            return registers
    return 2 if instruction.name in {"DADD", "DMUL", "DFMA"} else 1


def registers(text: str) -> set[tuple[str, int]]:
    """Of all lanes, and predicates: {("R", 4), ("P", 0)}."""
    return {(kind, int(number)) for kind, number in REGISTER.findall(text)}


Registers = set[tuple[str, int]]


class BlockLike(Protocol):
    """A Block of flow.py."""

    instructions: list[Instruction]
    next: list[int]


PREDICATES: Registers = {("P", number) for number in range(7)}


@cache
def results_and_sources(instruction: Instruction) -> tuple[Registers, Registers]:
    """The registers and predicates that an instruction writes, and those that it reads."""
    if instruction.name == "R2P":
        return PREDICATES, registers(instruction.operands)
    parts = split_operands(instruction.operands)
    count = 0
    if instruction.name not in NO_RESULT and parts:
        first_is_predicate = re.fullmatch(r"!?U?P(\d+|T)", parts[0]) is not None
        second_is_predicate = len(parts) > 1 and re.fullmatch(r"U?P(\d+|T)", parts[1]) is not None
        count = 2 if len(parts) > 1 and (first_is_predicate or second_is_predicate) else 1
    results = set()
    for kind, number in registers(" ".join(parts[:count])):
        size = width(instruction) if kind in {"R", "UR"} else 1
        results |= {(kind, number + offset) for offset in range(size)}
    sources = registers(" ".join(parts[count:])) | registers(instruction.predicate)
    return results, sources | PREDICATES if instruction.name == "P2R" else sources


def is_number_of_warp(instruction: Instruction, thread_registers: Registers) -> bool:
    """Whether the instruction makes what a warp shares of the number of a thread: its quotient by 32, or a multiple."""
    _, sources = results_and_sources(instruction)
    if not sources or not sources <= thread_registers:
        return False
    operands = instruction.operands
    shifts = (
        instruction.name == "SHF" and ".R." in instruction.opcode and re.search(r"\b0x([5-9]|1[0-9a-f])\b", operands)
    )
    masks = instruction.name == "LOP3" and re.search(r"\b0x[0-9a-f]*[02468ace]0\b", operands)
    return bool(shifts or masks)


def address_registers(instruction: Instruction) -> Registers:
    return registers(" ".join(re.findall(r"\[[^\]]*\]", instruction.operands)))


@dataclass
class Lanes:
    """What is known of the registers at one place of a kernel.

    different: those whose values may differ between lanes.
    thread: those that hold the number of the thread in its block.
    guarded: what an instruction under a predicate wrote, for those that read it under the same predicate.
    loads: if given, what is followed is what these loads give, by their offsets, instead of the number of the lane.
    """

    different: Registers = field(default_factory=set)
    thread: Registers = field(default_factory=set)
    guarded: dict[tuple[str, tuple[str, int]], bool] = field(default_factory=dict)
    loads: frozenset[int] | None = None

    def copy(self) -> "Lanes":
        return Lanes(set(self.different), set(self.thread), dict(self.guarded), self.loads)

    def joined(self, other: "Lanes") -> "Lanes":
        """What is known where two ways meet."""
        guarded = {key: value for key, value in self.guarded.items() if other.guarded.get(key) == value}
        return Lanes(self.different | other.different, self.thread & other.thread, guarded, self.loads)

    def differ(self, read: Registers, guard: str) -> bool:
        return any(self.guarded.get((guard, one), one in self.different) for one in read)

    def execute(self, instruction: Instruction) -> None:
        results, sources = results_and_sources(instruction)
        guard = instruction.predicate
        is_thread = instruction.name == "S2R" and "SR_TID.X" in instruction.operands
        is_lane = is_thread or (instruction.name == "S2R" and "SR_LANEID" in instruction.operands)
        is_same = instruction.name in SAME or is_number_of_warp(instruction, self.thread)
        if self.loads is not None:
            is_lane = instruction.name in LOADS and instruction.offset in self.loads
        differs = is_lane or (not is_same and self.differ(sources, guard))
        if self.guarded:
            changed = {one for kind, number in results if kind == "P" for one in (f"@P{number}", f"@!P{number}")}
            self.guarded = {
                (by, one): value
                for (by, one), value in self.guarded.items()
                if by not in changed and (one not in results or (guard and by != guard))
            }
        if guard:
            self.guarded |= {(guard, one): differs for one in results}
        if differs:
            self.different |= results
        elif guard:  # what an instruction under the opposite predicate has not made different either is the same now
            opposite = guard.replace("@!", "@") if "!" in guard else guard.replace("@", "@!")
            self.different -= {one for one in results if self.guarded.get((opposite, one)) is False}
        else:
            self.different -= results
        self.thread = self.thread | results if is_thread else self.thread - results

    def by_lane(self, instruction: Instruction) -> bool:
        """Whether the address that the instruction accesses differs between lanes."""
        return self.differ(address_registers(instruction), instruction.predicate)


def follow(blocks: Sequence[BlockLike], start: Lanes) -> Iterator[tuple[Lanes, Instruction]]:
    """What is known before each instruction of a kernel of these blocks, along all ways that lead to it."""
    before = {0: start}
    waiting = [0]
    while waiting:
        number = waiting.pop()
        known = before[number].copy()
        for instruction in blocks[number].instructions:
            known.execute(instruction)
        for following in blocks[number].next:
            earlier = before.get(following)
            new = known if earlier is None else earlier.joined(known)
            if new != earlier:
                before[following] = new.copy()
                waiting.append(following)
    for number, known in before.items():
        for instruction in blocks[number].instructions:
            yield known, instruction
            known.execute(instruction)


@dataclass(frozen=True)
class Addresses:
    """Offsets of the instructions whose address differs between lanes; and of those among them, as of a lookup in a
    table, whose address comes from what lanes have loaded: the cache has what they load."""

    by_lane: frozenset[int]
    lookups: frozenset[int]


def addresses_of(blocks: Sequence[BlockLike]) -> Addresses:
    by_lane = frozenset(one.offset for lanes, one in follow(blocks, Lanes()) if lanes.by_lane(one))
    loaded = Lanes(loads=by_lane)
    lookups = frozenset(one.offset for lanes, one in follow(blocks, loaded) if lanes.by_lane(one) and one.name in LOADS)
    return Addresses(by_lane, lookups)
