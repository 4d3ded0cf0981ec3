# SPDX-License-Identifier: Apache-2.0
"""Tests of what perf/compare.py computes and prints; the programs that it runs have tests of their own."""

import argparse
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "perf"))

import compare
import compare_launch as launch
import compare_parse as parse
import compare_plot as plot
import compare_report as report
from compare_contenders import contenders, iterations

OPTIONS = SimpleNamespace(ranks=4, rounds=3, in_place=False)


def our_document(nranks=4, nwrong=0):
    """As sign_all_reduce_perf writes it, as far as it is read."""
    times = {"time": 120.5, "alg_bw": 1.0, "bus_bw": 1.0, "nwrong": nwrong}
    return {"config": {"devices": [{"rank": rank, "pid": 10 + rank, "hostname": "a"} for rank in range(nranks)]},
            "results": [{"size": 4096, "count": 1024, "type": "float", "redop": "vote", "out_of_place": times,
                         "in_place": {**times, "time": 99.0}, "bits_per_element": 1.5, "algorithm": "direct"}]}


def mpi_document(nwrong=0):
    return {"nranks": 4, "results": [{"op": "fp32", "count": 1024, "mean_us": 7.5, "nwrong": nwrong}]}


def measurements(times, bits):
    return [parse.Measurement(us, bits) for us in times]


def comparison(rate_bits):
    """One count of 8, and one of 64M elements in milliseconds."""
    rows = {"signccl-vote": measurements([100e3, 110e3, 90e3], 1.5),
            "ompi-fp32": measurements([4000e3, 4000e3, 4000e3], 48),
            "ompi-fp32-ring": measurements([3200e3, 3300e3, 3150e3], 48)}
    return report.document({8: rows, 1 << 26: rows}, "here", rate_bits, OPTIONS, ["perf/compare.py"])


class ParseTest(unittest.TestCase):
    def test_counts_have_suffixes_of_powers_of_1024(self):
        self.assertEqual([parse.count(text) for text in ("8", "3K", "64M", "1g")], [8, 3072, 1 << 26, 1 << 30])
        for text in ("0", "", "1.5M", "-1", "8 M", "M"):
            with self.assertRaisesRegex(argparse.ArgumentTypeError, "number of elements such as"):
                parse.count(text)

    def test_rates_are_those_of_tools_hosts(self):
        self.assertEqual([parse.rate_bits(text) for text in ("1gbit", "2.5Gbit", "100mbit", "none")],
                         [1e9, 2.5e9, 1e8, None])

    def test_our_times_are_those_of_the_placement(self):
        document = our_document()
        self.assertEqual(parse.ours(document, "vote", 1024, False), parse.Measurement(120.5, 1.5, "direct"))
        self.assertEqual(parse.ours(document, "vote", 1024, True).us, 99.0)

    def test_results_of_something_else_are_refused(self):
        with self.assertRaisesRegex(parse.WrongOutput, "0 results of sign_all_reduce_perf avg with 1024"):
            parse.ours(our_document(), "avg", 1024, False)
        with self.assertRaisesRegex(parse.WrongOutput, "0 results of mpi_allreduce_perf fp32 with 8"):
            parse.mpi(mpi_document(), "fp32", 8, 4)
        with self.assertRaisesRegex(parse.WrongOutput, "ran 4 ranks, not 2"):
            parse.mpi(mpi_document(), "fp32", 1024, 2)

    def test_groups_of_another_kind_are_refused(self):
        devices = our_document()["config"]["devices"]
        parse.check_ranks(devices, 4, 4)
        with self.assertRaisesRegex(parse.WrongOutput, "ran 4 ranks in 4 processes, not 8 in 8"):
            parse.check_ranks(devices, 8, 8)
        with self.assertRaisesRegex(parse.WrongOutput, "ran 4 ranks in 1 processes, not 4 in 4"):
            parse.check_ranks([{**device, "pid": 1} for device in devices], 4, 4)

    def test_wrong_elements_are_no_measurement(self):
        with self.assertRaisesRegex(parse.WrongOutput, "3 wrong elements"):
            parse.ours(our_document(nwrong=3), "vote", 1024, False)
        with self.assertRaisesRegex(parse.WrongOutput, "3 wrong elements"):
            parse.mpi(mpi_document(nwrong=3), "fp32", 1024, 4)

    def test_a_missing_or_broken_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.json"
            with self.assertRaisesRegex(parse.WrongOutput, "no results in x.json"):
                parse.load(path)
            path.write_text("{", encoding="utf-8")
            with self.assertRaisesRegex(parse.WrongOutput, "no results in x.json"):
                parse.load(path)

    def test_bits_of_mpi_are_those_of_an_optimal_algorithm(self):
        self.assertEqual([parse.mpi_bits(op, 4) for op in ("fp32", "int8", "bits")], [48, 12, 1.5])


class ContendersTest(unittest.TestCase):
    def test_peers_run_in_all_their_ways(self):
        self.assertEqual([c.name for c in contenders(["vote"], ["ompi-fp32", "ompi-bits"])],
                         ["signccl-vote", "ompi-fp32", "ompi-fp32-ring", "ompi-bits"])
        self.assertEqual(contenders([], []), [])

    def test_iterations_can_be_chosen(self):
        self.assertEqual(iterations(8, False), (20_000, 200_000))
        self.assertEqual(iterations(1 << 26, True, warmup=4), (4, 3))
        self.assertEqual(iterations(1 << 26, True, iters=9), (1, 9))


class CommandTest(unittest.TestCase):
    def run_of(self, contender, **changes):
        values = {"count": 1024, "warmup": 1, "iters": 2, "in_place": False, "output": Path("/o.json"), **changes}
        return launch.Run(contender, **values)

    def test_ours_gets_bytes_and_reports_the_slowest_rank(self):
        command = launch.ours_arguments(self.run_of(contenders(["avg"], [])[0]))
        self.assertEqual(" ".join(command), "-o avg -d float -b 4096 -e 4096 -w 1 -n 2 -a 3 -c 1 -J /o.json")

    def test_mpi_gets_elements(self):
        contender = contenders([], ["ompi-int8"])[1]
        command = launch.mpi_arguments("p", self.run_of(contender, in_place=True))
        self.assertEqual(" ".join(command), "p --op int8 --count 1024 --warmup 1 --iters 2 --json /o.json --in-place")

    def test_mpirun_reaches_every_host(self):
        options = SimpleNamespace(ranks=4, hosts=2, per_host=2, rate="1gbit", racks=None, timeout=9, name="x")
        hosts = launch.Hosts(None, options, Path("tools/hosts"), "/f")
        command = " ".join(hosts.mpirun(self.run_of(contenders([], ["ompi-fp32"])[1])))
        self.assertRegex(command, "^tools/hosts --name x exec sw mpirun -np 4 -H x-h0:2,x-h1:2 ")
        self.assertRegex(command, "coll_tuned_allreduce_algorithm 4$")
        self.assertIsNone(hosts.rate_bits, "two ranks share a link")

    def test_processes_are_told_from_the_option_of_nccl_tests(self):
        self.assertFalse(launch.has_processes("  -p,--parallel_init TEXT   each rank joins in its own thread"))
        self.assertTrue(launch.has_processes("  -p,--processes INT   ranks, each a process"))
        self.assertFalse(launch.has_processes("  -t,--nthreads INT"))

    def test_a_program_that_fails_is_shown_with_its_words(self):
        with self.assertRaisesRegex(launch.RunFailed, "(?s)ended with 3:.*so be it"):
            launch.execute(["sh", "-c", "echo so be it >&2; exit 3"], 10)
        with self.assertRaisesRegex(launch.RunFailed, "cannot run /no/such/program"):
            launch.execute(["/no/such/program"], 10)
        with self.assertRaisesRegex(launch.RunFailed, "not done after 0.1 s: sleep 60"):
            launch.execute(["sleep", "60"], 0.1)


class ReportTest(unittest.TestCase):
    def test_ratios_are_taken_within_rounds(self):
        ratio = report.ratio([10, 40, 90], [1, 2, 3])
        self.assertEqual(ratio, {"median": 20, "min": 10, "max": 30})
        with self.assertRaises(ValueError):
            report.ratio([1, 2], [1])

    def test_the_best_way_of_a_peer_counts(self):
        entry = comparison(None)["counts"][1]
        self.assertEqual([(r["of"], r["to"], r["median"]) for r in entry["ratios"]],
                         [("ompi-fp32-ring", "signccl-vote", 32)])

    def test_the_wire_bound_is_bits_over_rate(self):
        self.assertAlmostEqual(report.wire_bound_us(1.5, 1 << 26, 1e9), 100663.296)
        self.assertIsNone(report.wire_bound_us(1.5, 1 << 26, None))
        self.assertIsNone(report.wire_bound_us(1.5, 8, 1e9))
        summary = comparison(1e9)["counts"][1]["contenders"]["ompi-fp32-ring"]
        self.assertAlmostEqual(summary["over_wire_bound"], 3200e3 / 3221225.472)

    def test_times_have_three_digits_and_a_unit(self):
        self.assertEqual([report.format_time(us) for us in (0.2134, 7.891, 152.4, 1234, 555702, 3_200_000)],
                         ["0.213 us", "7.89 us", "152 us", "1.23 ms", "556 ms", "3.2 s"])

    def test_the_table_has_a_line_for_each_contender(self):
        text = report.markdown(comparison(1e9))
        self.assertIn("### 64M elements", text)
        self.assertIn("| signccl-vote | 100 ms | 90 ms to 110 ms | 1.5 | - | 101 ms | 0.99 |", text)
        self.assertIn("| ompi-fp32-ring / signccl-vote | 32 | 30 to 35 |", text)
        self.assertIn("### 8 elements\n\n|  | time | range | bits/element | algorithm |\n", text)

    def test_the_plot_is_a_picture_with_a_bar_for_each_contender(self):
        root = ElementTree.fromstring(plot.svg(comparison(1e9)))
        tags = [element.tag.rsplit("}")[-1] for element in root]
        self.assertEqual((tags.count("rect"), tags.count("line")), (1 + 6, 3))
        self.assertIn("signccl-vote", [element.text for element in root])


class ArgumentsTest(unittest.TestCase):
    def message(self, *arguments):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as exit_:
            compare.parse_arguments(arguments)
        self.assertEqual(exit_.exception.code, 2)
        return errors.getvalue()

    def test_wrong_arguments_say_what_is_expected(self):
        self.assertRegex(self.message("shm"), "give --count, --latency or both")
        self.assertRegex(self.message("shm", "--latency", "--op", "--peers"), "nothing to measure")
        self.assertRegex(self.message("shm", "--count", "many"), "'many' is not a number of elements")
        self.assertRegex(self.message("hosts", "--hosts", "0", "--latency"), "not a whole number from 1 on")
        self.assertRegex(self.message("shm", "--latency", "--peers", "nccl"), "invalid choice: 'nccl'")

    def test_a_folder_that_cannot_be_is_told_before_anything_is_measured(self):
        errors = io.StringIO()
        with tempfile.NamedTemporaryFile() as file, contextlib.redirect_stderr(errors):
            self.assertEqual(compare.main(["shm", "--latency", "--out", f"{file.name}/results"]), 2)
        self.assertRegex(errors.getvalue(), "--out .*/results cannot be a folder: Not a directory")

    def test_ranks_are_those_of_all_hosts(self):
        options = compare.parse_arguments(["hosts", "--hosts", "3", "--per-host", "2", "--latency", "--count", "1M"])
        self.assertEqual((options.ranks, options.count), (6, [8, 1 << 20]))


if __name__ == "__main__":
    unittest.main()
