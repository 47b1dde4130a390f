"""Polynomials as coefficient vectors, highest power first: values, fits, roots, products,
derivatives, integrals.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.creation import asarray, ones, zeros
from fx.numpy.diagonals import diag
from fx.numpy.joining import concatenate
from fx.numpy.manipulation import atleast_1d
from fx.numpy.products import convolve, dot
from fx.numpy.selection import where
from fx.numpy.util import (
    check_arraylike,
    concrete,
    convert,
    is_concrete,
    promote_dtypes,
    promote_dtypes_inexact,
    shape_dtype,
    wrap,
)

__all__ = [
    "poly",
    "polyadd",
    "polyder",
    "polydiv",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "roots",
    "trim_zeros",
    "vander",
]


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """The polynomial's values at x, by Horner's rule, in the promoted dtype and the shape of x; p
    [n] holds the coefficients, the highest power first.
    """
    check_arraylike("polyval", p, x)
    if len(np.shape(p)) == 0:
        p = atleast_1d(p)
    p, x = promote_dtypes("polyval", p, x)
    p, x = shape_dtype("polyval", p)[0], shape_dtype("polyval", x)[0]
    n = core.get_aval(p).shape[0]
    tail = core.get_aval(p).shape[1:]
    shape = np.broadcast_shapes(core.get_aval(x).shape, tail)
    out = lax.full(tuple(shape), 0, core.get_aval(x).dtype)
    if n <= 64:
        for k in range(n):
            out = u.add(u.multiply(out, x), lax.squeeze(lax.slice_in_dim(p, k, k + 1), (0,)))
        return out

    def step(y: Any, c: Any) -> Any:
        return u.add(u.multiply(y, x), c), None

    return lax.scan(step, out, p)[0]


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of x [n] as columns [n, N], the highest first unless `increasing`; N: n by default.
    The dtype stays. ValueError for other ranks.
    """
    v, aval = shape_dtype("vander", x)
    if len(aval.shape) != 1:
        raise ValueError("x must be a one-dimensional array")
    n = aval.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError("N must be nonnegative")
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    kind = aval.dtype if aval.dtype.kind in "iu" else np.dtype(np.int32)
    return u.power(lax.expand_dims(v, (1,)), lax.expand_dims(wrap(powers.astype(kind)), (0,)))


def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """The coefficients [deg + 1], the highest power first, of the least-squares polynomial through
    points x [m], y [m] or [m, k], weighted by w; by lstsq on columns of unit length. With `full`
    also residuals, rank, singular values and rcond, with `cov` the covariance matrix (unless
    "unscaled", scaled by the residuals). TypeError for other shapes, ValueError for negative deg.
    """
    from fx.numpy import linalg

    check_arraylike("polyfit", x, y)
    x, y = promote_dtypes_inexact("polyfit", x, y)
    deg = operator.index(deg)
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if len(np.shape(x)) != 1:
        raise TypeError("expected 1D vector for x")
    if np.shape(x)[0] == 0:
        raise TypeError("expected non-empty vector for x")
    if len(np.shape(y)) not in (1, 2):
        raise TypeError("expected 1D or 2D array for y")
    if np.shape(x)[0] != np.shape(y)[0]:
        raise TypeError("expected x and y to have same length")
    order = deg + 1
    dtype = core.get_aval(x).dtype
    if rcond is None:
        rcond = np.shape(x)[0] * float(np.finfo(dtype).eps)
    lhs, rhs = vander(x, order), y
    if w is not None:
        (w,) = promote_dtypes_inexact("polyfit", w)
        lhs = u.multiply(lhs, lax.expand_dims(w, (1,)))
        rhs = u.multiply(rhs, w if len(np.shape(rhs)) == 1 else lax.expand_dims(w, (1,)))
    from fx.numpy.reductions import sum as sum_

    scale = u.sqrt(sum_(u.multiply(lhs, lhs), axis=0))
    c, residuals, rank, s = linalg.lstsq(u.divide(lhs, scale), rhs, rcond)
    c = u.divide(c, scale if len(np.shape(c)) == 1 else lax.expand_dims(scale, (1,)))
    if full:
        return c, residuals, rank, s, asarray(rcond)
    if cov is not False and cov is not None:
        base = linalg.inv(dot(lax.transpose(lhs, (1, 0)), lhs))
        if cov == "unscaled":
            return c, base
        if np.shape(x)[0] <= order:
            raise ValueError(
                "the number of data points must exceed order to scale the covariance matrix"
            )
        factor = u.divide(residuals, np.shape(x)[0] - order)
        if len(np.shape(y)) == 1:
            return c, u.multiply(base, factor)
        return c, u.multiply(lax.expand_dims(base, (2,)), factor)
    return c


def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """The roots of the polynomial of coefficients p [n], the highest power first: complex, as
    eigenvalues of the companion matrix. Leading zeros are stripped, which needs concrete p; with
    strip_zeros=False, as under jit, there are n - 1 roots, the missing ones NaN. ValueError for
    other ranks.
    """
    (p,) = promote_dtypes_inexact("roots", p)
    p = atleast_1d(p)
    if len(core.get_aval(p).shape) != 1:
        raise ValueError("p must be a rank-1 array.")
    n = core.get_aval(p).size
    if n and strip_zeros:
        known = concrete(
            p,
            "The error arose in fx.numpy.roots: set strip_zeros=False to use it within "
            "transformations.",
        )
        nonzero = np.flatnonzero(known)
        if nonzero.size == 0:
            return zeros((0,), _complex(core.get_aval(p).dtype))
        trailing = n - 1 - int(nonzero[-1])
        p = lax.slice_in_dim(p, int(nonzero[0]), int(nonzero[-1]) + 1)
        found = _companion_roots(p)
        return (
            concatenate([found, zeros((trailing,), core.get_aval(found).dtype)])
            if trailing
            else found
        )
    return _roots_unstripped(p, n) if n else zeros((0,), _complex(core.get_aval(p).dtype))


def _complex(d: np.dtype) -> np.dtype:
    return np.dtype(np.complex128 if d in (np.float64, np.complex128) else np.complex64)


def _companion_roots(p: Any) -> Any:
    from fx.numpy import linalg

    n = core.get_aval(p).size
    if n < 2:
        return zeros((0,), _complex(core.get_aval(p).dtype))
    lead = lax.squeeze(lax.slice_in_dim(p, 0, 1), (0,))
    row = u.negative(u.divide(lax.slice_in_dim(p, 1, n), lead))
    below = diag(ones((n - 2,), core.get_aval(p).dtype), k=-1)
    return linalg.eigvals(below.at[0, :].set(row))


def _roots_unstripped(p: Any, n: int) -> Any:
    """Leading and trailing zeros at run time: shift the coefficients to the front; missing roots
    are NaN.
    """
    from fx.numpy import linalg
    from fx.numpy.manipulation import roll
    from fx.numpy.reductions import argmax
    from fx.numpy.sorting import argsort

    nonzero = u.not_equal(p, 0)
    leading = argmax(nonzero)
    trailing = argmax(lax.rev(nonzero, (0,)))
    used = u.subtract(u.subtract(n, leading), trailing)
    p = roll(p, u.negative(leading), 0)
    lead = lax.squeeze(lax.slice_in_dim(p, 0, 1), (0,))
    row = u.negative(u.divide(lax.slice_in_dim(p, 1, n), lead))
    companion = diag(ones((n - 2,), core.get_aval(p).dtype), k=-1).at[0, :].set(row)
    found = linalg.eigvals(companion)
    # Zero coefficients at the end give zero roots: order by magnitude and cut off those beyond the
    # degree.
    order = argsort(u.negative(u.absolute(found)))
    from fx.numpy.selection import take

    found = take(found, order, mode="clip")
    k = lax.iota(np.dtype(np.int32), n - 1)
    total = u.subtract(n - 1, leading)
    found = where(u.less(k, u.subtract(used, 1)), found, 0)
    return where(u.less(k, total), found, np.nan)


def poly(seq_of_zeros: Any) -> Any:
    """The coefficients [n + 1] of the monic polynomial with these n roots, or of a matrix's
    characteristic polynomial (complex); the highest power first, in floating point; of no roots the
    scalar 1. ValueError for other shapes.
    """
    (z,) = promote_dtypes_inexact("poly", seq_of_zeros)
    z = atleast_1d(z)
    shape = core.get_aval(z).shape
    if len(shape) == 2 and shape[0] == shape[1] and shape[0] != 0:
        from fx.numpy import linalg

        z = linalg.eigvals(z)
    elif len(shape) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    n = core.get_aval(z).size
    dtype = core.get_aval(z).dtype
    if n == 0:
        return ones((), dtype)
    out = ones((1,), dtype)
    for k in range(n):
        factor = concatenate([ones((1,), dtype), u.negative(lax.slice_in_dim(z, k, k + 1))])
        out = convolve(out, factor, mode="full")
    return out


def _aligned(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    check_arraylike(name, a, b)
    a, b = promote_dtypes(name, a, b)
    a, b = atleast_1d(a), atleast_1d(b)
    n = max(core.get_aval(a).size, core.get_aval(b).size)

    def grow(x: Any) -> Any:
        missing = n - core.get_aval(x).size
        return lax.pad(x, base.const_as(x, 0), ((missing, 0, 0),)) if missing else x

    return grow(a), grow(b)


def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials, given by their coefficients, the highest power first, in the
    promoted dtype.
    """
    return u.add(*_aligned("polyadd", a1, a2))


def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials, given by their coefficients, the highest power first, in
    the promoted dtype.
    """
    return u.subtract(*_aligned("polysub", a1, a2))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """The product of two polynomials, given by their coefficients, the highest power first, as
    floats: [n + m - 1]. trim_leading_zeros needs concrete ones.
    """
    check_arraylike("polymul", a1, a2)
    a, b = promote_dtypes_inexact("polymul", a1, a2)
    a, b = atleast_1d(a), atleast_1d(b)
    if trim_leading_zeros and (core.get_aval(a).size > 1 or core.get_aval(b).size > 1):
        a, b = trim_zeros(a, "f"), trim_zeros(b, "f")
    if core.get_aval(a).size == 0:
        a = zeros((1,), core.get_aval(b).dtype)
    if core.get_aval(b).size == 0:
        b = zeros((1,), core.get_aval(a).dtype)
    return convolve(a, b, mode="full")


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Any, Any]:
    """Quotient and remainder of two polynomials, given by their coefficients, the highest power
    first, as floats; the remainder is as long as u, with leading zeros unless trim_leading_zeros,
    which needs concrete ones.
    """
    a, b = promote_dtypes_inexact("polydiv", u, v)
    a, b = atleast_1d(a), atleast_1d(b)
    m, n = core.get_aval(a).size - 1, core.get_aval(b).size - 1
    scale = 1.0 / lax.squeeze(lax.slice_in_dim(b, 0, 1), (0,))
    quotient = zeros((max(m - n + 1, 1),), core.get_aval(a).dtype)
    for k in range(max(0, m - n + 1)):
        d = scale * lax.squeeze(lax.slice_in_dim(a, k, k + 1), (0,))
        quotient = quotient.at[k].set(d)
        a = a.at[k : k + n + 1].add(-(d * b))
    if trim_leading_zeros:
        a = trim_zeros(a, "f")
    return quotient, a


def polyder(p: Any, m: int = 1) -> Any:
    """Coefficients of the m-th derivative of a polynomial, the highest power first, as floats: m
    fewer. ValueError for negative m.
    """
    (p,) = promote_dtypes_inexact("polyder", p)
    p = shape_dtype("polyder", p)[0]
    m = operator.index(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive")
    if m == 0:
        return p
    n = core.get_aval(p).size
    powers = np.arange(n)[::-1][: max(n - m, 0)]
    factor = np.prod([powers - k for k in range(m)], axis=0) if powers.size else powers
    return u.multiply(
        lax.slice_in_dim(p, 0, max(n - m, 0)),
        convert(wrap(np.asarray(factor, np.float64)), core.get_aval(p).dtype),
    )


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Coefficients of the m-th integral of a polynomial, the highest power first, as floats: m
    more. k holds the constant of each integration in turn, one for all, or none for 0. ValueError
    for negative m and another number of constants.
    """
    m = operator.index(m)
    k = 0 if k is None else k
    check_arraylike("polyint", p, k)
    p, constants = promote_dtypes_inexact("polyint", p, k)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = atleast_1d(constants)
    if core.get_aval(constants).size == 1:
        constants = lax.broadcast_in_dim(constants, (m,), (0,)) if m else constants
    elif core.get_aval(constants).shape != (m,):
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or m.")
    if m == 0:
        return p
    p = atleast_1d(p)
    joined = concatenate([p, constants])
    n = core.get_aval(p).size
    place = np.arange(n + m)[::-1]
    # Coefficient of the power r in the joined vector stands over r (r-1) ... as often as it was
    # integrated.
    divisor = np.ones(n + m)
    for j in range(n + m):
        times = m if j < n else m - 1 - (j - n)
        for i in range(times):
            divisor[j] *= place[j] - i
    return u.divide(joined, convert(wrap(divisor), core.get_aval(joined).dtype))


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Zeros cut off at the front ('f') and back ('b') of a concrete array, along axes (None: all):
    ConcretizationTypeError under jit. The dtype stays.
    """
    x, aval = shape_dtype("trim_zeros", filt)
    if not is_concrete(x):
        concrete(x, "trim_zeros: the length of the result depends on the values.")
    known = concrete(x) != 0
    axes = range(len(aval.shape)) if axis is None else np.atleast_1d(axis)
    index = [slice(None)] * len(aval.shape)
    for k in axes:
        others = tuple(d for d in range(len(aval.shape)) if d != k % len(aval.shape))
        line = np.flatnonzero(known.any(axis=others))
        if line.size == 0:
            index[k] = slice(0, 0)
            continue
        first = int(line[0]) if "f" in trim.lower() else 0
        last = int(line[-1]) + 1 if "b" in trim.lower() else aval.shape[k]
        index[k] = slice(first, last)
    return x[tuple(index)]
