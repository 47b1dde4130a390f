"""Factorisations and transforms: what they promise, and derivatives through fx.lax.linalg and
fx.lax.fft.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.config import enable_x64
from fx.passes import dce_closed
from fx.prims import blas_threads, linalg_solve

L = lax.linalg
RNG = np.random.default_rng(3)
A = RNG.uniform(-1, 1, (3, 3)) + np.diag([3.0, 5.0, 8.0])
TALL = RNG.uniform(-1, 1, (5, 3))
SPD = A @ A.T + np.eye(3)
HERMITIAN = SPD + 1j * (np.triu(np.ones((3, 3)), 1) - np.tril(np.ones((3, 3)), -1))
WEIGHTS = np.arange(1.0, 10.0).reshape(3, 3)


def near(a: Any, b: Any, tol: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), tol, tol)


# ---------------------------------------------------------------- identities


@pytest.mark.parametrize("x", [SPD, HERMITIAN], ids=["real", "complex"])
def test_factors_multiply_back(x: Any) -> None:
    """Each factorisation gives its matrix back, and orthonormal factors."""
    eye = np.eye(3)
    with enable_x64(True):
        l = np.asarray(L.cholesky(x))
        near(l @ l.conj().T, x)
        v, w = (np.asarray(r) for r in L.eigh(x))
        near(v * w @ v.conj().T, x)
        u, s, vh = (np.asarray(r) for r in L.svd(x))
        near(u * s @ vh, x)
        q, r = (np.asarray(r) for r in L.qr(x))
        near(q @ r, x)
        near(q.conj().T @ q, eye)
        lu, _, perm = (np.asarray(r) for r in L.lu(x))
        near((np.tril(lu, -1) + eye) @ np.triu(lu), x[perm])
        w, vl, vr = (np.asarray(r) for r in L.eig(x))
        near(x @ vr, vr * w)
        near(vl.conj().T @ x, w[:, None] * vl.conj().T)
        t, z = (np.asarray(r) for r in L.schur(x))
        near(z @ t @ z.conj().T, x)
        h, taus = (np.asarray(r) for r in L.hessenberg(x))
        q = np.eye(3, dtype=x.dtype)
        q[1:, 1:] = L.householder_product(h[1:, :-1], taus)
        near(q @ np.triu(h, -1) @ q.conj().T, x)


def test_rectangular_and_pivoted() -> None:
    """Tall and wide matrices, full and reduced, with column pivoting, and reflections."""
    with enable_x64(True):
        for x in (TALL, TALL.T):
            for full in (False, True):
                q, r = L.qr(x, full_matrices=full)
                near(q @ r, x)
            q, r, p = L.qr(x, pivoting=True, full_matrices=False)
            near(q @ r, x[:, np.asarray(p)])
            u, s, vh = L.svd(x, full_matrices=False)
            near((u * s) @ vh, x)
            near(L.svd(x, compute_uv=False), s)
            lu, _, perm = (np.asarray(v) for v in L.lu(x))
            k = min(x.shape)
            lower = np.tril(lu, -1)[:, :k] + np.eye(x.shape[0], k)
            near(lower @ np.triu(lu)[:k], x[perm])
        near(L.eigh(SPD, subset_by_index=(1, 3))[1], np.linalg.eigvalsh(SPD)[1:])


def test_solvers() -> None:
    """Triangular systems in all forms, tridiagonal ones, updates of a factor, swaps of rows."""
    upper, b = np.triu(A), RNG.uniform(-1, 1, (3, 2))
    with enable_x64(True):
        near(upper @ L.triangular_solve(A, b, left_side=True), b)
        near(L.triangular_solve(A, b.T) @ upper, b.T)
        near(
            np.tril(A).T @ L.triangular_solve(A, b, left_side=True, lower=True, transpose_a=True), b
        )
        near(upper @ L.triangular_solve(A, b[:, 0], left_side=True), b[:, 0])
        unit = np.triu(A, 1) + np.eye(3)
        near(unit @ L.triangular_solve(A, b, left_side=True, unit_diagonal=True), b)
        dl, d, du = A[0], A[1] + 9, A[2]
        t = np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1)
        near(t @ L.tridiagonal_solve(dl, d, du, b), b)
        r, w = np.linalg.cholesky(SPD).T, A[0]
        new = L.cholesky_update(r, w)
        near(new.T @ new, SPD + np.outer(w, w))
        near(L.lu_pivots_to_permutation(np.array([2, 1, 2], np.int32), 4), [2, 1, 0, 3])
        near(L.symmetric_product(A, SPD, alpha=2.0, beta=0.5), 2 * A @ A.T + 0.5 * SPD)
        _, d, e, _ = L.tridiagonal(SPD)
        t = np.diag(d) + np.diag(e, 1) + np.diag(e, -1)
        near(np.linalg.eigvalsh(t), np.linalg.eigvalsh(SPD))


def test_special_matrices() -> None:
    """No Cholesky factor: NaN for that matrix of the stack only; empty stacks; batches equal
    loops.
    """
    stack = np.stack([SPD, -SPD]).astype(np.float32)
    out = np.asarray(L.cholesky(stack))
    assert np.isfinite(out[0]).all() and np.isnan(np.tril(out[1])).any()
    assert L.svd(np.zeros((0, 3), np.float32), compute_uv=False).shape == (0,)
    assert L.eigh(np.zeros((0, 2, 2), np.float32))[1].shape == (0, 2)
    stack = np.stack([SPD, 2 * SPD]).astype(np.float32)
    near(fx.vmap(L.cholesky)(stack)[1], L.cholesky(stack[1]), 1e-5)
    near(fx.jit(fx.vmap(lambda a: L.eigh(a)[1]))(stack)[1], L.eigh(stack[1])[1], 1e-4)


def test_some_singular_values() -> None:
    """jnp.linalg.svd gives the values of a range, and their vectors."""
    whole = np.linalg.svd(TALL, full_matrices=False)
    u, s, vh = jnp.linalg.svd(TALL, full_matrices=False, subset_by_index=(1, 3))
    near(s, whole[1][1:], 1e-5)
    near((u * s) @ vh, (whole[0] * whole[1])[:, 1:] @ whole[2][1:], 1e-5)
    near(jnp.linalg.svd(TALL, compute_uv=False, subset_by_index=(1, 3)), whole[1][1:], 1e-5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: L.cholesky(jnp.ones((2, 3))), ValueError, "square"),
        (lambda: L.lu(jnp.ones(3)), TypeError, "ndims >= 2"),
        (lambda: L.svd(jnp.ones((2, 2), "float16")), TypeError, "does not accept dtype float16"),
        (
            lambda: L.triangular_solve(jnp.eye(3), jnp.ones((2, 2))),
            TypeError,
            "Incompatible shapes",
        ),
        (lambda: jnp.linalg.svd(jnp.ones(3)), TypeError, "ndims >= 2"),
        (lambda: jnp.linalg.svd(jnp.eye(3), subset_by_index=(0, 1)), ValueError, "cannot both"),
        (lambda: jnp.linalg.matrix_power(jnp.ones((2, 3)), 2), TypeError, "n, n"),
        (lambda: lax.fft(jnp.ones(4), "rfft", (5,)), ValueError, "last dimensions"),
        (lambda: lax.fft(jnp.ones(4), "dct", (4,)), ValueError, "Unknown FFT type"),
    ],
)
def test_errors(call: Any, error: type, text: str) -> None:
    """Wrong shapes and dtypes are named."""
    with pytest.raises(error, match=text):
        call()


# ---------------------------------------------------------------- derivatives


def symmetric(x: Any) -> Any:
    return (x + x.T) / 2


FUNCTIONS: dict[str, Any] = {
    "cholesky": (lambda x: L.cholesky(symmetric(x)), SPD),
    "eigh values": (lambda x: L.eigh(symmetric(x))[1], SPD),
    "eigh vectors": (lambda x: jnp.abs(L.eigh(symmetric(x))[0]), SPD),
    "lu": (lambda x: L.lu(x)[0], A),
    "lu tall": (lambda x: L.lu(x)[0], TALL),
    "lu wide": (lambda x: L.lu(x)[0], TALL.T),
    "qr": (lambda x: L.qr(x, full_matrices=False), A),
    "qr tall": (lambda x: L.qr(x, full_matrices=False), TALL),
    "qr wide": (lambda x: L.qr(x, full_matrices=False), TALL.T),
    "svd": (lambda x: [jnp.abs(v) for v in L.svd(x, full_matrices=False)], TALL),
    "svd wide": (lambda x: [jnp.abs(v) for v in L.svd(x, full_matrices=False)], TALL.T),
    "svd values": (lambda x: L.svd(x, compute_uv=False), A),
    "eig": (
        lambda x: jnp.abs(
            L.eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]
        ),
        A,
    ),
    "eig vectors": (
        lambda x: jnp.abs(L.eig(x, compute_left_eigenvectors=False, enable_eigvec_derivs=True)[1]),
        A,
    ),
    "triangular": (lambda x: L.triangular_solve(x, x[:, :2], left_side=True), A),
    "rfft": (lambda x: jnp.abs(lax.fft(x, "rfft", (3,))) ** 2, A),
    "irfft": (lambda x: lax.fft(x + 1j * x[::-1], "irfft", (3, 4)), A),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    """Tangents against central differences, gradients against tangents, both to second order."""
    f, x = FUNCTIONS[name]
    with enable_x64(True):
        t = np.cos(np.arange(x.size)).reshape(x.shape)

        def total(v: Any) -> Any:
            parts = fx.tree.leaves(f(v))
            return sum((p * jnp.cos(jnp.arange(p.size)).reshape(p.shape)).sum() for p in parts)

        value_step, step = 1e-6, 1e-5
        slope = (total(x + value_step * t) - total(x - value_step * t)) / (2 * value_step)
        near(fx.jvp(total, (x,), (t,))[1], slope, 1e-5)
        gradient = fx.grad(total)
        near((gradient(x) * t).sum(), slope, 1e-5)
        curve = (gradient(x + step * t) - gradient(x - step * t)) / (2 * step)
        near(fx.jvp(gradient, (x,), (t,))[1], curve, 1e-4)


def test_refused_derivatives() -> None:
    """Factors that are not unique, and eigenvectors without consent, have no derivative: loud
    errors.
    """
    with pytest.raises(NotImplementedError, match="full matrices"):
        fx.grad(lambda x: L.svd(x)[0].sum())(jnp.ones((3, 2)))
    with pytest.raises(NotImplementedError, match="enable_eigvec_derivs"):
        fx.grad(lambda x: jnp.abs(L.eig(x)[1]).sum())(jnp.eye(2))


# ---------------------------------------------------------------- implicit derivatives


def test_custom_linear_solve() -> None:
    """Values and derivatives of both kinds are those of the dense solve; batched over each
    operand.
    """

    def dense(a: Any, b: Any) -> Any:
        lu, _, perm = L.lu(a)
        y = L.triangular_solve(lu, b[perm], left_side=True, lower=True, unit_diagonal=True)
        return L.triangular_solve(lu, y, left_side=True)

    def custom(a: Any, b: Any) -> Any:
        return lax.custom_linear_solve(
            lambda x: a @ x, b, lambda mv, b: dense(a, b), lambda vm, b: dense(a.T, b)
        )

    b = A[0]
    with enable_x64(True):
        near(custom(A, b), np.linalg.solve(A, b))
        loss = lambda f: lambda a, b: (f(a, b) ** 2).sum()
        for x, y in zip(fx.grad(loss(custom), (0, 1))(A, b), fx.grad(loss(dense), (0, 1))(A, b)):
            near(x, y)
        near(fx.jvp(custom, (A, b), (A * 0.1, b))[1], fx.jvp(dense, (A, b), (A * 0.1, b))[1])
        stack = np.stack([A, A + np.eye(3)])
        near(fx.vmap(custom, (0, None))(stack, b)[1], np.linalg.solve(stack[1], b))
        near(fx.vmap(custom, (None, 0))(A, stack[:, 0])[1], np.linalg.solve(A, stack[1, 0]))
        near(
            fx.grad(lambda b: fx.grad(loss(custom))(A, b).sum())(b),
            fx.grad(lambda b: fx.grad(loss(dense))(A, b).sum())(b),
        )
        near(fx.jit(fx.grad(loss(custom)))(A, b), fx.grad(loss(dense))(A, b))


def test_custom_root() -> None:
    """A root found by a while loop has the implicit derivative, to second order, batched and
    compiled.
    """

    def root(a: Any) -> Any:
        def newton(f: Any, guess: Any) -> Any:
            more = lambda x: jnp.abs(f(x)) > 1e-9
            return lax.while_loop(more, lambda x: x - f(x) / (2 * x), guess)

        return lax.custom_root(lambda x: x * x - a, 1.0, newton, lambda g, y: y / g(1.0))

    with enable_x64(True):
        near(root(7.0), np.sqrt(7.0))
        near(fx.grad(root)(7.0), 0.5 / np.sqrt(7.0))
        near(fx.grad(fx.grad(root))(7.0), -0.25 * 7.0**-1.5)
        near(fx.vmap(fx.grad(root))(jnp.array([4.0, 9.0])), [0.25, 1 / 6])
        near(fx.jit(fx.grad(root))(7.0), 0.5 / np.sqrt(7.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("shape", [(9, 5, 5), (3, 3, 4, 2), (8, 2, 4)])
def test_stacks_of_small_matrices_are_as_one_by_one(rng, dtype, shape):
    """LU with its swaps, and substitution from either side in every form."""
    a = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        a = a + 1j * rng.standard_normal(shape)
    a = a.astype(dtype)
    a[0] = 0  # singular: its columns are left as they are
    stacked = linalg_solve.lu_p.bind(a)
    single = [linalg_solve.lu_p.bind(m) for m in a.reshape(-1, *shape[-2:])]
    for k, got in enumerate(stacked):
        want = np.stack([s[k] for s in single]).reshape(np.shape(got))
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    if shape[-1] != shape[-2]:
        return
    a = a + 4 * np.eye(shape[-1], dtype=dtype)
    a[1, 2, 2] = 0
    b = rng.standard_normal((*shape[:-1], 3)).astype(dtype)
    for flags in itertools.product((False, True), repeat=5):
        names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
        params = dict(zip(names, flags))
        right = b if flags[0] else b.swapaxes(-1, -2)
        got = linalg_solve.triangular_solve_p.bind(a, right, **params)
        want = [linalg_solve.triangular_solve_p.bind(m, r, **params) for m, r in zip(a, right)]
        np.testing.assert_allclose(got, np.stack(want), rtol=1e-3, atol=1e-3)


def test_pinv_cuts_off_at_a_traced_tolerance(rng):
    """The tolerance has no derivative, whatever it depends on; each of a stack has its own."""
    x = rng.standard_normal((3, 4)).astype(np.float32)
    inverse = lambda x, r: jnp.linalg.pinv(x, rtol=r).sum()
    given = fx.grad(inverse)(x, 0.05)
    np.testing.assert_allclose(fx.grad(lambda x: inverse(x, 0.05 + 0 * x[0, 0]))(x), given)
    assert fx.grad(inverse, 1)(x, 0.05) == 0
    both = fx.vmap(jnp.linalg.pinv, (None, 0))(x, jnp.array([0.05, 0.9]))
    for out, r in zip(both, (0.05, 0.9)):
        np.testing.assert_allclose(out, np.linalg.pinv(x, r), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_stacks_that_lie_matrix_last_in_memory_are_only_read(rng, wrap):
    """The rules for stacks want that order, and write to what they have turned."""
    x = rng.standard_normal((3, 3, 9)).astype(np.float32)
    one = rng.standard_normal((9, 1, 1)).astype(np.float32)
    a, b = jnp.asarray(x), jnp.asarray(one)
    got = fx.vmap(wrap(lambda m: jnp.linalg.solve(m, m[0])), in_axes=-1)(a)
    want = [np.linalg.solve(m, m[0]) for m in np.moveaxis(x, -1, 0)]
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
    wrap(lambda b: lax.linalg.triangular_solve(b + 2, b, left_side=True))(b)
    assert np.array_equal(a, x) and np.array_equal(b, one)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (7, 3)])
def test_polar_factors_by_qdwh(shape, dtype, rng):
    x = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if "c" in dtype else 0)
    x = x.astype(dtype)
    for qdwh in (lax.linalg.qdwh, fx.jit(lax.linalg.qdwh)):
        u, h, count, converged = qdwh(x)
        np.testing.assert_allclose(u @ h, x, atol=1e-5)
        np.testing.assert_allclose(np.conj(u.T) @ u, np.eye(shape[1]), atol=1e-5)
        assert np.linalg.eigvalsh(np.asarray(h)).min() > -1e-5
        assert 0 < int(count) <= 10
        assert bool(converged)
    with pytest.raises(ValueError, match="M >= N"):
        lax.linalg.qdwh(np.ones((2, 3), np.float32))


def test_residuals_of_least_squares_as_in_numpy():
    """Empty where the solution is not unique; all of them unless NumPy's are asked for."""
    a = np.array([[1, 2], [2, 4], [3, 6]], np.float32)
    b = np.ones(3, np.float32)
    for m in (a, a + np.eye(3, 2, dtype=np.float32)):
        want = np.linalg.lstsq(m, b, rcond=None)[1]
        got = jnp.linalg.lstsq(m, b, numpy_resid=True)[1]
        np.testing.assert_allclose(got, want, rtol=1e-3)
        assert jnp.linalg.lstsq(m, b)[1].shape == (1,)


def test_one_thread_of_blas_is_for_all_who_asked_for_it():
    """A thread that is done first does not give BLAS its threads back under another's feet, and
    each may be the one that asks.
    """
    ask, change, _ = blas_threads.pools()[0]
    limited = blas_threads.with_one_blas_thread
    inside, done, seen = threading.Event(), threading.Event(), []

    @limited
    def long(x):
        inside.set()
        done.wait(10)
        seen.append(ask())

    before, x = ask(), np.ones((2, 2))
    change(2)
    try:
        thread = threading.Thread(target=long, args=(x,))
        thread.start()
        inside.wait(10)
        limited(lambda x: seen.append(ask()))(x)
        seen.append(ask())
        done.set()
        thread.join()
        assert seen == [1, 1, 1] and ask() == 2
    finally:
        done.set()
        change(before)


@pytest.fixture
def two_threads_of_blas():
    """As where nobody has limited them."""
    before = [(pool, pool.ask()) for pool in blas_threads.pools()]
    for pool, _ in before:
        pool.change(2)
    yield
    for pool, n in before:
        pool.change(n)


def test_a_factor_has_the_same_bits_in_every_thread(two_threads_of_blas):
    x = np.random.default_rng(0).standard_normal((300, 257)).astype(np.float32)
    f, found = fx.jit(lambda x: jnp.linalg.cholesky(x @ x.T + 50 * jnp.eye(300))), []
    f(x)
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(np.asarray(f(x))))
        thread.start()
        thread.join()
    for other in found:
        np.testing.assert_array_equal(other, f(x))


@pytest.mark.parametrize("jit", [False, True])
def test_square_q_of_a_tall_matrix_differentiates(jit):
    """Its further columns move as LAPACK's reflections move them."""
    weights = np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)
    for dtype in (np.float32, np.complex64):
        a = np.random.default_rng(1).standard_normal((5, 2, 2)).astype(np.float32)
        a = a[..., 0] if dtype == np.float32 else a[..., 0] + 1j * a[..., 1]

        def f(a):
            q, r = jnp.linalg.qr(a, mode="complete")
            return (jnp.real(q) * weights).sum() + (jnp.abs(r) ** 2).sum() / 10

        fx.check_grads(fx.jit(f) if jit else f, (a,), order=1, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("shape", [(5, 9), (200, 9), (2, 3, 40)])
def test_permutations_are_their_swaps_in_turn(shape):
    size = shape[-1]
    rng = np.random.default_rng(size)
    pivots = np.stack([rng.integers(k, size, shape[:-1]) for k in range(size)], -1).astype(np.int32)
    out = linalg_solve.permutation_of(pivots, size)
    for swaps, found in zip(pivots.reshape(-1, size), out.reshape(-1, size), strict=True):
        row = np.arange(size)
        for i, j in enumerate(swaps):
            row[[i, j]] = row[[j, i]]
        np.testing.assert_array_equal(found, row)


def test_tridiagonal_systems_of_a_stack_do_not_touch():
    """Not at their ends, whatever stands beside the diagonals, nor where one has no answer."""
    rng = np.random.default_rng(0)
    dl, d, du = (rng.standard_normal((6, 8)).astype(np.float32) for _ in range(3))
    b = rng.standard_normal((6, 8, 2)).astype(np.float32)
    alone = [L.tridiagonal_solve(*(y[k] for y in (dl, d, du, b))) for k in range(6)]
    got = np.asarray(L.tridiagonal_solve(dl, d, du, b))
    np.testing.assert_allclose(got, np.stack(alone), rtol=1e-4, atol=1e-5)
    d[2] = dl[2] = 0
    got = np.asarray(L.tridiagonal_solve(dl, d, du, b))
    np.testing.assert_allclose(got[3:], np.stack(alone)[3:], rtol=1e-4, atol=1e-5)


def test_singular_values_alone_need_no_vectors():
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    closed, _ = dce_closed(fx.make_jaxpr(lambda x: jnp.linalg.svd(x).S)(x))
    assert [e.params["compute_uv"] for e in closed.jaxpr.eqns] == [False]
    near(fx.jit(lambda x: jnp.linalg.svd(x).S)(x), np.linalg.svd(x, compute_uv=False), 1e-4)


def test_eigenvalues_alone_need_no_eigenvectors():
    """Where nobody reads the vectors they are not computed: eager, under jit, and in a loop."""
    s = np.random.default_rng(0).standard_normal((3, 6, 6)).astype(np.float32)
    s = s + s.swapaxes(-1, -2)
    names = lambda f: [e.primitive.name for e in dce_closed(fx.make_jaxpr(f)(s))[0].jaxpr.eqns]
    assert "eigh" not in names(jnp.linalg.eigvalsh) + names(lambda x: L.eigh(x)[1])
    assert "eigvalsh" not in names(lambda x: L.eigh(x)[0]) + names(lambda x: L.eigh(x))
    want = np.linalg.eigvalsh(s)
    carried = lambda x: fx.lax.fori_loop(0, 3, lambda _, c: jnp.linalg.eigvalsh(x) + 0 * c, want)
    for f in (jnp.linalg.eigvalsh, lambda x: L.eigh(x)[1], carried):
        near(fx.jit(f)(s), want, 1e-4)
        near(f(s), want, 1e-4)
    g = fx.jit(fx.grad(lambda x: (fx.jit(lambda x: L.eigh(x)[1])(x) ** 2).sum()))(s)
    near(g, 2 * s, 1e-3)


def test_nobody_knows_the_sign_of_a_determinant_that_is_nan():
    sign, log = jnp.linalg.slogdet(np.full((2, 2), np.nan, np.float32))
    assert np.isnan(sign) and np.isnan(log)
    assert jnp.linalg.slogdet(np.zeros((2, 2), np.float32))[0] == 0


@pytest.mark.parametrize("f", [L.qr, L.lu, L.schur, L.svd, L.eigh, L.cholesky, L.hessenberg])
def test_vectors_that_vmap_maps_are_no_matrix(f):
    x = np.eye(3, dtype=np.float32)
    for mapped in (fx.vmap(f), fx.jit(fx.vmap(f)), fx.vmap(f, 1)):
        with pytest.raises((TypeError, ValueError), match=r"\(3,\)"):
            mapped(x)
