# SPDX-License-Identifier: Apache-2.0
"""Tests of how tools/sass reads machine code, with instructions written here; sass_faults_test.py has those of nvcc."""

import dataclasses
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "sass_check"))

import disassembly
import figures
import flow
import report
import rules
import uniform
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


class DisassemblyTest(unittest.TestCase):
    def test_resources_are_those_of_each_function(self):
        text = " Function a:\n  REG:32 STACK:8 LOCAL:4 CONSTANT[0]:560\n Function b:\n  REG:7 STACK:0 LOCAL:0\n"
        parsed = disassembly.parse_resources(text)
        self.assertEqual(parsed["a"]["STACK"], 8)
        self.assertEqual(parsed["a"]["LOCAL"], 4)
        self.assertEqual(parsed["b"]["REG"], 7)

    def test_offsets_begin_at_the_function(self):
        text = """[{}, [{"function-name": "a", "start": 0, "sass-instructions": [
            {"opcode": "S2R", "operands": "R7,SR_TID.X"}, {"predicate": "@P0", "opcode": "EXIT"}]}]]"""
        self.assertEqual(
            disassembly.parse_functions(text),
            {"a": (Instruction(0, "S2R", "R7,SR_TID.X"), Instruction(16, "EXIT", "", "@P0"))},
        )

    def test_a_program_that_fails_is_named(self):
        with self.assertRaisesRegex(disassembly.DisassemblyError, "false ended with 1"):
            disassembly.run("false")


class FlowTest(unittest.TestCase):
    def test_lanes_that_are_apart_are_left_out(self):
        blocks = flow.split(code(TWO_PATHS))
        (loop,) = flow.loops_of(blocks)
        inside = {one.opcode for number in loop.blocks for one in blocks[number].instructions}
        self.assertIn("LDG.E.128", inside)
        self.assertNotIn("WARPSYNC.COLLECTIVE", inside)

    def test_a_loop_in_a_loop_is_taken_once(self):
        blocks = flow.split(
            code("outer:\nMOV R0,R1\ninner:\nLDG.E R2,[R4.64]\n@P0 BRA :inner\nFADD R2,R2,R3\n@P1 BRA :outer\nEXIT")
        )
        (outer,) = flow.loops_of(blocks)
        self.assertEqual([one.header for one in outer.inner], [1])
        path = flow.best_path(blocks, outer, lambda instructions: (len(list(instructions)),))
        self.assertEqual([one.name for one in path.instructions], ["MOV", "LDG", "BRA", "FADD", "BRA"])
        self.assertEqual(path.uncounted, 1)
        self.assertEqual({one.name for one in path.inner}, {"LDG", "BRA"})

    def test_computed_jumps_and_loops_with_two_entries_are_refused(self):
        with self.assertRaisesRegex(flow.FlowError, "BRX at 0x10 jumps to an address that is computed"):
            flow.split(code("MOV R0,R1\nBRX R0 -0x10\nEXIT"))
        with self.assertRaisesRegex(flow.FlowError, "entered in two places"):
            flow.loops_of(flow.split(code("@P0 BRA :b\na:\nMOV R0,R1\nb:\nMOV R1,R0\n@P1 BRA :a\nEXIT")))

    def test_a_jump_that_is_never_taken_is_none(self):
        blocks = flow.split(code("@!PT BRA :end\nMOV R0,R1\nend:\nEXIT"))
        self.assertEqual([block.next for block in blocks], [[]])

    def test_an_exit_under_a_predicate_goes_on(self):
        (block,) = flow.split(code("@P0 EXIT\nMOV R0,R1\nEXIT"))
        self.assertEqual(len(block.instructions), 3)


class UniformTest(unittest.TestCase):
    def by_lane(self, text):
        instructions = code(text)
        found = uniform.addresses_of(flow.split(instructions)).by_lane
        return [one.offset in found for one in instructions if one.name in {"LDG", "STG"}]

    def lookups(self, text):
        instructions = code(text)
        found = uniform.addresses_of(flow.split(instructions)).lookups
        return [one.offset in found for one in instructions if one.name in {"LDG", "STG"}]

    def test_what_comes_from_the_number_of_the_lane_differs(self):
        self.assertEqual(self.by_lane(START + "IMAD.WIDE R4,R0,0x4,R8\nLDG.E R6,[R4.64]"), [True])
        self.assertEqual(
            self.by_lane("S2R R0,SR_LANEID\nIADD3 R4,P0,R0,R2,RZ\nIADD3.X R5,RZ,R3,RZ,P0,!PT\nSTG.E [R4.64],R1"), [True]
        )

    def test_what_comes_from_the_number_of_the_warp_or_a_ballot_is_the_same(self):
        self.assertEqual(self.by_lane(START + "IMAD.WIDE R4,R2,0x4,R8\nLDG.E R6,[R4.64]"), [False])
        self.assertEqual(
            self.by_lane(
                START
                + "ISETP.GT.AND P0,PT,R0,R1,PT\nVOTE.ANY R2,PT,P0\nPOPC R2,R2\nIMAD.WIDE R4,R2,0x4,R8\nLDG.E R6,[R4.64]"
            ),
            [False],
        )

    def test_values_are_followed_through_memory_predicates_and_register_pairs(self):
        self.assertEqual(self.by_lane(START + "LDG.E.64 R6,[R0.64]\nLDG.E R8,[R7.64]"), [True, True])
        self.assertEqual(self.by_lane(START + "LDG.E.64 R6,[R2.64]\nLDG.E R8,[R6.64]"), [False, False])
        self.assertEqual(self.by_lane(START + "ISETP.GT.AND P0,PT,R0,R1,PT\nSEL R4,R5,R6,P0\nLDG.E R6,[R4.64]"), [True])
        self.assertEqual(self.by_lane(START + "R2P PR,R0,0xe\nSEL R4,R5,R6,P3\nLDG.E R6,[R4.64]"), [True])

    def test_a_load_at_what_lanes_have_loaded_is_a_lookup(self):
        table = "IMAD.WIDE.U32 R4,R6,0x4,R8\nLDG.E R7,[R4.64]"
        self.assertEqual(self.lookups(START + "LDG.E R6,[R0.64]\n" + table), [False, True])
        exchanged = "LDG.E R5,[R0.64]\nSHFL.BFLY PT,R6,R5,0x1,0x1f\n"
        self.assertEqual(self.lookups(START + exchanged + table), [False, True])
        self.assertEqual(self.lookups(START + "LDG.E R6,[R0.64]\nSTG.E [R6.64],R0"), [False, False])

    def test_an_address_that_a_warp_has_found_or_loaded_is_no_lookup(self):
        ballot = "ISETP.GT.AND P0,PT,R6,R1,PT\nVOTE.ANY R6,PT,P0\nPOPC R6,R6\n"
        table = "IMAD.WIDE.U32 R4,R6,0x4,R8\nLDG.E R7,[R4.64]"
        self.assertEqual(self.lookups(START + "LDG.E R6,[R0.64]\n" + ballot + table), [False, False])
        self.assertEqual(
            self.lookups(START + "LDG.E.64 R6,[R2.64]\nIADD3 R6,R6,R0,RZ\nLDG.E R8,[R6.64]"), [False, False]
        )

    def test_what_opposite_predicates_write_replaces_what_was_there(self):
        text = "LDG.E.64 R4,[R0.64]\n@P0 LDC.64 R4,c[0x0][0x210]\n@!P0 LDC.64 R4,c[0x0][0x218]\nLDG.E R6,[R4.64]"
        self.assertEqual(self.lookups(START + text), [False, False])
        self.assertEqual(self.by_lane(START + text), [True, False])
        self.assertEqual(self.lookups(START + text.replace("@!P0", "@!P1")), [False, True])

    def test_what_a_predicate_wrote_is_read_under_it(self):
        text = (
            START
            + "MOV R4,R0\n@P0 LDC.64 R4,c[0x0][0x210]\n@P0 LDG.E R6,[R4.64]\n@!P0 LDG.E R6,[R4.64]\nLDG.E R6,[R4.64]"
        )
        self.assertEqual(self.by_lane(text), [False, True, True])

    def test_ways_that_meet_and_turns_of_a_loop_are_followed(self):
        text = START + "MOV R4,R2\n@P0 BRA :meet\nMOV R4,R0\nmeet:\nLDG.E R6,[R4.64]\nEXIT"
        self.assertEqual(self.by_lane(text), [True])
        text = START + "MOV R4,R2\nhead:\nLDG.E R6,[R4.64]\nMOV R4,R5\nMOV R5,R0\n@P0 BRA :head\nEXIT"
        self.assertEqual(self.by_lane(text), [True])
        self.assertEqual(self.by_lane(text.replace("MOV R5,R0", "MOV R5,R2")), [False])


class TurnsTest(unittest.TestCase):
    def turns(self, loop, before="MOV R4,RZ", after=""):
        blocks = flow.split(code(f"outer:\n{before}\nhead:\nLDG.E R9,[R8.64]\n{loop}\n@P3 BRA :outer\nEXIT\n{after}"))
        (outer,) = flow.loops_of(blocks)
        path = flow.best_path(blocks, outer, lambda instructions: (len(list(instructions)),))
        loads = sum(one.name == "LDG" for one in path.instructions)
        return None if path.uncounted else loads

    def test_a_loop_that_counts_to_a_constant_turns_as_often(self):
        up = "VIADD R4,R4,0x4\nISETP.GE.U32.AND P1,PT,R4,0x8,PT\n@!P1 BRA :head"
        self.assertEqual(self.turns(up), 2)
        self.assertEqual(self.turns(up.replace("0x8", "0x20")), 8)
        never = "MOV R4,RZ\n@!PT BRA :apart\nMOV R2,R3\nback:\nMOV R3,R2"
        self.assertEqual(self.turns(up, never, "apart:\nMOV R4,R3\nBRA :back"), 2)
        down = "IADD3 R4,PT,PT,R4,-0x1,RZ\nISETP.GT.AND P1,PT,R4,0x0,PT\n@P1 BRA :head"
        self.assertEqual(self.turns(down, "MOV R4,0x3"), 3)
        uniform_registers = "UIADD3 UR4,UR4,0x1,URZ\nUISETP.NE.AND UP0,UPT,UR4,0x5,UPT\n@UP0 BRA :head"
        self.assertEqual(self.turns(uniform_registers, "UMOV UR4,URZ"), 5)
        self.assertEqual(self.turns(uniform_registers.replace("@UP0 BRA ", "BRA.U UP0,"), "UMOV UR4,URZ"), 5)
        self.assertEqual(self.turns(up.replace("@!P1 BRA ", "@!P1 BRA PT,")), 2)
        self.assertEqual(self.turns(up, "HFMA2 R4,-RZ,RZ,0,2.384185791015625e-07"), 1)  # begins with 4

    def test_an_exit_in_the_middle_ends_it(self):
        loop = "VIADD R4,R4,0x1\nISETP.EQ.AND P1,PT,R4,0x3,PT\n@P1 BRA :out\nMOV R7,R6\nBRA :head\nout:\nMOV R5,R6"
        self.assertEqual(self.turns(loop), 3)

    def test_what_depends_on_an_argument_or_never_ends_is_unknown(self):
        loop = "VIADD R4,R4,0x1\nISETP.GE.AND P1,PT,R4,R5,PT\n@!P1 BRA :head"
        self.assertIsNone(self.turns(loop))
        self.assertIsNone(self.turns(loop.replace("R5,PT", "0x3,PT"), "LDC R4,c[0x0][0x210]"))
        self.assertIsNone(self.turns(loop.replace("R4,R5", "RZ,0x3")))
        self.assertIsNone(self.turns(loop.replace("R5,PT", "0x3,PT").replace("BRA ", "BRA P2,"), "MOV R4,RZ"))


class FiguresTest(unittest.TestCase):
    def test_both_paths_are_found_with_what_they_move(self):
        analysis = figures.analyse(kernel(TWO_PATHS))
        self.assertEqual((analysis.aligned.instructions, analysis.aligned.bytes), (9, 3 * 512))
        self.assertEqual((analysis.unaligned.instructions, analysis.unaligned.bytes), (7, 3 * 128))

    def test_lookups_move_nothing(self):
        table = "IMAD.WIDE.U32 R20,R16,0x4,R8\nLDG.E R22,desc[UR4][R20.64]\n"
        analysis = figures.analyse(kernel(TWO_PATHS.replace("LOP3.LUT R12", table + "LOP3.LUT R12")))
        self.assertEqual((analysis.aligned.instructions, analysis.aligned.bytes), (11, 3 * 512))

    def test_bytes_in_flight_are_those_not_yet_used(self):
        self.assertEqual(figures.analyse(kernel(TWO_PATHS)).aligned.bytes_in_flight, 32)
        self.assertEqual(figures.bytes_in_flight(code("LDG.E.128 R4,[R0.64]\nMOV R8,R7\nLDG.E.128 R4,[R0.64]")), 16)

    def test_the_share_is_time_to_issue_by_time_of_memory(self):
        aligned = figures.analyse(kernel(TWO_PATHS)).aligned
        self.assertAlmostEqual(aligned.issue_share(figures.H200), 9 / (132 * 4 * 1.755e9) / (1536 / 4.8e12))

    def test_an_access_that_lanes_share_is_one_sector(self):
        shared = figures.access(Instruction(0, "LDG.E.64", "R6,[R4.64]"), by_lane=False)
        self.assertEqual(shared.bytes, 32)
        widths = {"LDG.E.U8": 8, "LDG.E.EF.U16": 16, "STG.E": 32, "LDG.E.64.CONSTANT": 64, "LDG.E.EF.128.SYS": 128}
        self.assertEqual({one: figures.access(Instruction(0, one)).bits for one in widths}, widths)
        self.assertIsNone(figures.access(Instruction(0, "LDC.64", "R4,c[0x0][0x210]")))


class RulesTest(unittest.TestCase):
    def faults(self, text, name="signccl_copy", **resources):
        return rules.faults_of(figures.analyse(kernel(text, name, **resources)))

    def test_a_kernel_as_it_should_be_has_none(self):
        self.assertEqual(self.faults(TWO_PATHS), [])

    def test_memory_of_a_thread_or_block_is_a_fault(self):
        self.assertRegex(self.faults(TWO_PATHS, stack_bytes=8)[0], "stack of 8 and local memory of 0 bytes")
        self.assertRegex(self.faults(TWO_PATHS, shared_bytes=64)[0], "64 bytes of shared memory")
        self.assertRegex(self.faults("STL [R1],R2\n" + TWO_PATHS)[0], "spills registers: 1 accesses .* 0x0: STL")

    def test_narrow_accesses_are_a_fault_of_those_that_move_elements(self):
        text = TWO_PATHS.replace("LDG.E.128 R16", "LDG.E.64 R16")
        (fault,) = self.faults(text)
        self.assertRegex(
            fault, "loads 64 bits at once on the path for aligned buffers, expected 128: 0x70: LDG.E.64 R16"
        )
        self.assertEqual(self.faults(text, "signccl_decode_vote_float32"), [])
        self.assertEqual(self.faults(text, "signccl_encode_binary_bits"), [])

    def test_each_family_has_its_rule(self):
        rule = rules.rule_for("signccl_lion_encode_binary_bfloat16_float32")
        self.assertEqual((rule.loads, rule.fused, rule.searches), (64, False, True))
        rule = rules.rule_for("signccl_lion_decode_avg8_bfloat16_stochastic")
        self.assertEqual((rule.stores, rule.fused, rule.searches, rule.issue), (128, False, True, rules.ISSUE_LIMIT))
        self.assertEqual(rules.rule_for("signccl_encode_binary_int8").loads, 128)
        self.assertEqual(rules.rule_for("signccl_anything_new"), rules.Rule(loads=128, stores=128))

    def test_issuing_has_a_limit_and_another_one_where_rounding_takes_more_instructions(self):
        def faults(count, architecture):
            busy = kernel(TWO_PATHS.replace("LDG.E.128 R16", "MOV R3,R3\n" * count + "LDG.E.128 R16"))
            return rules.faults_of(figures.analyse(dataclasses.replace(busy, architecture=architecture)))

        for count, architecture, limit in ((190, "sm_90", 60), (280, "sm_75", 70)):
            (fault,) = faults(count, architecture)
            self.assertRegex(fault, f"issues instructions for [0-9]+% of the time .* expected at most {limit}%")
        self.assertEqual(faults(190, "sm_75"), [])
        self.assertEqual(rules.rule_for("signccl_lion_encode_ternary_bfloat16_bfloat16").issue, rules.ISSUE_LIMIT)
        self.assertEqual(rules.rule_for("signccl_lion_decode_vote_bfloat16").issue, rules.ISSUE_LIMIT)

    def test_constants_are_not_fused_arithmetic(self):
        name = "signccl_lion_decode_vote_float32"
        self.assertEqual(self.faults("HFMA2 R3,-RZ,RZ,0,0\n" + TWO_PATHS, name), [])
        self.assertRegex(self.faults("FFMA R3,R4,R5,R6\n" + TWO_PATHS, name)[0], "in 1 places, the first 0x0: FFMA")


class ReportTest(unittest.TestCase):
    def test_the_table_has_a_line_for_each_kernel_of_the_architecture(self):
        lines = report.table([figures.analyse(kernel(TWO_PATHS))], "sm_90").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[2], "| copy | 9 | 1536 | 32 | 16 | 2 % | 3 % | 7 | 384 | 9 % |")
        self.assertEqual(len(report.table([figures.analyse(kernel(TWO_PATHS))], "sm_75").splitlines()), 2)

    def test_the_document_has_faults_and_figures(self):
        (entry,) = report.document([figures.analyse(kernel(TWO_PATHS, stack_bytes=8))])["kernels"]
        self.assertEqual(entry["aligned"]["bytes"], 1536)
        self.assertEqual(entry["aligned"]["issue_share"].keys(), {"H100", "H200"})
        self.assertEqual(len(entry["faults"]), 1)


if __name__ == "__main__":
    unittest.main()
