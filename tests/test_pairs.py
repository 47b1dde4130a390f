"""Folds over all pairs of rows: second rows are turned in memory, and lanes are pairs."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from benchmarks.driverless import lower_function
from lowering.profile import AVX2

pytestmark = pytest.mark.lowering


def squares(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


CASES = [
    (squares, (70, 9), (80, 9), True),
    (lambda x, y: fnp.sqrt(((x[None] - y[:, None]) ** 2).sum(-1)).min(1), (70, 33), (80, 33), True),
    (lambda x, y: abs(x[:, None] - y[None]).max(-1), (130, 100), (140, 100), True),
    (lambda x, y: (x[:, None] > 2 * y[None]).all(-1), (70, 9), (80, 9), True),
    (lambda x, y: fnp.maximum(x[:, None], y[None]).argmax(-1), (70, 9), (80, 9), True),
    (lambda x, y: abs(x[:, :, None] - y[:, None]).sum(-1), (3, 40, 9), (3, 50, 9), True),
    (lambda x, y: abs(x[:, None] - y[None] * fnp.arange(9)).sum(-1), (70, 9), (80, 9), True),
    (lambda x, y: abs(x[:, None] - y.T[None]).sum(-1), (70, 9), (9, 80), False),  # so already
    (lambda x, y: abs(x[:, None] - y[None]).sum(-1), (70, 1000), (80, 1000), False),  # long rows
    (lambda x, y: abs(x - y[None]).sum(-1), (70, 80, 9), (80, 9), False),  # x is read once
    (lambda x, y: abs(x[:, None] - y[None]).sum(1), (70, 9), (80, 9), False),  # along columns
    (lambda x, y: (x[:, None] * y[None]).sum(-1), (70, 90), (80, 90), False),  # a product
]


def reasons(f, args):
    """Why nodes were stored."""
    return [why for _, why in lower_function(f, args, profile=AVX2).plan.meta["reasons"]]


def is_turned(f, args):
    """Whether an operand is stored with its columns side by side."""
    return any("columns lie side by side" in why for why in reasons(f, args))


@pytest.mark.parametrize("case", range(len(CASES)))
def test_folds_over_pairs(rng, case):
    f, left, right, turned = CASES[case]
    args = [rng.standard_normal(s).astype(np.float32) for s in (left, right)]
    np.testing.assert_allclose(fx.jit(f)(*args), f(*map(fnp.asarray, args)), rtol=1e-4, atol=1e-4)
    assert is_turned(f, args) == turned


def test_what_others_read_too_stays(rng):
    """A difference that is a result, too, is read along its rows, and so are the folds of it."""

    def f(x, y):
        d = x[:, None] - y[None]
        return d, (d * d).sum(-1)

    x, y = (rng.standard_normal((70, 9)).astype(np.float32) for _ in range(2))
    for made, right in zip(fx.jit(f)(x, y), f(x, y)):
        np.testing.assert_allclose(made, right, rtol=1e-5)
    assert not is_turned(f, (x, y))


def test_strips_go_along_the_pairs():
    x = np.ones((70, 9), np.float32)
    text = lower_function(squares, (x, x), profile=AVX2).plan.programs[0].source
    assert "float16_u *)(b1 + (i1 + 70 * i2" in text


@pytest.mark.parametrize(("k", "apart"), [(100, True), (64, False), (3, False)])
def test_rows_of_other_lengths_are_folded_by_kernels_of_their_own(rng, k, apart):
    """A nest has strips along one axis; what it folds along another goes element by element."""

    def cell(w, u, h, x):
        return fnp.tanh(w @ h + u @ x)

    args = [rng.standard_normal(s).astype(np.float32) for s in ((40, 64), (40, k), (64,), (k,))]
    w, u, h, x = args
    np.testing.assert_allclose(fx.jit(cell)(*args), np.tanh(w @ h + u @ x), rtol=1e-3, atol=1e-4)
    assert any("rows of another length" in why for why in reasons(cell, args)) == apart
