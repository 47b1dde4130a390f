"""Which values share a kernel: decided by how axes lie, not by extents that happen to agree."""

from __future__ import annotations

import numpy as np
import pytest

import fx
from benchmarks.driverless import lower_function

pytestmark = pytest.mark.lowering


def stored(function, *shapes):
    """How many values each kernel writes."""
    arrays = [np.zeros(s, np.float32) for s in shapes]
    nests = lower_function(function, tuple(arrays), ()).plan.meta["nests"]
    return [len(nest.stores) for _, nest in nests]


@pytest.mark.parametrize("axis", (0, 1))
def test_a_square_is_fused_like_any_other_matrix(axis):
    def softmax(x):
        return fx.nn.softmax(x, axis=axis)

    shapes = [(512, 512), (512, 640)]
    assert stored(softmax, shapes[0]) == stored(softmax, shapes[1])
    x = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    e = np.exp(x - x.max(axis, keepdims=True))
    np.testing.assert_allclose(fx.jit(softmax)(x), e / e.sum(axis, keepdims=True), rtol=1e-5)
