# SPDX-License-Identifier: Apache-2.0
"""DistributedLion(overlap=True): the bits of overlap=False, and clear errors for what it excludes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import signccl
from signccl.torch import DistributedLion, GradScaler
from support import as_threads, expect_remote_error, outcomes_of_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, tiny_model, train

pytestmark = pytest.mark.timeout(60)

_SMALL = 1e-6  # MiB: every tensor is a bucket


def make(comm: signccl.Communicator, **settings: Any) -> tuple[torch.nn.Module, DistributedLion]:
    model = tiny_model()
    return model, DistributedLion(
        model.named_parameters(), **{"lr": 0.01, "comm": comm, "overlap": True, "bucket_mb": _SMALL, **settings}
    )


@pytest.mark.parametrize("nranks", [1, 2, 4])
@pytest.mark.parametrize("bucket_mb", [_SMALL, 1e-4, 25.0])
@pytest.mark.parametrize("rules", [{}, {"aggregation": "avg"}, {"zero": "ternary", "tie": "zero"}])
def test_overlap_gives_the_same_bits(nranks: int, bucket_mb: float, rules: dict[str, Any]) -> None:
    results = as_threads(nranks, lambda comm: train(comm, 6, **rules))
    overlapped = as_threads(nranks, lambda comm: train(comm, 6, overlap=True, bucket_mb=bucket_mb, **rules))
    assert expect_equal_replicas(overlapped) == expect_equal_replicas(results)


@pytest.mark.parametrize(("bucket_mb", "exchanges"), [(_SMALL, 4), (1e-4, 2), (25.0, 1)])
def test_buckets_are_exchanged_while_the_backward_pass_runs(bucket_mb: float, exchanges: int) -> None:
    def body(comm: signccl.Communicator) -> Any:
        model, optimizer = make(comm, bucket_mb=bucket_mb)
        assert optimizer._overlap is not None
        before = comm.stats.exchanges
        assert not optimizer._overlap.is_begun
        backward(model, comm.rank, 0)
        is_begun = optimizer._overlap.is_begun
        optimizer.step()
        return is_begun, comm.stats.exchanges - before

    assert as_threads(2, body) == [(True, exchanges)] * 2


def test_accumulated_backward_passes_give_the_bits_of_plain_accumulation() -> None:
    def plain(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        for part in range(3):
            backward(model, optimizer.comm.rank, 10 * step + part)
        optimizer.step()

    def overlapped(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        with optimizer.accumulate():
            for part in range(2):
                backward(model, optimizer.comm.rank, 10 * step + part)
        backward(model, optimizer.comm.rank, 10 * step + 2)
        optimizer.step()

    expected = as_threads(2, lambda comm: train(comm, 4, plain))
    assert as_threads(2, lambda comm: train(comm, 4, overlapped, overlap=True, bucket_mb=_SMALL)) == expected


def test_accumulate_without_overlap_is_refused() -> None:
    optimizer = DistributedLion(tiny_model().parameters(), comm=alone())
    with pytest.raises(ValueError, match="accumulate\\(\\) is for overlap=True"):
        optimizer.accumulate()


def expect_step_to_say_so(model: torch.nn.Module, optimizer: DistributedLion, before: list[bytes]) -> None:
    """The step is made, with what was sent first; the next one is well."""
    with pytest.raises(RuntimeError, match="was changed after it had been exchanged"):
        optimizer.step()
    assert all_bits(model.parameters()) != before
    optimizer.zero_grad()
    optimizer.step()


def test_a_second_backward_pass_in_a_step_is_refused() -> None:
    model, optimizer = make(alone())
    before = all_bits(model.parameters())
    backward(model, 0, 0)
    with pytest.raises(RuntimeError, match=r"the gradient of parameter '2\..*' came twice in one step.*accumulate"):
        backward(model, 0, 1)
    expect_step_to_say_so(model, optimizer, before)


@pytest.mark.filterwarnings("ignore:.*reentrant.*")
def test_a_shared_layer_under_reentrant_checkpointing_is_refused() -> None:
    layer = torch.nn.Linear(4, 4)
    before = all_bits(layer.parameters())
    optimizer = DistributedLion(layer.parameters(), comm=alone(), overlap=True)
    x = torch.ones(2, 4, requires_grad=True)
    for _ in range(2):
        x = checkpoint(layer, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match=r"came twice in one step.*reentrant checkpointing"):
        x.sum().backward()
    expect_step_to_say_so(layer, optimizer, before)


def clip(model: torch.nn.Module, _: DistributedLion) -> None:
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)


def drop(model: torch.nn.Module, _: DistributedLion) -> None:
    model.zero_grad()


def slow_down(_: torch.nn.Module, optimizer: DistributedLion) -> None:
    optimizer.param_groups[0]["lr"] = 0.005


def replace(model: torch.nn.Module, _: DistributedLion) -> None:
    model[2].bias.data = model[2].bias.data.clone()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (clip, r"the gradient of parameter '.*' was changed after it had been exchanged: gradient clipping"),
        (drop, r"the gradient of parameter '.*' was changed after it had been exchanged"),
        (slow_down, "lr, betas or weight_decay were changed between the backward pass and step"),
        (replace, "parameters or momenta were replaced between the backward pass and step"),
    ],
)
def test_what_changes_between_the_backward_pass_and_the_step_raises(
    change: Callable[[torch.nn.Module, DistributedLion], None], message: str
) -> None:
    """On the rank that changed it; all ranks have made the step, and go on."""

    def body(comm: signccl.Communicator) -> list[bytes]:
        model, optimizer = make(comm)
        backward(model, comm.rank, 0)
        if comm.rank == 1:
            change(model, optimizer)
            with pytest.raises(RuntimeError, match=message):
                optimizer.step()
            optimizer.param_groups[0]["lr"] = 0.01
        else:
            optimizer.step()
        parts = all_bits(model.parameters())
        optimizer.zero_grad()
        backward(model, comm.rank, 1)
        optimizer.step()
        return parts if change is not replace else []

    expect_equal_replicas(as_threads(2, body))


def test_clipping_of_a_gradient_that_was_not_sent_is_allowed() -> None:
    """Here no bucket can be sent before step(), since the last layer has no gradient."""

    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        model[0](torch.ones(2, 6) * (step + 1)).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
        optimizer.step()

    expected = train(alone(), 4, around)
    assert train(alone(), 4, around, overlap=True, bucket_mb=_SMALL) == expected


def test_a_schedule_after_the_step_is_allowed() -> None:
    def body(comm: signccl.Communicator, **settings: Any) -> list[bytes]:
        model, optimizer = make(comm, **settings)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for step in range(4):
            optimizer.zero_grad()
            backward(model, comm.rank, step)
            optimizer.step()
            scheduler.step()
        return all_bits(model.parameters())

    assert as_threads(2, body) == as_threads(2, lambda comm: body(comm, overlap=False))


def test_a_scaler_is_refused_on_all_ranks() -> None:
    def body(comm: signccl.Communicator) -> None:
        model, optimizer = make(comm)
        scaler = GradScaler("cpu", init_scale=8.0)
        scaler.scale(model(torch.ones(2, 6)).sum()).backward()
        scaler.step(optimizer)

    outcomes = outcomes_of_threads(2, body)
    assert [str(outcome) for outcome in outcomes] == [
        "GradScaler with overlap=True: gradients are exchanged before they are unscaled"
    ] * 2


@pytest.mark.parametrize("bucket_mb", [_SMALL, 1e-4])
@pytest.mark.parametrize("unused", ["first", "last", "all"])
def test_parameters_unused_on_one_rank_give_the_same_bits(unused: str, bucket_mb: float) -> None:
    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        rank = optimizer.comm.rank
        if rank == 1 and step % 2:
            x = torch.ones(2, 6) * (step + 1)
            if unused == "last":
                model[0](x).square().sum().backward()
            elif unused == "first":
                model[2](torch.ones(2, 9)).square().sum().backward()
        else:
            backward(model, rank, step)
        optimizer.step()

    expected = expect_equal_replicas(as_threads(3, lambda comm: train(comm, 6, around)))
    overlapped = as_threads(3, lambda comm: train(comm, 6, around, overlap=True, bucket_mb=bucket_mb))
    assert expect_equal_replicas(overlapped) == expected


def test_a_backward_pass_in_a_closure_gives_the_same_bits() -> None:
    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        def closure() -> float:
            optimizer.zero_grad()
            backward(model, optimizer.comm.rank, step)
            return 1.5

        assert optimizer.step(closure) == 1.5

    expected = as_threads(2, lambda comm: train(comm, 4))
    assert as_threads(2, lambda comm: train(comm, 4, around, overlap=True, bucket_mb=_SMALL)) == expected


class Fails(torch.autograd.Function):
    """Passes its input on; its backward raises."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        raise ArithmeticError("in a backward")


def fail_after(model: torch.nn.Module, layer: int) -> None:
    """A backward pass that ends with an error once it has been through the layers from `layer` on."""
    x = torch.ones(2, 6)
    for number, part in enumerate(model):
        if number == layer:
            x = Fails.apply(x)
        x = part(x)
    with pytest.raises(ArithmeticError, match="in a backward"):
        x.square().sum().backward()


def test_after_an_error_in_a_backward_pass_the_step_can_be_made() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        model, optimizer = make(comm)
        for step in range(4):
            optimizer.zero_grad()
            if step == 1 and comm.rank == 0:
                fail_after(model, 2)
            else:
                backward(model, comm.rank, step)
            optimizer.step()
        return all_bits(model.parameters())

    expect_equal_replicas(as_threads(2, body))


def test_a_backward_pass_that_failed_before_anything_was_sent_can_be_repeated() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        model, optimizer = make(comm, bucket_mb=25.0)
        for step in range(4):
            optimizer.zero_grad()
            if step == 1 and comm.rank == 0:
                fail_after(model, 2)
                optimizer.zero_grad()
            backward(model, comm.rank, step)
            optimizer.step()
        return all_bits(model.parameters())

    assert as_threads(2, body) == as_threads(2, lambda comm: train(comm, 4))


def test_an_error_in_a_backward_pass_that_ends_a_rank_reaches_the_others() -> None:
    def body(comm: signccl.Communicator) -> None:
        model, optimizer = make(comm)
        if comm.rank == 0:
            fail_after(model, 2)
            comm.close()
            return
        backward(model, comm.rank, 0)
        optimizer.step()

    first, second = outcomes_of_threads(2, body)
    assert first is None
    expect_remote_error(second, "rank 0")


def test_a_gradient_that_is_refused_leaves_the_backward_pass_with_the_parameters_name() -> None:
    model, optimizer = make(alone())
    embedding = torch.nn.Embedding(5, 6, sparse=True)
    optimizer.add_param_group({"params": [("table", embedding.weight)]})
    with pytest.raises(TypeError, match=r"the gradient of parameter 'table' has layout torch\.sparse_coo"):
        model(embedding(torch.tensor([1, 2]))).sum().backward()
    optimizer.zero_grad()
    model(torch.ones(2, 6)).sum().backward()
    optimizer.step()


def test_parameters_of_a_group_added_later_are_exchanged_in_the_backward_pass() -> None:
    model, optimizer = make(alone())
    later = torch.nn.Linear(4, 2)
    optimizer.add_param_group({"params": list(later.named_parameters())})
    later(model(torch.ones(2, 6))).sum().backward()
    assert optimizer._overlap is not None and optimizer._overlap._next == 6
    optimizer.step()


def test_parameters_unfrozen_later_are_exchanged_in_the_backward_pass() -> None:
    model = tiny_model()
    model[2].requires_grad_(False)
    optimizer = DistributedLion(model.parameters(), lr=0.01, comm=alone(), overlap=True, bucket_mb=_SMALL)
    backward(model, 0, 0)
    optimizer.step()
    model[2].requires_grad_(True)
    for step in (1, 2):
        before = all_bits(model.parameters())
        backward(model, 0, step)
        optimizer.step()
        assert all(a != b for a, b in zip(all_bits(model.parameters()), before, strict=True))
        optimizer.zero_grad()
    backward(model, 0, 3)
    assert optimizer._overlap is not None and optimizer._overlap._next == 4
    optimizer.step()


def test_an_optimizer_that_is_gone_hears_of_no_gradient() -> None:
    model, optimizer = make(alone())
    backward(model, 0, 0)
    optimizer.step()
    optimizer.zero_grad()
    del optimizer
    gc.collect()
    another = DistributedLion(model.parameters(), lr=0.01, comm=alone(), overlap=True)
    backward(model, 0, 1)
    another.step()
    assert [len(parameter._post_accumulate_grad_hooks) for parameter in model.parameters()] == [1] * 4


def test_a_graph_that_still_needs_an_updated_parameter_raises() -> None:
    """A detached use of a weight, which is exchanged and updated before its turn in the backward pass."""
    first, last = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    parameters = [*first.parameters(), *last.parameters()]
    optimizer = DistributedLion(parameters, comm=alone(), overlap=True, bucket_mb=_SMALL)
    hidden = torch.nn.functional.linear(first(torch.ones(2, 4)), last.weight.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        last(hidden).square().sum().backward()
    optimizer.step()


def test_a_state_dict_is_not_loaded_amid_a_step() -> None:
    model, optimizer = make(alone())
    state = optimizer.state_dict()
    backward(model, 0, 0)
    with pytest.raises(RuntimeError, match=r"load_state_dict\(\) between the backward pass and step"):
        optimizer.load_state_dict(state)
    optimizer.step()
    optimizer.load_state_dict(state)
