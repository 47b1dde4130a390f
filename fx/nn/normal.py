"""softmax and its kin, sums of exponentials, one-hot codes, standardisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx import numpy as fnp
from fx.avals import canonicalize_dtype
from fx.dtypes import check_requested
from fx.numpy.util import canonical_axes, canonical_axis, concrete_int, convert, promote_inexact

__all__ = [
    "log_softmax",
    "logmeanexp",
    "logsumexp",
    "normalize",
    "one_hot",
    "softmax",
    "standardize",
]


def _shifted(x: Any, axis: Any, where: Any) -> Any:
    """x less the largest value, which has no derivative: it cancels. Masked elements are -inf, so
    that none of theirs reaches a gradient.
    """
    initial = None if where is None and x.size else -np.inf
    largest = fnp.max(x, axis=axis, where=where, initial=initial, keepdims=True)
    safe = x if where is None else fnp.where(where, x, -np.inf)
    return safe - lax.stop_gradient(largest)


def softmax(x: Any, axis: Any = -1, where: Any = None, initial: Any = -np.inf) -> Any:
    """exp(x) / sum(exp(x)) along axes; masked elements give 0 and count for nothing.

    Computed about the largest value, so that nothing overflows; `initial` has no effect. The shape
    stays.

    >>> import fx.numpy as fnp
    >>> softmax(fnp.array([1000.0, 1000.0]))
    Array([0.5, 0.5], dtype=float32)
    """
    (x,) = promote_inexact("softmax", x)
    x = fnp.asarray(x)
    exponentials = fnp.exp(_shifted(x, axis, where))
    out = exponentials / fnp.sum(exponentials, axis=axis, where=where, keepdims=True)
    return out if where is None else fnp.where(where, out, 0)


def log_softmax(x: Any, axis: Any = -1, where: Any = None, initial: Any = -np.inf) -> Any:
    """x - logsumexp(x) along axes; masked elements give -inf.

    The shape stays; computed about the largest value, so that differences keep their digits.
    """
    (x,) = promote_inexact("log_softmax", x)
    x = fnp.asarray(x)
    shifted = _shifted(x, axis, where)
    total = fnp.sum(fnp.exp(shifted), axis=axis, where=where, keepdims=True)
    out = shifted - fnp.log(total)
    return out if where is None else fnp.where(where, out, -np.inf)


def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """log(sum(b * exp(a))) over axes without overflow; with return_sign also the sum's sign.

    axis None means all. Where b makes the sum negative the result is NaN, unless return_sign. An
    empty sum gives -inf. b and where broadcast against a.
    """
    members = promote_inexact("logsumexp", *([a] if b is None else [a, b]))
    x = fnp.asarray(members[0])
    weights = None if b is None else fnp.asarray(members[1])
    if weights is not None:
        x = fnp.where(weights != 0, x, -np.inf)
    axes = canonical_axes(axis, x.ndim)
    if where is not None:
        x = fnp.where(where, x, -np.inf)
    largest = fnp.max(x.real, axis=axes, keepdims=True, initial=-np.inf)
    largest = lax.stop_gradient(fnp.where(fnp.isfinite(largest), largest, 0))
    terms = fnp.exp(x - convert(largest, x.dtype))
    if weights is not None:
        terms = terms * weights
    total = fnp.sum(terms, axis=axes, keepdims=keepdims)
    sign = fnp.sign(total)
    if return_sign or (weights is None and x.dtype.kind != "c"):
        size = fnp.abs(total) if return_sign else total
    else:
        size = total
    largest = largest if keepdims else lax.squeeze(largest, axes)
    if return_sign or x.dtype.kind != "c":
        out = fnp.log(size) + convert(largest, core.get_aval(size).dtype)
    else:
        out = fnp.log(total) + convert(largest, x.dtype)
    return (out, sign) if return_sign else out


def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Any:
    """log(mean(exp(x))) over axes.

    axis None means all axes; `where` takes the mean of the elements where it holds.
    """
    (x,) = promote_inexact("logmeanexp", x)
    x = fnp.asarray(x)
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    if where is None:
        count: Any = np.prod([x.shape[k] for k in canonical_axes(axis, x.ndim)])
        return total - np.log(count).astype(x.dtype)
    mask = fnp.broadcast_to(where, x.shape)
    return total - fnp.log(fnp.sum(mask, axis=axis, dtype=x.dtype, keepdims=keepdims))


def standardize(
    x: Any,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
    *,
    algorithm: str = "fast",
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) along axes.

    The shape stays. A given mean or variance broadcasts against x. algorithm: 'fast' takes
    mean(x^2) - mean^2, 'two_pass' the mean of squared differences; ValueError for others.
    """
    (x,) = promote_inexact("standardize", x)
    x = fnp.asarray(x)
    if algorithm not in ("fast", "two_pass"):
        raise ValueError(f"algorithm must be 'fast' or 'two_pass', got {algorithm!r}")
    if mean is None:
        mean = fnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        if algorithm == "fast":
            squares = fnp.mean(fnp.square(x), axis, keepdims=True, where=where)
            variance = squares - fnp.square(mean)
        else:
            variance = fnp.var(x, axis, keepdims=True, where=where, mean=mean)
    return (x - mean) * lax.rsqrt(fnp.asarray(variance + epsilon))


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: Any = -1) -> Any:
    """Ones where the class index is, zeros elsewhere; indices out of range give zeros.

    The new axis stands at `axis` of the result. float32 by default (float64 under enable_x64). A
    named axis of vmap may be the axis: each example then has its own block of classes.
    """
    classes = concrete_int(num_classes, "one_hot: the number of classes must be static")
    wanted = canonicalize_dtype(np.float64) if dtype is None else check_requested(dtype, "one_hot")
    x = fnp.asarray(x)
    if isinstance(axis, str):
        start = lax.axis_index(axis) * classes
        return (fnp.expand_dims(x, -1) == start + fnp.arange(classes)).astype(wanted)
    k = canonical_axis(axis, x.ndim + 1)
    shape = tuple(classes if d == k else 1 for d in range(x.ndim + 1))
    line = lax.reshape(
        lax.iota(x.dtype if x.dtype != np.bool_ else np.dtype(np.int32), classes), shape
    )
    return fnp.equal(fnp.expand_dims(x, k), line).astype(wanted)


def normalize(x: Any, p: Any = 2, axis: Any = -1, eps: float = 1e-12) -> Any:
    """x / max(norm_p(x), eps) along an axis; the gradient at zero vectors is finite.

    p as the `ord` of linalg.norm; the shape stays.
    """
    (x,) = promote_inexact("normalize", x)
    x = fnp.asarray(x)
    zero = fnp.all(x == 0, axis=axis, keepdims=True)
    safe = fnp.where(zero, 1.0, x)
    size = fnp.linalg.norm(safe, ord=p, axis=axis, keepdims=True)
    return (
        x / fnp.where(zero, 1.0, fnp.maximum(size, eps)) if eps <= 1 else x / fnp.maximum(size, eps)
    )
