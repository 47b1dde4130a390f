"""fx.lax: special functions of real arguments."""

from __future__ import annotations

from fx.family_docs import elementwise_facts
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
    """log

    Gamma(x)
    ; infinite at 0, -1, -2, ...
    """
    return special.lgamma_p.bind(x)


def digamma(x: ArrayLike) -> Array:
    """The derivative of lgamma; NaN at 0, -1, -2, ..."""
    return special.digamma_p.bind(x)


def polygamma(m: ArrayLike, x: ArrayLike) -> Array:
    """The m-th derivative of digamma at x; m holds whole numbers.

    NaN where m is negative or not whole; derives by x only (to order m + 1).
    """
    return special.polygamma_p.bind(*matched(m, x))


def zeta(x: ArrayLike, q: ArrayLike) -> Array:
    """The Hurwitz zeta function, sum over n >= 0 of (q + n)^-x; differentiable by q.

    Infinite at x = 1, NaN below. Its derivative is -x zeta(x + 1, q) (DLMF 25.11.17).
    """
    return special.zeta_p.bind(*matched(x, q))


def igamma(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized lower incomplete gamma function P(a, x) (DLMF 8.2.4); NaN for negative a or
    x.
    """
    return special.igamma_p.bind(*matched(a, x))


def igammac(a: ArrayLike, x: ArrayLike) -> Array:
    """The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), accurate where it is
    small.
    """
    return special.igammac_p.bind(*matched(a, x))


def igamma_grad_a(a: ArrayLike, x: ArrayLike) -> Array:
    """dP(a, x) / da, the derivative of `igamma` by its first argument."""
    return special.igamma_grad_a_p.bind(*matched(a, x))


def random_gamma_grad(a: ArrayLike, x: ArrayLike) -> Array:
    """The derivative by a of a sample x of the gamma distribution at its quantile.

    It is -(dP/da) / (dP/dx): what makes gamma samples differentiable by their shape.
    """
    return special.random_gamma_grad_p.bind(*matched(a, x))


def betainc(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Array:
    """The regularized incomplete beta function I_x(a, b); differentiable by x.

    a, b > 0 and 0 <= x <= 1, else NaN (DLMF 8.17.2). All of one float dtype; scalars spread.
    """
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


elementwise_facts(
    "floats",
    "as given",
    *(lgamma, digamma, polygamma, zeta, igamma, igammac, igamma_grad_a, random_gamma_grad),
    *(bessel_i0e, bessel_i1e),
)
