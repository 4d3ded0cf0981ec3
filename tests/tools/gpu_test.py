# SPDX-License-Identifier: Apache-2.0
"""tools/gpu: what it carries, and its run against the fake driver of a build (SIGNCCL_TEST_BUILD_DIR)."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("SIGNCCL_TEST_BUILD_DIR", "build/dev")


def gpu(*arguments: object, status: int = 0) -> str:
    command = [str(ROOT / "tools/gpu"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode} instead of {status}: {output}")
    return output


class PackTest(unittest.TestCase):
    def test_what_is_carried_is_complete_and_small(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / "packages"
            gpu("pack", packed)
            files = [path for path in packed.rglob("*") if path.is_file() and not path.is_symlink()]
            self.assertLess(sum(path.stat().st_size for path in files), 60 << 20)
            names = {path.name for path in packed.rglob("*")}
            for name in ("GTestConfig.cmake", "benchmarkConfig.cmake", "spdlogConfig.cmake", "asio.hpp", "ucp.h"):
                self.assertIn(name, names)
            for name in ("nlohmann_jsonConfig.cmake", "CLI11Config.cmake", "libucp.so.0", "libnuma.so.1", "copyright"):
                self.assertIn(name, names)
            broken = [path for path in packed.rglob("*") if path.is_symlink() and not path.exists()]
            self.assertEqual(broken, [])
            gpu("pack", packed)  # once more: what is there is replaced

    def test_a_folder_must_be_named(self) -> None:
        self.assertIn("usage: tools/gpu pack DIR", gpu("pack", status=2))


class RunTest(unittest.TestCase):
    def test_all_steps_pass_on_the_fake_driver_and_say_so(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            gpu("run", "--fake", "--build-dir", BUILD, "--out", folder)
            document = json.loads((Path(folder) / "results.json").read_text())
            self.assertTrue(document["passed"])
            self.assertTrue(document["machine"]["is_fake"])
            self.assertIn("figures mean nothing", document["machine"]["device"])
            states = {name: step["status"] for name, step in document["steps"].items()}
            for name in ("memcheck", "initcheck", "racecheck", "mps", "jax_lion"):
                self.assertEqual(states.pop(name), "skipped")
                self.assertTrue(document["steps"][name]["detail"], name)
            for name in ("torch_lion", "torch_steps", "torch_gpt"):  # this Python may have no PyTorch
                self.assertIn(states.pop(name), ("passed", "skipped"))
            self.assertEqual(set(states.values()), {"passed"})
            for name in ("graphs", "nccl", "devices", "threads", "kernels"):
                self.assertIn(name, states)
            for name in states:
                self.assertTrue(document["steps"][name]["figures"], name)
            self.assertIn("figures mean nothing", (Path(folder) / "report.txt").read_text())

    def test_a_step_that_fails_is_reported(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = gpu("run", "--fake", "--build-dir", folder, "--out", folder, "--only", "latency,types", status=1)
            self.assertIn("stream_latency is missing", output)
            document = json.loads((Path(folder) / "results.json").read_text())
            self.assertEqual(document["failed_steps"], ["latency", "types"])

    def test_what_has_no_time_left_is_skipped(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            output = gpu("run", "--fake", "--build-dir", BUILD, "--out", folder, "--seconds", "0", "--only", "kernels")
            self.assertIn("no time was left", output)

    def test_wrong_options_are_named(self) -> None:
        self.assertIn("'nonsense' is none of latency", gpu("run", "--only", "nonsense", status=2))
        self.assertIn("there is no folder /nowhere", gpu("run", "--build-dir", "/nowhere", status=2))

    def test_without_a_gpu_nothing_is_built(self) -> None:
        if Path("/dev/nvidiactl").exists():
            self.skipTest("this machine has a GPU")
        self.assertIn("SKIPPED: there is no CUDA driver", gpu("run", status=77))


if __name__ == "__main__":
    unittest.main()
