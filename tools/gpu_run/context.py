# SPDX-License-Identifier: Apache-2.0
"""What the steps run with, and the program that most of them run."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from builder import ROOT, Built, library_folder
from steps import Failed, Figures, Runner


@dataclass
class Context:
    built: Built
    out: Path
    fake: bool
    packages: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """That of all programs: carried libraries, and the fake driver if it is asked for."""
        variables = dict(os.environ)
        folders = [variables["LD_LIBRARY_PATH"]] if variables.get("LD_LIBRARY_PATH") else []
        if self.packages is not None:
            folders.append(str(library_folder(self.packages)))
        if self.fake:
            driver = self.built.folder / "tests/fake_cuda"
            folders.insert(0, str(driver))
            folders.insert(1, str(self.built.folder / "tests/fake_nccl"))
            variables["SIGNCCL_CUDA_LIBRARY"] = str(driver / "emulated/libsignccl_cuda.so")
        if folders:
            variables["LD_LIBRARY_PATH"] = ":".join(folders)
        return variables

    @property
    def python_environment(self) -> dict[str, str]:
        """That of programs in Python, which find the package in this repository, and one thread for each process."""
        variables = self.environment
        path = str(ROOT / "plugin/python")
        variables["PYTHONPATH"] = f"{path}:{variables['PYTHONPATH']}" if variables.get("PYTHONPATH") else path
        variables["SIGNCCL_LIBRARY"] = str(self.built.folder / "src/api/libsignccl.so")
        variables["SIGNCCL_JAX_LIBRARY"] = str(self.built.folder / "plugin/python/src/libsignccl_jax.so")
        # Gloo looks up the name of the host, which a machine without a network may not know.
        return variables | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "GLOO_SOCKET_IFNAME": "lo"}

    def program(self, name: str) -> str:
        path = self.built.program(name)
        if not path.is_file():
            raise Failed(f"{path} is missing")
        return str(path)


def perf(context: Context, runner: Runner, arguments: str, **variables: str) -> Figures:
    """Runs sign_all_reduce_perf, checks all results, and gives a time and a rate for each of its rows."""
    file = context.out / "perf.json"
    file.unlink(missing_ok=True)
    command = [context.program("sign_all_reduce_perf"), *arguments.split(), "--oversubscribe", "-J", str(file)]
    runner.run(command, context.environment | variables)
    figures: Figures = {}
    document = json.loads(file.read_text())
    for row in document["results"]:
        if row["out_of_place"]["nwrong"] != 0 or row["in_place"]["nwrong"] != 0:
            raise Failed(f"wrong results: {row}")
        name = f"{row['redop']} {row['type']} {row['size']} B"
        figures[name] = {"us": row["out_of_place"]["time"], "alg_bw GB/s": row["out_of_place"]["alg_bw"]}
    if not figures:
        raise Failed("no case was measured")
    return figures
