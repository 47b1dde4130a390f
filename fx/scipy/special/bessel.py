"""Modified Bessel functions of orders 0 and 1; derivatives of all orders are the functions' own
relations, at 0 too.
"""

from __future__ import annotations

from typing import Any

from fx import lax
from fx import numpy as fnp
from fx.custom import custom_jvp
from fx.family_docs import ELEMENTWISE, add_fact
from fx.numpy.util import promote_inexact

__all__ = ["i0", "i0e", "i1", "i1e"]


def _arg(name: str, x: Any) -> Any:
    (x,) = promote_inexact(name, x)
    return fnp.asarray(x)


def i0e(x: Any) -> Any:
    """exp(-|x|) times the modified Bessel function of order 0."""
    return lax.bessel_i0e(_arg("i0e", x))


def i1e(x: Any) -> Any:
    """exp(-|x|) times the modified Bessel function of order 1."""
    return lax.bessel_i1e(_arg("i1e", x))


@custom_jvp
def _i0(x: Any) -> Any:
    return fnp.exp(fnp.abs(x)) * lax.bessel_i0e(x)


@custom_jvp
def _i1(x: Any) -> Any:
    return fnp.exp(fnp.abs(x)) * lax.bessel_i1e(x)


@_i0.defjvp
def _i0_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _i0(x), t * _i1(x)


@_i1.defjvp
def _i1_jvp(primals: Any, tangents: Any) -> Any:
    """i1' = i0 - i1 / x; near 0 the series 1/2 + 3/16 x^2 + 5/384 x^4, where that cancels."""
    (x,), (t,) = primals, tangents
    y = _i1(x)
    near = fnp.abs(x) < (0.02 if x.dtype.itemsize == 8 else 0.2)
    square = fnp.where(near, x * x, 0.0)
    series = 0.5 + square * (3 / 16 + square * (5 / 384 + square * (7 / 18432)))
    return y, t * fnp.where(near, series, _i0(x) - y / fnp.where(near, 1.0, x))


def i0(x: Any) -> Any:
    """The modified Bessel function of order 0 (DLMF 10.25), exp(|x|) i0e(x): infinite from 89 in
    float32.
    """
    return _i0(_arg("i0", x))


def i1(x: Any) -> Any:
    """The modified Bessel function of order 1 (DLMF 10.25), exp(|x|) i1e(x)."""
    return _i1(_arg("i1", x))


add_fact(ELEMENTWISE, i0, i0e, i1, i1e)
