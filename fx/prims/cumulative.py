"""Running folds along one axis: cumsum, cumprod, cummax, cummin, cumlogsumexp; linear recurrences.

The shape stays. cumsum is linear, its transpose runs the other way; the derivatives of the others
obey a linear recurrence, which is a primitive of its own here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating
from fx.core import Zero
from fx.prims import compare, shape
from fx.prims.reduce import highest, lowest
from fx.prims.registry import (
    Case,
    array_value,
    check_dtype,
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


def linear_recurrence(a: Any, b: Any, axis: int, reverse: bool = False) -> Any:
    """y[i] = a[i] y[i-1] + b[i] along an axis, with y = 0 before the start."""
    return linear_recurrence_p.bind(a, b, axis=int(axis), reverse=bool(reverse))


def previous(x: Any, fill: Any, axis: int, reverse: bool) -> Any:
    """x[i-1] at place i of the running direction, `fill` at the start."""
    aval = core.get_aval(x)
    edge = (-1, 1, 0) if reverse else (1, -1, 0)
    config = tuple(edge if k == axis else (0, 0, 0) for k in range(aval.ndim))
    return shape.pad(x, aval.dtype.type(fill), config)


# ---------------------------------------------------------------- what they share


def _define(
    name: str, doc: str, accepts: Any, fold: Any, op: str, jvp: Any, transpose: Any, cases: Any
) -> Any:
    def abstract(x: ShapedArray, *, axis: int, reverse: bool) -> ShapedArray:
        if not 0 <= axis < x.ndim:
            raise ValueError(f"axis {axis} is out of bounds for array of shape {x.shape}")
        check_dtype(name, x.dtype, accepts)
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
        limits={"0-d": "it runs along an axis"},
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


def _recurrent_jvp(p_of: Any, coefficients: Any) -> Any:
    """The tangent obeys t_y[i] = a[i] t_y[i-1] + w[i] t[i]; coefficients(x, y, y[i-1]) = (a, w)."""

    def jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        x = array_value(x)
        out = p_of().bind(x, axis=axis, reverse=reverse)
        if type(t) is Zero:
            return out, Zero.like(out)
        a, w = coefficients(x, out, axis, reverse)
        return out, linear_recurrence(a, w * t, axis, reverse)

    return jvp


# ---------------------------------------------------------------- linear recurrences


def _recurrence_abstract(a: ShapedArray, b: ShapedArray, *, axis: int, reverse: bool) -> Any:
    if a.shape != b.shape or a.dtype != b.dtype:
        raise TypeError(
            "linear_recurrence requires operands of one shape and dtype, got "
            f"{a.str_short()} and {b.str_short()}."
        )
    if not 0 <= axis < a.ndim:
        raise ValueError(f"axis {axis} is out of bounds for array of shape {a.shape}")
    check_dtype("linear_recurrence", a.dtype, inexact)
    return ShapedArray(a.shape, a.dtype)


def _recurrence_numpy(a: np.ndarray, b: np.ndarray, *, axis: int, reverse: bool) -> np.ndarray:
    """By doubling: after step k each place holds the map of the 2^k places up to it.

    Maps y -> a y + b compose to y -> (a' a) y + (a' b + b') (Hillis and Steele 1986).
    """
    dtype = a.dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype
    a, b = (np.moveaxis(v.astype(wide), axis, 0) for v in (a, b))
    if reverse:
        a, b = a[::-1], b[::-1]
    step = 1
    while step < a.shape[0]:
        late_a, late_b = a[step:], b[step:]
        b = np.concatenate([b[:step], late_a * b[:-step] + late_b])
        a = np.concatenate([a[:step], late_a * a[:-step]])
        step *= 2
    return np.moveaxis(b[::-1] if reverse else b, 0, axis).astype(dtype)


def _recurrence_jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
    (a, b), (ta, tb) = primals, tangents
    out = linear_recurrence(a, b, axis, reverse)
    parts = [] if type(tb) is Zero else [tb]
    if type(ta) is not Zero:
        parts.append(ta * previous(out, 0, axis, reverse))
    if not parts:
        return out, Zero.like(out)
    drive = parts[0] if len(parts) == 1 else core.add_values(*parts)
    return out, linear_recurrence(a, drive, axis, reverse)


def _recurrence_transpose(ct: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> list[Any]:
    """s[i] = ct[i] + a[i+1] s[i+1]: the recurrence the other way, with a shifted."""
    if type(ct) is Zero:
        return [None, Zero(b.aval)]
    back = linear_recurrence(previous(a, 0, axis, not reverse), ct, axis, not reverse)
    return [None, back]


def _recurrence_batch(data: Any, args: Any, dims: Any, *, axis: int, reverse: bool) -> Any:
    a, b = (
        shape.broadcast_new_axis(v, 0, data.size) if d is None else shape.move_axis(v, d, 0)
        for v, d in zip(args, dims)
    )
    return linear_recurrence(a, b, axis + 1, reverse), 0


def _recurrence_lower(b: Any, slope: Any, drive: Any, *, axis: int, reverse: bool) -> Any:
    """A loop along the axis; the other axes are its lanes."""
    order = [axis, *(k for k in range(slope.ndim) if k != axis)]
    length, rest = slope.shape[axis], tuple(slope.shape[k] for k in order[1:])
    dtype = slope.dtype
    wide = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    slope, drive = (b.convert(b.transpose(v, order), wide) for v in (slope, drive))
    body = type(b)()
    y, a_i, b_i = (body.input(rest, wide) for _ in range(3))
    new = body.map("add", body.map("mul", a_i, y), b_i)
    start = b.const(0, wide, rest)
    *_, out = b.loop(
        body.graph([new, new]), (), (start,), (slope, drive), length=length, reverse=reverse
    )
    return b.convert(b.transpose(out, [order.index(k) for k in range(len(order))]), dtype)


linear_recurrence_p = primitive(
    "linear_recurrence",
    "y[i] = a[i] y[i-1] + b[i] along an axis, with y = 0 before the start.",
    abstract=_recurrence_abstract,
    numpy=_recurrence_numpy,
    jvp=_recurrence_jvp,
    transpose=_recurrence_transpose,
    batch=_recurrence_batch,
    lower=_recurrence_lower,
    limits={"0-d": "it runs along an axis"},
    cases=lambda: (
        [
            Case((s, s), {"axis": k, "reverse": r})
            for s, k, r in (((2, 5), 1, False), ((4, 3), 0, True), ((2, 0), 1, True))
        ]
        + [Case(((1,), (1,)), {"axis": 0, "reverse": False}, diff=(1,))]
    ),
)

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


def _product_rule(x: Any, out: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
    """t_y[i] = x[i] t_y[i-1] + y[i-1] t[i], which is right at zeros too."""
    return x, previous(out, 1, axis, reverse)


cumprod_p = _define(
    "cumprod",
    "The running product along an axis.",
    number,
    lambda x, axis: np.cumprod(x, axis, dtype=x.dtype),
    "mul",
    _recurrent_jvp(lambda: cumprod_p, _product_rule),
    no("it is not linear"),
    lambda: [
        *_cases((np.float32, np.int32))(),
        Case(
            ((5,),),
            {"axis": 0, "reverse": False},
            ranges=(np.asarray([2, 0, 3, 0, 1], np.float32),),
        ),
    ],
)


def _mixing(weight: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
    """(1 - weight, weight), where the first element, which has nothing before it, weighs 1."""
    aval = core.get_aval(weight)
    first = previous(shape.full(aval.shape, False, np.bool_), True, axis, reverse)
    weight = compare.select(first, shape.full(aval.shape, 1, aval.dtype), weight)
    return 1 - weight, weight


def _winner_rule(wins: Any, worst: Any) -> Any:
    """The tangent of the winner so far; a tie takes the mean of both."""

    def coefficients(x: Any, out: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
        aval = core.get_aval(x)
        before = previous(out, worst(aval.dtype), axis, reverse)
        one, half, zero = (shape.full(aval.shape, v, aval.dtype) for v in (1, 0.5, 0))
        tied = compare.select(compare.eq(x, before), half, zero)
        weight = compare.select(wins(x, before), one, tied)
        return _mixing(weight, axis, reverse)

    return coefficients


cummax_p = _define(
    "cummax",
    "The running maximum along an axis.",
    ordered,
    np.maximum.accumulate,
    "max",
    _recurrent_jvp(lambda: cummax_p, _winner_rule(compare.gt, lowest)),
    no("it is not linear"),
    _cases((np.float32, np.int32)),
)
cummin_p = _define(
    "cummin",
    "The running minimum along an axis.",
    ordered,
    np.minimum.accumulate,
    "min",
    _recurrent_jvp(lambda: cummin_p, _winner_rule(compare.lt, highest)),
    no("it is not linear"),
    _cases((np.float32, np.int32)),
)


def _logsumexp_rule(x: Any, out: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
    """d log(e^x + e^y) is the mean of the tangents weighted by e^x and e^y."""
    from fx.prims.transcendental import logistic_p

    before = previous(out, -np.inf, axis, reverse)
    both = compare.eq(x, before)  # -inf twice: no difference to take
    aval = core.get_aval(x)
    apart = compare.select(both, shape.full(aval.shape, 0, aval.dtype), x - before)
    return _mixing(logistic_p.bind(apart), axis, reverse)


def _logaddexp_along(x: np.ndarray, axis: int) -> np.ndarray:
    """NumPy has no logaddexp of complex numbers; theirs by doubling the reach."""
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis)
    out, reach = np.moveaxis(x, axis, 0), 1
    while reach < len(out):
        a, b = out[:-reach], out[reach:]
        big, small = np.where(np.real(a) >= np.real(b), (a, b), (b, a))
        with np.errstate(invalid="ignore"):
            more = np.where(np.isneginf(small.real), 0, np.log1p(np.exp(small - big)))
        out = np.concatenate([out[:reach], big + more])
        reach *= 2
    return np.moveaxis(out, 0, axis)


cumlogsumexp_p = _define(
    "cumlogsumexp",
    "The running log of the sum of exponentials along an axis.",
    inexact,
    _logaddexp_along,
    "logaddexp",
    _recurrent_jvp(lambda: cumlogsumexp_p, _logsumexp_rule),
    no("it is not linear"),
    _cases(),
)
