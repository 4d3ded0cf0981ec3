"""Which values differ between the lanes of a warp: those that come from the number of the lane.

An access whose address is the same in all lanes, such as that of a hyperparameter, moves one sector of 32 bytes, not 32
elements. The values are followed along one path. What is not recognised counts as different.
"""

import re
from collections.abc import Iterable, Iterator

from disassembly import Instruction

# Results that are the same in all lanes, whatever they come from. Registers of all lanes (UR) hold such values only.
SAME = {"VOTE", "VOTEU", "REDUX", "CREDUX", "R2UR", "S2UR", "LDC", "ULDC", "LDCU", "MOV32I"}
NO_RESULT = {"STG", "ST", "STL", "STS", "BRA", "EXIT", "BSSY", "BSYNC", "NOP", "WARPSYNC", "CALL", "RET", "BREAK"}
REGISTER = re.compile(r"\b(R|P)(\d+)\b")


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
PREDICATES: Registers = {("P", number) for number in range(7)}


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
        size = width(instruction) if kind == "R" else 1
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


class Lanes:
    """Which registers hold values that differ between lanes.

    What an instruction under a predicate wrote is what instructions under the same predicate read.
    """

    def __init__(self) -> None:
        self.different: Registers = set()
        self.thread: Registers = set()  # hold the number of the thread in its block
        self.guarded: dict[tuple[str, tuple[str, int]], bool] = {}

    def differ(self, read: Registers, guard: str) -> bool:
        return any(self.guarded.get((guard, one), one in self.different) for one in read)

    def execute(self, instruction: Instruction) -> None:
        results, sources = results_and_sources(instruction)
        guard = instruction.predicate
        is_thread = instruction.name == "S2R" and "SR_TID.X" in instruction.operands
        is_lane = is_thread or (instruction.name == "S2R" and "SR_LANEID" in instruction.operands)
        is_same = instruction.name in SAME or is_number_of_warp(instruction, self.thread)
        differs = is_lane or (not is_same and self.differ(sources, guard))
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
        elif not guard:
            self.different -= results
        self.thread = self.thread | results if is_thread else self.thread - results


def lane_accesses(path: Iterable[Instruction]) -> Iterator[tuple[Instruction, bool]]:
    """Each instruction of a path, and whether the address that it accesses differs between lanes."""
    lanes = Lanes()
    for instruction in path:
        address = registers(" ".join(re.findall(r"\[[^\]]*\]", instruction.operands)))
        yield instruction, lanes.differ(address, instruction.predicate)
        lanes.execute(instruction)
