# SPDX-License-Identifier: Apache-2.0
"""How signccl.jax finds its library, and what it says where XLA refuses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from signccl.jax import _library
from support import environment

pytestmark = pytest.mark.timeout(60)


def test_handlers_that_xla_refuses_are_an_error_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("INVALID_ARGUMENT: FFI handler registration: 0.1 != 7.0")

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    with pytest.raises(
        ImportError, match=r"XLA of jaxlib \d.* refuses the handlers of /lib.so: .* 0.1 != 7.0"
    ) as error:
        _library._register(_library.library, "/lib.so")
    assert "SIGNCCL_XLA_FFI_INCLUDE_DIR" in str(error.value)


def run(library: str | Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-B", "-c", "import signccl.jax"],
        env=environment(SIGNCCL_JAX_LIBRARY=str(library)),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.returncode == 1
    return ended.stderr


def test_library_that_is_missing_or_another_one_is_named() -> None:
    text = run("/nowhere/libsignccl_jax.so")
    assert "signccl.jax found no libsignccl_jax.so" in text
    assert "as it is with SIGNCCL_PREBUILT, with SIGNCCL_JAX=0" in text
    other = os.environ["SIGNCCL_LIBRARY"]
    assert f"{os.path.abspath(other)} has no signcclJaxVote, signcclJaxAvg" in run(other)
