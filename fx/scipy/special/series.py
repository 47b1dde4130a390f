"""Hypergeometric, Bessel and spherical functions, Owen's T: series, recurrences and quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.custom import custom_jvp
from fx.family_docs import ELEMENTWISE, add_fact
from fx.numpy.util import promote_inexact
from fx.scipy.special.basic import gamma, gammaln

__all__ = ["bessel_jn", "hyp1f1", "hyp2f1", "owens_t", "sph_harm_y"]


def _args(name: str, *xs: Any) -> list[Any]:
    return [fnp.asarray(x) for x in promote_inexact(name, *xs)]


def _power_series(ratio: Any, terms: int, like: Any) -> Any:
    """1 + r(0) + r(0) r(1) + ...: a scan of static length, so both modes differentiate it."""

    def step(carry: Any, k: Any) -> Any:
        total, term = carry
        term = term * ratio(k)
        return (total + term, term), None

    one = fnp.ones_like(like)
    return lax.scan(step, (one, one), fnp.arange(terms, dtype=like.dtype))[0][0]


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Kummer's function: its power series, by Kummer's transformation for negative x.

    DLMF 13.2.2: 160 terms up to |x| = 60, the asymptotic series 13.7.1 beyond.
    """
    a, b, x = _args("hyp1f1", a, b, x)
    negative = x < 0
    top, z = fnp.where(negative, b - a, a), fnp.where(negative, -x, x)
    large = z > 60  # |x|, minima and maxima would halve the slope at 0 and 60
    near, far = fnp.where(large, 60.0, z), fnp.where(large, z, 60.0)
    series = _power_series(lambda k: (top + k) / (b + k) * near / (k + 1), 160, near)
    tail = _power_series(lambda k: (b - top + k) * (1 - top + k) / ((k + 1) * far), 12, far)
    log_tail = gammaln(b) - gammaln(top) + far + (top - b) * fnp.log(far)
    scaled = fnp.where(negative, series * fnp.exp(-z), series)
    far_value = fnp.exp(log_tail - fnp.where(negative, far, 0.0)) * tail
    return fnp.where(large, far_value, scaled)


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' function for x < 1: Pfaff's and Euler's transformations bring |x| below 0.9, then the
    series.

    DLMF 15.2.1 and 15.8: at most 300 terms; near 1 the connection formula 15.8.4, whose parameters
    are shifted by 0.002 where c - a - b is whole. NaN for x > 1.
    """
    a, b, c, x = _args("hyp2f1", a, b, c, x)
    negative = x < 0
    z = fnp.where(negative, x / (x - 1), x)
    second = fnp.where(negative, c - b, b)
    close = z > 0.9
    inner = fnp.where(close, 0.5, z)
    series = _power_series(lambda k: (a + k) * (second + k) / (c + k) * inner / (k + 1), 300, inner)
    beside = fnp.where(close & (z != 1), z, 0.95)
    out = fnp.where(close, _near_one(a, second, c, beside), series)
    d = fnp.where(z == 1, c - a - second, 1.0)
    at_one = gamma(c) * gamma(d) * _over_gamma(c - a) * _over_gamma(c - second)
    out = fnp.where(z == 1, at_one, out)
    factor = fnp.where(negative, (1 - fnp.where(negative, x, 0.0)) ** -a, 1.0)
    return fnp.where(x > 1, np.nan, factor * out)


def _near_one(a: Any, b: Any, c: Any, z: Any) -> Any:
    """Abramowitz, Stegun 15.3.6; where c - a - b is whole, at a neighbour of it."""
    d = c - a - b
    whole = fnp.abs(d - fnp.round(d)) < 1e-3
    shift = fnp.where(whole, 2e-3, 0.0)
    c = c + shift
    d = c - a - b
    y = 1 - z
    first = _power_series(lambda k: (a + k) * (b + k) / (1 - d + k) * y / (k + 1), 60, y)
    second = _power_series(lambda k: (c - a + k) * (c - b + k) / (1 + d + k) * y / (k + 1), 60, y)
    one = gamma(c) * gamma(d) * _over_gamma(c - a) * _over_gamma(c - b) * first
    two = y**d * gamma(c) * gamma(-d) * _over_gamma(a) * _over_gamma(b) * second
    return one + two


def _over_gamma(x: Any) -> Any:
    """1 / Gamma(x), which is 0 at 0, -1, ... and has slopes there: sin(pi x) Gamma(1 - x) / pi."""
    low = x < 0.5
    whole = fnp.round(x)
    sign = 1 - 2 * fnp.remainder(whole, 2)
    reflected = sign * fnp.sin(np.pi * (x - whole)) / np.pi * gamma(1 - fnp.where(low, x, 0.0))
    return fnp.where(low, reflected, 1 / gamma(fnp.where(low, 1.0, x)))


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """The Bessel functions J_0 ... J_v of the first kind, by Miller's backward recurrence.

    The result is [v + 1, *z.shape]. Orders start at max(v, n_iter): n_iter must exceed |z|. DLMF
    3.6.
    """
    (z,) = _args("bessel_jn", z)
    zero = z == 0
    x = fnp.where(zero, 1.0, z)
    start = max(v, n_iter) + n_iter % 2
    start += start % 2

    def down(carry: Any, k: Any) -> Any:
        above, here, total = carry
        below = 2 * (k + 1) / x * here - above
        size = fnp.abs(below) > 1e10
        scale = fnp.where(size, 1e-10, 1.0)
        here, below = here * scale, below * scale
        even = fnp.remainder(k, 2) == 0
        total = total * scale + fnp.where(even, 2 * below, 0.0)
        return (here, below, total), (below, scale)

    ks = fnp.arange(start - 1, -1, -1, dtype=z.dtype)
    tiny = fnp.full_like(x, 1e-20)
    (_, j0, total), (values, scales) = lax.scan(
        down, (fnp.zeros_like(x), tiny, fnp.zeros_like(x)), ks
    )
    norm = total - j0
    # later rescalings apply to earlier values too
    later = fnp.flip(fnp.cumprod(fnp.flip(scales, 0), axis=0), 0)
    later = fnp.concatenate([later[1:], fnp.ones_like(later[:1])], axis=0)
    found = fnp.flip(values * later, 0)[: v + 1] / norm
    at_zero = (fnp.arange(v + 1) == 0).astype(z.dtype).reshape((-1,) + (1,) * z.ndim)
    return fnp.where(zero, at_zero, found)


def owens_t(h: Any, a: Any) -> Any:
    """Owen's T function (1 / 2 pi) int_0^a exp(-h^2 (1 + t^2) / 2) / (1 + t^2) dt.

    h and a broadcast. Gauss and Legendre's rule with 32 nodes for |a| <= 1, reflection beyond (Owen
    1956). The derivatives are closed forms: the integrand at a, and -density(h) (ndtr(a h) - 1/2).
    """
    return _owens_t(*fnp.broadcast_arrays(*_args("owens_t", h, a)))


@custom_jvp
def _owens_t(h: Any, a: Any) -> Any:
    from fx.scipy.special.basic import ndtr

    h = fnp.abs(h)
    size = fnp.abs(a)
    inside = size <= 1
    nodes, weights = np.polynomial.legendre.leggauss(32)
    t = fnp.asarray(((nodes + 1) / 2).astype(h.dtype))
    w = fnp.asarray((weights / 2).astype(h.dtype))

    def integral(h: Any, a: Any) -> Any:
        points = a[..., None] * t
        bottom = 1 + points * points
        return (
            a
            / (2 * np.pi)
            * fnp.sum(w * fnp.exp(-0.5 * h[..., None] ** 2 * bottom) / bottom, axis=-1)
        )

    safe = fnp.where(inside, 1.0, size)
    near = integral(h, fnp.where(inside, size, 1.0))
    product = fnp.where(fnp.isinf(safe), fnp.inf, h * safe)
    lower, upper = ndtr(h), ndtr(product)
    far = 0.25 - (lower - 0.5) * (upper - 0.5) - integral(product, 1 / safe)
    far = fnp.where(fnp.isinf(safe), 0.5 * ndtr(-h), far)
    out = fnp.where(inside, near, far)
    return fnp.sign(a) * out


@_owens_t.defjvp
def _owens_t_jvp(primals: Any, tangents: Any) -> Any:
    (h, a), (th, ta) = primals, tangents
    zero = (h == 0) | (a == 0)  # the other one may be infinite
    product = fnp.where(zero, 0.0, fnp.multiply(h, a))
    density = fnp.exp(-0.5 * h * h)
    by_h = -density * lax.erf(product * np.sqrt(0.5)) / np.sqrt(8 * np.pi)
    by_a = density * fnp.exp(-0.5 * product * product) / (2 * np.pi * (1 + a * a))
    return _owens_t(h, a), th * by_h + ta * by_a


def sph_harm_y(
    n: Any, m: Any, theta: Any, phi: Any, diff_n: int | None = None, n_max: int | None = None
) -> Any:
    """The spherical harmonics Y_n^m at polar angle theta and azimuth phi.

    n and m are integers and broadcast with the angles (radians); complex. n_max must be given where
    n is traced. diff_n raises NotImplementedError. DLMF 14.30.
    """
    if diff_n is not None:
        raise NotImplementedError("sph_harm_y: derivatives by diff_n; use fx.grad")
    n, m = fnp.asarray(n), fnp.asarray(m)
    theta, phi = _args("sph_harm_y", theta, phi)
    if n_max is None:
        from fx.numpy.util import concrete

        known = concrete(n, "sph_harm_y: n must be static, or give n_max.")
        n_max = int(known.max()) if known.size else 0
    x = fnp.cos(theta)
    s = fnp.sin(theta)
    order = fnp.abs(m)
    legendre = _normalised_legendre(n, order, x, s, n_max)
    sign = fnp.where((m < 0) & (fnp.remainder(order, 2) == 1), -1.0, 1.0)
    angle = m * phi
    return lax.complex(
        (sign * legendre * fnp.cos(angle)).astype(x.dtype),
        (sign * legendre * fnp.sin(angle)).astype(x.dtype),
    )


def _normalised_legendre(n: Any, m: Any, x: Any, s: Any, top: int) -> Any:
    """sqrt((2n+1)/(4 pi) (n-m)!/(n+m)!) P_n^m(x), by the recurrence in n from P_m^m."""
    shape = np.broadcast_shapes(n.shape, m.shape, x.shape)
    out = fnp.zeros(shape, x.dtype)
    diagonal = fnp.full(shape, np.sqrt(1 / (4 * np.pi)), x.dtype)
    for k in range(top + 1):
        if k:
            diagonal = -diagonal * s * np.sqrt((2 * k + 1) / (2 * k))
        before, here = fnp.zeros(shape, x.dtype), diagonal
        out = fnp.where((m == k) & (n == k), here, out)
        for j in range(k + 1, top + 1):
            a = np.sqrt((4 * j * j - 1) / (j * j - k * k))
            b = np.sqrt(((j - 1) ** 2 - k * k) / (4 * (j - 1) ** 2 - 1))
            before, here = here, a * (x * here - b * before)
            out = fnp.where((m == k) & (n == j), here, out)
    return out


add_fact(ELEMENTWISE, hyp1f1, hyp2f1, owens_t)
