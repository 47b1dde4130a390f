"""fx.lax: special functions of real arguments."""

from __future__ import annotations

from fx.lax.spread import matched
from fx.prims import special
from fx.typing import Array, ArrayLike

__all__ = [
    "bessel_i0e",
    "bessel_i1e",
    "betainc",
    "digamma",
    "igamma",
    "igamma_grad_a",
    "igammac",
    "lgamma",
    "polygamma",
    "random_gamma_grad",
    "zeta",
]


def lgamma(x: ArrayLike) -> Array:
    """log |Gamma(x)|."""
    return special.lgamma_p.bind(x)


def digamma(x: ArrayLike) -> Array:
    """The derivative of lgamma; NaN at 0, -1, -2, ..."""
    return special.digamma_p.bind(x)


def polygamma(m: ArrayLike, x: ArrayLike) -> Array:
    """The m-th derivative of digamma at x; m holds whole numbers."""
    return special.polygamma_p.bind(*matched(m, x))


def zeta(x: ArrayLike, q: ArrayLike) -> Array:
    """The Hurwitz zeta function, sum over n >= 0 of (q + n)^-x; differentiable by q."""
    return special.zeta_p.bind(*matched(x, q))


def igamma(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized lower incomplete gamma function P(a, x)."""
    return special.igamma_p.bind(*matched(a, x))


def igammac(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized upper incomplete gamma function Q(a, x)."""
    return special.igammac_p.bind(*matched(a, x))


def igamma_grad_a(a: ArrayLike, x: ArrayLike) -> Array:
    """dP(a, x)/da."""
    return special.igamma_grad_a_p.bind(*matched(a, x))


def random_gamma_grad(a: ArrayLike, x: ArrayLike) -> Array:
    """The derivative by a of a sample x of the gamma distribution at its quantile."""
    return special.random_gamma_grad_p.bind(*matched(a, x))


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The regularized incomplete beta function I_x(a, b); differentiable by x."""
    a, b = matched(a, b)
    a, x = matched(a, x)
    b, x = matched(b, x)
    return special.regularized_incomplete_beta_p.bind(a, b, x)


def bessel_i0e(x: ArrayLike) -> Array:
    """exp(-|x|) I0(x), the scaled modified Bessel function of order 0."""
    return special.bessel_i0e_p.bind(x)


def bessel_i1e(x: ArrayLike) -> Array:
    """exp(-|x|) I1(x), the scaled modified Bessel function of order 1."""
    return special.bessel_i1e_p.bind(x)
