# SPDX-License-Identifier: Apache-2.0
"""How often an inner loop turns, where that is a constant: it counts a register up to a constant, or down.

The few instructions that count are carried out; a register that any other instruction writes is unknown from then on.
"""

import re
import struct
from collections.abc import Callable, Iterable

from disassembly import Instruction
from uniform import results_and_sources, split_operands

MOST = 256
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
}


def signed(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def conditions_of(jump: Instruction) -> list[str]:
    """The operands before the target."""
    return split_operands(jump.operands)[:-1]


class Machine:
    """Registers and predicates whose values are known. A register is a number modulo 2^32, a predicate 0 or 1."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {"RZ": 0, "URZ": 0, "SRZ": 0, "PT": 1, "UPT": 1}

    def value(self, operand: str) -> int | None:
        text = operand.removesuffix(".reuse")
        if re.fullmatch(r"-?0x[0-9a-f]+", text):
            return int(text, 16) % 2**32
        if text.startswith("-") and text[1:] in self.values:
            return -self.values[text[1:]] % 2**32
        if text.startswith("!") and text[1:] in self.values:
            return 1 - self.values[text[1:]]
        return self.values.get(text)

    def guard(self, instruction: Instruction) -> int | None:
        return self.value(instruction.predicate.removeprefix("@")) if instruction.predicate else 1

    def takes(self, jump: Instruction) -> int | None:
        """Whether a jump is taken: its predicate holds, and so do those before its target, as in BRA.U !UP0, 0x80."""
        values = [self.guard(jump), *(self.value(one) for one in conditions_of(jump))]
        if 0 in values:
            return 0
        return None if None in values else 1

    def sum(self, operands: Iterable[str]) -> int | None:
        values = [self.value(one) for one in operands]
        return None if None in values else sum(one for one in values if one is not None) % 2**32

    def compute(self, opcode: list[str], operands: list[str]) -> int | None:
        """The value of the first operand, None if it is not known."""
        name, modifiers = opcode[0].removeprefix("U"), opcode[1:]
        plain = [one for one in operands[1:] if not re.fullmatch(r"!?U?P(T|\d+)", one)]
        if name in {"MOV", "CS2R"}:
            return self.value(operands[-1])
        if name == "HFMA2" and operands[1:3] == ["-RZ", "RZ"]:  # a constant, as two numbers of 16 bits
            return int.from_bytes(struct.pack("<2e", float(operands[4]), float(operands[3])), "little")
        if name == "IMAD" and modifiers[:1] == ["MOV"]:
            return self.value(operands[-1])
        if name == "IMAD" and modifiers[:1] == ["IADD"]:
            return self.sum([operands[1], operands[3]])
        if name in {"IADD3", "IADD", "VIADD", "VIADD3"} and not modifiers:
            return self.sum(plain)
        if name == "ISETP" and "EX" not in modifiers and modifiers[-1] == "AND" and operands[-1] in {"PT", "UPT"}:
            return self.compare(modifiers, operands[2:4])
        return None

    def compare(self, modifiers: list[str], operands: list[str]) -> int | None:
        a, b = (self.value(one) for one in operands)
        if a is None or b is None or modifiers[0] not in COMPARE:
            return None
        if "U32" not in modifiers:
            a, b = signed(a), signed(b)
        return int(COMPARE[modifiers[0]](a, b))

    def execute(self, instruction: Instruction) -> None:
        operands = split_operands(instruction.operands)
        guard = self.guard(instruction)
        if guard == 0:
            return
        known = self.compute(instruction.opcode.split("."), operands) if operands and guard == 1 else None
        results, _ = results_and_sources(instruction)
        for kind, number in results:
            self.values.pop(f"{kind}{number}", None)
        if known is None:
            return
        if instruction.name == "CS2R":
            for kind, number in results:
                self.values[f"{kind}{number}"] = known
        elif operands[0] not in {"RZ", "URZ", "PT", "UPT"}:
            self.values[operands[0]] = known


def constant_turns(
    before: Iterable[Instruction], turn: Iterable[Instruction], leaves: Callable[[Instruction, bool], bool]
) -> int | None:
    """How often a loop turns whose turns are `turn`, after `before`; None if that is not a constant.

    leaves(jump, taken): whether a jump under a predicate, taken or not, leaves the loop.
    """
    machine = Machine()
    for instruction in before:
        machine.execute(instruction)
    listed = list(turn)
    for turns in range(1, MOST + 1):
        is_known = False
        for instruction in listed:
            if (
                instruction.name == "BRA"
                and (instruction.predicate or conditions_of(instruction))
                and (leaves(instruction, True) or leaves(instruction, False))
            ):
                guard = machine.takes(instruction)
                if guard is not None and leaves(instruction, bool(guard)):
                    return turns
                is_known = is_known or guard is not None
            machine.execute(instruction)
        if not is_known:
            return None
    return None
