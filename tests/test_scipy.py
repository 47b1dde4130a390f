"""fx.scipy against SciPy, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.special
import scipy.stats

import fx
import fx.numpy as fnp
from fx.experimental.ode import odeint
from fx.scipy import fft, linalg, ndimage, optimize, signal, special, stats
from fx.scipy.interpolate import RegularGridInterpolator
from fx.scipy.sparse.linalg import bicgstab, cg, gmres

pytestmark = pytest.mark.eager


def rng():
    return np.random.default_rng(0)


P = np.array([0.1, 0.5, 1.3, 2.7, 7.5], "f")
Q = P[::-1].copy()
X = np.array([-3.1, -0.6, 0.2, 1.4, 3.3], "f")
U = np.array([0.01, 0.2, 0.5, 0.8, 0.99], "f")

SPECIAL = {
    "gammaln": (P,),
    "digamma": (P,),
    "gamma": (P,),
    "beta": (P, Q),
    "betaln": (P, Q),
    "betainc": (P, Q, U),
    "gammainc": (P, Q),
    "gammaincc": (P, Q),
    "erf": (X,),
    "erfc": (X,),
    "erfinv": (U,),
    "erfcx": (X,),
    "dawsn": (X,),
    "ndtr": (X,),
    "ndtri": (U,),
    "log_ndtr": (X * 4,),
    "exp1": (P,),
    "expi": (X,),
    "entr": (P,),
    "rel_entr": (P, Q),
    "kl_div": (P, Q),
    "xlogy": (P, Q),
    "xlog1py": (P, Q),
    "logit": (U,),
    "expit": (X,),
    "i0": (X,),
    "i0e": (X,),
    "i1": (X,),
    "i1e": (X,),
    "zeta": (P + 1.5, Q),
    "spence": (P,),
    "poch": (P, Q),
    "boxcox": (P, U),
    "boxcox1p": (P, U),
    "hyp1f1": (P, Q, X),
    "hyp2f1": (P, U, Q, U),
    "owens_t": (X, P),
    "factorial": (np.arange(5.0),),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions(name):
    args = SPECIAL[name]
    expected = getattr(scipy.special, name)(*[np.asarray(a, np.float64) for a in args])
    found = getattr(special, name)(*args)
    np.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-5)
    traced = fx.core.jaxpr_as_fun(fx.make_jaxpr(getattr(special, name))(*args))(*args)
    np.testing.assert_allclose(traced[0], found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["exp1", "expi", "ndtri", "log_ndtr", "erfcx", "dawsn", "spence"])
def test_special_derivatives(name):
    x = {"expi": P, "ndtri": U, "log_ndtr": X * 4, "dawsn": X, "erfcx": U}.get(name, P)
    with fx.enable_x64():
        fx.check_grads(getattr(special, name), (x.astype(np.float64),), order=2)


def test_slope_of_the_logarithm_of_ndtr_far_to_the_left():
    """The inverse of Mills's ratio; x^2 / 2 cancels against the logarithm in float32."""
    x = np.array([-1e10, -1e4, -1000, -100, -50, -10.5, -10, -9.9, -3, 0, 3, 6], "f")
    ratio = np.sqrt(2 / np.pi) / scipy.special.erfcx(-x.astype(float) / np.sqrt(2))
    first = fx.grad(special.log_ndtr)
    np.testing.assert_allclose(fx.vmap(first)(x), ratio, rtol=1e-5)
    second = np.asarray(fx.vmap(fx.grad(first))(x))[1:]
    np.testing.assert_allclose(second[:4], -1, atol=1e-3)
    np.testing.assert_allclose(second[4:], (-ratio * (x + ratio))[5:], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("a", [1.0, 2.0, -1.0, 0.0])
def test_slopes_of_hyp2f1_by_whole_parameters(a):
    """At whole a, b, c - a and c - b a gamma function of a formula not taken has a pole."""
    with fx.enable_x64(True):
        for b, c in ((1.5, 2.5), (1.0, 3.0), (-1.5, 1.0)):
            for x in (0.3, -0.7, 0.95, -30.0, 0.0):
                slopes = fx.grad(special.hyp2f1, (0, 1, 2))(a, b, c, x)
                for k, slope in enumerate(slopes):
                    around = [[a, b, c, x], [a, b, c, x]]
                    around[0][k] -= 1e-5
                    around[1][k] += 1e-5
                    low, high = (scipy.special.hyp2f1(*p) for p in around)
                    np.testing.assert_allclose(slope, (high - low) / 2e-5, 2e-2, 2e-2)


def test_slope_of_logit_at_its_ends():
    x = np.array([0, 1, 0.25, np.inf], "f")
    np.testing.assert_allclose(fx.vmap(fx.grad(special.logit))(x), [np.inf, np.inf, 16 / 3, 0])


def test_sici_below_zero_and_at_infinity():
    x = np.array([-9, -2, -0.5, np.inf, -np.inf, np.nan], "f")
    for got, expected in zip(special.sici(x), scipy.special.sici(x)):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    slope = fx.vmap(fx.grad(lambda x: special.sici(x)[1]))(x[:3])
    np.testing.assert_allclose(slope, np.cos(x[:3]) / x[:3], rtol=1e-5)


@pytest.mark.parametrize("h", [-1.5, 0.0, 0.5, np.inf])
@pytest.mark.parametrize("a", [-3.0, -0.5, 0.0, 1.0, 2.0, np.inf])
def test_slopes_of_owens_t(h, a):
    """Closed forms, also at a = 0, where the function is an odd one's sign times its size."""
    by_h, by_a = fx.grad(special.owens_t, (0, 1))(np.float32(h), np.float32(a))
    product = 0.0 if h == 0 or a == 0 else h * a
    density = np.exp(-h * h / 2)
    mass = scipy.special.ndtr(product) - 0.5
    np.testing.assert_allclose(by_h, -density * mass / np.sqrt(2 * np.pi), 1e-5, 1e-7)
    expected = density * np.exp(-product * product / 2) / (2 * np.pi * (1 + a * a))
    np.testing.assert_allclose(by_a, expected, 1e-5, 1e-7)


def test_integrals_of_several_results():
    for name in ("sici", "fresnel"):
        for a, b in zip(getattr(special, name)(P), getattr(scipy.special, name)(P)):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    expected = scipy.special.expn(3, P.astype(np.float64))
    np.testing.assert_allclose(special.expn(3, P), expected, rtol=1e-4)
    z = (X + 1j * P).astype(np.complex64)
    np.testing.assert_allclose(special.wofz(z), scipy.special.wofz(z), rtol=1e-4)


DISTRIBUTIONS = {
    "norm": ((), X, "pdf logpdf cdf logcdf sf logsf"),
    "uniform": ((), U, "pdf logpdf cdf"),
    "expon": ((), P, "pdf logpdf cdf logcdf sf logsf"),
    "gamma": ((2.5,), P, "pdf logpdf cdf logcdf sf logsf"),
    "beta": ((2.0, 3.0), U, "pdf logpdf cdf logcdf sf logsf"),
    "t": ((3.0,), X, "pdf logpdf"),
    "cauchy": ((), X, "pdf logpdf cdf logcdf sf logsf"),
    "laplace": ((), X, "pdf logpdf cdf"),
    "logistic": ((), X, "pdf logpdf cdf sf"),
    "chi2": ((3.0,), P, "pdf logpdf cdf sf"),
    "pareto": ((2.0,), P + 1, "pdf logpdf"),
    "truncnorm": ((-1.0, 2.0), X / 3, "pdf logpdf cdf logcdf sf logsf"),
    "poisson": ((2.5,), np.arange(5.0), "pmf logpmf cdf"),
    "bernoulli": ((0.3,), np.arange(2.0), "pmf logpmf cdf"),
    "binom": ((6, 0.3), np.arange(5.0), "pmf logpmf"),
    "geom": ((0.3,), np.arange(1.0, 5), "pmf logpmf"),
    "nbinom": ((3, 0.3), np.arange(5.0), "pmf logpmf"),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name):
    shapes, x, methods = DISTRIBUTIONS[name]
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    for method in methods.split():
        found = getattr(ours, method)(x, *shapes)
        np.testing.assert_allclose(found, getattr(theirs, method)(x, *shapes), rtol=1e-3, atol=1e-5)
    if hasattr(ours, "ppf"):
        np.testing.assert_allclose(
            ours.ppf(U, *shapes), theirs.ppf(U, *shapes), rtol=1e-3, atol=1e-5
        )


def test_multivariate_distributions():
    a = rng().normal(size=(3, 3))
    cov = a @ a.T + np.eye(3)
    x, mean = rng().normal(size=(5, 3)), np.ones(3)
    found = stats.multivariate_normal.logpdf(x, mean, cov)
    np.testing.assert_allclose(
        found, scipy.stats.multivariate_normal.logpdf(x, mean, cov), rtol=1e-4
    )
    alpha = np.array([1.0, 2, 3])
    q = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(
        stats.dirichlet.pdf(q, alpha), scipy.stats.dirichlet.pdf(q, alpha), rtol=1e-4
    )


def test_summaries():
    x = np.array([3, 1, 3, 2, 1, 3])
    assert stats.mode(x) == (3, 3)
    for method in ("average", "min", "max", "dense", "ordinal"):
        expected = scipy.stats.rankdata(x, method)
        np.testing.assert_allclose(stats.rankdata(x, method), expected)
    data = rng().normal(size=20)
    ours, theirs = stats.gaussian_kde(data), scipy.stats.gaussian_kde(data)
    np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-3)
    assert float(ours.integrate_box_1d(-1, 1)) == pytest.approx(
        theirs.integrate_box_1d(-1, 1), rel=1e-4
    )


A = rng().normal(size=(4, 4))
SPD = A @ A.T + 4 * np.eye(4)
B = rng().normal(size=(4, 2))


def test_solvers():
    same = lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)
    same(linalg.solve(A, B), np.linalg.solve(A, B))
    same(linalg.solve(SPD, B, assume_a="pos"), np.linalg.solve(SPD, B))
    same(linalg.cho_solve(linalg.cho_factor(SPD), B[:, 0]), np.linalg.solve(SPD, B[:, 0]))
    for trans, matrix in ((0, A), (1, A.T)):
        same(linalg.lu_solve(linalg.lu_factor(A), B, trans=trans), np.linalg.solve(matrix, B))
    p, l, u = linalg.lu(A)
    same(p @ l @ u, A)
    same(linalg.solve_triangular(SPD, B, lower=True), np.linalg.solve(np.tril(SPD), B))
    x = linalg.solve_sylvester(A, SPD[:2, :2], B)
    same(A @ np.asarray(x) + np.asarray(x) @ SPD[:2, :2], B)
    h, q = linalg.hessenberg(A, calc_q=True)
    same(q @ h @ q.T, A)


def test_derivatives_of_positive_systems_are_of_the_whole_matrix():
    positive = lambda a, b: linalg.solve(a, b, assume_a="pos").sum()
    general = lambda a, b: fnp.linalg.solve(a, b).sum()
    a, b = fnp.asarray(SPD, "f"), fnp.asarray(B, "f")
    for d in (fx.grad, fx.jacfwd):
        for ours, theirs in zip(d(positive, (0, 1))(a, b), d(general, (0, 1))(a, b)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    c = a + 1j * fnp.asarray(A - A.T, "f")
    absolute = lambda f: fx.grad(lambda c: fnp.abs(f(c, b)))(c)
    np.testing.assert_allclose(absolute(positive), absolute(general), rtol=1e-3, atol=1e-5)


SYSTEMS = {
    "lu_solve": lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b),
    "cho_solve": lambda a, b: linalg.cho_solve((a, True), b),
    "solve_triangular": linalg.solve_triangular,
    "positive": lambda a, b: linalg.solve(a, b, assume_a="pos"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_sizes_of_systems(name):
    """Sizes that do not fit raise; a stack may have a vector for each of its matrices."""
    for shape in ((4,), (2,), (4, 1), ()):
        with pytest.raises(ValueError, match="do not fit"):
            SYSTEMS[name](fnp.eye(3), fnp.ones(shape))
    stack, b = fnp.stack([fnp.eye(2), 2 * fnp.eye(2)]), fnp.array([[1.0, 2.0], [3.0, 4.0]])
    out = SYSTEMS[name](stack, b)
    each = [SYSTEMS[name](m, v) for m, v in zip(stack, b)]
    np.testing.assert_allclose(out, np.stack(each), rtol=1e-6)


def test_functions_of_matrices():
    same = lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-3)
    same(linalg.expm(A), scipy.linalg.expm(A))
    same(linalg.expm(np.stack([A, A * 3]))[1], scipy.linalg.expm(A * 3))
    same(linalg.sqrtm(SPD).real, scipy.linalg.sqrtm(SPD))
    u, p = linalg.polar(A)
    same(u @ p, A)
    _value, derivative = linalg.expm_frechet(A, SPD)
    same(derivative, scipy.linalg.expm_frechet(A, SPD)[1])
    with fx.enable_x64():
        fx.check_grads(linalg.expm, (A,), order=1)


@pytest.mark.parametrize("size", [0.01, 0.3, 1.0, 3.0, 40.0])
def test_exponentials_of_all_degrees_share_their_products(size):
    x = A * np.float32(size / np.abs(A).sum(0).max())
    got, want = linalg.expm(x), scipy.linalg.expm(x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * np.abs(want).max())
    text = str(fx.make_jaxpr(linalg.expm)(x))
    body = text[text.index("scan[") :]
    assert text.count("dot_general") == 5  # three powers, the odd part, and one squaring,
    assert body.count("dot_general") == 1 and "cond[" in body  # made as often as it is wanted


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("toeplitz", (P, Q)),
        ("hankel", (P, Q)),
        ("circulant", (P,)),
        ("companion", (P,)),
        ("fiedler", (P,)),
        ("fiedler_companion", (P,)),
        ("leslie", (P, Q[1:])),
        ("block_diag", (A, B)),
        ("hadamard", (4,)),
        ("helmert", (4,)),
        ("hilbert", (4,)),
        ("invhilbert", (3,)),
        ("pascal", (4,)),
        ("invpascal", (4,)),
        ("dft", (5,)),
        ("convolution_matrix", (P, 3)),
    ],
)
def test_special_matrices(name, args):
    expected = getattr(scipy.linalg, name)(*args)
    np.testing.assert_allclose(getattr(linalg, name)(*args), expected, rtol=1e-4, atol=1e-4)


def test_iterative_solvers():
    for solver, matrix in ((cg, SPD), (gmres, A + 5 * np.eye(4)), (bicgstab, A + 5 * np.eye(4))):
        b = B[:, 0].astype("f")
        m = matrix.astype("f")
        x, _ = solver(m, b, tol=1e-6)
        np.testing.assert_allclose(x, np.linalg.solve(matrix, b), rtol=1e-3, atol=1e-4)
        direct = lambda m, b: fnp.linalg.solve(m, b).sum()
        g = fx.grad(lambda m, b, s=solver: s(m, b, tol=1e-6)[0].sum(), (0, 1))(m, b)
        for a, e in zip(g, fx.grad(direct, (0, 1))(m, b)):
            np.testing.assert_allclose(a, e, rtol=1e-2, atol=1e-3)
    tree = {"a": fnp.array([2.0]), "b": fnp.array(4.0)}
    x, _ = cg(lambda v: fx.tree_util.tree_map(lambda u: 2 * u, v), tree)
    assert (x["a"].tolist(), float(x["b"])) == ([1], 2)


def test_minimize():
    rosenbrock = lambda x: ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()
    for method in ("BFGS", "l-bfgs-experimental-do-not-rely-on-this"):
        found = optimize.minimize(rosenbrock, np.zeros(3, "f"), method=method, tol=1e-3)
        np.testing.assert_allclose(found.x, np.ones(3), atol=2e-2)
    with pytest.raises(ValueError, match="not recognized"):
        optimize.minimize(rosenbrock, np.zeros(3), method="nope")


def test_map_coordinates():
    image = rng().normal(size=(4, 5))
    points = [np.array([0.5, 1.2, -1.7, 4.1]), np.array([0.5, 3.9, 1.0, 2.3])]
    for order in (0, 1):
        for mode in ("constant", "nearest", "mirror"):
            expected = scipy.ndimage.map_coordinates(image, points, order=order, mode=mode)
            if mode == "constant":
                expected = scipy.ndimage.map_coordinates(
                    image, points, order=order, mode="grid-constant"
                )
            found = ndimage.map_coordinates(image, points, order, mode=mode)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_signal():
    x, k = rng().normal(size=(6, 7)), rng().normal(size=(3, 2))
    for mode in ("full", "same", "valid"):
        for name in ("convolve", "correlate", "fftconvolve"):
            expected = getattr(scipy.signal, name)(x, k, mode)
            found = getattr(signal, name)(x, k, mode)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    for mode in ("full", "same", "valid"):  # 73 + 29 - 1 is prime
        for a, b in ((rng().normal(size=73), rng().normal(size=29)), (1j * x[0], x[1, :3])):
            expected = scipy.signal.fftconvolve(a, b, mode)
            np.testing.assert_allclose(signal.fftconvolve(a, b, mode), expected, 1e-3, 1e-4)
    jaxpr = fx.make_jaxpr(signal.fftconvolve)(np.ones(73), np.ones(29))
    lengths = {e.params["fft_lengths"] for e in jaxpr.eqns if e.primitive.name == "fft"}
    assert lengths == {(108,)}
    np.testing.assert_allclose(signal.detrend(x), scipy.signal.detrend(x), rtol=1e-3, atol=1e-4)
    line = rng().normal(size=60)
    _, _, spectrum = signal.stft(line, nperseg=16)
    np.testing.assert_allclose(
        spectrum, scipy.signal.stft(line, nperseg=16)[2], rtol=1e-3, atol=1e-5
    )
    back = signal.istft(spectrum, nperseg=16)[1]
    np.testing.assert_allclose(back[: line.size], line, atol=1e-4)
    np.testing.assert_allclose(
        signal.welch(line, nperseg=16)[1], scipy.signal.welch(line, nperseg=16)[1], rtol=1e-3
    )


def test_cosine_transforms():
    x = rng().normal(size=(3, 8))
    for norm in (None, "ortho"):
        np.testing.assert_allclose(fft.dct(x, norm=norm), scipy.fft.dct(x, norm=norm), atol=1e-4)
        np.testing.assert_allclose(fft.idct(fft.dct(x, norm=norm), norm=norm), x, atol=1e-4)
    np.testing.assert_allclose(fft.dctn(x), scipy.fft.dctn(x), atol=1e-3)
    with fx.enable_x64():
        z = x + 1j * x[::-1]
        np.testing.assert_allclose(fft.dct(z), scipy.fft.dct(z), atol=1e-12)
        np.testing.assert_allclose(fft.idct(z), scipy.fft.idct(z), atol=1e-12)


def test_interpolation_on_a_grid():
    grid = np.arange(3.0), np.arange(4.0)
    values = grid[0][:, None] * 2 + grid[1] * 3
    f = RegularGridInterpolator(grid, values)
    assert f(np.array([[0.5, 1.5]])).tolist() == [5.5]
    assert np.isnan(f(np.array([[5.0, 5.0]]))).all()


def test_odeint():
    t = np.linspace(0, 2, 5).astype("f")
    y = odeint(lambda y, t, k: {"x": y["v"], "v": -k * y["x"]}, {"x": 1.0, "v": 0.0}, t, 4.0)
    np.testing.assert_allclose(y["x"], np.cos(2 * t), atol=1e-4)
    f = lambda k: odeint(lambda y, t, k: -k * y, fnp.array(1.0), t, k, rtol=1e-5, atol=1e-6)[-1]
    assert float(fx.grad(f)(0.7)) == pytest.approx(-2 * np.exp(-1.4), rel=1e-3)


def test_odeint_of_narrow_floats_and_of_integers():
    t = np.linspace(0, 1, 3).astype("f")
    y = odeint(lambda y, t: -y, fnp.ones(2, fnp.float16), t)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y[:, 0], np.exp(-t), rtol=1e-3)
    grad = fx.grad(lambda a: odeint(lambda y, t: -y, a, t)[-1])(fnp.float16(1))
    assert grad.dtype == np.float16 and float(grad) == pytest.approx(np.exp(-1), rel=1e-2)
    with pytest.raises(TypeError, match="y0 must hold floats, got int32"):
        odeint(lambda y, t: -y, {"a": 1, "b": fnp.array([2])}, t)


# ---------------------------------------------------------------- stacks, pivots, sizes


@pytest.mark.parametrize(
    ("name", "args"),
    [("hankel", ((2, 3),)), ("hankel", ((2, 3), (4,))), ("fiedler_companion", ((2, 5),))],
)
def test_matrices_of_special_form_take_stacks_of_lines(name, args):
    given = [np.random.default_rng(n).uniform(1, 2, s).astype("f") for n, s in enumerate(args)]
    got = getattr(linalg, name)(*given)
    rows = [given[0][k] for k in range(2)]
    np.testing.assert_allclose(
        got, np.stack([getattr(scipy.linalg, name)(row, *given[1:]) for row in rows]), 1e-4, 1e-5
    )


def test_exponentials_of_nothing():
    for shape in ((0, 0), (2, 0, 0), (0, 3, 3)):
        assert linalg.expm(np.zeros(shape, np.float32)).shape == shape


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
@pytest.mark.parametrize("mode", ["full", "economic", "r"])
def test_qr_with_pivots(shape, mode):
    x = np.random.default_rng(0).standard_normal(shape).astype("f")
    *q, r, p = fx.jit(lambda x: linalg.qr(x, mode=mode, pivoting=True))(x)
    np.testing.assert_array_equal(p, scipy.linalg.qr(x, pivoting=True)[2])
    assert np.all(np.diff(np.abs(np.diag(r))) <= 1e-6)
    if q:
        np.testing.assert_allclose(
            np.asarray(q[0]) @ np.asarray(r), x[:, np.asarray(p)], 1e-4, 1e-5
        )


@pytest.mark.parametrize("pivoting", [False, True])
@pytest.mark.parametrize("mode", ["left", "right"])
def test_qr_multiply_of_stacks_and_vectors(mode, pivoting):
    rng = np.random.default_rng(0)
    x, c = (rng.standard_normal(s).astype("f") for s in ((2, 5, 3), (3,) if mode == "left" else 5))
    out, *rest = linalg.qr_multiply(x, c, mode=mode, pivoting=pivoting)
    assert out.shape == ((2, 5) if mode == "left" else (2, 3)) and len(rest) == 1 + pivoting
    for k in range(2):
        one = linalg.qr_multiply(x[k], c, mode=mode, pivoting=pivoting)[0]
        np.testing.assert_allclose(out[k], one, 1e-4, 1e-5)
        np.testing.assert_allclose(
            np.abs(one), np.abs(scipy.linalg.qr_multiply(x[k], c, mode, pivoting)[0]), 1e-4, 1e-5
        )
    with pytest.raises(ValueError, match="requires c to have"):
        linalg.qr_multiply(x, c[:-1], mode=mode)


def test_sizes_without_axes_are_those_of_the_last_axes():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("f")
    for name in ("dctn", "idctn"):
        got = getattr(fft, name)(x, s=(2, 3))
        np.testing.assert_allclose(
            got, getattr(scipy.fft, name)(x, s=(2, 3), axes=(1, 2)), 1e-4, 1e-5
        )


def test_16_bit_floats_of_functions_computed_by_complex_numbers():
    x = np.float16([0.1, 0.5, 0.9])
    for name in ("dawsn", "erfcx", "fresnel"):
        got = fx.tree.leaves(getattr(special, name)(x))
        assert all(y.dtype == np.float16 for y in got)
        expected = fx.tree.leaves(getattr(scipy.special, name)(x.astype(float)))
        np.testing.assert_allclose(got, expected, 2e-3)
    assert fft.dct(x).dtype == fft.idctn(x).dtype == np.float32  # transforms are in float32
    np.testing.assert_allclose(fft.idct(fft.dct(x)), x, 1e-3)


def test_ranks_are_floats_and_summaries_keep_their_axes():
    x = np.float32([[3, 1], [2, 5], [4, 9]])
    for method in ("average", "min", "max", "dense", "ordinal"):
        assert stats.rankdata(np.int32([3, 1, 2]), method).dtype == np.float32
    assert stats.sem(x, axis=None, keepdims=True).shape == (1, 1)
    assert stats.sem(x, axis=None) == pytest.approx(scipy.stats.sem(x, axis=None), 1e-5)
    got = signal.fftconvolve(x, x, axes=1)
    np.testing.assert_allclose(got, scipy.signal.fftconvolve(x, x, axes=1), 1e-4)


def test_logarithms_times_nothing_keep_a_nan():
    y = np.array([np.nan, np.inf, -1, 2.0], np.float32)
    for name in ("xlogy", "xlog1py"):
        got = getattr(special, name)(np.zeros(4, np.float32), y)
        np.testing.assert_array_equal(got, [np.nan, 0, 0, 0])


def test_fresnel_integrals_are_a_half_far_out():
    x = np.float32([1e8, 1e20, -1e38, np.inf])
    for part in special.fresnel(x):
        np.testing.assert_allclose(part, [0.5, 0.5, -0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("top", [0, 1, 2, 9])
def test_tables_of_legendre_functions_are_scipys(top):
    from math import factorial, pi

    from scipy.special import lpmv

    from fx.scipy.special import lpmn_values

    z = np.linspace(-1, 1, 11)
    k, degree = np.arange(top + 1)[:, None, None], np.arange(top + 1)[:, None]
    expected = np.where(k <= degree, lpmv(k, degree, z), 0)
    with fx.enable_x64():
        np.testing.assert_allclose(
            lpmn_values(top, top, z, False), expected, rtol=1e-12, atol=1e-12
        )
        norm = [
            [np.sqrt((2 * n + 1) / (4 * pi) * factorial(n - m) / factorial(n + m)) if m <= n else 0
             for n in range(top + 1)] for m in range(top + 1)
        ]  # fmt: skip
        found = lpmn_values(top, top, z, True)
        np.testing.assert_allclose(found, expected * np.array(norm)[:, :, None], atol=1e-13)
    found = lpmn_values(top, top, z.astype(np.float32), True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected * np.array(norm)[:, :, None], atol=2e-6)


def test_tables_of_legendre_functions_say_what_they_need():
    from fx.scipy.special import lpmn_values

    z = np.zeros(3, np.float32)
    with pytest.raises(NotImplementedError, match="equal, got 1 and 2"):
        lpmn_values(1, 2, z, True)
    with pytest.raises(TypeError, match="int32"):
        lpmn_values(1, 1, np.arange(3, dtype=np.int32), True)
    with pytest.raises(ValueError, match="one axis"):
        lpmn_values(1, 1, z[None], True)


def test_cosine_transforms_of_one_axis_given_as_a_number():
    x = fnp.asarray(np.random.default_rng(0).normal(size=(3, 4)).astype("f"))
    for mine, ours in ((fft.dctn, fft.dct), (fft.idctn, fft.idct)):
        near = {"rtol": 1e-6, "atol": 1e-6}
        np.testing.assert_allclose(mine(x, axes=0), ours(x, axis=0), **near)
        np.testing.assert_allclose(mine(x, s=2), ours(x, n=2), **near)
        with pytest.raises(ValueError, match="repeated axis"):
            mine(x, axes=(0, -2))


def test_windows_may_be_traced_and_have_the_length_of_a_segment():
    x = np.random.default_rng(0).normal(size=40).astype("f")
    w = np.array([0.2, 0.7, 1.0, 0.5], "f")
    for f in (
        lambda w: signal.welch(x, window=w)[1],
        lambda w: signal.istft(signal.stft(x, window=w, nperseg=4)[2], window=w, nperseg=4)[1],
    ):
        np.testing.assert_allclose(fx.vmap(f)(w[None])[0], f(w), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="window has 4 values, nperseg is 8"):
        signal.welch(x, window=w, nperseg=8)


def test_segments_of_a_spectrogram_overlap_in_part():
    with pytest.raises(ValueError, match="less than nperseg"):
        signal.istft(np.ones((9, 5), "c8"), noverlap=20)
    with pytest.raises(ValueError, match="longer than nperseg"):
        signal.istft(np.ones((9, 5), "c8"), nperseg=20, nfft=16)


def test_triangles_and_one_matrix_of_columns():
    a = np.random.default_rng(0).normal(size=(2, 3, 3)).astype("f") + 3 * np.eye(3, dtype="f")
    b = np.random.default_rng(1).normal(size=(3, 2)).astype("f")
    want = np.stack([scipy.linalg.solve_triangular(x, b) for x in a])
    np.testing.assert_allclose(linalg.solve_triangular(a, b), want, rtol=1e-5, atol=1e-6)
    vectors = np.stack([b[:, 0], b[:, 1]])
    want = np.stack([scipy.linalg.solve_triangular(x, v) for x, v in zip(a, vectors)])
    np.testing.assert_allclose(linalg.solve_triangular(a, vectors), want, rtol=1e-5, atol=1e-6)
    assert linalg.solve_triangular([[2.0, 0], [1, 4]], [2, 2]).tolist() == [1.0, 0.5]


def test_quantiles_of_small_floats_are_refused():
    for dtype in (fnp.bfloat16, np.complex64):
        with pytest.raises(TypeError, match="ndtri does not accept dtype"):
            special.ndtri(fnp.full(2, 0.5, dtype))
