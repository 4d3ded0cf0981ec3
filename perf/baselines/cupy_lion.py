# SPDX-License-Identifier: Apache-2.0
"""Lion steps in kernels of CuPy, as peers of signccl.torch.DistributedLion on CUDA devices.

They are what a program does that writes its own kernels: all of a step fused, but one launch for each tensor, as in
bitsandbytes and in Lion by Triton; and Distributed Lion of one rank with packbits() and unpackbits(). float32 alone,
since CuPy has no bfloat16.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
import torch

_FUSED = """
const float u = b1 * m + (1 - b1) * g;
m = b2 * m + (1 - b2) * g;
x = x - lr * ((u < 0 ? -1.0f : 1.0f) + decay * x);
"""
_ENCODE = """
is_positive = !(b1 * m + (1 - b1) * g < 0);
m = b2 * m + (1 - b2) * g;
"""
_DECODE = "x = x - lr * ((is_positive ? 1.0f : -1.0f) + decay * x)"


class FusedLion:
    """One kernel for each tensor."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, betas: tuple[float, float], weight_decay: float):
        self.parameters = [cupy.from_dlpack(p.detach()) for p in parameters]
        self.gradients = [cupy.from_dlpack(p.grad) for p in parameters]
        self.momenta = [cupy.zeros_like(x) for x in self.parameters]
        self.lr, self.decay = np.float32(lr), np.float32(weight_decay)
        self.b1, self.b2 = np.float32(betas[0]), np.float32(betas[1])
        self._fused = cupy.ElementwiseKernel(
            "float32 g, float32 lr, float32 decay, float32 b1, float32 b2", "float32 m, float32 x", _FUSED, "lion"
        )

    def step(self) -> None:
        with _current_stream():
            for x, m, g in zip(self.parameters, self.momenta, self.gradients, strict=True):
                self._fused(g, self.lr, self.decay, self.b1, self.b2, m, x)


class PackedLion(FusedLion):
    """Signs are packed into bits, and unpacked: what two ranks would send each other is in `bits`."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, betas: tuple[float, float], weight_decay: float):
        super().__init__(parameters, lr, betas, weight_decay)
        self._encode = cupy.ElementwiseKernel(
            "float32 g, float32 b1, float32 b2", "float32 m, bool is_positive", _ENCODE, "lion_encode"
        )
        self._decode = cupy.ElementwiseKernel(
            "uint8 is_positive, float32 lr, float32 decay", "float32 x", _DECODE, "lion_decode"
        )

    def step(self) -> None:
        with _current_stream():
            for x, m, g in zip(self.parameters, self.momenta, self.gradients, strict=True):
                signs = cupy.empty(x.shape, bool)
                self._encode(g, self.b1, self.b2, m, signs)
                bits = cupy.packbits(signs)
                unpacked = cupy.unpackbits(bits)[: x.size].reshape(x.shape)
                self._decode(unpacked, self.lr, self.decay, x)


def _current_stream() -> Any:
    return cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
