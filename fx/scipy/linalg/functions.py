"""Functions of matrices: exponential, square root, polar factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.lax import linalg as factor
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["expm", "expm_frechet", "funm", "polar", "rsf2csf", "sqrtm"]


def _one(name: str, a: Any) -> Any:
    (a,) = promote_dtypes_inexact(name, a)
    a = fnp.asarray(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"Expected A to be a (batched) square matrix, got {a.shape=}.")
    return a


_PADE = {
    3: (120.0, 60.0, 12.0, 1.0),
    5: (30240.0, 15120.0, 3360.0, 420.0, 30.0, 1.0),
    7: (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0),
    9: (
        17643225600.0,
        8821612800.0,
        2075673600.0,
        302702400.0,
        30270240.0,
        2162160.0,
        110880.0,
        3960.0,
        90.0,
        1.0,
    ),
    13: (
        64764752532480000.0,
        32382376266240000.0,
        7771770303897600.0,
        1187353796428800.0,
        129060195264000.0,
        10559470521600.0,
        670442572800.0,
        33522128640.0,
        1323241920.0,
        40840800.0,
        960960.0,
        16380.0,
        182.0,
        1.0,
    ),
}


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Any:
    """The matrix exponential by Pade approximants, scaling and squaring (Higham 2005).

    A [..., n, n] (ValueError otherwise). NaN where more than max_squarings would be needed.
    upper_triangular has no effect.
    """
    a = _one("expm", A)
    if not a.size:
        return a
    double = a.dtype in (np.float64, np.complex128)
    size = fnp.max(fnp.sum(fnp.abs(a), axis=-2), axis=-1)
    limits = (
        (
            (3, 1.495585217958292e-2),
            (5, 2.539398330063230e-1),
            (7, 9.504178996162932e-1),
            (9, 2.097847961257068),
            (13, 5.371920351148152),
        )
        if double
        else ((3, 4.258730016922831e-1), (5, 1.880152677804762), (7, 3.925724783138660))
    )
    top = limits[-1][1]
    squarings = fnp.maximum(0, fnp.floor(fnp.log2(fnp.maximum(size, 1e-30) / top)) + 1)
    too_large = squarings > max_squarings
    squarings = fnp.minimum(squarings, max_squarings)
    scaled = a / (2.0**squarings)[..., None, None].astype(a.dtype)
    odd, even = _pade(scaled, _coefficients(size, limits))
    out = _square(fnp.linalg.solve(even - odd, even + odd), squarings, max_squarings)
    return fnp.where(too_large[..., None, None], np.nan, out)


def _coefficients(size: Any, limits: Any) -> list[Any]:
    """Those of the approximant of the least degree whose limit is above the size, zeros behind."""
    most = limits[-1][0]
    padded = {d: [*_PADE[d], *[0.0] * (most - d)] for d, _ in limits}
    chosen = padded[most]
    for degree, limit in reversed(limits[:-1]):
        enough = (size < limit)[..., None, None]
        chosen = [fnp.where(enough, x, y) for x, y in zip(padded[degree], chosen)]
    return chosen


def _pade(a: Any, c: list[Any]) -> tuple[Any, Any]:
    """The odd part U and the even part V of the approximant (V + U) / (V - U).

    The powers are the same for all degrees, and the sums' coefficients are numbers: four products
    for degree 7, where an approximant of each degree takes six and wastes all but one.
    """
    c = [fnp.asarray(x, a.dtype) for x in c]
    eye = fnp.broadcast_to(fnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    power = square = a @ a
    odd, even = c[1] * eye + c[3] * square, c[0] * eye + c[2] * square
    for k in range(4, len(c), 2):
        power = power @ square
        even = even + c[k] * power
        odd = odd + c[k + 1] * power
    return a @ odd, even


def _square(x: Any, count: Any, most: int) -> Any:
    """x squared `count` times; a scan of static length, so that both modes differentiate it."""

    def step(y: Any, k: Any) -> Any:
        if not count.ndim:
            return lax.cond(k < count, lambda y: y @ y, lambda y: y, y), None
        return fnp.where((k < count)[..., None, None], y @ y, y), None

    return lax.scan(step, x, fnp.arange(most))[0]


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """exp(A) and its derivative in the direction E.

    Both [..., n, n] (ValueError otherwise): (exp(A), L) or L alone. method has no effect; it is the
    jvp of expm.
    """
    import fx

    a, e = (fnp.asarray(x) for x in promote_dtypes_inexact("expm_frechet", A, E))
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError("expected A to be a square matrix")
    if a.shape != e.shape:
        raise ValueError("expected A and E to be the same shape")
    value, derivative = fx.jvp(expm, (a,), (e,))
    return (value, derivative) if compute_expm else derivative


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """A real Schur form as a complex one: its 2x2 blocks made triangular by rotations.

    T and Z [n, n] give complex T, Z with the same Z T Z^H. ValueError for other shapes.
    """
    t, z = (fnp.asarray(x) for x in promote_dtypes_inexact("rsf2csf", T, Z))
    if t.ndim != 2 or t.shape[0] != t.shape[1] or z.shape != t.shape:
        raise ValueError(
            f"Input array shapes must be equal and square: Z: {z.shape} vs. T: {t.shape}"
        )
    wide = np.complex128 if t.dtype in (np.float64, np.complex128) else np.complex64
    t, z = t.astype(wide), z.astype(wide)
    eps = float(np.finfo(t.dtype).eps)
    for m in range(t.shape[0] - 1, 0, -1):
        block = t[m - 1 : m + 1, m - 1 : m + 1]
        here = fnp.abs(block[1, 0]) > eps * (fnp.abs(block[0, 0]) + fnp.abs(block[1, 1]))
        half = (block[0, 0] + block[1, 1]) / 2
        root = fnp.sqrt(half * half - (block[0, 0] * block[1, 1] - block[0, 1] * block[1, 0]))
        mu = half + root - block[1, 1]
        r = fnp.sqrt(fnp.abs(mu) ** 2 + fnp.abs(block[1, 0]) ** 2)
        c, s = mu / r, block[1, 0] / r
        g = fnp.stack([fnp.stack([fnp.conj(c), s]), fnp.stack([-s, c])])
        g = fnp.where(here, g, fnp.eye(2, dtype=wide))
        t = t.at[m - 1 : m + 1, m - 1 :].set(g @ t[m - 1 : m + 1, m - 1 :])
        t = t.at[: m + 1, m - 1 : m + 1].set(t[: m + 1, m - 1 : m + 1] @ fnp.conj(g.T))
        z = z.at[:, m - 1 : m + 1].set(z[:, m - 1 : m + 1] @ fnp.conj(g.T))
        t = t.at[m, m - 1].set(0.0)
    return t, z


def sqrtm(A: Any, blocksize: int = 1) -> Any:
    """The principal square root, by the Schur method (Bjorck, Hammarling 1983).

    A [..., n, n]; the result is complex. blocksize above 1 raises NotImplementedError.
    """
    if blocksize > 1:
        raise NotImplementedError("Blocked version is not implemented yet.")
    a = _one("sqrtm", A)
    wide = np.complex128 if a.dtype in (np.float64, np.complex128) else np.complex64
    t, z = factor.schur(a.astype(wide))
    root = _sqrtm_triangular(t)
    return z @ root @ fnp.conj(fnp.swapaxes(z, -1, -2))


def _sqrtm_triangular(t: Any) -> Any:
    """Superdiagonal by superdiagonal: u_ij = (t_ij - sum u_ik u_kj) / (u_ii + u_jj)."""
    n = t.shape[-1]
    diagonal = fnp.sqrt(fnp.diagonal(t, axis1=-2, axis2=-1))
    u = fnp.zeros_like(t)
    for k in range(n):
        u = u.at[..., k, k].set(diagonal[..., k])
    for d in range(1, n):
        i = np.arange(n - d)
        inner = fnp.matmul(u, u)[..., i, i + d]
        bottom = diagonal[..., i] + diagonal[..., i + d]
        zero = bottom == 0
        value = (t[..., i, i + d] - inner) / fnp.where(zero, 1, bottom)
        u = u.at[..., i, i + d].set(fnp.where(zero, 0, value))
    return u


def funm(A: Any, func: Callable[[Any], Any], disp: bool = True) -> Any:
    """func of a matrix, by Parlett's recurrence on its Schur form.

    A [n, n], func of its eigenvalues [n], elementwise; the result is complex. Inaccurate where
    eigenvalues are close (Golub, Van Loan 9.1.2). With disp=False also an estimate of the error in
    the 1-norm.
    """
    a = _one("funm", A)
    if a.ndim != 2:
        raise ValueError(f"funm requires one matrix, got an array of shape {a.shape}")
    wide = np.complex128 if a.dtype in (np.float64, np.complex128) else np.complex64
    t, z = factor.schur(a.astype(wide))
    n = t.shape[-1]
    values = fnp.asarray(func(fnp.diagonal(t))).astype(wide)
    f = fnp.diag(values)
    smallest: Any = fnp.abs(t[0, 0])
    for d in range(1, n):
        i = np.arange(n - d)
        j = i + d
        s = t[i, j] * (f[j, j] - f[i, i])
        above_t, above_f = fnp.triu(t, 1), fnp.triu(f, 1)
        s = s + (above_t @ above_f - above_f @ above_t)[i, j]
        gap = t[j, j] - t[i, i]
        f = f.at[i, j].set(fnp.where(gap != 0, s / fnp.where(gap != 0, gap, 1), s))
        smallest = fnp.minimum(smallest, fnp.min(fnp.abs(gap)))
    out = z @ f @ fnp.conj(z.T)
    if disp:
        return out
    eps = float(np.finfo(a.dtype).eps)
    smallest = fnp.where(smallest == 0, eps, smallest)
    upper = fnp.linalg.norm(fnp.triu(t, 1), 1)
    error = fnp.minimum(1, fnp.maximum(eps, (eps / smallest) * upper))
    bad = fnp.any(fnp.isnan(out) | fnp.isinf(out))
    return out, fnp.where(bad, np.inf, error)


def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Any, Any]:
    """Unitary U and positive semidefinite P with a = U P ("right") or P U ("left"), by SVD.

    a [m, n]: U is [m, n]. ValueError for other sides, methods or more axes. By SVD whatever the
    method.
    """
    (x,) = (fnp.asarray(v) for v in promote_dtypes_inexact("polar", a))
    if x.ndim != 2:
        raise ValueError("The input `a` must be a 2-D array.")
    if side not in ("right", "left"):
        raise ValueError("The `side` must be either 'right' or 'left'.")
    if method not in ("svd", "qdwh"):
        raise ValueError(f"Unknown polar decomposition method {method}.")
    u, s, vh = fnp.linalg.svd(x, full_matrices=False)
    unitary = u @ vh
    if side == "right":
        return unitary, fnp.conj(vh.T) @ (s[:, None].astype(x.dtype) * vh)
    return unitary, (u * s.astype(x.dtype)) @ fnp.conj(u.T)
