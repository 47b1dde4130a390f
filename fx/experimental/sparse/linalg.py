"""Sparse linear algebra: a direct solver for rows (CSR), and a few largest eigenvalues (LOBPCG)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fx import core, lax, ops
from fx import numpy as fnp
from fx.callbacks import pure_callback
from fx.core import ShapedArray

__all__ = ["lobpcg_standard", "spsolve"]


def spsolve(
    data: Any, indices: Any, indptr: Any, b: Any, tol: float = 1e-6, reorder: int = 1
) -> Any:
    """x with A x = b for the matrix of rows `indptr`, columns `indices` and values `data`.

    Factorised on the host by SciPy; differentiable in data and b. tol and reorder are accepted for
    JAX's sake and have no effect.

    >>> spsolve(np.float32([2, 4]), np.int32([0, 1]), np.int32([0, 1, 2]), np.float32([2, 2]))
    Array([1. , 0.5], dtype=float32)
    """
    data, indices, indptr, b = map(fnp.asarray, (data, indices, indptr, b))
    if b.ndim != 1 or indptr.shape != (b.shape[0] + 1,) or data.shape != indices.shape:
        raise ValueError(
            "spsolve requires data and indices of equal shape, b [n] and indptr [n + 1], got "
            f"{data.shape}, {indices.shape}, {b.shape} and {indptr.shape}"
        )
    if data.dtype != b.dtype:
        raise ValueError(f"data types do not match: {data.dtype} and {b.dtype}")
    n = b.shape[0]
    places = fnp.arange(data.shape[0], dtype=indptr.dtype)
    rows = fnp.searchsorted(indptr, places, side="right") - 1

    def matvec(x: Any) -> Any:
        return ops.segment_sum(data * x[indices], rows, num_segments=n)

    def solve(_: Any, y: Any, transposed: bool = False) -> Any:
        return pure_callback(
            partial(_host_solve, transposed=transposed),
            ShapedArray(y.shape, y.dtype),
            *map(lax.stop_gradient, (data, indices, indptr, y)),
            vmap_method="sequential",
        )

    return lax.custom_linear_solve(
        matvec, b, solve, transpose_solve=partial(solve, transposed=True)
    )


def _host_solve(data: Any, indices: Any, indptr: Any, b: Any, transposed: bool) -> np.ndarray:
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import spsolve as solve

    n = b.shape[0]
    matrix = csr_matrix(tuple(map(np.asarray, (data, indices, indptr))), shape=(n, n))
    matrix = matrix.T.tocsc() if transposed else matrix.tocsc()
    return np.asarray(solve(matrix, np.asarray(b)), dtype=b.dtype)


def lobpcg_standard(A: Any, X: Any, m: int = 100, tol: float | None = None) -> tuple[Any, Any, Any]:
    """The k largest eigenvalues of a symmetric A, their eigenvectors [n, k], and the steps taken.

    A: [n, n], or a function that applies it to [n, k]. X [n, k]: where to start, independent
    columns, 5 k < n. An eigenpair has converged if |A v - theta v| is at most
    10 n tol (theta + |A v|), tol the dtype's epsilon unless given; at most m steps are taken.
    Each step solves the projection of A onto the span of the vectors, the residuals and the last
    change (Knyazev, "Toward the optimal preconditioned eigensolver", 2001).
    """
    X = fnp.asarray(X)
    apply: Callable[[Any], Any] = A if callable(A) else partial(fnp.matmul, fnp.asarray(A))
    n, k = X.shape
    if k == 0:
        raise ValueError(f"must have search dim > 0, got {k}")
    if 5 * k >= n:
        raise ValueError(f"expected search dim * 5 < matrix dim (got {5 * k}, {n})")
    out = core.get_aval(apply(fnp.zeros((n, 1), X.dtype)))
    if out.dtype != X.dtype:
        raise ValueError(f"A, X must have same dtypes (were {out.dtype}, {X.dtype})")
    if out.shape != (n, 1):
        raise ValueError(f"A must be ({n}, {n}) matrix A, got output {out.shape}")
    small = 10 * n * (float(fnp.finfo(X.dtype).eps) if tol is None else tol)

    def residuals(x: Any) -> tuple[Any, Any, Any]:
        """Rayleigh quotients, A x - theta x, and how many columns have converged."""
        image = apply(x)
        theta = fnp.sum(x * image, axis=0)
        rest = image - theta * x
        bound = small * (fnp.linalg.norm(image, axis=0) + theta)
        return theta, rest, fnp.sum(fnp.linalg.norm(rest, axis=0) < bound)

    def step(state: Any) -> Any:
        i, x, change, rest, _, _ = state
        # Householder's Q has orthonormal columns even where the given ones depend on each other
        basis = fnp.linalg.qr(fnp.concatenate([x, rest, change], axis=1))[0]
        _, vectors = fnp.linalg.eigh(basis.T @ apply(basis))
        best = basis @ vectors[:, ::-1][:, :k]
        change = best - x @ (x.T @ best)
        theta, rest, converged = residuals(best)
        return i + 1, best, change, rest, converged, theta

    x = fnp.linalg.qr(X)[0]
    theta, rest, _ = residuals(x)
    zero = fnp.zeros((), np.int32)
    start = (zero, x, fnp.zeros_like(x), rest, zero, theta)
    i, x, _, _, _, theta = lax.while_loop(lambda s: (s[0] < m) & (s[4] < k), step, start)
    return theta, x, i
