"""Library functions on concrete arrays: the replayed form is the ordinary one, to the bit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from case_checks import operands

import fx
import fx.numpy as fnp
from fx import core
from fx.array import Array
from fx.numpy import recorded

X = fnp.array(np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4))
I = fnp.array([2, 0, 2])
CALLS = {
    "maximum": (fnp.maximum, (X, X * 0.5), {}),
    "sum": (fnp.sum, (X,), {"axis": 0, "keepdims": True}),
    "sum of integers": (fnp.sum, (I,), {"dtype": np.float32}),
    "where": (fnp.where, (X > 0, X, 0.0), {}),
    "weak": (fnp.add, (fnp.asarray(2.0), I), {}),
    "concatenate": (fnp.concatenate, ([X, X],), {"axis": 1}),
    "split": (fnp.split, (X, 2), {"axis": 1}),
    "einsum": (fnp.einsum, ("ij,kj->ik", X, X), {}),
    "power": (fnp.power, (X, 3), {}),
    "power of an array": (fnp.power, (X, fnp.asarray(2)), {}),
    "log of negatives": (fnp.log, (X,), {}),
    "saturating": (lambda x: (x * 1e30).astype(np.int32), (X,), {}),
    "index": (lambda x: x[1:, None, ::-1], (X,), {}),
    "rows": (lambda x: x[I], (X,), {}),
    "rows outside": (lambda x: fnp.take(x, I * 7, axis=0), (X,), {}),
    "update": (lambda x: x.at[I, 1].add(3.0), (X,), {}),
    "update of a slice": (lambda x: x.at[1:, :2].set(0.5), (X,), {}),
    "softmax": (fx.nn.softmax, (X,), {"axis": 0}),
    "gelu": (fx.nn.gelu, (X,), {}),
    "normal": (fx.random.normal, (fx.random.key(3), (5,)), {}),
    "norm": (fnp.linalg.norm, (X,), {"axis": -1}),
    "method": (Array.mean, (X, 1), {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_third_call_is_the_first(name, monkeypatch):
    function, args, kwargs = CALLS[name]
    monkeypatch.setattr(recorded, "FIRST", 1 << 30)
    expected = fx.tree.leaves(function(*args, **kwargs))
    monkeypatch.setattr(recorded, "FIRST", 2)
    for _ in range(4):
        got = fx.tree.leaves(function(*args, **kwargs))
        for a, b in zip(got, expected, strict=True):
            assert (a.aval, np.asarray(a).tobytes()) == (b.aval, np.asarray(b).tobytes())


def programs(function):
    return [p for p in function.programs.values() if callable(p)]


def test_a_number_that_changes_is_no_signature():
    before = len(programs(fnp.hypot._call)) if hasattr(fnp.hypot, "_call") else 0
    for k in range(8):
        fnp.hypot(X, float(k))
    assert len(programs(getattr(fnp.hypot, "_call", fnp.hypot))) == before


def test_values_decide_nothing():
    """Signed zeros, NaNs and 0-d exponents are told apart."""
    one = fnp.ones(2)
    for zero in (0.0, -0.0, 0.0, -0.0, 0.0, -0.0):
        assert np.signbit(fnp.copysign(one, zero))[0] == np.signbit(zero)
    for k in (2, 3, 2, 3, 2, 3):
        assert fnp.power(one * -2.0, fnp.asarray(k))[0] == (-2.0) ** k


def test_errors_and_warnings_stay():
    for _ in range(5):
        with pytest.raises(TypeError, match="incompatible shapes"):
            fnp.add(fnp.ones(3), fnp.ones(4))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fnp.ones(2).astype(np.float64)
        assert len(caught) == 1


def test_configuration_is_part_of_the_signature():
    x = fnp.ones(3)
    for _ in range(5):
        fnp.add(x, fnp.ones((2, 3)))
    with fx.numpy_rank_promotion("raise"), pytest.raises(ValueError, match="rank_promotion"):
        fnp.add(x, fnp.ones((2, 3)))
    with fx.debug_nans(True), pytest.raises(FloatingPointError):
        for _ in range(5):
            fnp.log(x * -1.0)


def test_transformations_see_the_function():
    for _ in range(5):
        fnp.tanh(X)
    assert "tanh" in str(fx.make_jaxpr(fnp.tanh)(X))
    slope = fx.grad(lambda x: fnp.tanh(x).sum())(X)
    np.testing.assert_allclose(slope, 1 - np.tanh(np.asarray(X)) ** 2, rtol=1e-5)


def primitives_with_a_form_for_types():
    return sorted(name for name, p in core.PRIMITIVES.items() if p.numpy_of is not None)


@pytest.mark.parametrize("name", primitives_with_a_form_for_types())
def test_the_rule_for_types_is_the_rule(name):
    """`numpy_of` gives for each case what `numpy` gives, to the bit."""
    p, found = core.PRIMITIVES[name], 0
    for case in p.cases():
        args = operands(case)
        form = p.numpy_of([core.get_aval(a) for a in args], case.params)
        if form is None:
            continue
        function, *more = form
        expected = np.asarray(p.numpy(*args, **case.params))
        got = np.asarray(function(*args, *more)).astype(expected.dtype)
        assert (got.shape, got.tobytes()) == (expected.shape, expected.tobytes())
        found += 1
    assert found
