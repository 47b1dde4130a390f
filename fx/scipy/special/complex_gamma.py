"""The gamma function, its logarithm and the logarithm's derivative in the complex plane.

Stirling's series where the real part is at least 9 (DLMF 5.11.1), the recurrence up to there, and
the reflection left of 1/2 with the branch that is continuous off the negative axis (Hare 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.custom import custom_jvp

_FAR = 9
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_LOG_TERMS = [b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI)]
_DIGAMMA_TERMS = [b / (2 * k + 2) for k, b in enumerate(_BERNOULLI)]


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    out = fnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        out = out * x + c
    return out


def _right(z: Any) -> tuple[Any, Any]:
    """Whether z lies left of 1/2, and the one of z and 1 - z that does not."""
    left = z.real < 0.5
    return left, fnp.where(left, 1 - z, z)


def _shifted(z: Any, term: Any) -> tuple[Any, Any]:
    """z + n with a real part of at least 9, and the sum of term(z + k) over k < n."""
    total = fnp.zeros_like(z)
    for k in range(_FAR):
        here = z.real + k < _FAR
        total = total + fnp.where(here, term(z + k), 0.0)
    return z + fnp.maximum(fnp.ceil(_FAR - z.real), 0.0), total


def _turned(z: Any) -> Any:
    """z with the real part brought to [-1, 1] by a multiple of 2: sin(pi z) is the same."""
    return lax.complex(z.real - 2 * fnp.round(0.5 * z.real), z.imag)


def _log_sin(z: Any) -> Any:
    """The principal log(sin(pi z)); no part of it overflows."""
    turned = _turned(z)
    x, y = turned.real, np.pi * turned.imag
    sine, cosine = fnp.sin(np.pi * x), fnp.sin(np.pi * (0.5 - fnp.abs(x)))  # 0 at 1/2
    small = fnp.exp(-2 * fnp.abs(y))
    square = sine**2 * small + (0.5 * (1 - small)) ** 2
    size = fnp.abs(y) + 0.5 * fnp.log(square)
    return lax.complex(size, fnp.arctan2(cosine * fnp.tanh(y), sine))


@custom_jvp
def loggamma(z: Any) -> Any:
    """log(gamma(z)) for complex z."""
    left, right = _right(z)
    far, logs = _shifted(right, fnp.log)
    inverse = 1 / far
    series = inverse * _polynomial(_LOG_TERMS, inverse * inverse)
    out = (far - 0.5) * fnp.log(far) - far + 0.5 * float(np.log(2 * np.pi)) + series - logs
    turns = fnp.floor(0.5 * z.real + 0.25) * fnp.copysign(2 * np.pi, z.imag)
    reflected = lax.complex(fnp.full_like(turns, np.log(np.pi)), turns) - _log_sin(z) - out
    pole = (z.imag == 0) & (z.real <= 0) & (z.real == fnp.round(z.real))
    return fnp.where(pole, np.nan + 0j, fnp.where(left, reflected, out))


def digamma(z: Any) -> Any:
    """The derivative of `loggamma`."""
    left, right = _right(z)
    far, quotients = _shifted(right, lambda w: 1 / w)
    inverse = 1 / far
    square = inverse * inverse
    out = fnp.log(far) - 0.5 * inverse - square * _polynomial(_DIGAMMA_TERMS, square) - quotients
    safe = fnp.where(left, _turned(z), 0.25)
    return fnp.where(left, out - np.pi / fnp.tan(np.pi * safe), out)


@loggamma.defjvp
def _loggamma_jvp(primals: Any, tangents: Any) -> Any:
    (z,), (t,) = primals, tangents
    return loggamma(z), t * digamma(z)


def gamma(z: Any) -> Any:
    """gamma(z) for complex z; NaN at the poles."""
    out = fnp.exp(loggamma(z))
    real = (z.imag == 0) & (z.real < 0.5)
    return fnp.where(real, lax.complex(out.real, fnp.zeros_like(out.real)), out)
