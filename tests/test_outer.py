"""Sums of outer products, written out by hand, are products of matrices."""

from __future__ import annotations

import numpy as np
import pytest

import fx
from benchmarks.driverless import lower_function
from lowering.profile import AVX2

pytestmark = pytest.mark.lowering

CASES = [
    (lambda a, b: (a[:, :, None] * b[None]).sum(1), (20, 30), (30, 40), True),
    (lambda a, b: (b[None] * a[:, None, :]).sum(-1), (20, 30), (40, 30), True),
    (lambda a, b: (a[:, :, None, :] * b[:, None]).sum(-1), (5, 20, 30), (5, 40, 30), True),
    (lambda a, b: (b[:, None] * a[:, :, None, :]).sum((0, -1)), (5, 20, 30), (5, 40, 30), True),
    (lambda a, b: (a[:, :, None] * b[None]).sum(1), (20, 3), (3, 40), False),
    (lambda a, b: (a[:, None] * b[None, :]).sum(0), (20,), (40,), False),
    (lambda a, b: (a[:, None, :] * b[None]).sum(), (20, 30), (40, 30), False),
    (lambda a, b: (a * b[None]).sum(-1), (20, 30), (30,), False),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_sum_of_outer_products(rng, case):
    f, left, right, product = CASES[case]
    args = [rng.standard_normal(s).astype(np.float32) for s in (left, right)]
    np.testing.assert_allclose(fx.jit(f)(*args), f(*args), rtol=1e-4, atol=1e-4)
    plan = lower_function(f, args, profile=AVX2).plan
    assert ("tile" in plan.programs[0].source) == product
