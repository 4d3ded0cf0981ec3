# SPDX-License-Identifier: Apache-2.0
"""Tests of how tools/sass follows machine code: its ways, loops and turns, and which addresses differ between lanes."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "sass_check"))

import disassembly
import flow
import uniform
from disassembly import Instruction
from sass_code import START, TWO_PATHS, code


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

    def test_a_call_of_an_address_is_a_jump_and_that_of_a_function_is_none(self):
        blocks = flow.split(code("@P0 CALL.REL.NOINC :end\nCALL.REL.NOINC $__internal_1_$function\nend:\nEXIT"))
        self.assertEqual([block.next for block in blocks], [[2, 1], [2], []])

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


if __name__ == "__main__":
    unittest.main()
