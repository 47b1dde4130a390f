"""fx.lax.linalg: matrix factorisations and solvers on stacks of matrices (leading axes are batch
axes).

All run as host steps on LAPACK; the last two axes are the matrix. Derivatives as their primitives
say (fx/prims/linalg_*).
"""

from __future__ import annotations

import enum
from typing import Any

from fx.core import get_aval
from fx.prims import elementwise, linalg_solve
from fx.prims import matrix as mx
from fx.prims import shape as views
from fx.prims.linalg_eigen import eig_p, eigh_p, schur_p, svd_p
from fx.prims.linalg_orthogonal import (
    cholesky_update_p,
    hessenberg_p,
    householder_product_p,
    ormqr_p,
    qr_p,
    tridiagonal_p,
)
from fx.prims.linalg_solve import (
    cholesky_p,
    lu_p,
    lu_pivots_to_permutation_p,
    triangular_solve_p,
    tridiagonal_solve_p,
)
from fx.typing import Array, ArrayLike

__all__ = [
    "EigImplementation",
    "EighImplementation",
    "SvdAlgorithm",
    "cholesky",
    "cholesky_p",
    "cholesky_update",
    "cholesky_update_p",
    "eig",
    "eig_p",
    "eigh",
    "eigh_p",
    "hessenberg",
    "hessenberg_p",
    "householder_product",
    "householder_product_p",
    "lu",
    "lu_p",
    "lu_pivots_to_permutation",
    "lu_pivots_to_permutation_p",
    "ormqr",
    "ormqr_p",
    "qdwh",
    "qr",
    "qr_p",
    "schur",
    "schur_p",
    "svd",
    "svd_p",
    "symmetric_product",
    "triangular_solve",
    "triangular_solve_p",
    "tridiagonal",
    "tridiagonal_p",
    "tridiagonal_solve",
    "tridiagonal_solve_p",
]


class EigImplementation(enum.Enum):
    """Names of libraries that `eig` may ask for, as in JAX; LAPACK is what runs."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """Names of algorithms that `eigh` may ask for, as in JAX; LAPACK's is what runs."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """Accepted for JAX's signature; LAPACK's divide and conquer is what runs."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"


def symmetrize(x: Any) -> Any:
    """(x + x^H) / 2."""
    half = get_aval(x).dtype.type(0.5)
    return elementwise.mul(elementwise.add(x, mx.adjoint(x)), half)


def cholesky(x: Array, *, symmetrize_input: bool = True) -> Array:
    """Lower triangular L [..., n, n] with x = L L^H; NaN where x is not positive definite.

    symmetrize_input: use (x + x^H) / 2, which makes the gradient symmetric; else one triangle is
    read.

    >>> cholesky(fx.numpy.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    linalg_solve.check_matrix("cholesky", get_aval(x), square=True)
    return cholesky_p.bind(symmetrize(x) if symmetrize_input else x)


def cholesky_update(r_matrix: ArrayLike, w_vector: ArrayLike) -> Array:
    """The upper triangular factor of R^T R + w w^T, for an upper triangular R.

    r_matrix [..., n, n], w_vector [..., n] (ValueError otherwise), in O(n^2) by plane rotations. It
    has no derivative.
    """
    return cholesky_update_p.bind(r_matrix, w_vector)


def triangular_solve(
    a: ArrayLike,
    b: ArrayLike,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """x with op(a) x = b (left_side) or x op(a) = b; a triangular, b a matrix or one vector less.

    transpose_a, conjugate_a: what op does to a. unit_diagonal: ones stand for the diagonal.

    A zero on the diagonal gives infinities or NaN, not an error. TypeError where shapes do not fit.
    """
    vector = get_aval(b).ndim == get_aval(a).ndim - 1
    if vector:
        b = mx.column(b) if left_side else mx.row(b)
    out = triangular_solve_p.bind(
        a,
        b,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a) and mx.is_complex(a),
        unit_diagonal=bool(unit_diagonal),
    )
    if vector:
        ndim = get_aval(out).ndim
        out = views.squeeze(out, (ndim - 1 if left_side else ndim - 2,))
    return out


def lu(x: ArrayLike) -> tuple[Array, Array, Array]:
    """(packed L and U [..., m, n], row swaps [..., k], permutation [..., m]) with x[perm] = L U.

    k = min(m, n); swaps and permutation are int32. Row i was exchanged with row swaps[i], in turn.
    Partial pivoting.
    """
    return tuple(lu_p.bind(x))


def lu_pivots_to_permutation(pivots: ArrayLike, permutation_size: int) -> Array:
    """The permutation of range(permutation_size) that LU's row swaps make.

    pivots [..., k] int32, as `lu` gives them; the result is int32 [..., permutation_size].
    """
    return lu_pivots_to_permutation_p.bind(pivots, permutation_size=int(permutation_size))


def qr(
    x: ArrayLike,
    *,
    pivoting: bool = False,
    full_matrices: bool = True,
    use_magma: bool | None = None,
) -> tuple[Array, ...]:
    """(Q, R) with x = Q R, and the column permutation third with pivoting (x[:, p] = Q R).

    x [..., m, n]; Q is [..., m, m] and R [..., m, n], or with k = min(m, n) in place of m if not
    full_matrices.
    """
    return tuple(
        qr_p.bind(
            x, pivoting=bool(pivoting), full_matrices=bool(full_matrices), use_magma=use_magma
        )
    )


def householder_product(a: ArrayLike, taus: ArrayLike) -> Array:
    """The first columns of the product of the reflections in a [..., m, n] and taus [..., k].

    It is Q of a QR factorisation from its packed form; the result has the shape of a.
    """
    return householder_product_p.bind(a, taus)


def ormqr(
    a: ArrayLike, taus: ArrayLike, c: ArrayLike, *, left: bool = True, transpose: bool = False
) -> Array:
    """Q c, Q^H c, c Q or c Q^H, where Q is the product of the reflections packed in a and taus.

    Q is not formed; the result has the shape of c. It has no derivative.
    """
    return ormqr_p.bind(a, taus, c, left=bool(left), transpose=bool(transpose))


def eigh(
    x: Array,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Array, Array]:
    """(eigenvectors [..., n, n] as columns, ascending eigenvalues [..., n]) of Hermitian matrices.

    Derivatives are infinite where eigenvalues are equal. subset_by_index: the range (start, end).
    """
    linalg_solve.check_matrix("eigh", get_aval(x), square=True)
    v, w = eigh_p.bind(
        symmetrize(x) if symmetrize_input else x,
        lower=bool(lower),
        sort_eigenvalues=bool(sort_eigenvalues),
        subset_by_index=None if subset_by_index is None else tuple(subset_by_index),
        algorithm=None,
    )
    return v, w


def eig(
    x: ArrayLike,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Array]:
    """[eigenvalues, left vectors, right vectors] of general matrices, complex, in no order.

    Eigenvalues have derivatives; eigenvectors only with enable_eigvec_derivs (unit norm is kept,
    the phase is free).
    """
    return eig_p.bind(
        x,
        compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors),
        enable_eigvec_derivs=bool(enable_eigvec_derivs),
        implementation=None,
    )


def svd(
    x: ArrayLike,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """(U, singular values, V^H) with x = U S V^H, or the values alone without compute_uv.

    x [..., m, n]; values descend, [..., min(m, n)]. The derivative needs full_matrices=False
    (NotImplementedError) or no vectors.
    """
    out = svd_p.bind(
        x,
        full_matrices=bool(full_matrices),
        compute_uv=bool(compute_uv),
        subset_by_index=None if subset_by_index is None else tuple(subset_by_index),
        algorithm=None,
    )
    return (out[1], out[0], out[2]) if compute_uv else out[0]


def schur(
    x: ArrayLike,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Any = None,
) -> tuple[Array, ...]:
    """(T, Z) with x = Z T Z^H; T quasi-triangular for real x, triangular for complex.

    Both are [..., n, n]; only (T,) without compute_schur_vectors. No derivative; sorting raises
    NotImplementedError.
    """
    return tuple(
        schur_p.bind(
            x,
            compute_schur_vectors=bool(compute_schur_vectors),
            sort_eig_vals=bool(sort_eig_vals),
            select_callable=select_callable,
        )
    )


def hessenberg(a: ArrayLike) -> tuple[Array, Array]:
    """(Hessenberg form with packed reflections [..., n, n], taus [..., n - 1]).

    Q^H a Q is zero below the subdiagonal; Q is what `householder_product` makes of the rest. No
    derivative.
    """
    return tuple(hessenberg_p.bind(a))


def tridiagonal(a: ArrayLike, *, lower: bool = True) -> tuple[Array, Array, Array, Array]:
    """(packed reflections, diagonal, off-diagonal, taus): the tridiagonal form of Hermitian a.

    Shapes [..., n, n], [..., n], [..., n - 1], [..., n - 1]; diagonals are real. One triangle of a
    is read. No derivative.
    """
    return tuple(tridiagonal_p.bind(a, lower=bool(lower)))


def tridiagonal_solve(
    dl: Array, d: Array, du: Array, b: Array, *, perturb_singular: bool = False
) -> Array:
    """x with T x = b; T has subdiagonal dl (dl[0] unused), diagonal d, superdiagonal du (du[-1]
    unused).

    Diagonals are [..., n], b is [..., n, k] (ValueError otherwise).
    """
    return tridiagonal_solve_p.bind(dl, d, du, b, perturb_singular=bool(perturb_singular))


def symmetric_product(
    a_matrix: ArrayLike,
    c_matrix: ArrayLike,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Array:
    """alpha A A^T + beta C for A [..., n, k], C [..., n, n]; C is not read where beta is 0."""
    dtype = get_aval(a_matrix).dtype
    out = elementwise.mul(mx.matmul(a_matrix, mx.transposed(a_matrix)), dtype.type(alpha))
    if beta:
        out = elementwise.add(out, elementwise.mul(c_matrix, dtype.type(beta)))
    if symmetrize_output:
        half = dtype.type(0.5)
        out = elementwise.mul(elementwise.add(out, mx.transposed(out)), half)
    return out


def qdwh(
    x: ArrayLike,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[int, int] | None = None,
) -> tuple[Array, Array, Array, Array]:
    """The polar factors of x (x = u h) by dynamically weighted Halley iterations: u, h, the number
    of iterations, and whether they converged.

    Of one matrix [m, n] with m >= n (ValueError otherwise): u [m, n] has orthonormal columns, h [n,
    n] is positive semidefinite (Nakatsukasa, Bai, Gygi 2010). `is_hermitian` has no effect. No
    reverse mode.
    """
    from fx.lax import polar  # which stands on fx.numpy

    return polar.factors(x, max_iterations=max_iterations, eps=eps, dynamic_shape=dynamic_shape)
