# SPDX-License-Identifier: Apache-2.0
"""Tensors as the C API sees them: addresses and element types, with checks that name the parameter."""

from __future__ import annotations

from typing import Any

import torch

from .._c_types import DataType

_TYPES = {
    torch.float32: DataType.FLOAT32,
    torch.float16: DataType.FLOAT16,
    torch.bfloat16: DataType.BFLOAT16,
}


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a DTensor that this rank holds; any other tensor itself."""
    part = getattr(tensor, "_local_tensor", None)
    return tensor if part is None else part


def data_type(dtype: torch.dtype, name: str) -> DataType:
    """Raises TypeError for what has no place in a Lion step."""
    known = _TYPES.get(dtype)
    if known is None:
        raise TypeError(f"{name} has dtype {dtype}, expected torch.float32, torch.float16 or torch.bfloat16")
    return known


def check_parameter(parameter: torch.Tensor, name: str) -> None:
    """Raises TypeError or ValueError, with the parameter's name, unless its memory can be updated in place."""
    if parameter.layout != torch.strided:
        raise TypeError(f"{name} has layout {parameter.layout}, expected torch.strided")
    if parameter.device.type not in ("cpu", "cuda"):
        raise TypeError(f"{name} is on device {parameter.device}, expected cpu or cuda")
    data_type(parameter.dtype, name)
    if parameter.is_neg():
        raise ValueError(
            f"{name} has the negative bit, so its memory holds other numbers: expected resolve_neg() of it"
        )
    if not is_dense(parameter):
        raise ValueError(
            f"{name} of shape {tuple(parameter.shape)} has strides {parameter.stride()}: its elements have gaps or "
            "overlap in memory; expected a tensor that fills its memory"
        )


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill a range of memory, in whatever order."""
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape) if n != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def check_disjoint(named: list[tuple[torch.Tensor, str]]) -> None:
    """Raises ValueError, with both names, if two dense tensors share memory."""
    ranges = [
        (tensor.data_ptr(), tensor.data_ptr() + tensor.numel() * tensor.element_size(), name)
        for tensor, name in named
        if tensor.numel()
    ]
    ranges.sort()
    for (_, end, first), (begin, _, second) in zip(ranges, ranges[1:]):
        if begin < end:
            raise ValueError(
                f"{first} and {second} share memory: expected each parameter once, and no views of another"
            )


def gradient_like(parameter: torch.Tensor, gradient: torch.Tensor, dtype: torch.dtype, name: str) -> torch.Tensor:
    """`gradient` with the dtype and the order of elements in memory that the plan expects: itself where it has them,
    else a copy. Raises TypeError or ValueError, with the parameter's name."""
    if gradient.layout != torch.strided:
        raise TypeError(
            f"the gradient of {name} has layout {gradient.layout}, expected torch.strided: SignCCL takes no sparse "
            "gradients (nn.Embedding(sparse=False))"
        )
    if gradient.device != parameter.device:
        raise TypeError(f"the gradient of {name} is on device {gradient.device}, expected {parameter.device}")
    if gradient.shape != parameter.shape:
        raise ValueError(f"the gradient of {name} has shape {tuple(gradient.shape)}, expected {tuple(parameter.shape)}")
    data_type(gradient.dtype, f"the gradient of {name}")
    if gradient.dtype == dtype and gradient.stride() == parameter.stride() and not gradient.is_neg():
        return gradient
    copy = torch.empty_strided(parameter.shape, parameter.stride(), dtype=dtype, device=parameter.device)
    return copy.copy_(gradient.detach())


def unscale_(gradients: list[torch.Tensor], found_inf: torch.Tensor, scale: torch.Tensor) -> None:
    """Divides gradients by a scale that is on their device. `found_inf` becomes 1 if one of them is not finite."""
    inverse = scale.double().reciprocal().float()
    by_dtype: dict[torch.dtype, list[torch.Tensor]] = {}
    for gradient in gradients:
        by_dtype.setdefault(gradient.dtype, []).append(gradient)
    for alike in by_dtype.values():
        torch._amp_foreach_non_finite_check_and_unscale_(alike, found_inf, inverse)


def describe(tensor: torch.Tensor) -> str:
    """What ranks compare of a parameter."""
    part = local(tensor)
    return f"shape {tuple(part.shape)}, strides {part.stride()}, {str(part.dtype).removeprefix('torch.')}"


def names_of(groups: list[dict[str, Any]]) -> dict[int, str]:
    """A name for every parameter, by id: its own where the optimizer was given named parameters, else its place."""
    names: dict[int, str] = {}
    for number, group in enumerate(groups):
        given = group.get("param_names")
        for place, parameter in enumerate(group["params"]):
            if given is not None and place < len(given):
                names[id(parameter)] = f"parameter '{given[place]}'"
            else:
                names[id(parameter)] = f"parameter {place} of group {number}"
    return names
