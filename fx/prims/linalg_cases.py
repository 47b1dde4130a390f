"""Matrices for the cases of factorisations, and functions of factors that no choice of phase moves.

Derivatives hold where the matrix is Hermitian (`hermitian` goes before), and for the spaces that
vectors span: a vector times the conjugate of another is the same whatever phase LAPACK chose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.prims import matrix as mx
from fx.prims import shape
from fx.prims.elementwise import add, div, mul, one_like

# ---------------------------------------------------------------- values


def definite(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Well-conditioned symmetric matrices."""
    a = rng.uniform(-1.0, 1.0, shape)
    return a @ np.swapaxes(a, -1, -2) + shape[-1] * np.eye(shape[-1])


def complex_definite(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Well-conditioned Hermitian matrices."""
    a = rng.uniform(-1.0, 1.0, shape) + 1j * rng.uniform(-1.0, 1.0, shape)
    return a @ np.swapaxes(a, -1, -2).conj() + shape[-1] * np.eye(shape[-1])


def general(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Matrices with distinct singular values and eigenvalues."""
    m, n = shape[-2:]
    return rng.uniform(-0.5, 0.5, shape) + np.diag(2.0 * np.arange(1, max(m, n) + 1))[:m, :n]


def complex_general(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Complex matrices with distinct singular values and eigenvalues."""
    return general(rng, shape) + 1j * rng.uniform(-0.5, 0.5, shape)


# ---------------------------------------------------------------- around a derivative


def hermitian(x: Any, *more: Any) -> list[Any]:
    """The Hermitian part of the first operand; the others as they are."""
    return [div(add(x, mx.adjoint(x)), add(one_like(x), one_like(x))), *more]


def outer(x: Any, y: Any) -> Any:
    """x[..., i, k] times the conjugate of y[..., j, k], for all i, j and k."""
    *lead, m, k = shape.shape_of(x)
    n, rank = shape.shape_of(y)[-2], len(lead)
    full = (*lead, m, n, k)
    return mul(
        shape.broadcast_in_dim(x, full, (*range(rank), rank, rank + 2)),
        shape.broadcast_in_dim(mx.conj(y), full, (*range(rank), rank + 1, rank + 2)),
    )


def spaces(vectors: Any, values: Any) -> list[Any]:
    """Of eigh: eigenvalues, and the projections to what the eigenvectors span."""
    return [values, outer(vectors, vectors)]


def eigenspaces(values: Any, *vectors: Any) -> list[Any]:
    """Of eig: eigenvalues, and the projections to what the eigenvectors span."""
    return [values, *(outer(v, v) for v in vectors)]


def singular_spaces(values: Any, u: Any, vt: Any) -> list[Any]:
    """Of svd: singular values, the projections on both sides, and between them."""
    v = mx.adjoint(vt)
    return [values, outer(u, u), outer(v, v), outer(u, v)]
