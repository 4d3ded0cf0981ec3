# SPDX-License-Identifier: Apache-2.0
"""Lion steps in PyTorch operations, as peers of signccl.torch.DistributedLion.

They are what programs do without SignCCL: Lion by foreach operations, gradients averaged before it, and Distributed
Lion whose signs are packed by tensor operations, gathered by torch.distributed, unpacked, and voted on by mode().
"""

from __future__ import annotations

import torch
import torch.distributed as dist


class ForeachLion:
    """Lion of one process: passes over memory by torch's multi-tensor operations."""

    def __init__(self, parameters: list[torch.Tensor], lr: float, betas: tuple[float, float], weight_decay: float):
        self.parameters = parameters
        self.momenta = [torch.zeros_like(p) for p in parameters]
        self.lr, self.betas, self.weight_decay = lr, betas, weight_decay

    @torch.no_grad()
    def step(self) -> None:
        beta1, beta2 = self.betas
        gradients = [p.grad for p in self.parameters]
        updates = torch._foreach_mul(self.momenta, beta1)
        torch._foreach_add_(updates, gradients, alpha=1 - beta1)
        torch._foreach_sign_(updates)
        torch._foreach_mul_(self.momenta, beta2)
        torch._foreach_add_(self.momenta, gradients, alpha=1 - beta2)
        torch._foreach_mul_(self.parameters, 1 - self.lr * self.weight_decay)
        torch._foreach_add_(self.parameters, updates, alpha=-self.lr)


class AveragedLion(ForeachLion):
    """ForeachLion on gradients that are averaged in one flat float32 all-reduce."""

    @torch.no_grad()
    def step(self) -> None:
        gradients = [p.grad for p in self.parameters]
        flat = torch.cat([g.view(-1) for g in gradients])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
        super().step()


class PackedVoteLion(ForeachLion):
    """Distributed Lion in tensor operations: eight signs to a byte, all-gather, unpack, mode over the ranks."""

    @torch.no_grad()
    def step(self) -> None:
        beta1, beta2 = self.betas
        bits = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8)
        for parameter, momentum in zip(self.parameters, self.momenta, strict=True):
            gradient = parameter.grad
            update = momentum * beta1 + gradient * (1 - beta1)
            momentum.mul_(beta2).add_(gradient, alpha=1 - beta2)
            signs = (update.view(-1) >= 0).to(torch.uint8)
            padded = torch.nn.functional.pad(signs, (0, -len(signs) % 8)).view(-1, 8)
            packed = (padded * bits).sum(1, dtype=torch.uint8)
            gathered = [torch.empty_like(packed) for _ in range(dist.get_world_size())]
            dist.all_gather(gathered, packed)
            votes = torch.stack([(g.unsqueeze(1) & bits).ne(0).view(-1)[: len(signs)] for g in gathered])
            vote = torch.mode(votes.to(torch.int8), dim=0).values.to(torch.float32).mul_(2).sub_(1)
            parameter.mul_(1 - self.lr * self.weight_decay).add_(vote.view_as(parameter), alpha=-self.lr)
