# SPDX-License-Identifier: Apache-2.0
"""Tests of what perf/choices.py computes and prints."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "perf"))

import choices


class SweepTest(unittest.TestCase):
    def test_every_size_is_in_one_sweep(self):
        made = choices.sweeps(1 << 10, 1 << 28, True)
        sizes = [size for sweep in made for size in choices.powers(sweep.smallest, sweep.largest)]
        self.assertEqual(sizes, [1 << shift for shift in range(10, 29, 2)])

    def test_large_vectors_run_less_often(self):
        iters = [sweep.iters for sweep in choices.sweeps(1 << 10, 1 << 28, False)]
        self.assertEqual(iters, sorted(iters, reverse=True))
        self.assertEqual(len(choices.sweeps(1 << 24, 1 << 24, False)), 1)


class FakePlace:
    """Runs nothing: direct takes as long as there are elements, others twice that, and direct is chosen."""

    crosses_network = False

    def __init__(self):
        self.commands = []

    def run_ours(self, arguments):
        self.commands.append(arguments)
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        algorithm = given.get("--algo", "direct")
        counts = choices.powers(int(given["-b"]) // 4, int(given["-e"]) // 4)
        rows = [{"count": count, "out_of_place": {"time": count * (1 if algorithm == "direct" else 2)},
                 "algorithm": algorithm} for count in counts]
        Path(given["-J"]).write_text(json.dumps({"results": rows}), encoding="utf-8")


class MeasureTest(unittest.TestCase):
    def test_all_algorithms_run_in_every_round(self):
        options = SimpleNamespace(mode="shm", smallest=1024, largest=4096, op="vote", rounds=3)
        place = FakePlace()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            chosen, times = choices.measure(place, options, folder)
        self.assertEqual(chosen, {1024: "direct", 4096: "direct"})
        self.assertEqual(times[4096]["tree"], [8192] * 3)
        self.assertEqual(set(times[1024]), set(choices.ALGORITHMS))
        self.assertEqual(len(place.commands), 1 + 3 * len(choices.ALGORITHMS))


class TableTest(unittest.TestCase):
    def test_ratio_is_that_of_medians_to_the_best(self):
        text = choices.table({1024: "ring"}, {1024: {"ring": [30.0, 10.0, 20.0], "tree": [16.0, 16.0, 99.0]}})
        self.assertIn("| 1K | ring, 20 us | tree, 16 us | 1.25 | ring 20 us, tree 16 us |", text)
        self.assertIn("Within 1.15: 0 of 1; worst 1.25", text)

    def test_units(self):
        self.assertEqual([choices.seconds(us) for us in (9.87, 12345, 2.5e6)], ["9.87 us", "12.3 ms", "2.5 s"])
        self.assertEqual([choices.size(count) for count in (1000, 1 << 14, 1 << 28, 1 << 30)],
                         ["1000", "16K", "256M", "1G"])


class ArgumentsTest(unittest.TestCase):
    def test_sizes_in_the_wrong_order_are_refused(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as errors:
            choices.parse_arguments(["shm", "--smallest", "4K", "--largest", "1K"])
        self.assertIn("--largest 1024 is less than --smallest 4096", errors.getvalue())


if __name__ == "__main__":
    unittest.main()
