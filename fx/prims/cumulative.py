"""Running folds along one axis: cumsum, cumprod, cummax, cummin, cumlogsumexp.

The shape stays. cumsum is linear, its transpose runs the other way; the derivatives of the others
come from folding pairs (value, tangent), which is associative, so that it is again a running fold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.avals import ShapedArray, is_floating
from fx.core import Zero
from fx.prims import compare, shape
from fx.prims.registry import (
    Case,
    inexact,
    no,
    number,
    ordered,
    primitive,
    transpose_linear_operand,
)


def cumsum(x: Any, axis: int, reverse: bool = False) -> Any:
    return cumsum_p.bind(x, axis=int(axis), reverse=bool(reverse))


def cumprod(x: Any, axis: int, reverse: bool = False) -> Any:
    return cumprod_p.bind(x, axis=int(axis), reverse=bool(reverse))


def cummax(x: Any, axis: int, reverse: bool = False) -> Any:
    return cummax_p.bind(x, axis=int(axis), reverse=bool(reverse))


def cummin(x: Any, axis: int, reverse: bool = False) -> Any:
    return cummin_p.bind(x, axis=int(axis), reverse=bool(reverse))


def associative_fold(combine: Any, xs: list[Any], axis: int, reverse: bool) -> list[Any]:
    """Inclusive running fold of several arrays together, by doubling: log2(n) whole-array steps.

    After step k each place holds the fold of the 2^k elements up to it (Hillis and Steele 1986).
    """
    n = shape.shape_of(xs[0])[axis]
    step = 1
    while step < n:
        early, late = (step, n), (0, n - step)
        if not reverse:
            early, late = late, early
        first = [shape.slice_in_dim(x, *early, axis=axis) for x in xs]
        second = [shape.slice_in_dim(x, *late, axis=axis) for x in xs]
        merged = combine(first, second)
        edge = (n - step, n) if reverse else (0, step)
        kept = [shape.slice_in_dim(x, *edge, axis=axis) for x in xs]
        pairs = [(m, k) if reverse else (k, m) for m, k in zip(merged, kept)]
        xs = [shape.concatenate(pair, axis) for pair in pairs]
        step *= 2
    return xs


# ---------------------------------------------------------------- what they share


def _define(
    name: str, doc: str, accepts: Any, fold: Any, op: str, jvp: Any, transpose: Any, cases: Any
) -> Any:
    def abstract(x: ShapedArray, *, axis: int, reverse: bool) -> ShapedArray:
        if not 0 <= axis < x.ndim:
            raise ValueError(f"axis {axis} is out of bounds for array of shape {x.shape}")
        if not accepts(x.dtype):
            raise TypeError(f"{name} does not accept dtype {x.dtype.name}.")
        return x

    def numpy(x: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
        dtype = x.dtype
        if dtype.itemsize == 2 and is_floating(dtype):
            x = x.astype(np.float32)
        if reverse:
            return np.flip(fold(np.flip(x, axis), axis), axis).astype(dtype)
        return fold(x, axis).astype(dtype)

    def batch(data: Any, args: Any, dims: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (d,) = args, dims
        return p.bind(x, axis=axis + (axis >= d), reverse=reverse), d

    p = primitive(
        name,
        doc,
        abstract=abstract,
        numpy=numpy,
        jvp=jvp,
        transpose=transpose,
        batch=batch,
        lower=lambda b, x, *, axis, reverse: b.cumscan(op, x, axis, reverse),
        cases=cases,
    )
    return p


def _cases(dtypes: Any = (np.float32,), near: Any = (-2.0, 2.0)) -> Any:
    return lambda: [
        Case(s, {"axis": a, "reverse": r}, (d,), (near,))
        for d in dtypes
        for s, a, r in (
            (((2, 5),), 1, False),
            (((4, 3),), 0, True),
            (((1,),), 0, False),
            (((2, 0),), 1, False),
        )
    ]


def _pairs_jvp(p_of: Any, combine: Any) -> Any:
    """Fold (value, tangent) pairs; the value of the fold is the primitive's own."""

    def jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        out = p_of().bind(x, axis=axis, reverse=reverse)
        if type(t) is Zero:
            return out, Zero.like(out)
        _, t_out = associative_fold(combine, [x, t], axis, reverse)
        return out, t_out

    return jvp


# ---------------------------------------------------------------- the five

cumsum_p = _define(
    "cumsum",
    "The running sum along an axis.",
    number,
    lambda x, axis: np.cumsum(x, axis, dtype=x.dtype),
    "add",
    "linear",
    transpose_linear_operand(lambda ct, aval, *, axis, reverse: cumsum(ct, axis, not reverse)),
    _cases((np.float32, np.int32)),
)


def _product_rule(first: Any, second: Any) -> list[Any]:
    (x, tx), (y, ty) = first, second
    return [x * y, tx * y + x * ty]


cumprod_p = _define(
    "cumprod",
    "The running product along an axis.",
    number,
    lambda x, axis: np.cumprod(x, axis, dtype=x.dtype),
    "mul",
    _pairs_jvp(lambda: cumprod_p, _product_rule),
    no("it is not linear"),
    lambda: [
        *_cases((np.float32, np.int32))(),
        Case(((5,),), {"axis": 0, "reverse": False}, ranges=(np.float32([2, 0, 3, 0, 1]),)),
    ],
)


def _winner_rule(wins: Any) -> Any:
    """The tangent of the winner; a tie takes the mean of both."""

    def combine(first: Any, second: Any) -> list[Any]:
        (x, tx), (y, ty) = first, second
        second_wins = wins(y, x)
        tied = compare.select(compare.eq(x, y), 0.5 * (tx + ty), tx)
        return [compare.select(second_wins, y, x), compare.select(second_wins, ty, tied)]

    return combine


cummax_p = _define(
    "cummax",
    "The running maximum along an axis.",
    ordered,
    np.maximum.accumulate,
    "max",
    _pairs_jvp(lambda: cummax_p, _winner_rule(compare.gt)),
    no("it is not linear"),
    _cases((np.float32, np.int32)),
)
cummin_p = _define(
    "cummin",
    "The running minimum along an axis.",
    ordered,
    np.minimum.accumulate,
    "min",
    _pairs_jvp(lambda: cummin_p, _winner_rule(compare.lt)),
    no("it is not linear"),
    _cases((np.float32, np.int32)),
)


def _logsumexp_rule(first: Any, second: Any) -> list[Any]:
    """d log(e^x + e^y) is the mean of the tangents weighted by e^x and e^y."""
    from fx.prims.transcendental import exp_p, log_p, logistic_p

    (x, tx), (y, ty) = first, second
    top = compare.select(compare.gt(x, y), x, y)
    safe = compare.select(compare.eq(top, -np.inf), shape.full(top.shape, 0, top.dtype), top)
    total = log_p.bind(exp_p.bind(x - safe) + exp_p.bind(y - safe)) + safe
    weight = logistic_p.bind(y - x)
    return [total, tx + weight * (ty - tx)]


cumlogsumexp_p = _define(
    "cumlogsumexp",
    "The running log of the sum of exponentials along an axis.",
    inexact,
    np.logaddexp.accumulate,
    "logaddexp",
    _pairs_jvp(lambda: cumlogsumexp_p, _logsumexp_rule),
    no("it is not linear"),
    _cases(),
)
