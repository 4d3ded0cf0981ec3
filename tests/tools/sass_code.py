# SPDX-License-Identifier: Apache-2.0
"""Machine code that tests of tools/sass_check read, and the way to write it. They know where its modules are."""

from disassembly import Instruction, Kernel


def code(text):
    """Instructions as nvdisasm prints them, one for each line; `name:` is a label for the next, `:name` its address."""
    lines, labels = [], {}
    for line in (one.strip() for one in text.strip().splitlines()):
        if line.endswith(":"):
            labels[line[:-1]] = hex(16 * len(lines))
        else:
            lines.append(line)
    instructions = []
    for number, line in enumerate(lines):
        for label, address in labels.items():
            line = line.replace(f":{label}", address)
        predicate, rest = line.split(" ", 1) if line.startswith("@") else ("", line)
        opcode, _, operands = rest.partition(" ")
        instructions.append(Instruction(16 * number, opcode, operands, predicate))
    return tuple(instructions)


def kernel(text, name="signccl_copy", **resources):
    return Kernel(
        name,
        "sm_90",
        code(text),
        **{"registers": 16, "stack_bytes": 0, "local_bytes": 0, "shared_bytes": 0} | resources,
    )


START = """
S2R R0,SR_TID.X
S2R R1,SR_CTAID.X
SHF.R.U32.HI R2,RZ,0x5,R0
"""
# Two ways through a loop over tiles, in 128 bits and in 32 bits.
TWO_PATHS = (
    START
    + """
head:
IMAD.WIDE R4,R0,0x10,R8
@P0 BRA :narrow
LDG.E.128 R12,desc[UR4][R4.64]
LDG.E.128 R16,desc[UR4][R4.64+0x200]
BRA.DIV UR4,:apart
back:
LOP3.LUT R12,R12,R16,RZ,0xc0,!PT
STG.E.128 desc[UR4][R4.64],R12
BRA :end
narrow:
LDG.E R12,desc[UR4][R4.64]
LDG.E R13,desc[UR4][R4.64+0x80]
IADD3 R12,PT,PT,R12,R13,RZ
STG.E desc[UR4][R4.64],R12
end:
@!P1 BRA :head
EXIT
apart:
WARPSYNC.COLLECTIVE R20,:back
NOP
BRA :back
"""
)


# Three loops: whole tiles of aligned buffers, those of others, which read a word more, and elements one by one.
THREE_LOOPS = (
    START
    + """
IMAD.WIDE R4,R0,0x10,R8
one:
LDG.E R12,desc[UR4][R4.64]
STG.E desc[UR4][R4.64],R12
@!P1 BRA :one
@P0 BRA :shifted
aligned:
LDG.E.128 R12,desc[UR4][R4.64]
STG.E.128 desc[UR4][R4.64],R12
@!P1 BRA :aligned
EXIT
shifted:
LDG.E.128 R12,desc[UR4][R4.64]
LDG.E R16,desc[UR4][R4.64+0x4]
SHF.R.W.U32 R12,R12,R16,R17
STG.E.128 desc[UR4][R4.64],R12
@!P1 BRA :shifted
EXIT
"""
)
# The same as in a Lion kernel, where lanes exchange bits on the second way.
EXCHANGING_PATHS = TWO_PATHS.replace("IADD3 R12", "SHFL.BFLY PT,R13,R13,0x1,0x1f\nIADD3 R12")
# A loop over tiles with three ways of elements of 4 bytes, all with a loop over the rows of a tile: aligned tiles,
# other whole ones, and the ends of tensors.
ROWS = (
    START
    + """
head:
IMAD.WIDE R4,R0,0x10,R8
@P0 BRA :other
wide:
LDG.E.128 R12,desc[UR4][R4.64]
STG.E.128 desc[UR4][R4.64],R12
@!P2 BRA :wide
BRA :end
other:
@P3 BRA :ends
single:
LDG.E R12,desc[UR4][R4.64]
STG.E desc[UR4][R4.64],R12
STG.E desc[UR4][R4.64],R12
@!P2 BRA :single
SHFL.BFLY PT,R13,R12,0x1,0x1f
BRA :end
ends:
LDG.E R12,desc[UR4][R4.64]
IADD3 R12,PT,PT,R12,R13,RZ
IADD3 R12,PT,PT,R12,R13,RZ
STG.E desc[UR4][R4.64],R12
@!P2 BRA :ends
end:
@!P1 BRA :head
EXIT
"""
)
