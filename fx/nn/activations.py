"""Activation functions, element by element. Derivatives at kinks follow JAX: relu'(0) = 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.avals import canonicalize_dtype, is_inexact
from fx.family_docs import add_fact
from fx.numpy.util import check_arraylike, convert, promote_inexact, promote_numeric

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "hardsigmoid",
    "hardswish",
    "identity",
    "leaky_relu",
    "log1mexp",
    "log_sigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
]

tanh = fnp.tanh


def _beside_floats(name: str, x: Any) -> Any:
    """x as an array; integers as what meets Python floats: weakly typed ones."""
    check_arraylike(name, x)
    x = fnp.asarray(x)
    if is_inexact(x.dtype):
        return x
    return convert(x, canonicalize_dtype(np.float64), weak=True)


def identity(x: Any) -> Any:
    """x itself, as an array of its dtype: the activation of a layer that has none."""
    check_arraylike("identity", x)
    return fnp.asarray(x)


def relu(x: Any) -> Any:
    """max(x, 0) with derivative 0 at 0; NaN stays NaN.

    >>> import fx.numpy as fnp
    >>> relu(fnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    (x,) = promote_numeric("relu", fnp.asarray(x), 0)[:1]
    return fnp.where(x <= 0, fnp.zeros_like(x), x)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), with derivative 0 at both bounds."""
    x = _beside_floats("relu6", x)
    return fnp.where(x <= 0, 0.0, fnp.where(x >= 6, 6.0, x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return lax.logistic(*promote_inexact("sigmoid", x))


def softplus(x: Any, beta: Any = 1.0, threshold: float | None = None) -> Any:
    """log(1 + exp(beta x)) / beta; x itself where beta x exceeds `threshold`, if one is given.

    Derivative sigmoid(beta x); it does not overflow.
    """
    if isinstance(beta, (int, float)) and beta == 1.0:
        out = fnp.logaddexp(x, 0)
    else:
        out = fnp.logaddexp(fnp.multiply(beta, x), 0.0) / beta
    return out if threshold is None else fnp.where(fnp.multiply(beta, x) > threshold, x, out)


def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, (x + 1)^2 / 4 between."""
    x = _beside_floats("sparse_plus", x)
    middle = (x + 1.0) ** 2 / 4
    return fnp.where(x <= -1.0, 0.0, fnp.where(x >= 1.0, x, middle))


def sparse_sigmoid(x: Any) -> Any:
    """0 below -1, 1 above 1, (x + 1) / 2 between."""
    return 0.5 * fnp.clip(fnp.asarray(x) + 1.0, 0.0, 2.0)


def soft_sign(x: Any) -> Any:
    """x / (|x| + 1), element by element, in (-1, 1)."""
    (x,) = promote_inexact("soft_sign", x)
    x = fnp.asarray(x)
    return x / (fnp.abs(x) + 1)


def silu(x: Any) -> Any:
    """x * sigmoid(x) (Hendrycks and Gimpel, 2016)."""
    (x,) = promote_inexact("silu", x)
    x = fnp.asarray(x)
    return x * lax.logistic(x)


swish = silu


def mish(x: Any) -> Any:
    """x * tanh(softplus(x)), element by element (Misra, 2019)."""
    (x,) = promote_inexact("mish", x)
    x = fnp.asarray(x)
    return x * fnp.tanh(softplus(x))


def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x), without overflow."""
    (x,) = promote_inexact("log_sigmoid", x)
    return -softplus(-fnp.asarray(x))


def elu(x: Any, alpha: Any = 1.0) -> Any:
    """x above 0, alpha * (exp(x) - 1) below; no overflow reaches the gradient.

    Its derivative at 0 is alpha (Clevert et al. 2015).
    """
    x = _beside_floats("elu", x)
    safe = fnp.where(x > 0, 0.0, x)
    return fnp.where(x > 0, x, alpha * fnp.expm1(safe))


def celu(x: Any, alpha: Any = 1.0) -> Any:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1).

    Continuously differentiable at 0 for every alpha (Barron 2017).
    """
    x = _beside_floats("celu", x)
    return fnp.maximum(x, 0.0) + alpha * fnp.expm1(fnp.minimum(x, 0.0) / alpha)


def selu(x: Any) -> Any:
    """The self-normalising elu (Klambauer et al. 2017).

    1.0507 elu(x, 1.6733), which keeps mean 0 and variance 1 through layers.
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def leaky_relu(x: Any, negative_slope: Any = 1e-2) -> Any:
    """x above 0, negative_slope * x below.

    The derivative at 0 is 1. Integers become floats unless the slope is an integer.
    """
    check_arraylike("leaky_relu", x)
    x = fnp.asarray(x)
    return fnp.where(x >= 0, x, negative_slope * x)


def prelu(x: Any, weight: Any, axis: int = 1) -> Any:
    """x above 0, weight * x below; a weight vector has one entry per channel along `axis`.

    The weight is a scalar or [c], with a derivative (He et al. 2015).
    """
    (x,) = promote_inexact("prelu", x)
    x, weight = fnp.asarray(x), fnp.asarray(weight)
    if weight.ndim == 1 and x.ndim > 1 and weight.shape[0] != 1:
        shape = tuple(weight.shape[0] if k == axis % x.ndim else 1 for k in range(x.ndim))
        weight = weight.reshape(shape)
    return fnp.where(x >= 0, x, weight * x)


def gelu(x: Any, approximate: bool = True) -> Any:
    """x * Phi(x); by default the tanh approximation of the normal distribution function.

    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, or with the exact Phi by erfc (Hendrycks,
    Gimpel 2016).
    """
    (x,) = promote_inexact("gelu", x)
    x = fnp.asarray(x)
    if approximate:
        inner = np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x**3)
        return x * (0.5 * (1.0 + fnp.tanh(inner)))
    return 0.5 * x * lax.erfc(-x * np.sqrt(0.5).astype(x.dtype))


def glu(x: Any, axis: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second.

    The axis is half as long; ValueError where its size is odd (Dauphin et al. 2016).
    """
    (x,) = promote_inexact("glu", x)
    x = fnp.asarray(x)
    size = x.shape[axis]
    if size % 2:
        raise ValueError(f"axis size must be divisible by 2, got {size} along axis {axis}")
    first, second = fnp.split(x, 2, axis)
    return first * sigmoid(second)


def hard_tanh(x: Any) -> Any:
    """x clipped to [-1, 1], element by element.

    The derivative at -1 and 1 is 1.
    """
    (x,) = promote_numeric("hard_tanh", x, 0)[:1]
    x = fnp.asarray(x)
    return fnp.where(x > 1, 1, fnp.where(x < -1, -1, x))


def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6, element by element: a sigmoid of straight pieces."""
    return relu6(fnp.asarray(x) + 3.0) / 6.0


def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x), element by element (Howard and others, 2019)."""
    (x,) = promote_numeric("hard_silu", x)
    return fnp.asarray(x) * hard_sigmoid(x)


hard_swish = hard_silu
hardswish, hardsigmoid = hard_silu, hard_sigmoid


def squareplus(x: Any, b: Any = 4) -> Any:
    """(x + sqrt(x^2 + b)) / 2.

    A smooth relu (Barron 2021); x and b broadcast.
    """
    x, b = promote_inexact("squareplus", x, b)
    x = fnp.asarray(x)
    return 0.5 * (x + fnp.sqrt(fnp.square(x) + b))


def log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for positive x (Maechler 2012).

    By expm1 below log 2 and log1p above, so that no digits cancel. NaN for negative x.
    """
    (x,) = promote_inexact("log1mexp", x)
    x = fnp.asarray(x)
    small = x < np.log(2.0).astype(x.dtype)
    below, above = fnp.where(small, x, 1.0), fnp.where(small, 1.0, x)
    return fnp.where(small, fnp.log(-fnp.expm1(-below)), fnp.log1p(-fnp.exp(-above)))


add_fact("Element by element, in the shape and dtype of x.", relu, hard_tanh)
add_fact(
    "Element by element, in the shape of x (broadcast against further operands); integers become "
    "floats.",
    *(relu6, sigmoid, softplus, sparse_plus, sparse_sigmoid, soft_sign, silu, mish, log_sigmoid),
    *(elu, celu, selu, prelu, gelu, hard_sigmoid, hard_silu, squareplus, log1mexp),
)
