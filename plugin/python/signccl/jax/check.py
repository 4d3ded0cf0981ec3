# SPDX-License-Identifier: Apache-2.0
"""Ranks compare their parameters, since replicas stay equal only if they begin so."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import numpy as np

from .._compare import comparing
from ..communicator import Communicator
from . import communicators


def check_equal(tree: Any, comm: Communicator | None = None) -> None:
    """Raises ValueError on all ranks unless all ranks have the same tree of arrays, with the first difference.

    Paths, shapes and dtypes are compared, and the bits of the elements by their digests. A collective, to be called
    outside of ``jit``: before training, and after loading a checkpoint.

    Args:
        tree: a pytree of arrays, such as parameters. Momenta differ.
        comm: whose ranks compare. None: :func:`~signccl.jax.communicator`.
    """
    used = communicators.communicator() if comm is None else comm
    if not isinstance(used, Communicator):
        raise TypeError(f"comm is of type {type(used).__name__}, expected a signccl.Communicator")
    with comparing(used, "arrays") as texts:
        texts += [_describe(path, np.asarray(leaf)) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]


def _describe(path: Any, array: Any) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
    return f"{jax.tree_util.keystr(path) or 'the array'} {array.dtype.name}{list(array.shape)} with digest {digest}"
