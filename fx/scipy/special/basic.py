"""Functions that are a few primitives: gamma and beta, entropy and information, normal
distribution.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fx import lax, nn
from fx import numpy as fnp
from fx.custom import SymbolicZero, custom_jvp
from fx.family_docs import ELEMENTWISE, REAL, add_fact
from fx.jvp import jvp
from fx.numpy.util import promote_inexact
from fx.prims import series
from fx.scipy.special import complex_gamma

__all__ = [
    "bernoulli",
    "beta",
    "betainc",
    "betaln",
    "boxcox",
    "boxcox1p",
    "comb",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfinv",
    "expit",
    "factorial",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gammasgn",
    "kl_div",
    "log_ndtr",
    "log_softmax",
    "loggamma",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "poch",
    "polygamma",
    "rel_entr",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]

logsumexp = nn.logsumexp


def _args(name: str, *xs: Any) -> list[Any]:
    return [fnp.asarray(x) for x in promote_inexact(name, *xs)]


def real_args(name: str, *xs: Any) -> list[Any]:
    """Arguments of a function of floats as arrays of one dtype; ValueError for complex ones."""
    found = _args(name, *xs)
    if found[0].dtype.kind == "c":
        raise ValueError(f"{name} does not support complex-valued inputs.")
    return found


def softmax(x: Any, /, *, axis: Any = None) -> Any:
    """exp(x) / sum(exp(x)), over everything by default.

    axis None means all elements together; the shape stays.
    """
    return nn.softmax(x, axis=axis)


def log_softmax(x: Any, /, *, axis: Any = None) -> Any:
    """The logarithm of softmax along `axis` (over all elements where None), without overflow."""
    return nn.log_softmax(x, axis=axis)


# ---------------------------------------------------------------- gamma and beta


def gammaln(x: Any) -> Any:
    """log |gamma(x)| for real x (DLMF 5.2); infinite at 0, -1, -2, ..."""
    return lax.lgamma(*_args("gammaln", x))


def loggamma(x: Any) -> Any:
    """log(gamma(x)): the principal branch for complex x (DLMF 5.2), NaN for real x that are not
    positive.
    """
    (x,) = _args("loggamma", x)
    if x.dtype.kind == "c":
        return complex_gamma.loggamma(x)
    return fnp.where(x > 0, lax.lgamma(x), np.nan)


def gammasgn(x: Any) -> Any:
    """The sign of gamma(x): 1 or -1 as a float; NaN at negative integers."""
    (x,) = _args("gammasgn", x)
    floor = fnp.floor(x)
    odd = fnp.remainder(floor, 2) != 0
    sign = fnp.where((x < 0) & odd, -1.0, 1.0).astype(x.dtype)
    zero = fnp.where(fnp.signbit(x), -1.0, 1.0).astype(x.dtype)
    sign = fnp.where(x == 0, zero, sign)
    return fnp.where((x < 0) & (x == floor), np.nan, sign)


def gamma(x: Any) -> Any:
    """The gamma function: infinite at 0 (NaN for complex x), NaN at negative integers."""
    (x,) = _args("gamma", x)
    if x.dtype.kind == "c":
        return complex_gamma.gamma(x)
    return gammasgn(x) * fnp.exp(lax.lgamma(x))


def factorial(n: Any, exact: bool = False) -> Any:
    """gamma(n + 1), element by element as floats; 0 below 0.

    exact=True raises NotImplementedError.
    """
    if exact:
        raise NotImplementedError("factorial with exact=True")
    (n,) = _args("factorial", n)
    return fnp.where(n < 0, 0.0, fnp.exp(lax.lgamma(n + 1)))


def comb(N: Any, k: Any, *, repetition: bool = False) -> Any:
    """The number of ways to choose k of N.

    gamma(N + 1) / (gamma(k + 1) gamma(N - k + 1)), rounded for whole numbers below 2^22; 0 unless 0
    <= k <= N. repetition: that of N + k - 1.
    """
    n, k = _args("comb", N, k)
    if repetition:
        return comb(n + k - 1, k)
    good = (k >= 0) & (n >= 0) & (k <= n)
    n, k = fnp.where(good, n, 1.0), fnp.where(good, k, 0.0)
    logs = lax.lgamma(n + 1) - lax.lgamma(k + 1) - lax.lgamma(n - k + 1)
    whole = (fnp.floor(n) == n) & (fnp.floor(k) == k)
    count = fnp.exp(logs)
    rounded = count + lax.stop_gradient(fnp.round(count) - count)
    return fnp.where(good, fnp.where(whole & (count < 2**22), rounded, count), 0.0)


def poch(z: Any, m: Any) -> Any:
    """Rising factorial gamma(z + m) / gamma(z).

    Rounding of both gammas shows where they overflow: infinities and NaN.
    """
    z, m = _args("poch", z, m)
    out = gamma(z + m) / gamma(z)
    return fnp.where((m == 0) & ~fnp.isfinite(out), 1.0, out)  # elsewhere 1 with a slope in m


def betaln(a: Any, b: Any) -> Any:
    """log |beta(a, b)|, without cancellation where one argument is large.

    By Stirling's series (DLMF 5.11.1) where the larger is 8 or more.
    """
    a, b = _args("betaln", a, b)
    a, b = fnp.minimum(a, b), fnp.maximum(a, b)
    small = lax.lgamma(a) + (lax.lgamma(b) - lax.lgamma(a + b))
    safe = fnp.where(b < 8.0, 8.0, b)  # a maximum has half the slope at 8
    # Stirling: lgamma(b) - lgamma(a + b) from the series of each remainder.
    total = a + safe
    rest = _stirling(safe) - _stirling(total)
    difference = (safe - 0.5) * -fnp.log1p(a / safe) - a * fnp.log(total) + a + rest
    return fnp.where(b < 8.0, small, lax.lgamma(a) + difference)


def _stirling(x: Any) -> Any:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x >= 8."""
    i = 1.0 / x
    s = i * i
    c = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    out = fnp.zeros_like(x)
    for k in reversed(c):
        out = out * s + k
    return out * i


def beta(a: Any, b: Any) -> Any:
    """The beta function gamma(a) gamma(b) / gamma(a + b)."""
    a, b = _args("beta", a, b)
    sign = gammasgn(a) * gammasgn(b) * gammasgn(a + b)
    return sign * fnp.exp(betaln(a, b))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function I_x(a, b) (DLMF 8.17.2); NaN unless a, b > 0 and 0
    <= x <= 1.
    """
    a, b, x = _args("betainc", a, b, x)
    return lax.betainc(a, b, x)


def digamma(x: Any) -> Any:
    """The derivative of gammaln; NaN at 0 and negative integers."""
    return lax.digamma(*_args("digamma", x))


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of digamma at x.

    DLMF 5.15; n holds whole numbers, which have no derivative.
    """
    n, x = _args("polygamma", n, x)
    return lax.polygamma(n, x)


def zeta(x: Any, q: Any = None) -> Any:
    """The Hurwitz zeta function sum 1 / (k + q)^x; Riemann's for q = 1.

    DLMF 25.11.1; it derives by both. Infinite at x = 1, NaN below.
    """
    return _zeta(*_args("zeta", x, 1.0 if q is None else q))


@custom_jvp
def _zeta(x: Any, q: Any) -> Any:
    return lax.zeta(*fnp.broadcast_arrays(x, q))


def _zeta_jvp(primals: Any, tangents: Any) -> Any:
    """By x it is the derivative of the series of Euler and Maclaurin, term by term."""
    (x, q), (tx, tq) = primals, tangents
    out, slope = _zeta(x, q), 0.0
    if not isinstance(tq, SymbolicZero):
        slope = tq * (-x * _zeta(x + 1, q))
    if not isinstance(tx, SymbolicZero):
        slope = slope + jvp(lambda x: series.zeta(series.TracedOps, x, q), (x,), (tx,))[1]
    return out, fnp.broadcast_to(fnp.asarray(slope, out.dtype), out.shape)


_zeta.defjvp(_zeta_jvp, symbolic_zeros=True)


def gammainc(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function P(a, x) (DLMF 8.2.4); NaN for negative a or
    x.
    """
    return lax.igamma(*_args("gammainc", a, x))


def gammaincc(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), accurate where it is
    small.
    """
    return lax.igammac(*_args("gammaincc", a, x))


def multigammaln(a: Any, d: Any) -> Any:
    """The log of the multivariate gamma function of dimension d.

    log(pi) d (d - 1) / 4 + sum of gammaln(a - k / 2) for k < d; d is one Python integer.
    """
    d = int(d)
    (a,) = _args("multigammaln", a)
    out = fnp.full_like(a, 0.25 * d * (d - 1) * np.log(np.pi))
    for k in range(d):
        out = out + lax.lgamma(a - 0.5 * k)
    return out


def bernoulli(n: int) -> Any:
    """The Bernoulli numbers B0 to Bn, B1 being -1/2: floats [n + 1].

    Exact fractions, then rounded. ValueError for negative n.
    """
    from fractions import Fraction
    from math import comb as choose

    if n < 0:
        raise ValueError("n must be a non-negative integer.")
    numbers = [Fraction(1)]
    for m in range(1, n + 1):
        total = sum((choose(m + 1, k) * numbers[k] for k in range(m)), Fraction(0))
        numbers.append(-total / (m + 1))
    return fnp.asarray(np.asarray([float(b) for b in numbers]))


# ---------------------------------------------------------------- information


@custom_jvp
def _xlogy(x: Any, y: Any) -> Any:
    zero = fnp.logical_and(x == 0, fnp.logical_not(fnp.isnan(y)))
    return fnp.where(zero, fnp.zeros_like(x), x * fnp.log(fnp.where(zero, 1.0, y)))


@_xlogy.defjvp
def _xlogy_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    return _xlogy(x, y), tx * fnp.log(y) + ty * (x / y)


def xlogy(x: Any, y: Any) -> Any:
    """x log y, 0 where x is 0 and y is a number; its derivatives are log y and x / y."""
    return _xlogy(*_args("xlogy", x, y))


@custom_jvp
def _xlog1py(x: Any, y: Any) -> Any:
    zero = fnp.logical_and(x == 0, fnp.logical_not(fnp.isnan(y)))
    return fnp.where(zero, fnp.zeros_like(x), x * fnp.log1p(fnp.where(zero, 0.0, y)))


@_xlog1py.defjvp
def _xlog1py_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (tx, ty) = primals, tangents
    return _xlog1py(x, y), tx * fnp.log1p(y) + ty * (x / (1 + y))


def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y), 0 where x is 0; its derivatives are log(1 + y) and x / (1 + y)."""
    return _xlog1py(*_args("xlog1py", x, y))


def entr(x: Any) -> Any:
    """-x log x; 0 at 0, -inf below."""
    (x,) = real_args("entr", x)
    return fnp.where(x < 0, -np.inf, -xlogy(x, fnp.where(x > 0, x, 1.0)))


def rel_entr(p: Any, q: Any) -> Any:
    """p log(p / q), 0 where p is 0, infinite outside.

    Infinite where p < 0, or q <= 0 < p.
    """
    p, q = real_args("rel_entr", p, q)
    both = (p > 0) & (q > 0)
    safe_p, safe_q = fnp.where(both, p, 1.0), fnp.where(both, q, 1.0)
    value = safe_p * (fnp.log(safe_p) - fnp.log(safe_q))
    return fnp.where(both, value, fnp.where((p == 0) & (q >= 0), 0.0, np.inf))


def kl_div(p: Any, q: Any) -> Any:
    """rel_entr(p, q) - p + q."""
    p, q = real_args("kl_div", p, q)
    return rel_entr(p, q) - p + q


def logit(x: Any) -> Any:
    """log(x / (1 - x)): infinite at 0 and 1, NaN outside."""
    (x,) = _args("logit", x)
    return _logit(x)


@custom_jvp
def _logit(x: Any) -> Any:
    return fnp.log(x / (1 - x))


@_logit.defjvp
def _logit_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _logit(x), t / (x * (1 - x))  # log' of 0 times the 0 of the quotient would be NaN


def expit(x: Any) -> Any:
    """1 / (1 + exp(-x)): the inverse of logit."""
    return lax.logistic(*_args("expit", x))


def boxcox(x: Any, lmbda: Any) -> Any:
    """(x^lmbda - 1) / lmbda, log x for lmbda = 0.

    By expm1, so that small lmbda loses no digits.
    """
    x, lmbda = _args("boxcox", x, lmbda)
    zero = lmbda == 0
    safe = fnp.where(zero, 1.0, lmbda)
    return fnp.where(zero, fnp.log(x), fnp.expm1(safe * fnp.log(x)) / safe)


def boxcox1p(x: Any, lmbda: Any) -> Any:
    """boxcox of 1 + x, accurate near 0."""
    x, lmbda = _args("boxcox1p", x, lmbda)
    zero = lmbda == 0
    safe = fnp.where(zero, 1.0, lmbda)
    return fnp.where(zero, fnp.log1p(x), fnp.expm1(safe * fnp.log1p(x)) / safe)


# ---------------------------------------------------------------- error functions and the normal
# distribution


def erf(x: Any) -> Any:
    """The error function 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return lax.erf(*_args("erf", x))


def erfc(x: Any) -> Any:
    """1 - erf(x), accurate where x is large."""
    return lax.erfc(*_args("erfc", x))


def erfinv(x: Any) -> Any:
    """The inverse of erf: infinite at -1 and 1, NaN outside."""
    return lax.erf_inv(*_args("erfinv", x))


def ndtr(x: Any) -> Any:
    """The standard normal distribution function.

    erfc(-x / sqrt(2)) / 2, by erf near 0.
    """
    (x,) = _args("ndtr", x)
    half = np.sqrt(0.5).astype(x.dtype)
    w = x * half
    z = fnp.abs(w)
    tails = fnp.where(w > 0, 2.0 - lax.erfc(z), lax.erfc(z))
    return 0.5 * fnp.where(z < half, 1.0 + lax.erf(w), tails)


_LOG_2PI = float(np.log(2 * np.pi))


@partial(custom_jvp, nondiff_argnums=(1,))
def _log_ndtr(x: Any, order: int) -> Any:
    low = _tail_of(x.dtype)
    high = 8.0 if x.dtype == np.float64 else 5.0
    middle = fnp.log(ndtr(fnp.clip(x, low, high)))
    far, series = _tail_series(x, order)
    tail = -0.5 * far * far - fnp.log(-far) - 0.5 * _LOG_2PI + fnp.log(series)
    return fnp.where(x > high, -ndtr(-x), fnp.where(x > low, middle, tail))


def _tail_of(dtype: Any) -> float:
    return -20.0 if dtype == np.float64 else -10.0


def _tail_series(x: Any, order: int) -> tuple[Any, Any]:
    """x in the tail (its end elsewhere), and the s for which ndtr(x) = density(x) s / -x there."""
    low = _tail_of(x.dtype)
    far = fnp.where(x > low, low, x)
    series, term = fnp.ones_like(x), fnp.ones_like(x)
    for k in range(1, order + 1):
        term = -term * (2 * k - 1) / (far * far)
        series = series + term
    return far, series


@_log_ndtr.defjvp
def _log_ndtr_jvp(order: int, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    out = _log_ndtr(x, order)
    middle = x > _tail_of(x.dtype)
    near, log_near = fnp.where(middle, x, 0.0), fnp.where(middle, out, 0.0)
    slope = fnp.exp(-0.5 * near * near - log_near - 0.5 * _LOG_2PI)
    far, series = _tail_series(x, order)  # where x^2 / 2 would cancel against the logarithm
    return out, t * fnp.where(middle, slope, -far / series)


def log_ndtr(x: Any, series_order: int = 3) -> Any:
    """log(ndtr(x)), with an asymptotic series far to the left.

    The series has series_order terms, beyond -10 (-20 in float64). TypeError for an order that is
    no integer, ValueError outside 0 to 30. The derivative is the closed form.
    """
    if not isinstance(series_order, int):
        raise TypeError("series_order must be a Python integer.")
    if not 0 <= series_order <= 30:
        raise ValueError("series_order must be between 0 and 30.")
    return _log_ndtr(*_args("log_ndtr", x), series_order)


@custom_jvp
def _ndtri(p: Any) -> Any:
    """Newton's iteration on log ndtr, from the leading terms of its inverse."""
    q = fnp.minimum(p, 1 - p)
    tiny = float(np.finfo(p.dtype).tiny)
    inside = fnp.clip(q, tiny, 0.5)
    logs = fnp.log(inside)
    t = fnp.sqrt(-2 * logs)
    tail = -(t - (fnp.log(fnp.maximum(t, 1.0)) * 2 + _LOG_2PI) / (2 * fnp.maximum(t, 1.0)))
    y = fnp.where(inside > 0.02, np.sqrt(2.0).astype(p.dtype) * lax.erf_inv(2 * inside - 1), tail)
    for _ in range(4):
        value = _log_ndtr(y, 3)
        slope = fnp.exp(-0.5 * y * y - value - 0.5 * _LOG_2PI)
        y = y - (value - logs) / slope
    y = fnp.where(p > 0.5, -y, y)
    y = fnp.where(p == 0, -np.inf, fnp.where(p == 1, np.inf, fnp.where(p == 0.5, 0.0, y)))
    return fnp.where((p < 0) | (p > 1), np.nan, y)


@_ndtri.defjvp
def _ndtri_jvp(primals: Any, tangents: Any) -> Any:
    (p,), (t,) = primals, tangents
    y = _ndtri(p)
    return y, t * fnp.exp(0.5 * y * y + 0.5 * _LOG_2PI)


def ndtri(p: Any) -> Any:
    """The inverse of ndtr: infinite at 0 and 1, NaN outside.

    Four Newton steps on log ndtr; the derivative is sqrt(2 pi) exp(y^2 / 2). TypeError for
    bfloat16, smaller floats and complex numbers.
    """
    (x,) = _args("ndtri", p)
    if x.dtype not in ("float16", "float32", "float64"):
        raise TypeError(f"ndtri does not accept dtype {x.dtype}; convert it to float32.")
    return _ndtri(x)


add_fact(
    ELEMENTWISE,
    *(gammaln, gammasgn, gamma, factorial, comb, poch, betaln, beta, betainc, digamma, polygamma),
    *(zeta, gammainc, gammaincc, multigammaln, xlogy, xlog1py, entr, rel_entr, kl_div, logit),
    *(expit, boxcox, boxcox1p, erf, erfc, erfinv, ndtr, log_ndtr, ndtri, loggamma),
)
add_fact(REAL, entr, kl_div, rel_entr)
