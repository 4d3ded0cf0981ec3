# SPDX-License-Identifier: Apache-2.0
"""Lion steps on addresses."""

from __future__ import annotations

import numpy as np
import pytest

import signccl
from signccl._lion import Lion, LionGroup, LionRules, LionTensor


def test_retry_that_is_refused_keeps_the_communicator() -> None:
    mine, other = (signccl.Communicator.all_in_process(1)[0] for _ in range(2))
    parameters = np.ones(10, np.float32)
    momenta = np.zeros(10, np.float32)
    tensor = LionTensor(parameters.ctypes.data, momenta.ctypes.data, 10)
    lion = Lion(mine, [tensor], 1, LionRules(), (parameters, momenta))
    with pytest.raises(signccl.InvalidUsageError, match="the last Lion step did not fail"):
        lion.retry(other)
    other.close()
    with pytest.raises(signccl.InvalidUsageError, match="closed"):
        lion.retry(other)
    lion.step([LionGroup(0.5, 0.9, 0.99, 0.0)], np.zeros(1, np.uintp))
    assert lion.comm is mine
    assert mine.call_number == 1
    assert parameters.tolist() == [0.5] * 10
    lion.close()
    mine.close()
