#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a small GPT, character by character, on the source text of Python's standard library: nothing is downloaded.

    torchrun --nproc-per-node 4 examples/torch_gpt.py                        # Distributed Lion, one bit per parameter
    torchrun --nproc-per-node 4 examples/torch_gpt.py --optimizer adamw      # AdamW on averaged gradients, to compare
    python examples/torch_gpt.py --steps 50                                  # one process

It runs on CUDA devices where PyTorch has any, which the processes of a machine share in turn, and else on the CPU.

Every process takes batches of its own. It writes the loss curve as CSV and as a picture, and a checkpoint from which
the same command with --resume goes on to the bit. docs/training.md has results.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import os
import sysconfig
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

import signccl.torch

VALIDATION_BATCHES = 16
VALIDATION_BATCH = 32  # sequences


# ---------------------------------------------------------------------------------------------------------- the text


def load_text() -> tuple[np.ndarray, np.ndarray, int]:
    """The standard library's sources as numbers of characters: training text, validation text, size of the alphabet."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(f for f in folder.rglob("*.py") if not {"site-packages", "test", "tests"} & set(f.parts))
    # Whole files are held out: every tenth one by its name.
    held_out = [f for f in files if hashlib.sha256(f.name.encode()).digest()[0] % 10 == 0]
    texts = []
    for group in ([f for f in files if f not in set(held_out)], held_out):
        text = "\n".join(f.read_text("utf-8", errors="replace") for f in group)
        texts.append(text.encode("ascii", errors="replace"))
    alphabet = np.unique(np.frombuffer(texts[0] + texts[1], np.uint8))
    number_of = np.zeros(256, np.int64)
    number_of[alphabet] = np.arange(len(alphabet))
    training, validation = (number_of[np.frombuffer(text, np.uint8)] for text in texts)
    return training, validation, len(alphabet)


def draw_batch(text: np.ndarray, generator: torch.Generator, batch: int, context: int) -> tuple[torch.Tensor, ...]:
    """[batch, context] characters from random places, and those that follow each of them."""
    places = torch.randint(len(text) - context - 1, (batch,), generator=generator)
    rows = torch.stack([torch.from_numpy(text[p : p + context + 1]) for p in places.tolist()])
    return rows[:, :-1], rows[:, 1:]


# --------------------------------------------------------------------------------------------------------- the model


class Block(nn.Module):
    """Attention and a perceptron, each beside a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.norm_perceptron = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.query_key_value(self.norm_attention(x)).view(batch, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm_perceptron(x))))


class GPT(nn.Module):
    """Predicts the next character."""

    def __init__(self, alphabet: int, context: int, width: int, layers: int, heads: int, spread: float) -> None:
        super().__init__()
        self.embed_character = nn.Embedding(alphabet, width)
        self.embed_place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, alphabet, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                is_last_of_branch = name.endswith(("mix.weight", "down.weight"))
                nn.init.normal_(parameter, std=spread / math.sqrt(2 * layers) if is_last_of_branch else spread)

    def forward(self, characters: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        x = self.embed_character(characters) + self.embed_place.weight[: characters.shape[1]]
        logits = self.head(self.norm(self.blocks(x)))
        return F.cross_entropy(logits.flatten(0, 1), following.flatten())


def make_model(alphabet: int, arguments: argparse.Namespace) -> GPT:
    """The same one in every process."""
    torch.manual_seed(arguments.seed)
    a = arguments
    return GPT(alphabet, a.context, a.width, a.layers, a.heads, a.init or 1 / math.sqrt(a.width)).to(a.device)


# ------------------------------------------------------------------------------------------------------ the training


def use_device(arguments: argparse.Namespace) -> None:
    """Gives this process one of the machine's devices."""
    if arguments.device == "cuda":
        arguments.device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
        torch.cuda.set_device(arguments.device)


def on(device: str, tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The tensors on a device."""
    return tuple(tensor.to(device) for tensor in tensors)


def batches_of(rank: int, arguments: argparse.Namespace) -> torch.Generator:
    """Where the batches of a process come from: every one has its own."""
    return torch.Generator().manual_seed(arguments.seed * 1000 + rank)


def part_of(text: np.ndarray, rank: int, nranks: int, arguments: argparse.Namespace) -> np.ndarray:
    """What a process draws its batches from: all of the text, or other files than the others."""
    if not arguments.own_part:
        return text
    return text[len(text) * rank // nranks : len(text) * (rank + 1) // nranks]


def make_optimizer(
    model: nn.Module, arguments: argparse.Namespace, comm: signccl.Communicator | None = None
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The optimizer, and the module to call: averaging gradients is DistributedDataParallel's work.

    comm: the processes that vote; None: all of them.
    """
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    settings = {"lr": arguments.lr, "weight_decay": arguments.weight_decay}
    if arguments.optimizer == "dlion":
        # Gradients stay local. Every process begins with the parameters of the first one.
        signccl.torch.prepare(model, comm=comm)
        return model, signccl.torch.DistributedLion(
            groups,
            **settings,
            betas=(arguments.beta1, arguments.beta2),
            aggregation=arguments.aggregation,
            zero=arguments.zero,
            tie=arguments.tie,
            overlap=arguments.overlap,
            momentum_sync_every=arguments.momentum_sync_every,
            comm=comm,
        )
    wrapped = nn.parallel.DistributedDataParallel(model) if dist.is_initialized() else model
    if arguments.optimizer == "adamw":
        return wrapped, torch.optim.AdamW(groups, **settings, betas=(0.9, 0.95))
    # Lion on averaged gradients is Distributed Lion of one rank.
    alone = signccl.Communicator.all_in_process(1)[0]
    betas = (arguments.beta1, arguments.beta2)
    return wrapped, signccl.torch.DistributedLion(
        groups, **settings, betas=betas, comm=alone, zero="ternary", tie="zero"
    )


def make_schedule(optimizer: torch.optim.Optimizer, arguments: argparse.Namespace) -> LambdaLR:
    """Of the learning rate: linear warm-up, then a cosine down to a tenth."""

    def factor(step: int) -> float:
        if step < arguments.warmup:
            return (step + 1) / arguments.warmup
        done = (step - arguments.warmup) / max(1, arguments.steps - arguments.warmup)
        return 0.55 + 0.45 * math.cos(math.pi * min(1.0, done))

    return LambdaLR(optimizer, factor)


def clip(model: nn.Module, arguments: argparse.Namespace) -> None:
    """Limits the norm of the gradient: with dlion of each process's own one, else of the average."""
    if arguments.clip > 0:
        nn.utils.clip_grad_norm_(model.parameters(), arguments.clip)


@torch.no_grad()
def validate(model: nn.Module, text: np.ndarray, arguments: argparse.Namespace) -> float:
    """Mean loss over batches that are the same in every call and for every optimizer."""
    generator = torch.Generator().manual_seed(12345)
    batches = (draw_batch(text, generator, VALIDATION_BATCH, arguments.context) for _ in range(VALIDATION_BATCHES))
    losses = [model(*on(arguments.device, batch)).item() for batch in batches]
    return sum(losses) / len(losses)


def digest(model: nn.Module) -> str:
    """Equal for parameters that are equal to the bit."""
    return hashlib.sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in model.parameters())).hexdigest()[:16]


def save(path: Path, state: dict[str, object]) -> None:
    """Writes this process's checkpoint, whole or not at all. Momenta differ between processes, so each has its own."""
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)


def train(arguments: argparse.Namespace, rank: int, nranks: int) -> None:
    text, validation, alphabet = load_text()
    training = part_of(text, rank, nranks, arguments)
    model = make_model(alphabet, arguments)
    module, optimizer = make_optimizer(model, arguments)
    rates = make_schedule(optimizer, arguments)
    generator = batches_of(rank, arguments)
    checkpoint = arguments.out / f"checkpoint-{rank}.pt"
    first_step = 0
    seconds = validation_loss = 0.0
    if arguments.resume:
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        rates.load_state_dict(state["rates"])
        first_step = state["step"]
    if rank == 0:
        nparameters = sum(p.numel() for p in model.parameters())
        print(f"{nranks} process(es), {nparameters:,} parameters, {len(text):,} characters, {arguments.optimizer}")
        print(f"device {arguments.device}")
    curve = Curve(arguments.out, first_step) if rank == 0 else None
    progress = tqdm(range(first_step, arguments.steps), disable=rank != 0, unit="step", dynamic_ncols=True)
    begin = time.perf_counter()
    for step in progress:
        batch = draw_batch(training, generator, arguments.batch, arguments.context)
        loss = module(*on(arguments.device, batch))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(model, arguments)
        optimizer.step()
        rates.step()
        if (step + 1) % arguments.validate_every == 0 or step + 1 == arguments.steps:
            seconds = time.perf_counter() - begin
            if curve is not None:  # the other processes wait for this one in their next step
                validation_loss = validate(model, validation, arguments)
                progress.set_postfix(loss=f"{validation_loss:.4f}")
                curve.add(step + 1, seconds, loss.item(), validation_loss)
            begin += time.perf_counter() - begin - seconds  # validating takes no part
        if (step + 1) % arguments.save_every == 0 or step + 1 == arguments.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rates": rates.state_dict()}
            save(checkpoint, {**state, "step": step + 1, "generator": generator.get_state()})
    if curve is not None:
        curve.draw(f"{arguments.optimizer}, lr {arguments.lr}")
        characters = arguments.batch * arguments.context * nranks * (arguments.steps - first_step)
        print(f"validation loss {validation_loss:.5f}, {characters / seconds:,.0f} characters/s")
        print(f"parameters {digest(model)}, curves in {arguments.out}")


class Curve:
    """The losses as CSV, a row at a time, and as a picture."""

    COLUMNS = ("step", "seconds", "training_loss", "validation_loss")

    def __init__(self, folder: Path, first_step: int) -> None:
        self.path = folder / "curves.csv"
        rows = list(csv.reader(self.path.open(newline="")))[1:] if first_step > 0 and self.path.exists() else []
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([self.COLUMNS, *(row for row in rows if int(row[0]) <= first_step)])

    def add(self, step: int, seconds: float, training_loss: float, validation_loss: float) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([step, f"{seconds:.3f}", f"{training_loss:.5f}", f"{validation_loss:.5f}"])

    def draw(self, title: str) -> None:
        try:
            import matplotlib
        except ImportError:
            print("no picture: matplotlib is not installed")
            return
        matplotlib.use("Agg")
        from matplotlib import pyplot

        with self.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        pyplot.plot([int(row["step"]) for row in rows], [float(row["validation_loss"]) for row in rows])
        pyplot.xlabel("step")
        pyplot.ylabel("validation loss (nats per character)")
        pyplot.title(title)
        pyplot.savefig(self.path.with_suffix(".png"), dpi=120)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line, or the given words of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where PyTorch has it, else cpu")
    parser.add_argument("--optimizer", choices=("dlion", "lion", "adamw"), default="dlion")
    parser.add_argument("--aggregation", choices=("vote", "avg"), default="vote")
    parser.add_argument("--zero", choices=("binary", "ternary"), default="binary")
    parser.add_argument("--tie", choices=("random", "zero", "positive", "negative"), default="random")
    parser.add_argument("--momentum-sync-every", type=int, help="average the momenta every so many steps (dlion)")
    parser.add_argument("--overlap", action="store_true", help="exchange while the backward pass still runs (dlion)")
    parser.add_argument("--lr", type=float, help="default: 1e-3 for dlion and lion, 3e-3 for adamw")
    parser.add_argument("--weight-decay", type=float, help="default: 0.1 for dlion and lion, 0.03 for adamw")
    parser.add_argument("--beta1", type=float, default=0.9)
    parser.add_argument("--beta2", type=float, default=0.95)
    parser.add_argument("--clip", type=float, help="largest norm of a gradient, 0: any; default: 1, 0 with --overlap")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8, help="sequences per process and step")
    parser.add_argument("--own-part", action="store_true", help="each process draws from a part of the text of its own")
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--init", type=float, help="deviation of the weights at the start; default: 1 / sqrt(width)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints in --out")
    parser.add_argument("--out", type=Path, default=Path("torch_gpt_out"))
    arguments = parser.parse_args(words)
    if arguments.device is None:
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    is_adamw = arguments.optimizer == "adamw"
    if arguments.lr is None:
        arguments.lr = 3e-3 if is_adamw else 1e-3
    if arguments.weight_decay is None:
        arguments.weight_decay = 0.03 if is_adamw else 0.1
    if arguments.clip is None:
        arguments.clip = 0.0 if arguments.overlap else 1.0  # no gradient may change while it is exchanged
    return arguments


def main() -> None:
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    use_device(arguments)
    is_launched = "RANK" in os.environ
    if is_launched:
        dist.init_process_group("gloo")
    try:
        train(arguments, dist.get_rank() if is_launched else 0, dist.get_world_size() if is_launched else 1)
    finally:
        if is_launched:
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
