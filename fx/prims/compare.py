"""Comparisons, bitwise operations, shifts, and selection by a predicate.

None but selection has a derivative. Comparisons give booleans of the operands' shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_key
from fx.core import Zero, is_undefined
from fx.prims.elementwise import INTS, matched, meaning
from fx.prims.extrema import extremum
from fx.prims.registry import (
    Case,
    any_dtype,
    binary,
    bitwise,
    check_dtype,
    elementwise_shape,
    inexact,
    integer,
    no,
    ordered,
    primitive,
    unary,
)


def _bool(dtype: np.dtype) -> type:
    return np.bool_


def _on_words(ufunc: Any) -> Any:
    """Equality for NumPy, which compares no records: a random key is one number of 64 bits."""

    def rule(x: np.ndarray, y: np.ndarray) -> Any:
        if is_key(x.dtype):
            x, y = x.view(np.uint64), y.view(np.uint64)
        return ufunc(x, y)

    return rule


def _comparison(name: str, accepts: Any, doc: str, numpy: Any) -> Any:
    return binary(
        name,
        accepts,
        doc,
        numpy=numpy,
        jvp="zero",
        scalar=name,
        result=_bool,
        near=((-2, 3), (-2, 3)),
        dtypes=(np.float32, np.int32),
    )


eq_p = _comparison("eq", any_dtype, "Whether x equals y, element by element.", _on_words(np.equal))
ne_p = _comparison(
    "ne", any_dtype, "Whether x differs from y, element by element.", _on_words(np.not_equal)
)
lt_p = _comparison("lt", ordered, "Whether x < y, element by element.", np.less)
le_p = _comparison("le", ordered, "Whether x <= y, element by element.", np.less_equal)
gt_p = _comparison("gt", ordered, "Whether x > y, element by element.", np.greater)
ge_p = _comparison("ge", ordered, "Whether x >= y, element by element.", np.greater_equal)

is_finite_p = unary(
    "is_finite",
    inexact,
    "Whether x is neither infinite nor NaN.",
    numpy=np.isfinite,
    jvp="zero",
    scalar="is_finite",
    result=_bool,
)
is_finite_p.cases = lambda: [
    Case(((2, 3),)),
    Case(((),)),
    Case(((0, 3),)),
    Case(((4,),), ranges=(np.asarray([np.nan, 1, -np.inf, 0], np.float32),), diff=()),
]


def eq(x: Any, y: Any) -> Any:
    return eq_p.bind(*matched(x, y))


def ne(x: Any, y: Any) -> Any:
    return ne_p.bind(*matched(x, y))


def lt(x: Any, y: Any) -> Any:
    return lt_p.bind(*matched(x, y))


def le(x: Any, y: Any) -> Any:
    return le_p.bind(*matched(x, y))


def gt(x: Any, y: Any) -> Any:
    return gt_p.bind(*matched(x, y))


def ge(x: Any, y: Any) -> Any:
    return ge_p.bind(*matched(x, y))


# ---------------------------------------------------------------- bits


def _bits(name: str, doc: str, numpy: Any) -> Any:
    return binary(
        name,
        bitwise,
        doc,
        numpy=numpy,
        jvp="zero",
        scalar=name,
        near=((0, 9), (0, 9)),
        dtypes=(*INTS, np.bool_),
    )


def _shift(name: str, doc: str, op: str) -> Any:
    return binary(
        name,
        integer,
        doc,
        numpy=meaning(op),
        jvp="zero",
        scalar=op,
        near=((-9, 9), (0, 9)),
        dtypes=(np.int32,),
    )


and_p = _bits("and", "Bitwise and, of booleans the logical one.", np.bitwise_and)
or_p = _bits("or", "Bitwise or, of booleans the logical one.", np.bitwise_or)
xor_p = _bits("xor", "Bitwise exclusive or, of booleans the logical one.", np.bitwise_xor)
not_p = unary(
    "not",
    bitwise,
    "Bitwise complement, of booleans the logical one.",
    numpy=np.invert,
    jvp="zero",
    scalar="not",
    near=(0, 9),
    dtypes=(*INTS, np.bool_),
)
shift_left_p = _shift("shift_left", "x shifted left by y bits; 0 if y is the width or more.", "shl")
shift_right_arithmetic_p = _shift(
    "shift_right_arithmetic", "x shifted right by y bits, filled with its sign.", "shr"
)
shift_right_logical_p = _shift(
    "shift_right_logical", "x shifted right by y bits, filled with zeros.", "shrl"
)
population_count_p = unary(
    "population_count",
    integer,
    "The number of bits that are set.",
    numpy=meaning("popcount"),
    jvp="zero",
    scalar="popcount",
    near=(0, 200),
    dtypes=INTS,
)
clz_p = unary(
    "clz",
    integer,
    "The number of leading zero bits.",
    numpy=meaning("clz"),
    jvp="zero",
    scalar="clz",
    near=(0, 200),
    dtypes=INTS,
)

# ---------------------------------------------------------------- select_n


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """on_true where pred holds, else on_false; all of one shape, or a scalar pred."""
    return select_n_p.bind(pred, on_false, on_true)


def _select_abstract(which: ShapedArray, *cases: Any) -> ShapedArray:
    if not cases:
        raise TypeError("select_n must have at least one case")
    if which.dtype.kind != "b" and which.dtype != np.int32:
        raise TypeError(f"select `which` must be boolean or int32 type, got {which.dtype.name}.")
    if which.dtype.kind == "b" and len(cases) > 2:
        raise TypeError(
            f"select with boolean `which` cannot have more than two cases, got {len(cases)}."
        )
    first = next(iter(cases))
    if any(c.dtype != first.dtype for c in cases):
        raise TypeError(
            f"select cases must have the same dtypes, got {', '.join(c.dtype.name for c in cases)}."
        )
    if any(c.shape != first.shape for c in cases):
        raise TypeError(f"select cases must have the same shapes, got {[c.shape for c in cases]}.")
    if which.shape and which.shape != first.shape:
        raise TypeError(
            "select `which` must be scalar or have the same shape as cases, got `which` shape "
            f"{which.shape} but case shape {first.shape}."
        )
    weak = all(c.weak_type for c in cases)
    return ShapedArray(first.shape, first.dtype, weak and len(cases) > 0)


def _select_numpy(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    if len(cases) == 1:
        return cases[0]
    if which.dtype == bool:
        return np.where(which, cases[1], cases[0])
    out = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        out = np.where(which <= k, cases[k], out)
    return out


def _chosen(which: np.ndarray, no: np.ndarray, yes: np.ndarray) -> np.ndarray:
    return np.where(which, yes, no)


def _select_numpy_of(avals: Any, params: Any) -> Any:
    return (_chosen,) if avals[0].dtype == bool and len(avals) == 3 else None


def _select_jvp(primals: Any, tangents: Any) -> Any:
    which, *cases = primals
    out = select_n_p.bind(which, *cases)
    if all(type(t) is Zero for t in tangents[1:]):
        return out, Zero.like(out)
    return out, select_n_p.bind(which, *map(core.instantiate, tangents[1:]))


def _select_transpose(ct: Any, which: Any, *cases: Any) -> list[Any]:
    if type(ct) is Zero:
        return [None] + [Zero(c.aval) if is_undefined(c) else None for c in cases]
    zero = core.zeros_like_aval(core.get_aval(ct))
    cts = []
    for k, c in enumerate(cases):
        parts = [zero] * len(cases)
        parts[k] = ct
        cts.append(select_n_p.bind(which, *parts) if is_undefined(c) else None)
    return [None, *cts]


def _select_batch(axis: Any, args: Any, dims: Any) -> Any:
    from fx.prims import shape

    which, *cases = args
    which_dim, *case_dims = dims
    rank = core.get_aval(cases[0]).ndim - (case_dims[0] is not None)
    which_rank = core.get_aval(which).ndim - (which_dim is not None)
    if which_rank == 0 and which_dim is None and all(d == case_dims[0] for d in case_dims):
        return select_n_p.bind(which, *cases), case_dims[0]
    if all(d == which_dim for d in case_dims) and which_rank == rank:
        return select_n_p.bind(which, *cases), which_dim
    moved = [
        shape.broadcast_new_axis(c, 0, axis.size) if d is None else shape.move_axis(c, d, 0)
        for c, d in zip(cases, case_dims)
    ]
    full = core.get_aval(moved[0]).shape
    if which_dim is not None:
        which = shape.move_axis(which, which_dim, 0)
    if which_rank < rank:
        if which_dim is not None:
            which = shape.broadcast_in_dim(which, full, (0,))
    elif which_dim is None:
        which = shape.broadcast_new_axis(which, 0, axis.size)
    return select_n_p.bind(which, *moved), 0


def _select_lower(b: Any, which: Any, *cases: Any) -> Any:
    if which.shape != cases[0].shape:
        which = b.broadcast(which, cases[0].shape, ())
    if len(cases) == 1:
        return cases[0]
    if which.dtype.kind == "b":
        return b.select(which, cases[1], cases[0])
    out = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        out = b.select(b.map("le", which, b.const(k, which.dtype)), cases[k], out)
    return out


select_n_p = primitive(
    "select_n",
    "Element by element the case whose number is in `which` (a boolean or int32).",
    abstract=_select_abstract,
    numpy=_select_numpy,
    numpy_of=_select_numpy_of,
    jvp=_select_jvp,
    transpose=_select_transpose,
    batch=_select_batch,
    lower=_select_lower,
    cases=lambda: [
        Case(((2, 3), (2, 3), (2, 3)), {}, (np.bool_, np.float32, np.float32), diff=(1, 2)),
        Case(((), (2, 3), (2, 3)), {}, (np.bool_, np.float32, np.float32), diff=(1, 2)),
        Case(
            ((4,), (4,), (4,), (4,)),
            {},
            (np.int32, np.float32, np.float32, np.float32),
            ((0, 3), (-2, 2), (-2, 2), (-2, 2)),
            (1, 2, 3),
        ),
        *(
            Case((s, s, s), {}, (np.bool_, np.float32, np.float32), diff=(1, 2))
            for s in ((), (0, 3))
        ),
    ],
)

# ---------------------------------------------------------------- clamp


def _clamp_abstract(low: ShapedArray, x: ShapedArray, high: ShapedArray) -> ShapedArray:
    if not low.dtype == x.dtype == high.dtype:
        raise TypeError(
            "lax.clamp requires arguments to have the same dtypes, got "
            f"{low.dtype.name}, {x.dtype.name}, {high.dtype.name}."
        )
    check_dtype("clamp", x.dtype, ordered)
    for name, bound in (("min", low), ("max", high)):
        if bound.shape and bound.shape != x.shape:
            raise TypeError(
                f"clamp requires {name}.shape == operand.shape or {name}.shape == (), got "
                f"{name}.shape={bound.shape}, operand.shape={x.shape}."
            )
    elementwise_shape("clamp", (low, x, high))
    return ShapedArray(x.shape, x.dtype, x.weak_type)


def _clamp_jvp(primals: Any, tangents: Any) -> Any:
    """1 strictly inside (low, high), as in JAX; a bound has the derivative where it holds."""
    from fx.prims.registry import spread

    low, x, high = primals
    out = clamp_p.bind(low, x, high)
    low, high = spread(low, x), spread(high, x)
    masks = (
        lambda: and_p.bind(gt_p.bind(low, x), lt_p.bind(low, high)),
        lambda: and_p.bind(gt_p.bind(x, low), lt_p.bind(x, high)),
        lambda: lt_p.bind(high, x),
    )
    parts = []
    for mask, t in zip(masks, tangents):
        if type(t) is not Zero:
            t = spread(t, x)
            parts.append(select(mask(), t, core.zeros_like_aval(core.get_aval(t))))
    if not parts:
        return out, Zero.like(out)
    total = parts[0]
    for part in parts[1:]:
        total = core.add_values(total, part)
    return out, total


def _clamp_batch(axis: Any, args: Any, dims: Any) -> Any:
    from fx.prims.registry import batch_elementwise, spread

    low, x, high = args
    if core.get_aval(x).ndim == 0:  # a scalar under mapped bounds
        x = spread(x, low if dims[0] is not None else high)
        dims = (dims[0], 0, dims[2])
    return batch_elementwise(clamp_p, axis, (low, x, high), dims, {})


clamp_p = primitive(
    "clamp",
    "max(low, min(x, high)), element by element; the bounds may be scalars.",
    abstract=_clamp_abstract,
    numpy=lambda low, x, high: np.minimum(np.maximum(low, x), high),
    jvp=_clamp_jvp,
    transpose=no("it is not linear"),
    batch=_clamp_batch,
    lower=lambda b, low, x, high: extremum(b, "min", extremum(b, "max", low, x), high),
    cases=lambda: [
        Case(((), (2, 3), ()), ranges=((-1.0, -0.9), (-2.0, 2.0), (0.9, 1.0))),
        Case(((4,), (4,), (4,)), ranges=((-1.0, -0.9), (-2.0, 2.0), (0.9, 1.0))),
        Case(((), (), ()), ranges=((-1.0, -0.9), (-2.0, 2.0), (0.9, 1.0))),
        Case(((), (0, 3), ())),
    ],
)
