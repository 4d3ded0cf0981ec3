# SPDX-License-Identifier: Apache-2.0
"""Tests of what tools/sass makes of machine code that is written here; sass_faults_test.py has code of nvcc, and
sass_flow_test.py how its ways are found."""

import dataclasses
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "sass_check"))

import figures
import report
import rules
from disassembly import Instruction
from sass_code import EXCHANGING_PATHS, ROWS, THREE_LOOPS, TWO_PATHS, code, kernel


class FiguresTest(unittest.TestCase):
    def test_both_paths_are_found_with_what_they_move(self):
        analysis = figures.analyse(kernel(TWO_PATHS))
        self.assertEqual((analysis.aligned.instructions, analysis.aligned.bytes), (9, 3 * 512))
        self.assertEqual((analysis.narrow.instructions, analysis.narrow.bytes), (7, 3 * 128))
        self.assertIsNone(analysis.shifted)

    def test_whole_tiles_of_unaligned_buffers_are_a_way_of_their_own_and_move_the_bytes_of_aligned_ones(self):
        analysis = figures.analyse(kernel(THREE_LOOPS), has_shifted=True)
        self.assertEqual((analysis.aligned.instructions, analysis.aligned.bytes), (3, 1024))
        self.assertEqual((analysis.shifted.instructions, analysis.shifted.bytes), (5, 1024))
        self.assertEqual((analysis.narrow.instructions, analysis.narrow.bytes), (3, 256))
        self.assertIsNone(figures.analyse(kernel(TWO_PATHS), has_shifted=True).shifted)

    def test_a_loop_over_rows_turns_until_all_elements_of_a_tile_are_stored(self):
        analysis = figures.analyse(kernel(ROWS), row_elements=4)
        self.assertEqual((analysis.aligned.instructions, analysis.aligned.bytes), (2 + 8 * 3 + 2, 8 * 1024))
        self.assertEqual((analysis.single.instructions, analysis.single.bytes), (3 + 16 * 4 + 3, 8 * 1024))
        self.assertIsNone(figures.analyse(kernel(ROWS)).single)

    def test_whole_tiles_in_rows_of_single_elements_are_those_whose_lanes_exchange_bits(self):
        longer_ends = ROWS.replace("ends:\n", "ends:\n" + "MOV R3,R3\n" * 100)
        self.assertEqual(figures.analyse(kernel(longer_ends), row_elements=4).single.instructions, 3 + 16 * 4 + 3)
        self.assertIsNone(figures.analyse(kernel(ROWS.replace("SHFL", "VOTE")), row_elements=4).single)

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
        return rules.faults_of(rules.analysis_of(kernel(text, name, **resources)))

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
        text = EXCHANGING_PATHS.replace("LDG.E.128 R16", "LDG.E.64 R16")
        self.assertEqual(self.faults(text, "signccl_lion_decode_vote_float32"), [])
        self.assertEqual(self.faults(text, "signccl_encode_binary_bits"), [])

    def test_each_family_has_its_rule(self):
        rule = rules.rule_for("signccl_lion_encode_binary_bfloat16_float32")
        self.assertEqual((rule.loads, rule.fused, rule.searches), (64, False, True))
        rule = rules.rule_for("signccl_lion_decode_avg8_bfloat16_stochastic")
        self.assertEqual((rule.stores, rule.fused, rule.searches, rule.issue), (128, False, True, rules.ISSUE_LIMIT))
        self.assertEqual(rule.unaligned_issue, rules.ISSUE_LIMIT_OF_UNALIGNED_HALVES)
        for name in ("decode_avg16_float32", "decode_vote_zeros_float16", "encode_ternary_float16_bfloat16"):
            self.assertEqual(rules.rule_for(f"signccl_lion_{name}").unaligned_issue, rules.ISSUE_LIMIT)
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

    def test_whole_tiles_of_unaligned_buffers_have_a_limit_too(self):
        name = "signccl_decode_vote_float32"
        self.assertEqual(self.faults(THREE_LOOPS, name), [])
        self.assertRegex(self.faults(TWO_PATHS, name)[0], "^has no loop for whole tiles of unaligned buffers")
        (fault,) = self.faults(THREE_LOOPS.replace("SHF", "MOV R3,R3\n" * 130 + "SHF"), name)
        self.assertRegex(fault, "expected at most 60%: 135 instructions for 1024 bytes of unaligned buffers")
        elements = THREE_LOOPS.replace("LDG.E R12", "MOV R3,R3\n" * 130 + "LDG.E R12")
        self.assertEqual(self.faults(elements, name), [])

    def test_whole_tiles_of_unaligned_tensors_have_a_limit_and_their_ends_have_none(self):
        def longer(label):
            return ROWS.replace(f"{label}:\n", f"{label}:\n" + "MOV R3,R3\n" * 60)

        name = "signccl_lion_decode_vote_float32"
        self.assertEqual(self.faults(ROWS, name), [])
        self.assertEqual(self.faults(longer("ends"), name), [])
        (fault,) = self.faults(longer("single"), name)
        self.assertRegex(fault, "expected at most 60%: 1030 instructions for 8192 bytes of unaligned buffers")
        (fault,) = self.faults(ROWS.replace("SHFL", "VOTE"), name)
        self.assertRegex(fault, "^has no way for whole tiles of unaligned buffers in which lanes exchange bits")

    def test_kernels_that_do_not_work_on_data_have_no_limit(self):
        busy = TWO_PATHS.replace("LDG.E.128 R16", "MOV R3,R3\n" * 190 + "LDG.E.128 R16")
        self.assertEqual(self.faults(busy, "signccl_wait_word"), [])

    def test_constants_are_not_fused_arithmetic(self):
        name = "signccl_lion_decode_vote_float32"
        self.assertEqual(self.faults("HFMA2 R3,-RZ,RZ,0,0\n" + EXCHANGING_PATHS, name), [])
        faults = self.faults("FFMA R3,R4,R5,R6\n" + EXCHANGING_PATHS, name)
        self.assertRegex(faults[0], "in 1 places, the first 0x0: FFMA")


class ReportTest(unittest.TestCase):
    def test_the_table_has_a_line_for_each_kernel_of_the_architecture(self):
        lines = report.table([figures.analyse(kernel(TWO_PATHS))], "sm_90").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[2], "| copy | 9 | 1536 | 32 | 16 | 2 % | 3 % | 7 | 384 | 9 % |")
        self.assertEqual(len(report.table([figures.analyse(kernel(TWO_PATHS))], "sm_75").splitlines()), 2)

    def test_the_unaligned_columns_are_of_whole_tiles_where_a_kernel_takes_them(self):
        def row(text, name):
            return report.table([rules.analysis_of(kernel(text, f"signccl_{name}"))], "sm_90").splitlines()[2]

        self.assertEqual(row(THREE_LOOPS, "decode_x"), "| decode_x | 3 | 1024 | 16 | 16 | 1 % | 2 % | 5 | 1024 | 3 % |")
        self.assertEqual(
            row(TWO_PATHS, "check_signs_x"), "| check_signs_x | 9 | 1536 | 32 | 16 | 2 % | 3 % | 9 | 1536 | 3 % |"
        )

    def test_there_is_no_share_of_kernels_that_do_not_work_on_data(self):
        line = report.table([rules.analysis_of(kernel(TWO_PATHS, "signccl_wait_word"))], "sm_90").splitlines()[2]
        self.assertEqual(line, "| wait_word | 9 | 1536 | 32 | 16 |  |  |  |  |  |")

    def test_the_document_has_faults_and_figures(self):
        (entry,) = report.document([figures.analyse(kernel(TWO_PATHS, stack_bytes=8))])["kernels"]
        self.assertEqual(entry["aligned"]["bytes"], 1536)
        self.assertEqual(entry["aligned"]["issue_share"].keys(), {"H100", "H200"})
        self.assertEqual(len(entry["faults"]), 1)


if __name__ == "__main__":
    unittest.main()
