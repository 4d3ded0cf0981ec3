# SPDX-License-Identifier: Apache-2.0
"""DistributedLion as an optimizer: what torch and trainers expect of one."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

import signccl
from signccl.torch import DistributedLion
from support import as_threads
from torch_jobs import all_bits, alone, backward, expect_equal_replicas, tiny_model, train

pytestmark = pytest.mark.timeout(60)


# ------------------------------------------------------------------------------------------------ parameter groups


def test_groups_have_their_own_hyperparameters() -> None:
    first, second = (torch.nn.Parameter(torch.ones(4)) for _ in range(2))
    optimizer = DistributedLion([{"params": [first], "lr": 0.5}, {"params": [second]}], lr=0.25, comm=alone())
    for parameter in (first, second):
        parameter.grad = torch.ones(4)
    optimizer.step()
    assert first.tolist() == [0.5] * 4
    assert second.tolist() == [0.75] * 4


def test_a_group_added_later_takes_part_in_the_votes() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        model, later = tiny_model(), torch.nn.Parameter(torch.ones(5))
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm)
        for step in range(4):
            if step == 2:
                optimizer.add_param_group({"params": [later], "lr": 0.5})
                assert "momentum" in optimizer.state[later]
            optimizer.zero_grad()
            backward(model, comm.rank, step)
            later.grad = torch.full((5,), 1.0 + comm.rank)
            optimizer.step()
        assert later.tolist() == [0.0] * 5
        return all_bits(model.parameters())

    expect_equal_replicas(as_threads(3, body))


def test_a_group_that_is_refused_is_not_added() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), comm=alone())
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": -1.0})
    with pytest.raises(TypeError, match=r"parameter 0 of group 1 has dtype torch\.float64"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2, dtype=torch.float64))]})
    assert len(optimizer.param_groups) == 1
    backward(model, 0, 0)
    optimizer.step()


def test_parameters_moved_to_another_group_take_its_hyperparameters() -> None:
    first, second = (torch.nn.Parameter(torch.ones(4)) for _ in range(2))
    optimizer = DistributedLion([{"params": [first, second], "lr": 0.5}], comm=alone())
    for parameter in (first, second):
        parameter.grad = torch.ones(4)
    optimizer.step()
    optimizer.param_groups[0]["params"] = [first]
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [second], "lr": 0.25})
    optimizer.step()
    assert (first[0].item(), second[0].item()) == (0.0, 0.25)


def test_named_parameters_are_named_in_messages() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.named_parameters(), comm=alone())
    assert optimizer.param_groups[0]["param_names"] == [name for name, _ in model.named_parameters()]
    model[2].weight.grad = torch.ones(4, 9).to_sparse()
    with pytest.raises(TypeError, match=r"the gradient of parameter '2\.weight' has layout torch\.sparse_coo"):
        optimizer.step()


def test_frozen_parameters_stay_and_have_no_state() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        model = tiny_model()
        frozen = model[0].weight.requires_grad_(False)
        before = frozen.clone()
        optimizer = DistributedLion(model.parameters(), lr=0.01, comm=comm)
        for step in range(3):
            optimizer.zero_grad()
            backward(model, comm.rank, step)
            optimizer.step()
        assert torch.equal(frozen, before)
        assert frozen not in optimizer.state
        assert list(optimizer.state_dict()["state"]) == [1, 2, 3]
        frozen.requires_grad_(True)
        backward(model, comm.rank, 3)
        optimizer.step()
        assert not torch.equal(frozen, before)
        return all_bits(model.parameters())

    expect_equal_replicas(as_threads(2, body))


def test_parameters_that_a_trainer_replaces_are_trained_and_saved() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), lr=0.01, comm=alone())
    replaced = {p: torch.nn.Parameter(p.detach().clone()) for p in model.parameters()}
    for group in optimizer.param_groups:
        group["params"] = [replaced[parameter] for parameter in group["params"]]
    assert optimizer.state_dict()["state"] == {}
    for parameter in replaced.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for old, new in replaced.items():
        assert torch.equal(new, old - 0.01)
    assert set(optimizer.state_dict()["state"]) == {0, 1, 2, 3}
    assert set(optimizer.state) == set(replaced.values())


def test_parameters_whose_data_are_replaced_are_trained_where_they_are_now() -> None:
    parameter = torch.nn.Parameter(torch.ones(6))
    optimizer = DistributedLion([parameter], lr=0.5, comm=alone())
    old = parameter.data
    parameter.data = torch.full((6,), 4.0)
    parameter.grad = torch.ones(6)
    optimizer.step()
    assert parameter.tolist() == [3.5] * 6
    assert old.tolist() == [1.0] * 6


# --------------------------------------------------------------------------------------------- step() and its class


def test_a_closure_is_called_once_with_gradients_and_its_loss_returned() -> None:
    calls: list[torch.Tensor] = []

    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(torch.randn(5, 6, generator=torch.Generator().manual_seed(1000 * step))).square().mean()
            loss.backward()
            calls.append(loss)
            return loss

        with torch.no_grad():
            assert optimizer.step(closure) is calls[-1]

    assert train(alone(), around=around) == train(alone())
    assert len(calls) == 4


def test_an_error_in_a_closure_makes_no_step() -> None:
    model = tiny_model()
    before = all_bits(model.parameters())
    optimizer = DistributedLion(model.parameters(), comm=alone())

    def closure() -> float:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        optimizer.step(closure)
    assert all_bits(model.parameters()) == before
    assert optimizer.state_dict()["param_groups"][0]["signccl_call_number"] == 0


def test_hooks_run_before_and_after_a_step() -> None:
    model, order = tiny_model(), []
    optimizer = DistributedLion(model.parameters(), comm=alone())
    optimizer.register_step_pre_hook(lambda *_: order.append(("pre", model[0].bias[0].item())))
    optimizer.register_step_post_hook(lambda *_: order.append(("post", model[0].bias[0].item())))
    backward(model, 0, 0)
    before = model[0].bias[0].item()
    optimizer.step()
    assert order == [("pre", before), ("post", model[0].bias[0].item())]
    assert before != model[0].bias[0].item()


def test_hooks_of_the_state_dict_see_the_momenta() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), comm=alone())
    backward(model, 0, 0)
    optimizer.step()
    seen, weight = [], model[0].weight

    def on_save(_: Any, state: Any) -> None:
        seen.append("momenta" in state["state"][0])

    def on_load(_: Any, state: Any) -> Any:
        seen.append("momenta" in state["state"][0])

    optimizer.register_state_dict_post_hook(on_save)
    optimizer.register_load_state_dict_pre_hook(on_load)
    optimizer.register_load_state_dict_post_hook(lambda _: seen.append(bool(optimizer.state[weight]["momentum"].any())))
    optimizer.consolidate_state_dict()
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == [True] * 3


def test_a_graph_from_before_the_step_raises_instead_of_giving_other_gradients() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), comm=alone())
    loss = model(torch.ones(2, 6)).square().sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_step_may_be_replaced_on_the_instance() -> None:
    calls = []

    def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
        original = optimizer.step
        assert original.__func__ is DistributedLion.step
        optimizer.step = lambda *a: calls.append(step) or original(*a)  # type: ignore[method-assign]
        backward(model, 0, step)
        optimizer.step()
        optimizer.step = original  # type: ignore[method-assign]
        del optimizer.step

    assert train(alone(), around=around) == train(alone())
    assert calls == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["train", "eval", "scaler", "_step_count", "fsdp_wrapped_module", "__slots__"])
def test_it_lacks_an_attribute_that_trainers_take_for_a_sign(name: str) -> None:
    assert not hasattr(DistributedLion(tiny_model().parameters(), comm=alone()), name)


class Wrapper:
    """As those of Lightning and Fabric."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        kind = type(optimizer)
        self.__class__ = type("Wrapped" + kind.__name__, (self.__class__, kind), {})

    def step(self, closure: Any = None) -> Any:
        return self._optimizer.step(closure)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


def test_a_wrapper_of_its_class_made_without_its_constructor_works() -> None:
    model = tiny_model()
    optimizer = DistributedLion(model.parameters(), comm=alone())
    wrapper: Any = Wrapper(optimizer)
    assert isinstance(wrapper, DistributedLion)
    backward(model, 0, 0)
    wrapper.step()
    assert not wrapper.step_was_skipped
    wrapper.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    assert len(optimizer.param_groups) == 2
    wrapper.consolidate_state_dict()
    assert "momenta" in optimizer.state_dict()["state"][0]
    assert "momenta" in wrapper.state_dict()["state"][0]
    wrapper.zero_grad()
    assert model[0].weight.grad is None


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class Mine(DistributedLion):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=0.01, comm=alone())

        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    model = tiny_model()
    optimizer = Mine(model.parameters())
    for step in range(4):
        optimizer.zero_grad()
        backward(model, 0, step)
        optimizer.step()
    assert all_bits(model.parameters()) == train(alone())


def test_it_cannot_be_pickled_and_says_what_to_do() -> None:
    import copy

    with pytest.raises(TypeError, match="save its state_dict"):
        copy.deepcopy(DistributedLion(tiny_model().parameters(), comm=alone()))


@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_a_compiled_training_step_gives_the_same_parameters() -> None:
    def body(comm: signccl.Communicator, is_compiled: bool) -> list[bytes]:
        def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
            def make(x: torch.Tensor) -> None:
                model(x).square().mean().backward()
                optimizer.step()

            run = torch.compile(make, backend="eager") if is_compiled else make
            run(torch.randn(5, 6, generator=torch.Generator().manual_seed(step)))

        return train(comm, 3, around)

    assert body(alone(), True) == body(alone(), False)


# ------------------------------------------------------------------------------------------------- several of them


def test_the_numbers_of_optimizers_do_not_depend_on_earlier_communicators() -> None:
    for _ in range(20):
        with contextlib.closing(alone()) as comm:
            first = DistributedLion(tiny_model().parameters(), comm=comm)
            second = DistributedLion(tiny_model().parameters(), comm=comm)
        assert first.param_groups[0]["signccl_call_number"] == 0
        assert second.param_groups[0]["signccl_call_number"] == 1 << 48


def test_two_optimizers_and_votes_share_a_communicator() -> None:
    def body(comm: signccl.Communicator) -> list[bytes]:
        models = [tiny_model(0), tiny_model(1)]
        optimizers = [DistributedLion(model.parameters(), lr=0.01, comm=comm) for model in models]
        for step in range(3):
            for model, optimizer in zip(models, optimizers, strict=True):
                optimizer.zero_grad()
                backward(model, comm.rank, step)
                optimizer.step()
            signccl.all_reduce_vote(torch.ones(3).numpy(), comm)
        assert comm.call_number == 3
        return [*all_bits(models[0].parameters()), *all_bits(models[1].parameters())]

    expect_equal_replicas(as_threads(3, body))


def test_other_votes_do_not_change_the_bits_of_training() -> None:
    def body(comm: signccl.Communicator, votes: int) -> list[bytes]:
        def around(optimizer: DistributedLion, model: torch.nn.Module, step: int) -> None:
            for _ in range(votes):
                signccl.all_reduce_vote(torch.ones(3).numpy(), comm)
            backward(model, comm.rank, step)
            optimizer.step()

        return train(comm, 5, around)

    assert as_threads(2, lambda comm: body(comm, 0)) == as_threads(2, lambda comm: body(comm, 3))
