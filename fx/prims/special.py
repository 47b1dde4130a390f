"""Special functions: gamma, polygamma, zeta, incomplete gamma and beta, Bessel of order 0 and 1.

lgamma and digamma are scalar operations of kernels; the others lower to the algorithms of
series.py. NumPy rules take SciPy's functions where it has them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from ml_dtypes import finfo

from fx import core
from fx.core import Zero
from fx.errors import NoRuleError
from fx.prims import series
from fx.prims.elementwise import abs_p, meaning, rsqrt_p, sign_p
from fx.prims.registry import (
    Case,
    batch_elementwise,
    binary,
    elementwise_shape,
    floating,
    no,
    primitive,
    spread,
    unary,
)
from fx.prims.transcendental import exp_p, log1p_p, log_p


def _scipy(name: str) -> Any:
    """A function of scipy.special, imported when it is first used; in double precision."""

    def rule(*xs: np.ndarray) -> np.ndarray:
        import scipy.special

        wide = [x.astype(np.float64) for x in xs]
        return np.asarray(getattr(scipy.special, name)(*wide)).astype(xs[0].dtype)

    return rule


def _incomplete(name: str, algorithm: Any) -> Any:
    """SciPy's incomplete gamma function, or where it loses digits, for a >= 1e5, `algorithm`."""
    quick, exact = _scipy(name), series.numpy_rule(algorithm)

    def rule(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        out, large = quick(a, x), a >= 1e5
        if not large.any():
            return out
        a, x, large = np.broadcast_arrays(a, x, large)
        out[large] = exact(a[large], x[large])
        return out

    return rule


def _no_slope(name: str, operand: str) -> Any:
    def rule(x: Any, y: Any, out: Any, t: Any) -> Any:
        raise NoRuleError(f"{name} has no derivative with respect to {operand}")

    return rule


def _two(first: Any, second: Any, diff: tuple[int, ...]) -> Any:
    """Cases of a function of two operands in the given ranges."""
    return lambda: [
        Case(s, {}, None, (first, second), diff) for s in (((2, 3),) * 2, ((),) * 2, ((0,),) * 2)
    ]


def _zeta_numpy(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    """SciPy's, with the same values at infinity and NaN as the lowered series."""
    value = series.zeta_edges(series.NumpyOps, x, q, _scipy("zeta")(x, q))
    return np.asarray(value).astype(x.dtype)


# ---------------------------------------------------------------- gamma

lgamma_p = unary(
    "lgamma",
    floating,
    "The logarithm of the absolute value of the gamma function.",
    numpy=meaning("lgamma"),
    jvp=lambda x, y, t: t * digamma_p.bind(x),
    scalar="lgamma",
    near=(0.3, 4.0),
)
digamma_p = unary(
    "digamma",
    floating,
    "The derivative of lgamma; NaN at 0, -1, -2, ...",
    numpy=meaning("digamma"),
    jvp=lambda x, y, t: t * polygamma_p.bind(spread(core.get_aval(x).dtype.type(1), x), x),
    scalar="digamma",
    near=(0.3, 4.0),
)
zeta_p = binary(
    "zeta",
    floating,
    "The Hurwitz zeta function, sum over n >= 0 of (q + n)^-x.",
    numpy=_zeta_numpy,
    jvp=(
        _no_slope("zeta", "its exponent"),
        lambda x, q, out, t: t * (-x * zeta_p.bind(x + 1, q)),
    ),
    scalar="",
)
zeta_p.set(lower=series.lower_rule(series.zeta))
zeta_p.cases = _two((1.5, 4.0), (0.4, 3.0), (1,))
zeta_p.limits = {"derivative": "that by its exponent is not implemented, nor in JAX"}


def _polygamma(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """SciPy's polygamma computes all orders, so that the formula by zeta is the cheaper one."""
    with np.errstate(all="ignore"):
        return series.numpy_rule(_polygamma_by_zeta)(m, x)


def _polygamma_by_zeta(ops: Any, m: np.ndarray, x: np.ndarray) -> np.ndarray:
    import scipy.special as special

    order = np.where(m > 0, m, 1)
    size = special.gamma(order + 1) * special.zeta(order + 1, x)
    value = np.where(m == 0, digamma_p.numpy(x), np.where(order % 2 == 1, size, -size))
    return np.where((m < 0) | (m != np.floor(m)), np.nan, value)


polygamma_p = binary(
    "polygamma",
    floating,
    "The m-th derivative of digamma at x; m is a whole number in a float.",
    numpy=_polygamma,
    jvp=(
        _no_slope("polygamma", "its order"),
        lambda m, x, out, t: t * polygamma_p.bind(m + 1, x),
    ),
    scalar="",
)
polygamma_p.set(lower=series.lower_rule(series.polygamma))
polygamma_p.cases = lambda: [
    Case(((4,), (4,)), ranges=(np.asarray([0, 1, 2, 3], np.float32), (0.5, 3.0)), diff=(1,)),
    Case(((), ()), ranges=(np.array(1.0), (0.5, 3.0)), diff=(1,)),
    Case(((0,), (0,)), diff=(1,)),
]
polygamma_p.limits = {"derivative": "its order is a whole number"}

# ---------------------------------------------------------------- incomplete gamma


def _igamma_slope(a: Any, x: Any, out: Any, t: Any) -> Any:
    """dP/dx = x^(a-1) e^-x / Gamma(a)."""
    return t * exp_p.bind((a - 1) * log_p.bind(x) - x - lgamma_p.bind(a))


igamma_p = binary(
    "igamma",
    floating,
    "The regularized lower incomplete gamma function P(a, x).",
    numpy=_incomplete("gammainc", series.igamma),
    jvp=(lambda a, x, out, t: t * igamma_grad_a_p.bind(a, x), _igamma_slope),
    scalar="",
)
igamma_p.set(lower=series.lower_rule(series.igamma))
igammac_p = binary(
    "igammac",
    floating,
    "The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x).",
    numpy=_incomplete("gammaincc", series.igammac),
    jvp=(
        lambda a, x, out, t: -(t * igamma_grad_a_p.bind(a, x)),
        lambda a, x, out, t: -_igamma_slope(a, x, out, t),
    ),
    scalar="",
)
igammac_p.set(lower=series.lower_rule(series.igammac))
igamma_p.cases = igammac_p.cases = lambda: [
    replace(c, diff=diff, order=order)
    for c in _two((0.5, 4.0), (0.3, 6.0), (0, 1))()
    for diff, order in (((0, 1), 1), ((1,), 2))
]
igamma_p.limits = igammac_p.limits = dict.fromkeys(
    ("forward", "reverse"), "of second order by its first operand: not implemented, nor in JAX"
)
igamma_grad_a_p = binary(
    "igamma_grad_a",
    floating,
    "The derivative of P(a, x) with respect to a.",
    numpy=series.numpy_rule(series.igamma_grad_a),
    jvp=(
        _no_slope("igamma_grad_a", "its first operand: the second derivative of igamma"),
        lambda a, x, out, t: _igamma_slope(a, x, out, t * (log_p.bind(x) - digamma_p.bind(a))),
    ),
    scalar="",
)
igamma_grad_a_p.set(lower=series.lower_rule(series.igamma_grad_a))
random_gamma_grad_p = binary(
    "random_gamma_grad",
    floating,
    "The derivative by a of a gamma sample x at its quantile: -(dP/da) / (dP/dx).",
    numpy=series.numpy_rule(series.random_gamma_grad),
    jvp=no("the second derivative of gamma samples is not implemented, nor in JAX"),
    scalar="",
)
random_gamma_grad_p.set(lower=series.lower_rule(series.random_gamma_grad))
igamma_grad_a_p.cases = _two((0.5, 4.0), (0.3, 6.0), (1,))
igamma_grad_a_p.limits = {"derivative": "that by its first operand is not implemented, nor in JAX"}
random_gamma_grad_p.cases = _two((0.5, 4.0), (0.3, 6.0), ())

# ---------------------------------------------------------------- incomplete beta


def _betainc_abstract(a: Any, b: Any, x: Any) -> Any:
    if not floating(a.dtype) or not a.dtype == b.dtype == x.dtype:
        raise TypeError(
            "lax.betainc requires floating arguments of one dtype, got "
            f"{a.dtype.name}, {b.dtype.name}, {x.dtype.name}."
        )
    return a.update(
        shape=elementwise_shape("regularized_incomplete_beta", (a, b, x)),
        weak_type=a.weak_type and b.weak_type and x.weak_type,
    )


def _betainc_jvp(primals: Any, tangents: Any) -> Any:
    """dI/dx = x^(a-1) (1-x)^(b-1) / B(a, b)."""
    a, b, x = primals
    out = regularized_incomplete_beta_p.bind(a, b, x)
    for name, t in zip("ab", tangents):
        if type(t) is not Zero:
            raise NoRuleError(f"betainc has no derivative with respect to {name}")
    if type(tangents[2]) is Zero:
        return out, Zero.like(out)
    log_beta = lgamma_p.bind(a) + lgamma_p.bind(b) - lgamma_p.bind(a + b)
    slope = exp_p.bind((a - 1) * log_p.bind(x) + (b - 1) * log1p_p.bind(-x) - log_beta)
    return out, spread(tangents[2] * slope, out)


regularized_incomplete_beta_p = primitive(
    "regularized_incomplete_beta",
    "The regularized incomplete beta function I_x(a, b).",
    abstract=_betainc_abstract,
    numpy=_scipy("betainc"),
    jvp=_betainc_jvp,
    transpose=no("it is not linear"),
    batch=lambda axis, args, dims: batch_elementwise(
        regularized_incomplete_beta_p, axis, args, dims, {}
    ),
    lower=series.lower_rule(series.betainc),
    cases=lambda: [
        Case((s, s, s), ranges=((0.5, 3.0), (0.5, 3.0), (0.1, 0.9)), diff=(2,))
        for s in ((2, 3), (), (0,))
    ],
    limits={"derivative": "those by a and b are not implemented, nor in JAX"},
)
regularized_incomplete_beta_p.elementwise = True

# ---------------------------------------------------------------- Bessel functions

# Chebyshev series of exp(-x) I0(x) and exp(-x) I1(x) / x in x/4 - 1 on [0, 8], and of the same
# times sqrt(x) (for I1 without the division) in 16/x - 1 beyond; interpolated at 64 nodes.
_I0_NEAR = (
    3.38397637204738033e-01, -3.04682672343198346e-01, 1.71620901522208713e-01,
    -9.49010970480475835e-02, 4.93052842396706284e-02, -2.37374148058994219e-02,
    1.05464603945949441e-02, -4.32430999505049873e-03, 1.63947561694125638e-03,
    -5.76375574538753876e-04, 1.88502885095698236e-04, -5.75419501005480782e-05,
    1.64484480707771663e-05, -4.41673835871458920e-06, 1.11738753906520660e-06,
    -2.67079385107837908e-07, 6.04699499640037885e-08, -1.30002502374271245e-08,
    2.65982384728413734e-09, -5.18979414998455013e-10, 9.67581154087682194e-11,
    -1.72680689192183934e-11, 2.95475449663129552e-12, -4.85392975813070393e-13,
    7.66019192521838477e-14, -1.18689780226333141e-14, 2.05044314860458599e-15,
    -4.57966997657877073e-16, -3.46944695195361419e-18, 4.85722573273505986e-17,
)  # fmt: skip
_I0_FAR = (
    4.02245205507054393e-01, 3.36911647825571814e-03, 6.88975834691549910e-05,
    2.89137052087579116e-06, 2.04891858915888514e-07, 2.26666898792138305e-08,
    3.39623201003197428e-09, 4.94060251043926257e-10, 1.18891203305937498e-11,
    -3.14993031658161726e-11, -1.32158680700433795e-11, -1.79406489664302171e-12,
    7.18056690496293726e-13, 3.85122489454658989e-13, 1.53408102193663964e-14,
    -4.14113188185183390e-14, -9.71445146547011973e-15, 3.77475828372553224e-15,
    1.83837320366642132e-15, -2.84494650060196363e-16, -2.19225679276568997e-16,
    1.04083408558608426e-16, -8.08814820674186308e-17, 9.54097911787243902e-17,
    2.81892564846231153e-17,
)  # fmt: skip
_I1_NEAR = (
    1.26293593221816797e-01, -1.76416518357834035e-01, 1.02643658689847067e-01,
    -5.29459812080949471e-02, 2.47264490306264711e-02, -1.05640848946261592e-02,
    4.15642294431286044e-03, -1.51357245063120718e-03, 5.12285956168530981e-04,
    -1.61760815825966187e-04, 4.78156510754224051e-05, -1.32731636558955368e-05,
    3.47025130814637706e-06, -8.56872026590294045e-07, 2.00329475327776230e-07,
    -4.44505911245673957e-08, 9.38153726232071605e-09, -1.88724981822763205e-09,
    3.62559100797188449e-10, -6.66348365374602736e-11, 1.17362057572290013e-11,
    -1.98390262551306762e-12, 3.22245702344403639e-13, -5.03017766328994753e-14,
    7.51829154488348195e-15, -1.20303073058991572e-15, 3.15719672627778891e-16,
    -1.37043154602167760e-16, -3.46944695195361419e-18,
)  # fmt: skip
_I1_FAR = (
    3.89288117509140053e-01, -9.76109749136144789e-03, -1.10588938762649219e-04,
    -3.88256480883183985e-06, -2.51223623836402746e-07, -2.63146884733889141e-08,
    -3.83538038882611648e-09, -5.58974345976626097e-10, -1.89749847778752923e-11,
    3.25259125188992471e-11, 1.41257452783427606e-11, 2.03573269352830266e-12,
    -7.19819820069189653e-13, -4.08492684123018535e-13, -2.10738544670352468e-14,
    4.27990975992997846e-14, 1.02140518265514402e-14, -3.83026943495679006e-15,
    -1.79630615937398375e-15, 4.16333634234433703e-16, 3.58220397789210665e-16,
    4.51028103753969845e-17, -1.56450373489658290e-16, 1.17961196366422882e-16,
    2.64545330086463082e-17,
)  # fmt: skip


def _chebyshev(t: Any, coefficients: tuple[float, ...], dtype: np.dtype) -> Any:
    """Clenshaw's recurrence; terms below the dtype's precision are left out."""
    small = float(finfo(dtype).eps) / 8
    kept = list(coefficients)
    while len(kept) > 2 and abs(kept[-1]) < small:
        kept.pop()
    first, second = 0.0 * t, 0.0 * t
    for c in reversed(kept[1:]):
        first, second = c + 2.0 * t * first - second, first
    return kept[0] + t * first - second


def _bessel(ops: Any, x: Any, near: Any, far: Any, odd: bool) -> Any:
    size = ops.abs(x)
    close = size <= 8
    inner = ops.where(close, size, 8.0 + 0 * size)
    outer = ops.where(close, 8.0 + 0 * size, size)
    low = _chebyshev(inner / 4 - 1, near, size.dtype)
    high = _chebyshev(16 / outer - 1, far, size.dtype) * rsqrt_p.bind(outer)
    if odd:
        low, high = low * x, high * sign_p.bind(x)
    return ops.where(close, low, high)


bessel_i0e_p = unary(
    "bessel_i0e",
    floating,
    "exp(-abs(x)) I0(x), the scaled modified Bessel function of order 0.",
    numpy=_scipy("i0e"),
    jvp=lambda x, y, t: t * (bessel_i1e_p.bind(x) - sign_p.bind(x) * y),
    scalar="",
)
bessel_i0e_p.set(lower=series.lower_rule(lambda ops, x: _bessel(ops, x, _I0_NEAR, _I0_FAR, False)))


def _i1e_jvp(x: Any, y: Any, t: Any) -> Any:
    """I0e - y (sign(x) + 1/x), and 1/2 at 0."""
    from fx.prims import compare

    aval = core.get_aval(x)
    half, one = (spread(aval.dtype.type(v), x) for v in (0.5, 1))
    flat = compare.lt(abs_p.bind(x), float(finfo(aval.dtype).eps))
    safe = compare.select(flat, one, x)
    slope = bessel_i0e_p.bind(safe) - y * (sign_p.bind(safe) + 1 / safe)
    return t * compare.select(flat, half, slope)


bessel_i1e_p = unary(
    "bessel_i1e",
    floating,
    "exp(-abs(x)) I1(x), the scaled modified Bessel function of order 1.",
    numpy=_scipy("i1e"),
    jvp=_i1e_jvp,
    scalar="",
)
bessel_i1e_p.set(lower=series.lower_rule(lambda ops, x: _bessel(ops, x, _I1_NEAR, _I1_FAR, True)))
for _p in (bessel_i0e_p, bessel_i1e_p):
    _p.cases = lambda: [
        Case(((5,),), ranges=(np.asarray([-12, -3, 0.5, 7.5, 40], np.float32),)),
        Case(((2, 3),), ranges=((-9.0, 9.0),)),
        Case(((),)),
        Case(((0,),)),
    ]
