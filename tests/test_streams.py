"""Folds of one long array: the registers of a strip read parts of their own."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function

pytestmark = pytest.mark.lowering
N = (1 << 22) + 13


def streamed(fn, *args):
    return any("far0" in p.source for p in lower_function(fn, args).plan.programs)


def test_only_long_folds_of_one_array_are_streamed():
    x, y = np.ones(N, np.float32), np.ones(N, np.float32)
    assert streamed(lambda x: fnp.sum(fnp.exp(-x)), x)
    assert streamed(lambda x: x.max(), x)
    assert not streamed(lambda x: x.sum(), x[:100_000])
    assert not streamed(lambda x, y: fnp.sum(x * y), x, y)
    assert not streamed(lambda x: fnp.exp(x), x)


@pytest.mark.driver
@pytest.mark.parametrize("n", [N, N + 3, 1 << 22, (1 << 22) - 1])
def test_every_element_is_folded_once(n):
    x = np.arange(n, dtype=np.int32) % 1000
    total, odd, least = fx.jit(lambda x: (x.sum(), fnp.sum(x % 2 == 1), (x * 3 + 5).min()))(x)
    assert (total, odd, least) == (x.sum(), (x % 2 == 1).sum(), 5)
    for at in (0, 1, n // 3, n - 2, n - 1):
        y = np.zeros(n, np.float32)
        y[at] = 7
        assert fx.jit(fnp.max)(y) == 7
