"""Loops outside jit: short ones run by NumPy, long ones compiled; the values are the same."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from fx.eager_loops import WORTH_COMPILING


def launches(f):
    before = fx.counters()
    out = f()
    fx.block_until_ready(out)
    return out, (fx.counters() - before).calls


def test_short_loops_compile_nothing():
    out, calls = launches(lambda: lax.fori_loop(0, 50, lambda i, c: c + i, fnp.zeros(3)))
    assert calls == 0
    np.testing.assert_array_equal(out, 1225.0)


@pytest.mark.driver
@pytest.mark.parametrize("length", [100, WORTH_COMPILING])
def test_scan(length):
    xs = fnp.linspace(0.0, 1.0, length)

    def body(c, x):
        return 0.9 * c + x, c

    (carry, ys), calls = launches(lambda: lax.scan(body, 0.0, xs))
    assert (calls > 0) == (length == WORTH_COMPILING)
    c, kept = np.float32(0), []
    for x in np.asarray(xs):
        kept.append(c)
        c = np.float32(0.9) * c + x
    np.testing.assert_allclose(carry, c, rtol=1e-5)
    np.testing.assert_allclose(ys, kept, rtol=1e-4)


@pytest.mark.driver
def test_while_goes_on_compiled():
    def run():
        return lax.while_loop(
            lambda c: c[0] < 20_000, lambda c: (c[0] + 1, c[1] + c[0] % 3), (0, 0)
        )

    (count, total), calls = launches(run)
    assert calls == 1
    assert (int(count), int(total)) == (20_000, sum(k % 3 for k in range(20_000)))
    assert count.dtype == np.int32 and count.weak_type


def test_derivatives_pass_through():
    def f(x):
        return lax.scan(lambda c, _: (fnp.sin(c) + x, None), x, None, length=8_000)[0]

    value, slope = fx.value_and_grad(f)(0.3)
    want = fx.jit(fx.value_and_grad(f))(0.3)
    np.testing.assert_allclose([value, slope], want, rtol=1e-4)


def test_effects_and_disabled_jit_stay_with_numpy():
    with fx.disable_jit():
        _, calls = launches(lambda: lax.fori_loop(0, 20_000, lambda i, c: c + i * 2, 0))
    assert calls == 0
