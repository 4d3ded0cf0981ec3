# SPDX-License-Identifier: Apache-2.0
"""Reads the machine code (SASS) of the kernels in a library, object or fatbin, by NVIDIA's cuobjdump and nvdisasm."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


class DisassemblyError(Exception):
    """A tool failed, or wrote what is not understood."""


@dataclass(frozen=True)
class Instruction:
    """One instruction; operands as nvdisasm writes them."""

    offset: int
    opcode: str
    operands: str = ""
    predicate: str = ""

    @property
    def name(self) -> str:
        """The opcode without its modifiers."""
        return self.opcode.split(".", 1)[0]


@dataclass(frozen=True)
class Kernel:
    """A kernel as compiled for one architecture, such as sm_90."""

    name: str
    architecture: str
    instructions: tuple[Instruction, ...]
    registers: int
    stack_bytes: int
    local_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class Tools:
    cuobjdump: str
    nvdisasm: str


def run(program: str, *arguments: str, folder: str | None = None) -> str:
    found = shutil.which(program)
    if found is None:
        raise DisassemblyError(f"there is no program {program}")
    command = (str(Path(found).absolute()), *arguments)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise DisassemblyError(
            f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


def parse_resources(text: str) -> dict[str, dict[str, int]]:
    """What `cuobjdump --dump-resource-usage` says of each function: {function: {"REG": 32, "STACK": 0, ...}}."""
    pairs = re.findall(r"Function\s+(\S+):\s*\n\s*(REG:.*)", text)
    return {name: {key: int(value) for key, value in re.findall(r"([A-Z]+):(\d+)", line)} for name, line in pairs}


# An instruction has 16 bytes in all architectures since sm_70.
INSTRUCTION_BYTES = 16


def parse_functions(text: str) -> dict[str, tuple[Instruction, ...]]:
    """The functions in what `nvdisasm -json` writes, with offsets that begin at the function."""
    functions = {}
    for function in json.loads(text)[1]:
        functions[function["function-name"]] = tuple(
            Instruction(
                number * INSTRUCTION_BYTES, entry["opcode"], entry.get("operands", ""), entry.get("predicate", "")
            )
            for number, entry in enumerate(function["sass-instructions"])
        )
    return functions


def read_cubin(tools: Tools, cubin: Path, architecture: str) -> list[Kernel]:
    functions = parse_functions(run(tools.nvdisasm, "-json", str(cubin)))
    resources = parse_resources(run(tools.cuobjdump, "--dump-resource-usage", str(cubin)))
    kernels = []
    for name, instructions in sorted(functions.items()):
        if name not in resources:
            raise DisassemblyError(f"cuobjdump says nothing of the resources of {name} for {architecture}")
        use = resources[name]
        kernels.append(
            Kernel(name, architecture, instructions, use["REG"], use["STACK"], use["LOCAL"], use.get("SHARED", 0))
        )
    return kernels


def read_kernels(tools: Tools, file: Path) -> list[Kernel]:
    """All kernels of all architectures in `file`, in order of architecture and name."""
    with tempfile.TemporaryDirectory() as folder:
        run(tools.cuobjdump, "--extract-elf", "all", str(file.resolve()), folder=folder)
        cubins = {}
        for cubin in Path(folder).iterdir():
            found = re.search(r"\.sm_(\d+)\.cubin$", cubin.name)
            if not found:
                raise DisassemblyError(f"cuobjdump extracted {cubin.name}, expected a name like x.1.sm_90.cubin")
            cubins[int(found[1])] = cubin
        if not cubins:
            raise DisassemblyError(f"{file} holds no code for GPUs")
        return [kernel for number in sorted(cubins) for kernel in read_cubin(tools, cubins[number], f"sm_{number}")]
