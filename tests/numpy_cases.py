"""Calls of NumPy's functions, run in both namespaces: values must agree with NumPy, dtypes with
the table.

Each entry is (function of the namespace, expected dtypes of the results); dtypes are JAX's with
32-bit defaults, and `*` marks a weak type. The same call is made eagerly and through a jaxpr.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fx
import fx.numpy as fnp
from fx import core

Case = tuple[Callable[[Any], Any], str]


def f(*shape: int) -> np.ndarray:
    """Normal float32 values, the same for the same shape."""
    return np.random.default_rng(sum(shape) + 1).normal(size=shape).astype(np.float32)


def i(*shape: int) -> np.ndarray:
    """int32 values from -5 to 5."""
    return np.random.default_rng(sum(shape) + 2).integers(-5, 6, size=shape).astype(np.int32)


def p(*shape: int) -> np.ndarray:
    """Positive float32 values."""
    return np.abs(f(*shape)) + np.float32(0.1)


def c(*shape: int) -> np.ndarray:
    """complex64 values."""
    return (f(*shape) + 1j * np.roll(f(*shape), 1)).astype(np.complex64)


def b(*shape: int) -> np.ndarray:
    """Booleans."""
    return i(*shape) > 0


def nanx() -> np.ndarray:
    """A matrix with a NaN and a row of NaNs."""
    x = f(3, 4).copy()
    x[0, 1] = np.nan
    x[2] = np.nan
    return x


def leaves(x: Any) -> list[Any]:
    """The arrays of a result."""
    if isinstance(x, (tuple, list)):
        return [leaf for item in x for leaf in leaves(item)]
    return [x]


def kind(x: Any) -> str:
    """dtype and weak type, as the tables write them."""
    return f"{x.dtype}{'*' if getattr(x, 'weak_type', False) else ''}"


def check(case: Case) -> None:
    """Against NumPy, eagerly and traced."""
    call, dtypes = case
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's own about NaNs and complex parts
        expected = leaves(call(np))
        found = leaves(call(fnp))
    assert len(found) == len(expected)
    for a, e in zip(found, expected):
        e = np.asarray(e)
        assert np.shape(a) == e.shape
        np.testing.assert_allclose(np.asarray(a), e, rtol=5e-5, atol=5e-5)
    assert " ".join(dict.fromkeys(map(kind, found))) == dtypes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        closed = fx.make_jaxpr(lambda: leaves(call(fnp)))()
    traced = core.jaxpr_as_fun(closed)()
    for a, t in zip(found, traced):
        assert kind(a) == kind(t)
        np.testing.assert_allclose(np.asarray(a), np.asarray(t), rtol=1e-6, atol=1e-6)
