"""Matrices of middle size by stages written by hand: LAPACK's numbers, and no step of the host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.lax import linalg
from fx.lower import subgraph
from fx.prims.linalg_orthogonal import geqrf_p
from lowering import compile as compiler
from lowering import graph as g
from lowering.planning import written
from lowering.runtime import devices, execute
from lowering.saved import key_of

pytestmark = [pytest.mark.driver, pytest.mark.lowering]

SIDES = [
    {"left_side": left, "lower": lower, "transpose_a": turned, "unit_diagonal": unit}
    for left, lower, turned, unit in (
        (True, True, False, False),
        (True, False, False, True),
        (True, True, True, True),
        (True, False, True, False),
        (False, True, False, True),
        (False, False, True, False),
        (False, True, True, False),
    )
]


def here() -> bool:
    return devices.default_device().profile.schedule == "cpu" and not interpreted()


def interpreted() -> bool:
    return devices.default_device().profile.driver == "interpreter"


def everything(a, s, y):
    """Each factorisation, and each kind of triangular system with few and with many columns."""
    out = [*linalg.lu(a), *linalg.lu(a[..., :-2]), *linalg.lu(a[..., 1:, :]), linalg.cholesky(s)]
    for k, side in enumerate(SIDES):
        part = y[..., : (1, 2, 5)[k % 3]] if k else y
        part = part if side["left_side"] else jnp.swapaxes(part, -1, -2)
        out.append(linalg.triangular_solve(s, part, **side))
    return out


@pytest.mark.parametrize("stack", [(), (3,), (2, 20)])
@pytest.mark.parametrize("n", [5, 9, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers(dtype, n, stack):
    rng = np.random.default_rng(n)
    with fx.enable_x64(dtype == np.float64):
        a = rng.standard_normal((*stack, n, n)).astype(dtype)
        s = (a @ a.swapaxes(-1, -2) / n + 2 * np.eye(n)).astype(dtype)
        y = rng.standard_normal((*stack, n, 70)).astype(dtype)
        # a unit diagonal wants small others; few distinct pivots want few ties
        s = np.where(np.eye(n, dtype=bool), s, s / n).astype(dtype)
        f = fx.jit(everything)
        found, expected = f(a, s, y), everything(a, s, y)
        if here():
            assert f.lower(a, s, y).compile()._plan.host_steps == 0
    for x, e in zip(found, expected, strict=True):
        x, e = np.asarray(x), np.asarray(e)
        assert x.dtype == e.dtype and x.shape == e.shape
        if e.dtype.kind == "i":
            np.testing.assert_array_equal(x, e)
        else:
            tolerance = 1e-3 if dtype == np.float32 else 1e-10
            np.testing.assert_allclose(x, e, rtol=tolerance, atol=tolerance * np.abs(e).max())


def test_what_has_no_factor_is_nan():
    x = np.eye(6, dtype=np.float32)
    x[3, 3] = -1
    lower = np.asarray(fx.jit(linalg.cholesky)(x))
    assert np.isnan(lower[np.tril_indices(6)]).all()
    assert (lower[np.triu_indices(6, 1)] == 0).all()
    singular = fx.jit(jnp.linalg.solve)(np.zeros((6, 6), np.float32), np.ones(6, np.float32))
    assert not np.isfinite(np.asarray(singular)).any()


@pytest.mark.parametrize(
    ("dtype", "n"), [(np.complex64, 9), (np.complex128, 5), (np.complex64, 33)]
)
def test_complex_numbers(dtype, n):
    rng = np.random.default_rng(n)
    sides = [dict(side, conjugate_a=k % 3 != 1) for k, side in enumerate(SIDES)]

    def factors(a, s, y):
        out = [*linalg.lu(a), *linalg.lu(a[..., :-2]), linalg.cholesky(s), jnp.linalg.solve(a, y)]
        for side in sides:
            part = y if side["left_side"] else jnp.swapaxes(y, -1, -2)
            out.append(linalg.triangular_solve(s, part, **side))
        return out

    with fx.enable_x64(dtype == np.complex128):
        a = (rng.standard_normal((3, n, n)) + 1j * rng.standard_normal((3, n, n))).astype(dtype)
        s = (a @ a.swapaxes(-1, -2).conj() / n + 4 * np.eye(n)).astype(dtype)
        s = np.where(np.eye(n, dtype=bool), s, s / n)
        y = rng.standard_normal((3, n, 5)).astype(dtype) * dtype(1 - 2j)
        f = fx.jit(factors)
        found, expected = f(a, s, y), factors(a, s, y)
        if here():
            assert f.lower(a, s, y).compile()._plan.host_steps == 0
    tolerance = 1e-3 if dtype == np.complex64 else 1e-10
    for x, e in zip(map(np.asarray, found), map(np.asarray, expected), strict=True):
        assert x.dtype == e.dtype
        np.testing.assert_allclose(x, e, tolerance, tolerance * np.abs(e).max())


def test_what_has_no_complex_factor_is_nan():
    x = np.eye(6, dtype=np.complex64)
    x[3, 3] = -1
    lower = np.asarray(fx.jit(linalg.cholesky)(x))
    assert np.isnan(lower[np.tril_indices(6)]).all()
    assert (lower[np.triu_indices(6, 1)] == 0).all()
    lu = fx.jit(lambda x: linalg.lu(x)[0])(np.zeros((6, 6), np.complex64))
    np.testing.assert_array_equal(lu, 0)
    singular = fx.jit(jnp.linalg.solve)(np.zeros((6, 6), np.complex64), np.ones(6, np.complex64))
    assert np.isnan(np.asarray(singular)).all()


def solved(x, eye):
    """A loop of systems of six equations."""
    step = lambda k, x: jnp.linalg.solve(jnp.outer(x, x) + eye, jnp.sin(x) + 1)
    return lax.fori_loop(0, 10, step, x)


def test_a_loop_of_systems_is_one_task_and_the_stage_an_option():
    x = np.linspace(0.5, 1.5, 6, dtype=np.float32)
    eye = np.eye(6, dtype=np.float32)
    profile = devices.default_device().profile
    graph = subgraph(g.Builder(), fx.make_jaxpr(solved)(x, eye))
    plans = [compiler.make_plan(graph, profile, written=w) for w in (True, False)]
    if here():
        assert [p.host_steps > 0 for p in plans] == [False, True]
    np.testing.assert_allclose(fx.jit(solved)(x, eye), solved(x, eye), rtol=1e-4)


def test_plans_of_written_stages_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    x = np.eye(8, dtype=np.float32)
    keys = []
    for f in (linalg.cholesky, lambda x: linalg.lu(x)[0], lambda x: linalg.schur(x)[0]):
        graph = subgraph(g.Builder(), fx.make_jaxpr(f)(x))
        keys.append(key_of(graph, devices.default_device().profile, (False,), "f"))
    assert keys[0] and keys[1] and keys[0] != keys[1] and keys[2] is None


def spans(a, full):
    """Q R and U S V^T of each matrix, in a loop."""

    def step(_, x):
        q, r = jnp.linalg.qr(x, mode="complete" if full else "reduced")
        u, s, vt = jnp.linalg.svd(x, full_matrices=full)
        return None, (q, r, u, s, vt, jnp.linalg.svd(x, compute_uv=False))

    return lax.scan(step, None, a)[1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 3), (17, 5), (5, 17), (32, 32), (50, 3)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_orthogonal_factors(dtype, full, shape):
    rng = np.random.default_rng(sum(shape))
    eps = 100 * np.finfo(dtype).eps
    with fx.enable_x64(dtype == np.float64):
        a = rng.standard_normal((4, *shape)).astype(dtype)
        a[1] = np.outer(a[1, :, 0], a[1, 0])  # of rank one
        a[2] *= dtype(1e-18)
        a[3] = 0
        f = fx.jit(spans, static_argnums=1)
        q, r, u, s, vt, alone = map(np.asarray, f(a, full))
        if here():
            assert f.lower(a, full).compile()._plan.host_steps == 0
        again = [np.asarray(x) for x in f(a, full)]
    signed = np.linalg.qr(a[0], mode="complete" if full else "reduced")
    np.testing.assert_allclose(q[0], signed[0], atol=20 * eps)
    np.testing.assert_allclose(r[0], signed[1], atol=20 * eps * np.abs(a[0]).max())
    k = min(shape)
    for i, x in enumerate(a):
        size = np.abs(x).max()
        np.testing.assert_allclose(q[i] @ r[i], x, atol=eps * size)
        np.testing.assert_allclose((u[i, :, :k] * s[i]) @ vt[i, :k], x, atol=eps * size)
        values = np.linalg.svd(x.astype(np.float64), compute_uv=False)
        for found in (s[i], alone[i]):
            np.testing.assert_allclose(found, values, rtol=0, atol=eps * values[0])
        for side in (q[i], u[i], vt[i].T):
            np.testing.assert_allclose(side.T @ side, np.eye(side.shape[1]), atol=eps)
    for x, y in zip(again, (q, r, u, s, vt, alone)):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("n", [1, 2, 3, 9, 33])
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_symmetric_eigenvalues(dtype, lower, n):
    rng = np.random.default_rng(n)
    eps = 100 * np.finfo(dtype).eps
    with fx.enable_x64(dtype == np.float64):
        a = rng.standard_normal((4, n, n)).astype(dtype)
        a[1] = np.eye(n)[::-1]  # 1 and -1, each many times
        a[2] = np.diag(np.arange(n) % 3) * dtype(1e15)
        a[3] = 0
        step = lambda _, x: (None, linalg.eigh(x, lower=lower, symmetrize_input=False))
        f = fx.jit(lambda a: lax.scan(step, None, a)[1])
        vectors, values = map(np.asarray, f(a))
        if here():
            assert f.lower(a).compile()._plan.host_steps == 0
    for x, v, w in zip(a, vectors, values):
        x = np.tril(x) + np.tril(x, -1).T if lower else np.triu(x) + np.triu(x, 1).T
        size = np.abs(x).max()
        assert (np.diff(w) >= 0).all()
        np.testing.assert_allclose((v * w) @ v.T, x, atol=eps * size)
        np.testing.assert_allclose(v.T @ v, np.eye(n), atol=eps)
        np.testing.assert_allclose(w, np.linalg.eigvalsh(x), rtol=0, atol=eps * size)


def test_factors_of_what_is_not_finite_are_nan():
    x = np.ones((1, 3, 3), np.float32)
    x[0, 1, 2] = np.inf
    for f in (jnp.linalg.qr, jnp.linalg.svd, jnp.linalg.eigh):
        parts = fx.jit(lambda x, f=f: lax.map(lambda y: tuple(f(y)), x))(x)
        nan = [bool(np.isnan(np.asarray(part)).any()) for part in parts]
        # LAPACK's reflections see the columns before the infinite one alone
        assert all(nan) if here() or f is not jnp.linalg.qr else nan == [False, True]


def transforms(x, r, h):
    """Along rows, along columns and along both; of real rows and back."""
    m, n = x.shape
    fft = jnp.fft
    whole = [fft.fft(x), fft.ifft(x), fft.fft2(x), fft.ifft2(x), fft.fft(x, axis=0)]
    return [*whole, fft.rfft(r), fft.rfft2(r), fft.irfft(h, n=n), fft.irfft2(h, s=(m, n))]


def assert_transforms(dtype, m, n, ulps):
    rng = np.random.default_rng(n)
    with fx.enable_x64(dtype == np.float64):
        r = rng.standard_normal((m, n)).astype(dtype)
        x = r + 1j * rng.standard_normal((m, n)).astype(dtype)
        h = x[:, : n // 2 + 1]
        f = fx.jit(transforms)
        found, expected = f(x, r, h), transforms(x, r, h)
        if here():
            assert f.lower(x, r, h).compile()._plan.host_steps == 0
    for got, e in zip(found, expected, strict=True):
        assert got.dtype == e.dtype and got.shape == e.shape
        np.testing.assert_allclose(
            got, e, rtol=0, atol=np.finfo(dtype).eps * ulps * np.abs(np.asarray(e)).max()
        )


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 15, 36, 91, 100, 320])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms(dtype, n):
    assert_transforms(dtype, 12 if n < 100 else 5, n, 12)


@pytest.mark.parametrize("n", [4200, 10010, 16384, 44100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_rows(dtype, n):
    """Rows that are matrices: their columns, times roots, and the columns of that."""
    assert_transforms(dtype, 2, n, 16)


AXES = [((40, 48), (0,)), ((6, 40, 48), (1,)), ((6, 5, 48), (0, 1)), ((6, 5, 48), (2, 0))]


@pytest.mark.parametrize(("shape", "axes"), AXES)
@pytest.mark.parametrize("inverse", [False, True])
def test_transforms_along_other_axes_turn_nothing(shape, axes, inverse):
    """Columns are lanes: what comes in is read and what goes out is written once an axis."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    name = "ifftn" if inverse else "fftn"
    f = fx.jit(lambda x: getattr(jnp.fft, name)(x, axes=axes))
    np.testing.assert_allclose(f(x), getattr(np.fft, name)(x, axes=axes), atol=2e-5)
    if here():
        graph = subgraph(g.Builder(), fx.make_jaxpr(f)(x))
        plan = compiler.make_plan(graph, devices.default_device().profile, chain=False, merge=False)
        assert (plan.launches, plan.host_steps) == (len(axes), 0)


def test_few_columns_are_turned():
    x = (np.arange(64 * 64 * 3) % 7 + 1j).reshape(64, 64, 3).astype(np.complex64)
    f = fx.jit(lambda x: jnp.fft.fft(x, axis=1))
    np.testing.assert_allclose(f(x), np.fft.fft(x, axis=1), atol=1e-4)


@pytest.mark.driver
@pytest.mark.parametrize("n", [4116, 8232, 90000])
@pytest.mark.parametrize("kind", ["fft", "rfft", "irfft"])
def test_problems_of_long_transforms_may_be_done_in_any_order(kind, n, monkeypatch):
    """Each number of a result has one owner: threads that race for it would leave chance bits."""
    if not here():
        pytest.skip("stages of a CPU's driver")
    rng = np.random.default_rng(n)
    x = rng.standard_normal((2, n)).astype(np.float32)
    x = x + 1j * x[:, ::-1] if kind == "fft" else x if kind == "rfft" else x[:, : n // 2 + 1] + 0j
    f = getattr(jnp.fft, kind)
    graph = subgraph(g.Builder(), fx.make_jaxpr(lambda x: f(x, n=n))(x))
    device = devices.default_device()

    def bits():
        plan = compiler.make_plan(graph, device.profile)
        (store,), _ = execute.Executable(plan, device)([device.put(x)])
        device.finish()
        return device.fetch(store, graph.outputs[0].shape, graph.outputs[0].dtype).tobytes()

    forward, stage = bits(), written._stage

    def backward(made, *rest):
        head = f"{{ const long r = {made.problems - 1}L - e; {{ const long e = r;"
        return stage(replace(made, text=f"{head}{made.text} }} }}"), *rest)

    monkeypatch.setattr(written, "_stage", backward)
    assert bits() == forward


def test_slopes_of_long_transforms():
    rng = np.random.default_rng(0)
    n = 9000
    x, w = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    half = rng.standard_normal(n // 2 + 1).astype(np.float32)
    slope = fx.jit(fx.grad(lambda x: (jnp.fft.rfft(x).real * half).sum()))(x)
    expected = sum(  # of the real part: cosines
        half[k] * np.cos(2 * np.pi * k * np.arange(3) / n) for k in range(n // 2 + 1)
    )
    np.testing.assert_allclose(slope[:3], expected, rtol=1e-4, atol=1e-3)
    back = fx.jit(fx.grad(lambda h: (jnp.fft.irfft(h + 0j) * w).sum()))(half)
    np.testing.assert_allclose(back[0], w.sum() / n, rtol=1e-4, atol=1e-6)


def test_what_the_host_keeps():
    """Rows with factors above 13."""
    rng = np.random.default_rng(0)
    for n, host in ((4096, 0), (8192, 0), (7, 0), (17, 1), (8194, 1), (2 * 13**4, 0)):
        x = rng.standard_normal(n).astype(np.float32)
        f = fx.jit(jnp.fft.rfft)
        np.testing.assert_allclose(f(x), np.fft.rfft(x), rtol=0, atol=2e-6 * n)
        if here():
            assert f.lower(x).compile()._plan.host_steps == host
    x = np.zeros((0, 8), np.complex64)
    assert fx.jit(jnp.fft.fft)(x).shape == (0, 8)


@pytest.mark.parametrize("shape", [(200, 4), (6, 30), (20, 20)])
def test_small_systems_whose_signs_are_free_wait_for_no_host(shape):
    """Least squares, pseudo-inverses and eigenvalues do not depend on the signs of vectors."""
    rng = np.random.default_rng(0)
    a, y = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[0])
    y, s = y.astype(np.float32), a[: min(shape), : min(shape)]
    s = s + s.T

    def f(a, y, s):
        return jnp.linalg.lstsq(a, y)[0], jnp.linalg.pinv(a), jnp.linalg.eigvalsh(s)

    def signed(a):
        return jnp.linalg.svd(a, full_matrices=False)

    wanted = np.linalg.lstsq(a, y, None)[0], np.linalg.pinv(a), np.linalg.eigvalsh(s)
    for got, want in zip(fx.jit(f)(a, y, s), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-4)
    if here():
        assert fx.jit(f).lower(a, y, s).compile()._plan.host_steps == 0
        assert fx.jit(signed).lower(a).compile()._plan.host_steps == 1
        large = np.zeros((300, 100), np.float32)
        assert fx.jit(jnp.linalg.pinv).lower(large).compile()._plan.host_steps == 1


def reflected(a, y, z):
    """What is made of packed reflections: from both sides, forwards and back, gathered."""
    packed, taus = geqrf_p.bind(a)
    out = [packed, taus, linalg.householder_product(packed, taus)]
    out += [linalg.ormqr(packed, taus, y, transpose=t) for t in (False, True)]
    out += [linalg.ormqr(packed, taus, z, left=False, transpose=t) for t in (False, True)]
    wide, scales = geqrf_p.bind(jnp.swapaxes(a, -1, -2))
    return [*out, wide, scales]


@pytest.mark.parametrize("stack", [(), (2, 20)])
@pytest.mark.parametrize("m, n", [(2, 2), (5, 1), (9, 4), (31, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reflections(dtype, m, n, stack):
    rng = np.random.default_rng(n)
    with fx.enable_x64(dtype == np.float64):
        a, y, z = (
            rng.standard_normal((*stack, *s)).astype(dtype) for s in ((m, n), (m, 3), (2, m))
        )
        f = fx.jit(reflected)
        found, expected = f(a, y, z), reflected(a, y, z)
        if here():
            assert f.lower(a, y, z).compile()._plan.host_steps == 0
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for x, e in zip(found, expected, strict=True):
        x, e = np.asarray(x), np.asarray(e)
        assert x.dtype == e.dtype and x.shape == e.shape
        np.testing.assert_allclose(x, e, rtol=tolerance, atol=tolerance * m * np.abs(e).max())


@pytest.mark.parametrize("scale", [1e-30, 1e30, np.nan])
def test_reflections_of_tiny_huge_and_odd_numbers(scale):
    a = (np.random.default_rng(0).standard_normal((7, 5)) * scale).astype(np.float32)
    packed, taus = fx.jit(geqrf_p.bind)(a)
    for x, e in zip((packed, taus), geqrf_p.bind(a)):
        if np.isnan(scale):
            assert np.isnan(np.asarray(x)).all()
            continue
        e = np.asarray(e)
        np.testing.assert_allclose(np.asarray(x), e, rtol=1e-4, atol=1e-5 * np.abs(e).max())


def test_swaps_become_a_permutation():
    rng = np.random.default_rng(3)
    pivots = rng.integers(np.arange(20), 30, (7, 20)).astype(np.int32)
    f = fx.jit(lambda p: linalg.lu_pivots_to_permutation(p, 30))
    np.testing.assert_array_equal(f(pivots), linalg.lu_pivots_to_permutation(pivots, 30))
    if here():
        assert f.lower(pivots).compile()._plan.host_steps == 0


def test_a_loop_that_solves_by_factors_made_before_is_one_launch():
    """The permutation of the rows is made before the loop, the solutions are stages in it."""

    def f(a, b):
        factors = fx.scipy.linalg.lu_factor(a)
        return lax.fori_loop(0, 50, lambda _, x: fx.scipy.linalg.lu_solve(factors, b + 0.1 * x), b)

    rng = np.random.default_rng(0)
    a = (rng.standard_normal((40, 40)) + 9 * np.eye(40)).astype(np.float32)
    b = rng.standard_normal(40).astype(np.float32)
    got, want = fx.jit(f)(a, b), f(a, b)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    if here():
        plan = fx.jit(f).lower(a, b).compile()._plan
        assert plan.host_steps == 0 and plan.launches <= 3


def test_least_squares_by_reflections_in_a_loop_are_one_launch():
    def f(a, b):
        def step(_, x):
            packed, taus = jnp.linalg.qr(a + 0.01 * x.sum(), mode="raw")
            packed = jnp.swapaxes(packed, -1, -2)
            y = linalg.ormqr(packed, taus, b[:, None], transpose=True)[: a.shape[1]]
            return linalg.triangular_solve(packed[: a.shape[1]], y, left_side=True, lower=False)

        return lax.fori_loop(0, 20, step, jnp.zeros((a.shape[1], 1)))

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, 6)).astype(np.float32), rng.standard_normal(30).astype("f4")
    got, want = fx.jit(f)(a, b), f(a, b)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
    if here():
        plan = fx.jit(f).lower(a, b).compile()._plan
        assert plan.host_steps == 0 and plan.launches <= 3


def tridiagonal(shape, k, dtype, seed=0):
    """Diagonals and right sides of systems that need no exchange of rows, and of some that do."""
    rng = np.random.default_rng(seed)
    dl, d, du, b = (rng.standard_normal(s) for s in (shape, shape, shape, (*shape, k)))
    d[..., ::5] = 0 if shape[-1] > 1 else 1  # a row is exchanged with the next one
    whole = np.zeros((*shape, shape[-1]))
    for j in range(shape[-1]):
        whole[..., j, j] = d[..., j]
        if j:
            whole[..., j, j - 1], whole[..., j - 1, j] = dl[..., j], du[..., j - 1]
    dl[..., 0] = du[..., -1] = np.nan  # are not read
    return [x.astype(dtype) for x in (dl, d, du, b)], np.linalg.solve(whole, b)


SYSTEMS = [((1,), 1), ((40,), 1), ((300,), 3), ((65,), 40), ((5, 64), 1), ((37, 10), 1)]
SYSTEMS += [((2, 3, 129), 1), ((20, 12), 5), ((3, 12), 20), ((16, 1), 2), ((1000, 4), 1)]


@pytest.mark.parametrize(("shape", "k"), SYSTEMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tridiagonal_systems(shape, k, dtype):
    """Lanes are systems or right sides; no step of the host."""
    with fx.enable_x64(dtype == np.float64):
        args, want = tridiagonal(shape, k, np.float64)
        f = fx.jit(linalg.tridiagonal_solve)
        if dtype == np.float32:  # what float32 may lose depends on the system
            args = [x.astype(dtype) for x in args]
            args[1] += 4 * np.where(args[1] < 0, -1, 1).astype(dtype)
            found, want = f(*args), linalg.tridiagonal_solve(*args)
            np.testing.assert_allclose(found, want, rtol=2e-5, atol=2e-5)
        else:
            np.testing.assert_allclose(f(*args), want, rtol=1e-7, atol=1e-8 * np.abs(want).max())
        if here():
            assert f.lower(*args).compile()._plan.host_steps == 0


def test_tridiagonal_systems_in_a_loop_are_one_task():
    """An implicit step of the heat equation: nothing goes to the host between steps."""
    n = 100
    below = above = np.full(n, -0.5, np.float32)
    middle = np.full(n, 2.0, np.float32)

    def run(u):
        step = lambda u, _: (linalg.tridiagonal_solve(below, middle, above, u[:, None])[:, 0], None)
        return lax.scan(step, u, None, length=50)[0]

    u = np.sin(np.arange(n, dtype=np.float32))
    whole = 2 * np.eye(n) - 0.5 * (np.eye(n, k=1) + np.eye(n, k=-1))
    want = np.linalg.matrix_power(np.linalg.inv(whole), 50) @ u
    f = fx.jit(run)
    np.testing.assert_allclose(f(u), want, atol=1e-6)
    if here():
        assert f.lower(u).compile()._plan.host_steps == 0
