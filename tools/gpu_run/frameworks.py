# SPDX-License-Identifier: Apache-2.0
"""Steps in Python: PyTorch and JAX on the GPU, with the Python that runs this."""

import json
import re
import subprocess
import sys
from pathlib import Path

from builder import ROOT
from context import Context
from steps import Failed, Figures, Runner, Skipped

PROGRAMS = Path(__file__).resolve().parent / "programs"


def need(context: Context, *expressions: str) -> None:
    """Raises Skipped unless all expressions are true in a new Python, with what it says."""
    for expression in expressions:
        module = expression.split(".")[0].split("(")[-1]
        program = f"import {module}; raise SystemExit(0 if {expression} else {f'{expression} is false'!r})"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=context.python_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it does not import"])[-1]
            raise Skipped(f"{module}: {last}")


def device_of(context: Context) -> str:
    """Of programs of PyTorch. The fake driver has no CUDA for it: there the programs run on the CPU."""
    need(context, "torch.__version__")
    if context.fake:
        return "cpu"
    need(context, "torch.cuda.is_available()")
    return "cuda"


def launched(nranks: int, program: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(nranks)]
    return [*command, str(program), *arguments]


def json_of(output: str) -> Figures:
    """The figures that a program printed as its last line in braces."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("the program printed no figures (see the log)")
    figures: Figures = json.loads(lines[-1])
    return figures


def torch_lion(context: Context, runner: Runner) -> Figures:
    """Steps of DistributedLion on the GPU against those on the CPU, bit by bit; GradScaler; replays of a graph."""
    arguments = ["--device", device_of(context), "--replays", "20" if context.fake else "1000"]
    figures: Figures = {}
    for nranks in (2,) if context.fake else (1, 4):
        output = runner.run(launched(nranks, PROGRAMS / "torch_lion.py", *arguments), context.python_environment)
        figures[f"{nranks} processes"] = json_of(output)
    return figures


def torch_steps(context: Context, runner: Runner) -> Figures:
    """Optimizer steps of a model, beside those of its peers."""
    device = device_of(context)
    figures: Figures = {}
    for dtype, parameters in (("float32", "500000000"), ("bfloat16", "1300000000")):
        file = context.out / f"torch_steps_{dtype}.json"
        command = [sys.executable, str(ROOT / "perf/torch_step_perf.py"), "--device", device, "--dtype", dtype]
        command += ["--json", str(file), "-n", "30000" if context.fake else parameters]
        runner.run([*command, "-r", "2"] if context.fake else command, context.python_environment)
        document = json.loads(file.read_text())
        figures[dtype] = {name: {"median ms": 1e3 * sorted(s)[len(s) // 2]} for name, s in document["seconds"].items()}
    return figures


def torch_gpt(context: Context, runner: Runner) -> Figures:
    """The example trains with 4 ranks on the GPU."""
    device = device_of(context)
    need(context, "tqdm.__version__", "numpy.__version__")
    sizes = "--steps 4 --width 16 --layers 1 --heads 2 --context 16 --batch 1" if context.fake else "--steps 150"
    arguments = [*sizes.split(), "--device", device, "--out", str(context.out / "torch_gpt")]
    command = launched(2 if context.fake else 4, ROOT / "examples/torch_gpt.py", *arguments)
    output = runner.run(command, context.python_environment)
    found = re.search(r"validation loss ([\d.]+), ([\d,]+) characters/s", output)
    if found is None:
        raise Failed("the example said nothing of its loss (see the log)")
    loss = float(found[1])
    if not context.fake and loss > 3:
        raise Failed(f"the loss is {loss} after 150 steps, expected less than 3")
    return {"validation loss": loss, "characters/s": int(found[2].replace(",", ""))}


def jax_lion(context: Context, runner: Runner) -> Figures:
    """lion_step and votes of JAX on the GPU against those on the CPU, bit by bit."""
    if context.fake:
        raise Skipped("JAX has no platform for the fake driver")
    need(context, "jax.devices('cuda')")
    if not Path(context.python_environment["SIGNCCL_JAX_LIBRARY"]).is_file():
        raise Skipped("libsignccl_jax.so could not be built with the headers of this jaxlib (see build.log)")
    variables = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_PLATFORMS": "cuda,cpu"}
    return json_of(runner.run([sys.executable, str(PROGRAMS / "jax_lion.py")], context.python_environment | variables))
