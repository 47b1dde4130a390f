"""Which values share a kernel: decided by how axes lie, not by extents that happen to agree."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
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


@pytest.mark.parametrize("n", [5, 10, 31])
def test_short_rows_are_folded_side_by_side(n):
    """Rows of a few elements with costly work: a strip of rows at once, with the same numbers."""
    rng = np.random.default_rng(n)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((1001, n), (n,)))

    def several(x, w):
        return {
            "logit": fnp.logaddexp(0, -(x * w).sum(1)),
            "sum of exponentials": fx.nn.logsumexp(x, axis=1),
            "place": fnp.argmax(fnp.tanh(x) + fnp.exp(x), 1),
            "scaled": fnp.sin((x * x).mean(1)) * fnp.cos(x[:, 0]),
        }

    with fx.disable_jit():
        expected = several(fnp.asarray(x), fnp.asarray(w))
    found = fx.jit(several)(x, w)
    alone = {k: fx.jit(lambda x, w, k=k: several(x, w)[k])(x, w) for k in found}
    for k in found:
        np.testing.assert_allclose(found[k], expected[k], 1e-4, 1e-5, err_msg=k)
        np.testing.assert_allclose(alone[k], expected[k], 1e-4, 1e-5, err_msg=k)
