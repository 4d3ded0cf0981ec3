# SPDX-License-Identifier: Apache-2.0
"""All steps, in the order in which a first run on a GPU has to answer them."""

import frameworks
import measurements
import sanitizer
import streams
from steps import Step

STEPS = {
    "latency": Step("how long a stream and the host take to tell each other something", 30, measurements.latency),
    "types": Step("three ranks on one GPU: results of all types and operations", 40, measurements.types),
    "graphs": Step("replays of CUDA graphs", 40, streams.graphs),
    "threads": Step("ranks that are threads on one GPU, with more and fewer queues", 90, measurements.threads),
    "torch_lion": Step("steps of PyTorch on the GPU against those on the CPU", 60, frameworks.torch_lion),
    "faults": Step("a peer is killed, or stopped, while streams wait", 40, measurements.faults),
    "kernels": Step("every kernel against the reference, bit by bit", 90, measurements.kernels),
    "bandwidth": Step("every kernel beside a copy of as many bytes", 60, measurements.bandwidth),
    "torch_steps": Step("steps of a model with 1.3 G parameters beside those of peers", 60, frameworks.torch_steps),
    "nccl": Step("votes that travel by NCCL", 40, streams.nccl),
    "processes": Step("ranks that are processes on one GPU", 40, measurements.processes),
    "waits": Step("the ways in which a stream waits", 30, measurements.waits),
    "large": Step("large vectors of ranks that are threads on one GPU", 40, measurements.large),
    "torch_gpt": Step("examples/torch_gpt.py trains with 4 ranks on one GPU", 60, frameworks.torch_gpt),
    "jax_lion": Step("steps and votes of JAX on the GPU against those on the CPU", 60, frameworks.jax_lion),
    "memcheck": Step("kernels under compute-sanitizer memcheck", 60, sanitizer.memcheck),
    "mps": Step("processes that share one GPU through MPS", 30, streams.mps),
    "devices": Step("a rank on each of several GPUs", 40, streams.devices),
    "initcheck": Step("kernels under compute-sanitizer initcheck", 40, sanitizer.initcheck),
    "racecheck": Step("kernels under compute-sanitizer racecheck", 40, sanitizer.racecheck),
}
