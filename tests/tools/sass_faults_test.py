# SPDX-License-Identifier: Apache-2.0
"""Kernels that tools/sass must reject and others that it must not, compiled by nvcc. tools/sass runs this; by hand:

SIGNCCL_NVCC=... SIGNCCL_CUOBJDUMP=... SIGNCCL_NVDISASM=... python3 -m unittest tests/tools/sass_faults_test.py
"""

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar

CHECK = Path(__file__).resolve().parents[2] / "tools" / "sass_check"
sys.path.insert(0, str(CHECK))

NVCC, CUOBJDUMP, NVDISASM = (os.environ.get(f"SIGNCCL_{name}", "") for name in ("NVCC", "CUOBJDUMP", "NVDISASM"))
ARCHITECTURES = ("75", "90", "120")

# A loop over tiles of 32 elements for each warp, with `body` for the element `at` of a lane.
KERNEL = """
extern "C" __global__ void __launch_bounds__({threads})
    signccl_{name}(const {element}* from, {element}* to, size_t n, float* factors) {{
  const size_t warp = blockIdx.x * 8 + threadIdx.x / 32;
  for (size_t tile = warp; tile < n; tile += gridDim.x * 8) {{
    const size_t at = tile * 32 + threadIdx.x % 32;
    {body}
  }}
}}
"""
# The same with a loop for aligned buffers and one for others, which has something to add.
SHIFTED_KERNEL = """
extern "C" __global__ void __launch_bounds__(256)
    signccl_{name}(const uint4* from, uint4* to, size_t n, float* factors) {{
  const size_t warp = blockIdx.x * 8 + threadIdx.x / 32;
  if (factors == nullptr) {{
    for (size_t tile = warp; tile < n; tile += gridDim.x * 8) {{
      const size_t at = tile * 32 + threadIdx.x % 32;
      to[at] = from[at];
    }}
  }} else {{
    for (size_t tile = warp; tile < n; tile += gridDim.x * 8) {{
      const size_t at = tile * 32 + threadIdx.x % 32;
      uint4 x = from[at];
      x.x ^= __float_as_uint(factors[at]);
      {body}
    }}
  }}
}}
"""
# The same as in a Lion kernel: tiles of 128 elements, of which others than aligned ones go in rows of single elements
# with a bit for each.
SINGLE_KERNEL = """
extern "C" __global__ void __launch_bounds__(256)
    signccl_{name}(const float4* from, float4* to, size_t n, unsigned* words, float* factors) {{
  const size_t warp = blockIdx.x * 8 + threadIdx.x / 32;
  for (size_t tile = warp; tile < n; tile += gridDim.x * 8) {{
    const size_t at = tile * 32 + threadIdx.x % 32;
    if (((size_t)from | (size_t)to) % 16 == 0) {{
      {aligned}
    }} else {{
      const unsigned word = {bits};
#pragma unroll
      for (int row = 0; row < 4; ++row) {{
        const size_t e = tile * 128 + row * 32 + threadIdx.x % 32;
        unsigned x = ((const unsigned*)from)[e] ^ (word >> row & 1);
        {body}
        ((unsigned*)to)[e] = x;
      }}
    }}
  }}
}}
"""
COPY = "to[at] = from[at];"
FUSED = "float4 x = from[at]; x.x = x.x * factors[0] + factors[1]; to[at] = x;"
EXCHANGED = "__shfl_xor_sync(~0u, words[at], 1)"
MIX = "x.x = (x.x ^ x.y) * 2654435761u + (x.z >> 3); x.y += x.x * x.w; x.z ^= x.y + 12345u; x.w = x.z * x.x; "
# 100 values that are all needed until the last one is there, in 64 registers.
SPILL = """
    float values[100], sum = 0;
#pragma unroll
    for (int k = 0; k < 100; ++k) sum += values[k] = factors[at * 100 + k];
#pragma unroll
    for (int k = 0; k < 100; ++k) factors[at * 100 + k] = values[k] * sum;
"""


def kernel(name: str, body: str, element: str = "uint4", threads: int = 256) -> str:
    return KERNEL.format(name=name, body=body, element=element, threads=threads)


def shifted_kernel(name: str, body: str) -> str:
    return SHIFTED_KERNEL.format(name=name, body=body)


def single_kernel(name: str, *, aligned: str = COPY, bits: str = EXCHANGED, body: str = "") -> str:
    return SINGLE_KERNEL.format(name=name, aligned=aligned, bits=bits, body=body)


SOURCE = "".join(
    (
        kernel("copy", COPY),
        kernel("narrow_copy", COPY, "unsigned"),
        kernel("half_as_wide_copy", COPY, "uint2"),
        kernel("wide_and_narrow_copy", COPY + " factors[at] = 1;"),
        kernel("copy_with_a_shared_factor", "uint4 x = from[at]; x.x ^= __float_as_uint(factors[tile]); to[at] = x;"),
        kernel("spill", COPY + SPILL, threads=1024),
        kernel("stack", "int o[8]; for (int k = 0; k < 8; ++k) o[(at >> k) & 7] = k; to[at] = from[o[at & 7]];"),
        kernel(
            "block", "__shared__ uint4 all[256]; all[threadIdx.x] = from[at]; __syncwarp(); to[at] = all[at & 255];"
        ),
        single_kernel("lion_decode_fused_float32", aligned=FUSED),
        kernel("fused", FUSED, "float4"),
        single_kernel(
            "lion_decode_float32", aligned=FUSED.replace("x.x * factors[0]", "__fmul_rn(x.x, factors[0])")
        ),
        single_kernel("lion_decode_busy_single_float32", body="x = (x ^ x >> 3) * 2654435761u + (x >> 5); " * 8),
        single_kernel("lion_decode_without_single_float32", bits="__ballot_sync(~0u, words[tile] >> at % 32 & 1)"),
        kernel("busy", "uint4 x = from[at]; " + 24 * MIX + COPY.replace("from[at]", "x")),
        shifted_kernel("decode_shifted", "to[at] = x;"),
        shifted_kernel("decode_busy_shifted", 24 * MIX + "to[at] = x;"),
        shifted_kernel("decode_narrow", "auto* words = (unsigned*)(to + at); words[0] = x.x + x.y; words[2] = x.w;"),
    )
)


@unittest.skipUnless(NVCC and CUOBJDUMP and NVDISASM, "needs the programs that tools/sass names")
class FaultsTest(unittest.TestCase):
    status: ClassVar[int]
    output: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Compiles all kernels and checks them."""
        with tempfile.TemporaryDirectory() as folder:
            unit, image = Path(folder, "kernels.cu"), Path(folder, "kernels.fatbin")
            unit.write_text(SOURCE)
            codes = ",".join(f"sm_{one}" for one in ARCHITECTURES)
            command = [NVCC, "--fatbin", "-std=c++17", "-gencode", f"arch=compute_75,code=[{codes}]", "-o", image, unit]
            subprocess.run(command, check=True, timeout=120)
            names = Path(folder, "names")
            names.write_text(
                " ".join(sorted({*re.findall(r"signccl_\w+", SOURCE), "signccl_forgotten"} - {"signccl_copy"}))
            )
            arguments = ["--cuobjdump", CUOBJDUMP, "--nvdisasm", NVDISASM, "--names", str(names), str(image)]
            output = io.StringIO()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                cls.status = runpy.run_path(str(CHECK / "__main__.py"))["main"](arguments)
            cls.output = output.getvalue()

    def faults_of(self, name: str, architecture: str) -> str:
        start = f"signccl_{name} (sm_{architecture}) "
        return "\n".join(line.removeprefix(start) for line in self.output.splitlines() if line.startswith(start))

    def assert_fault(self, name: str, expected: str) -> None:
        for architecture in ARCHITECTURES:
            self.assertRegex(self.faults_of(name, architecture), expected, architecture)

    def test_the_check_fails(self):
        self.assertEqual(self.status, 1, self.output)
        self.assertRegex(self.output, "kernels for sm_75, sm_90, sm_120: [0-9]+ faults")

    def test_kernels_as_they_should_be_have_no_faults(self):
        for name in ("copy_with_a_shared_factor", "fused", "lion_decode_float32", "decode_shifted"):
            self.assertIn(f"| {name} |", self.output)
            for architecture in ARCHITECTURES:
                self.assertEqual(self.faults_of(name, architecture), "")

    def test_kernels_that_are_missing_or_unknown_are_faults(self):
        self.assert_fault("forgotten", "^is missing$")
        self.assert_fault("copy", "^is in no list of kernels$")

    def test_spilled_registers_are_a_fault(self):
        self.assert_fault("spill", "spills registers: [0-9]+ accesses to local memory")

    def test_an_array_on_the_stack_is_a_fault(self):
        self.assert_fault("stack", "has a stack of [1-9][0-9]* and local memory of [0-9]+ bytes, expected none")

    def test_shared_memory_is_a_fault(self):
        self.assert_fault("block", "has [0-9]+ bytes of shared memory, expected none")

    def test_a_product_and_a_sum_rounded_as_one_are_a_fault_of_a_lion_step(self):
        self.assert_fault(
            "lion_decode_fused_float32", "rounds a product and a sum as one in 1 places, the first .* FFMA"
        )

    def test_narrow_accesses_are_faults(self):
        self.assert_fault("narrow_copy", "loads nothing in 128 bits at once")
        self.assert_fault("narrow_copy", "stores nothing in 128 bits at once")
        self.assert_fault("half_as_wide_copy", "stores 64 bits at once on the path for aligned buffers, expected 128")
        self.assert_fault(
            "wide_and_narrow_copy", "stores 32 bits at once on the path for aligned buffers, expected 128"
        )

    def test_many_instructions_for_few_bytes_are_a_fault(self):
        self.assert_fault("busy", "issues instructions for [0-9]+% of the time that the memory of an H200 takes")

    def test_many_instructions_for_unaligned_buffers_are_a_fault_of_kernels_that_take_them_in_whole_tiles(self):
        self.assert_fault(
            "decode_busy_shifted",
            "^issues instructions for [0-9]+% of the time that the memory of an H200 takes, .* of unaligned buffers$",
        )

    def test_no_wide_accesses_for_unaligned_buffers_are_a_fault_of_those(self):
        self.assert_fault("decode_narrow", "^has no loop for whole tiles of unaligned buffers with accesses as wide")

    def test_many_instructions_for_unaligned_tensors_are_a_fault_of_lion_kernels(self):
        self.assert_fault(
            "lion_decode_busy_single_float32",
            "^issues instructions for [0-9]+% of the time that the memory of an H200 takes, .* of unaligned buffers$",
        )

    def test_a_lion_kernel_without_a_way_for_whole_tiles_of_those_is_a_fault(self):
        self.assert_fault("lion_decode_without_single_float32", "^has no way for whole tiles of unaligned buffers")


if __name__ == "__main__":
    unittest.main()
