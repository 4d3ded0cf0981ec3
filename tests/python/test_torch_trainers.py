# SPDX-License-Identifier: Apache-2.0
"""DistributedLion in trainers: two processes, real votes, tiny models made of configurations, nothing downloaded."""

from __future__ import annotations

import contextlib
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from signccl.torch import DistributedLion, disable_grad_sync, prepare
from torch_jobs import all_bits, bits, run_processes

pytestmark = pytest.mark.timeout(150)  # the packages take long to import

_SECONDS = 120.0  # for a job

_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def need(package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def launched(rank: int, port: int) -> Iterator[None]:
    """The environment that torchrun would give this process; trainers find torch.distributed initialised."""
    values = (rank, rank, 2, 2, 0, "127.0.0.1", port)
    os.environ.update({name: str(value) for name, value in zip(_VARIABLES, values, strict=True)})
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        for name in _VARIABLES:
            del os.environ[name]


def expect_training(results: list[dict[str, Any]]) -> None:
    """Replicas are equal, gradients are local, and the resumed job has the bits of the one that did not stop."""
    first, second = results
    assert first["straight"] == second["straight"]
    assert first["gradient"] != second["gradient"]
    assert first["straight"] != first["start"]
    assert first["resumed"] == second["resumed"] == first["straight"]
    assert first["warnings"] == second["warnings"] == []


def about_momenta(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(one.message) for one in caught if "momenta" in str(one.message)]


# -------------------------------------------------------------------------------------------------------- Accelerate


def make_data(count: int) -> torch.utils.data.TensorDataset:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(count, 6, generator=generator)
    return torch.utils.data.TensorDataset(x, x.square().sum(1, keepdim=True))


def make_model(rank: int) -> torch.nn.Module:
    torch.manual_seed(rank)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


class AccelerateJob:
    """Six steps of two micro-batches each, with clipping and a schedule."""

    def __init__(self, rank: int) -> None:
        from accelerate import Accelerator

        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
        model = make_model(rank)
        optimizer = DistributedLion(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
        loader = torch.utils.data.DataLoader(make_data(48), batch_size=2)
        self.model, self.optimizer, self.loader, self.schedule = self.accelerator.prepare(
            model, optimizer, loader, schedule
        )
        assert isinstance(self.model, torch.nn.parallel.DistributedDataParallel)
        disable_grad_sync(self.model)
        self.gradient = b""

    def run(self, first: int, last: int) -> list[bytes]:
        for number, (x, y) in enumerate(self.loader):
            if not 2 * first <= number < 2 * last:
                continue
            with self.accelerator.accumulate(self.model):
                self.accelerator.backward((self.model(x) - y).square().mean())
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
                self.gradient = bits(self.model.module[0].weight.grad)
                self.optimizer.step()
                self.schedule.step()
                self.optimizer.zero_grad()
        return all_bits(self.model.parameters())


def train_with_accelerate(rank: int, port: int, folder: str) -> dict[str, Any]:
    from accelerate.state import AcceleratorState, GradientState, PartialState

    try:
        with launched(rank, port), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            job = AccelerateJob(rank)
            start = all_bits(job.model.parameters())
            job.run(0, 3)
            job.optimizer.optimizer.consolidate_state_dict()
            job.accelerator.save_state(folder)
            result = {"start": start, "straight": job.run(3, 6), "gradient": job.gradient}
            other = AccelerateJob(rank)
            other.accelerator.load_state(folder)
            result["resumed"] = other.run(3, 6)
            return {**result, "warnings": about_momenta(caught)}
    finally:
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()


def test_accelerate_trains_and_resumes_to_the_bit(tmp_path: Path) -> None:
    need("accelerate")
    expect_training(run_processes(2, train_with_accelerate, free_port(), str(tmp_path), seconds=_SECONDS))


# -------------------------------------------------------------------------------------------------------- HF Trainer


class Texts(torch.utils.data.Dataset[Any]):
    """Tokens for a language model."""

    def __len__(self) -> int:
        return 32

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        tokens = torch.randint(0, 17, (8,), generator=torch.Generator().manual_seed(number))
        return {"input_ids": tokens, "labels": tokens}


def make_callback(consolidate: bool, seen: dict[str, Any]) -> Any:
    from transformers import TrainerCallback

    class Callback(TrainerCallback):  # type: ignore[misc]
        trainer: Any

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            disable_grad_sync(self.trainer.model_wrapped)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
            seen["gradient"] = bits(next(model.parameters()).grad)

        def on_step_end(self, args: Any, state: Any, control: Any, optimizer: Any, **_: Any) -> None:
            if consolidate and control.should_save:
                optimizer.optimizer.consolidate_state_dict()

    return Callback()


def make_trainer(folder: str, consolidate: bool, seen: dict[str, Any]) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=17, n_positions=8, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
        )
    )
    arguments = TrainingArguments(
        folder,
        use_cpu=True,
        ddp_backend="gloo",
        max_steps=6,
        save_strategy="steps",
        save_steps=3,
        per_device_train_batch_size=2,
        report_to=[],
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    callback = make_callback(consolidate, seen)
    callback.trainer = Trainer(
        model,
        arguments,
        train_dataset=Texts(),
        callbacks=[callback],
        optimizer_cls_and_kwargs=(DistributedLion, {"lr": 0.01}),
    )
    return callback.trainer


def train_with_hf(rank: int, port: int, folder: str, consolidate: bool) -> dict[str, Any]:
    from accelerate.state import AcceleratorState, GradientState, PartialState

    try:
        with launched(rank, port), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result: dict[str, Any] = {}
            trainer = make_trainer(folder, consolidate, result)
            result["start"] = all_bits(trainer.model.parameters())
            trainer.train()
            assert trainer.optimizer.optimizer.comm.nranks == 2
            result["straight"] = all_bits(trainer.model.parameters())
            other = make_trainer(folder, consolidate, {})
            other.train(resume_from_checkpoint=f"{folder}/checkpoint-3")
            result["resumed"] = all_bits(other.model.parameters())
            return {**result, "warnings": about_momenta(caught)}
    finally:
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()


def test_hf_trainer_trains_and_resumes_to_the_bit(tmp_path: Path) -> None:
    need("transformers")
    expect_training(run_processes(2, train_with_hf, free_port(), str(tmp_path), True, seconds=_SECONDS))


def test_hf_trainer_resumes_from_the_momenta_of_rank_0_with_one_warning(tmp_path: Path) -> None:
    need("transformers")
    first, second = run_processes(2, train_with_hf, free_port(), str(tmp_path), False, seconds=_SECONDS)
    assert first["straight"] == second["straight"]
    assert first["resumed"] == second["resumed"]
    assert first["warnings"] == []
    assert len(second["warnings"]) == 1
    assert "the momenta of rank 0 of 2 only: rank 1 begins with them" in second["warnings"][0]


# --------------------------------------------------------------------------------------------------------- Lightning


def make_lightning_module(rank: int, seen: dict[str, Any], overlap: bool) -> Any:
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = make_model(rank)

        def on_train_start(self) -> None:
            disable_grad_sync(self.trainer.strategy.model)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            x, y = batch
            return (self.layers(x) - y).square().mean()

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            seen["gradient"] = bits(self.layers[0].weight.grad)

        def configure_optimizers(self) -> Any:
            optimizer = DistributedLion(self.parameters(), lr=0.01, overlap=overlap)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

        def train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(make_data(24), batch_size=4)

    return Module()


def make_lightning_trainer(folder: str, clip: float | None) -> Any:
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.plugins.environments import TorchElasticEnvironment
    from lightning.pytorch.strategies import DDPStrategy

    return lightning.Trainer(
        accelerator="cpu",
        devices=2,
        strategy=DDPStrategy(process_group_backend="gloo"),
        plugins=[TorchElasticEnvironment()],
        max_epochs=2,
        gradient_clip_val=clip,
        logger=False,
        callbacks=[ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def train_with_lightning(rank: int, port: int, folder: str, overlap: bool) -> dict[str, Any]:
    clip = None if overlap else 1.0
    result: dict[str, Any] = {}

    def fit(checkpoint: str | None = None) -> tuple[list[bytes], list[bytes]]:
        module = make_lightning_module(rank, result, overlap)
        start = all_bits(module.parameters())
        make_lightning_trainer(folder if checkpoint is None else f"{folder}/again", clip).fit(
            module, ckpt_path=checkpoint, weights_only=True
        )
        return start, all_bits(module.parameters())

    with launched(rank, port), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result["start"], result["straight"] = fit()
        _, result["resumed"] = fit(f"{folder}/epoch=0.ckpt")
        return {**result, "warnings": about_momenta(caught)}


@pytest.mark.parametrize("overlap", [False, True])
def test_lightning_trains_and_resumes_to_the_bit(overlap: bool, tmp_path: Path) -> None:
    need("lightning")
    expect_training(run_processes(2, train_with_lightning, free_port(), str(tmp_path), overlap, seconds=_SECONDS))


def train_with_fabric(rank: int, port: int, folder: str) -> dict[str, Any]:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments import TorchElasticEnvironment
    from lightning.fabric.strategies import DDPStrategy

    def make() -> tuple[Any, Any, Any]:
        fabric = Fabric(
            accelerator="cpu",
            strategy=DDPStrategy(process_group_backend="gloo"),
            devices=2,
            plugins=[TorchElasticEnvironment()],
        )
        fabric.launch()
        model = make_model(rank)
        prepare(model)
        module, optimizer = fabric.setup(model, DistributedLion(model.parameters(), lr=0.01))
        disable_grad_sync(module._forward_module)
        return fabric, module, optimizer

    result: dict[str, Any] = {}

    def run(fabric: Any, module: Any, optimizer: Any, first: int, last: int) -> list[bytes]:
        for step in range(first, last):
            x = torch.randn(4, 6, generator=torch.Generator().manual_seed(10 * step + rank))
            optimizer.zero_grad()
            fabric.backward(module(x).square().mean())
            result["gradient"] = bits(module.module[0].weight.grad)
            optimizer.step()
        return all_bits(module.parameters())

    with launched(rank, port), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fabric, module, optimizer = make()
        result["start"] = all_bits(module.parameters())
        run(fabric, module, optimizer, 0, 3)
        fabric.save(f"{folder}/fabric.ckpt", {"model": module, "optimizer": optimizer})
        result["straight"] = run(fabric, module, optimizer, 3, 6)
        fabric, module, optimizer = make()
        fabric.load(f"{folder}/fabric.ckpt", {"model": module, "optimizer": optimizer})
        result["resumed"] = run(fabric, module, optimizer, 3, 6)
        return {**result, "warnings": about_momenta(caught)}


def test_fabric_trains_and_resumes_to_the_bit(tmp_path: Path) -> None:
    need("lightning")
    expect_training(run_processes(2, train_with_fabric, free_port(), str(tmp_path), seconds=_SECONDS))
