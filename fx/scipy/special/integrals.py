"""Exponential, sine and cosine, Fresnel integrals, Dawson's and Faddeeva's functions: series and
continued fractions.

Every derivative is the closed form, so loops are never differentiated.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.custom import custom_jvp
from fx.family_docs import ELEMENTWISE, REAL, add_fact
from fx.numpy.util import promote_inexact
from fx.scipy.special.basic import real_args
from fx.tree_util import tree_map

__all__ = ["dawsn", "erfcx", "exp1", "expi", "expn", "fresnel", "sici", "spence", "wofz"]

_EULER = float(np.euler_gamma)


def _args(name: str, *xs: Any) -> list[Any]:
    return [fnp.asarray(x) for x in promote_inexact(name, *xs)]


def _sum(terms: int, step: Any, first: Any) -> Any:
    """first + step(1) + step(2) + ...; step(k, state) -> (term, state), with state starting at
    ones.
    """

    def body(k: Any, carry: Any) -> Any:
        total, state = carry
        term, state = step(k.astype(first.dtype), state)
        return total + term, state

    return lax.fori_loop(1, terms + 1, body, (first, fnp.ones_like(first)))[0]


# ---------------------------------------------------------------- exponential integrals


def _e1_series(x: Any) -> Any:
    """-gamma - log x - sum (-x)^k / (k k!), for x <= 2."""

    def step(k: Any, power: Any) -> Any:
        power = -power * x / k
        return -power / k, power

    return _sum(26, step, -_EULER - fnp.log(x))


def _e1_fraction(x: Any) -> Any:
    """exp(x) E1(x) = 1 / (x + 1 - 1 / (x + 3 - 4 / (x + 5 - ...))), from the tail, for x > 2."""
    terms = 50

    def body(j: Any, f: Any) -> Any:
        k = (terms - j).astype(x.dtype)
        return x + 2 * k - 1 - k * k / f

    return 1.0 / lax.fori_loop(0, terms, body, x + 2 * terms + 1)


@custom_jvp
def _exp1(x: Any) -> Any:
    small = x <= 2
    series = _e1_series(fnp.where(small & (x > 0), x, 1.0))
    far = fnp.where(small, 3.0, x)
    out = fnp.where(small, series, fnp.exp(-far) * _e1_fraction(far))
    return fnp.where(x == 0, np.inf, fnp.where(x < 0, np.nan, out))


@_exp1.defjvp
def _exp1_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _exp1(x), -t * fnp.exp(-x) / x


def exp1(x: Any) -> Any:
    """The exponential integral E1(x) = int_x^inf exp(-t) / t dt.

    DLMF 6.2.1: a power series up to 2, a continued fraction beyond. Infinite at 0, NaN below.
    """
    return _exp1(*real_args("exp1", x))


@custom_jvp
def _expi(x: Any) -> Any:
    positive = x > 0
    near = fnp.where(positive & (x < 40), x, 1.0)

    def step(k: Any, power: Any) -> Any:
        power = power * near / k
        return power / k, power

    series = _sum(130, step, _EULER + fnp.log(near))
    far = fnp.where(x >= 40, x, 50.0)

    def tail(k: Any, term: Any) -> Any:
        term = term * k / far
        return term, term

    asymptotic = fnp.exp(far) / far * _sum(30, tail, fnp.ones_like(far))
    out = fnp.where(x < 40, series, asymptotic)
    out = fnp.where(positive, out, -_exp1(fnp.where(positive, 1.0, -x)))
    return fnp.where(x == 0, -np.inf, out)


@_expi.defjvp
def _expi_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _expi(x), t * fnp.exp(x) / x


def expi(x: Any) -> Any:
    """The exponential integral Ei(x), the principal value above 0; -inf at 0.

    DLMF 6.2.5, as a principal value for x > 0.
    """
    return _expi(*real_args("expi", x))


def _expn_value(n: Any, x: Any) -> Any:
    """The continued fraction for x > 1, else the series (Abramowitz, Stegun 5.1.12, 5.1.22)."""
    terms = 60
    nf = n.astype(x.dtype)
    far = fnp.where(x > 1, x, 2.0)

    def fraction(j: Any, f: Any) -> Any:
        k = (terms - j).astype(x.dtype)
        return far + nf + 2 * k - 2 - k * (nf + k - 1) / f

    tail = fnp.exp(-far) / lax.fori_loop(0, terms, fraction, far + nf + 2.0 * terms)
    near = fnp.where((x <= 1) & (x > 0), x, 0.5)
    psi = lax.digamma(fnp.maximum(nf, 1.0))

    def step(k: Any, power: Any) -> Any:
        # the term -(-x)^m / ((m - n + 1) m!) at m = k, but at m = n - 1 the logarithm
        power = -power * near / k
        plain = -power / fnp.where(k == nf - 1, 1.0, k - nf + 1)
        return fnp.where(k == nf - 1, power * (psi - fnp.log(near)), plain), power

    head = fnp.where(nf == 1, psi - fnp.log(near), 1.0 / fnp.where(nf == 1, 1.0, nf - 1))
    series = _sum(24, step, head)
    out = fnp.where(x > 1, tail, series)
    at_zero = fnp.where(nf > 1, 1.0 / fnp.maximum(nf - 1, 1e-30), np.inf)
    out = fnp.where(x == 0, at_zero, out)
    out = fnp.where(nf == 0, fnp.exp(-x) / x, out)
    return fnp.where((x < 0) | (nf < 0), np.nan, out)


@partial(custom_jvp, nondiff_argnums=())
def _expn(n: Any, x: Any) -> Any:
    return _expn_value(n, x)


@_expn.defjvp
def _expn_jvp(primals: Any, tangents: Any) -> Any:
    n, x = primals
    return _expn(n, x), -tangents[1] * _expn(n - 1, x)


def expn(n: Any, x: Any) -> Any:
    """The exponential integral int_1^inf exp(-x t) / t^n dt.

    DLMF 8.19; x >= 0 and n >= 0, else NaN. It derives by x only: -expn(n - 1, x).
    """
    n, x = _args("expn", n, x)
    return _expn(lax.stop_gradient(n), x)


# ---------------------------------------------------------------- Faddeeva


def _weideman(z: Any, n: int) -> Any:
    """w(z) in the upper half plane as a rational series (Weideman 1994)."""
    m = 2 * n
    k = np.arange(-m + 1, m)
    length = np.sqrt(n / np.sqrt(2))
    theta = k * np.pi / m
    t = length * np.tan(theta / 2)
    f = np.concatenate([[0], np.exp(-(t**2)) * (length**2 + t**2)])
    a = np.real(np.fft.fft(np.fft.fftshift(f)))[1 : n + 1][::-1] / (2 * m)
    down = length - 1j * z
    ratio = (length + 1j * z) / down
    series = fnp.zeros_like(ratio)
    for c in a:
        series = series * ratio + fnp.asarray(c).astype(series.dtype)
    return 2 * series / down**2 + (1 / np.sqrt(np.pi)) / down


def wofz(z: Any) -> Any:
    """Faddeeva's function exp(-z^2) erfc(-i z).

    DLMF 7.2.3, by Weideman's rational series (1994) of 32 terms. complex64, of float64 and
    complex128 complex128.
    """
    z = fnp.asarray(z)
    wide = np.complex128 if z.dtype in (np.float64, np.complex128) else np.complex64
    z = z.astype(wide)
    lower = z.imag < 0
    up = _weideman(fnp.where(lower, -z, z), 32)
    return fnp.where(lower, 2 * fnp.exp(-z * z) - up, up)


@custom_jvp
def _erfcx(x: Any) -> Any:
    size = fnp.maximum(x, -26.0 if x.dtype == np.float64 else -9.0)
    positive = _weideman(lax.complex(fnp.zeros_like(x), fnp.abs(size)), 32).real
    far = fnp.abs(x)
    tail = (1 / np.sqrt(np.pi)) / fnp.maximum(far, 1.0) * (1 - 0.5 / fnp.maximum(far, 1.0) ** 2)
    positive = fnp.where(far > 1e4, tail, positive)
    return fnp.where(x < 0, 2 * fnp.exp(x * x) - positive, positive)


@_erfcx.defjvp
def _erfcx_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    y = _erfcx(x)
    return y, t * (2 * x * y - 2 / np.sqrt(np.pi))


def _in_float32(f: Any, x: Any) -> Any:
    """f(x), computed in float32 for 16-bit floats, of which there are no complex numbers."""
    if x.dtype.itemsize > 2:
        return f(x)
    return tree_map(lambda y: y.astype(x.dtype), f(x.astype(np.float32)))


def erfcx(x: Any) -> Any:
    """exp(x^2) erfc(x), which does not underflow for large x.

    By Weideman's series (1994); infinite far to the left.
    """
    (x,) = _args("erfcx", x)
    if x.dtype.kind == "c":
        return wofz(1j * x)
    return _in_float32(_erfcx, x)


@custom_jvp
def _dawsn(x: Any) -> Any:
    return (
        np.sqrt(np.pi).astype(x.dtype) / 2 * _weideman(lax.complex(x, fnp.zeros_like(x)), 32).imag
    )


@_dawsn.defjvp
def _dawsn_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    y = _dawsn(x)
    return y, t * (1 - 2 * x * y)


def dawsn(x: Any) -> Any:
    """Dawson's integral exp(-x^2) int_0^x exp(t^2) dt.

    DLMF 7.2.5, by Weideman's series (1994); the derivative is 1 - 2 x y.
    """
    return _in_float32(_dawsn, *real_args("dawsn", x))


# ---------------------------------------------------------------- integrals of oscillations


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def _gauss(f: Any, x: Any) -> Any:
    """int_0^x f by Gauss and Legendre's rule with 48 nodes."""
    nodes = fnp.asarray(((_NODES + 1) / 2).astype(x.dtype))
    weights = fnp.asarray((_WEIGHTS / 2).astype(x.dtype))
    points = x[..., None] * nodes
    return x * fnp.sum(f(points) * weights, axis=-1)


def _sici_tail(x: Any) -> tuple[Any, Any]:
    """f and g of Abramowitz, Stegun 5.2.38-39 as int exp(-x t) / (1 + t^2): Gauss and Laguerre's
    rule.
    """
    nodes, weights = np.polynomial.laguerre.laggauss(40)
    t = fnp.asarray(nodes.astype(x.dtype)) / x[..., None]
    w = fnp.asarray(weights.astype(x.dtype)) / x[..., None]
    bottom = 1 + t * t
    return fnp.sum(w / bottom, axis=-1), fnp.sum(w * t / bottom, axis=-1)


@custom_jvp
def _sici(x: Any) -> tuple[Any, Any]:
    size = fnp.abs(x)
    near = fnp.clip(size, 0, 8.0)
    si = _gauss(lambda t: fnp.sinc(t / np.pi), near)
    safe = fnp.where(near == 0, 1.0, near)

    def cosm1_over(t: Any) -> Any:
        zero = t == 0
        safe_t = fnp.where(zero, 1.0, t)
        return fnp.where(zero, 0.0, -2 * fnp.sin(safe_t / 2) ** 2 / safe_t)

    ci = _EULER + fnp.log(safe) + _gauss(cosm1_over, safe)
    far = fnp.where(size == np.inf, 8.0, fnp.maximum(size, 8.0))
    f, g = _sici_tail(far)
    si = fnp.where(size > 8, np.pi / 2 - f * fnp.cos(far) - g * fnp.sin(far), si)
    ci = fnp.where(size > 8, f * fnp.sin(far) - g * fnp.cos(far), ci)
    si = fnp.where(size == np.inf, np.pi / 2, si)
    ends = fnp.where(x > 0, 0.0, np.nan)
    ci = fnp.where(x == 0, -np.inf, fnp.where(size == np.inf, ends, ci))
    return fnp.sign(x) * si, ci


@_sici.defjvp
def _sici_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _sici(x), (t * fnp.sinc(x / np.pi), t * fnp.cos(x) / x)


def sici(x: Any) -> tuple[Any, Any]:
    """The pair of the sine integral Si(x) and the cosine integral Ci(x).

    DLMF 6.2.9 and 6.2.11: Gauss's rules, of 48 nodes up to 8 and of 40 beyond.
    Below 0 Ci is that of |x|; at -inf it is NaN.
    """
    return tuple(_sici(*real_args("sici", x)))  # type: ignore[return-value]


@custom_jvp
def _fresnel(x: Any) -> tuple[Any, Any]:
    size = fnp.abs(x)
    near = fnp.clip(size, 0, 4.0)
    s = _gauss(lambda t: fnp.sin(np.pi / 2 * t * t), near)
    c = _gauss(lambda t: fnp.cos(np.pi / 2 * t * t), near)
    # int_x^inf exp(i pi t^2 / 2) dt = (1 + i) / 2 erfc(sqrt(pi / 2) (1 - i) x / sqrt 2), by w
    far = fnp.clip(size, 4.0, 1e18)  # beyond, both are 1/2, and squares overflow
    z = lax.complex(far, far) * np.sqrt(np.pi).astype(x.dtype) / 2
    tail = _weideman(z, 32)
    angle = np.pi / 2 * fnp.remainder(far * far, 4.0)
    turn = lax.complex(fnp.cos(angle), fnp.sin(angle))
    rest = lax.complex(fnp.full_like(far, 0.5), fnp.full_like(far, 0.5)) * (1 - turn * tail)
    s = fnp.where(size > 4, rest.imag, s)
    c = fnp.where(size > 4, rest.real, c)
    return fnp.sign(x) * s, fnp.sign(x) * c


@_fresnel.defjvp
def _fresnel_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    angle = np.pi / 2 * x * x
    return _fresnel(x), (t * fnp.sin(angle), t * fnp.cos(angle))


def fresnel(x: Any) -> tuple[Any, Any]:
    """Fresnel's integrals of sin(pi t^2 / 2) and cos(pi t^2 / 2) from 0 to x.

    (S, C), DLMF 7.2.7-8: Gauss and Legendre's rule with 48 nodes up to 4, w(z) beyond.
    """
    sine, cosine = _in_float32(_fresnel, *real_args("fresnel", x))
    return sine, cosine


@custom_jvp
def _spence(x: Any) -> Any:
    # Li2(1 - x): reduce to |argument| <= 1/2 by the two reflections, then its power series.
    large = x > 1.5
    y = fnp.where(large, 1 / fnp.where(large, x, 1.0), x)
    small = y < 0.5
    z = fnp.where(small, -y, y - 1)

    def step(k: Any, power: Any) -> Any:
        power = -power * z
        return power / (k * k), power

    series = _sum(60, step, fnp.zeros_like(x))
    logs = fnp.log(fnp.where(y > 0, y, 1.0))
    rest = np.pi**2 / 6 - logs * fnp.log1p(-fnp.where(small, y, 0.0)) - series
    out = fnp.where(small, rest, series)
    out = fnp.where(large, -0.5 * fnp.log(fnp.where(large, x, 1.0)) ** 2 - out, out)
    return fnp.where(x < 0, np.nan, fnp.where(x == 0, np.pi**2 / 6, out))


@_spence.defjvp
def _spence_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    one = x == 1
    safe = fnp.where(one, 2.0, x)
    return _spence(x), t * fnp.where(one, -1.0, fnp.log(safe) / (1 - safe))


def spence(x: Any) -> Any:
    """The dilogarithm int_1^x log(t) / (1 - t) dt.

    Li2(1 - x) (DLMF 25.12): 60 terms after reflection to |1 - x| <= 1/2. NaN below 0.
    """
    return _spence(*real_args("spence", x))


add_fact(ELEMENTWISE, dawsn, erfcx, exp1, expi, expn, fresnel, sici, spence)
add_fact(REAL, dawsn, exp1, expi, fresnel, sici, spence)
