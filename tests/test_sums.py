"""Sums take in products, in one expression for the compiler to fuse, but where they cancel."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import array
from fx.executable import graph_of
from lowering.compile import make_plan
from lowering.debug import source_text
from lowering.saved import key_of

F32 = np.float32


def graph(function, count=3):
    return graph_of(fx.make_jaxpr(function)(*np.zeros((count, 64), F32)))


def taken_in(function, **options):
    """Whether a line of the kernel's text is both a product and a sum."""
    plan = make_plan(graph(function), array.default_device().profile, **options)
    lines = [x for x in source_text(plan).splitlines() if "const float x" in x]
    return any(" * " in x and (" + " in x.split("=")[1] or " - " in x) for x in lines)


@pytest.mark.lowering
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, y, z: x * y + z, True),
        (lambda x, y, z: z - x * y, True),
        (lambda x, y, z: x * y - z * x, True),
        (lambda x, y, z: (x * y + z, x * y), False),  # the product is needed for itself
        (lambda x, y, z: x * y - y * x, False),
        (lambda x, y, z: x * -y + y * x, False),
        (lambda x, y, z: (x * y) / (x * y + z), False),
    ],
)
def test_which_sums_take_in_a_product(function, expected):
    assert taken_in(function) == expected
    assert not taken_in(function, joins=False)


@pytest.mark.lowering
def test_programs_with_products_of_their_own_are_kept_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    program = graph(lambda x, y, z: x * y + z), array.default_device().profile, (), "f"
    assert key_of(*program, joins=True) != key_of(*program, joins=False)


@pytest.mark.driver
def test_products_of_the_same_factors_cancel():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1000)).astype(F32)
    v = rng.standard_normal((1000, 3)).astype(F32)
    z = (x + 1j * y).astype(np.complex64)
    zeros = fx.jit(
        lambda x, y, v, z: (x * y - y * x, fnp.cross(v, v), (z * z.conj()).imag, x * -y + y * x)
    )(x, y, v, z)
    for found in zeros:
        np.testing.assert_array_equal(found, np.zeros_like(found))


@pytest.mark.driver
def test_what_two_kernels_compute_is_the_same_number():
    """The largest element is one of those that are compared with it."""
    rng = np.random.default_rng(1)
    x, y, z = rng.standard_normal((3, 50, 70)).astype(F32)

    def f(x, y, z):
        s = x * y + z
        return s - s.max(), (s == s.max()).sum(), s.T - s.max(1), s - fnp.sort(s, axis=0)[-1]

    below, ties, turned, sorted_below = fx.jit(f)(x, y, z)
    assert ties == 1
    for found in (below, turned, sorted_below):
        assert np.max(found) == 0
