"""Products: dot, matmul, tensordot, inner, outer, kron, cross, convolve. Each is one dot_general
(or one convolution).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import check_requested
from fx.numpy import ufunc_base as base
from fx.numpy import ufuncs as u
from fx.numpy.manipulation import moveaxis, ravel
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    check_arraylike,
    convert,
    promote_dtypes,
    promote_dtypes_inexact,
    shape_dtype,
)

__all__ = [
    "convolve",
    "correlate",
    "cross",
    "dot",
    "inner",
    "kron",
    "matmul",
    "matvec",
    "outer",
    "tensordot",
    "vdot",
    "vecdot",
    "vecmat",
]


def _pair(name: str, a: Any, b: Any, preferred: Any) -> tuple[Any, Any, np.dtype | None, bool]:
    """Operands of one dtype, the asked result dtype and whether the result is weak."""
    check_arraylike(name, a, b)
    (a, av), (b, bv) = shape_dtype(name, a), shape_dtype(name, b)
    wanted = None if preferred is None else check_requested(preferred, name)
    weak = av.weak_type and bv.weak_type and preferred is None
    a, b = promote_dtypes(name, a, b)
    return a, b, wanted, weak


def _contract(a: Any, b: Any, numbers: Any, precision: Any, wanted: Any, weak: bool) -> Any:
    out = lax.dot_general(a, b, numbers, precision=precision, preferred_element_type=wanted)
    return convert(out, core.get_aval(out).dtype, weak)


def dot(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over the last axis of a and the second to last (or only) of b: the other axes
    of a, then those of b; a product where one is a scalar. Operands promote, integers wrap;
    preferred_element_type is the dtype of the sums and the result. TypeError where the axes differ.
    """
    a, b, wanted, weak = _pair("dot", a, b, preferred_element_type)
    na, nb = len(core.get_aval(a).shape), len(core.get_aval(b).shape)
    if na == 0 or nb == 0:
        out = u.multiply(a, b)
        return out if wanted is None else convert(out, wanted)
    contract = ((na - 1,), (nb - 1 if nb == 1 else nb - 2,))
    return _contract(a, b, (contract, ((), ())), precision, wanted, weak)


def matmul(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The matrix product over the last two axes, leading axes broadcast; a vector counts as row or
    column, whose axis goes. Dtypes as in dot. TypeError where the summed axes differ, ValueError
    for scalars and for leading axes that do not broadcast.

    >>> import fx.numpy as fnp
    >>> fnp.matmul(fnp.ones((5, 2, 3)), fnp.ones((3, 4))).shape
    (5, 2, 4)
    """
    a, b, wanted, weak = _pair("matmul", a, b, preferred_element_type)
    sa: Any = core.get_aval(a).shape
    sb: Any = core.get_aval(b).shape
    for k, s in enumerate((sa, sb)):
        if not s:
            raise ValueError(
                f"matmul input operand {k} must have ndim at least 1, but it has ndim 0"
            )
    inner_a, inner_b = sa[-1], sb[-2] if len(sb) > 1 else sb[0]
    if inner_a != inner_b:
        where = core.where(core.user_source()) if core.state.trace is not core.EVAL else ""
        raise TypeError(
            "matmul: dot_general requires contracting dimensions to have the same shape, got "
            f"({inner_a},) and ({inner_b},); operand shapes {sa} and {sb}. Transpose one of "
            f"them?{where}"
        )
    out = _matmul(a, b, sa, sb, precision, wanted)
    return convert(out, core.get_aval(out).dtype, weak)


def _matmul(a: Any, b: Any, sa: Any, sb: Any, precision: Any, wanted: Any) -> Any:
    """Axes that both have become batch axes; an axis of one operand stays free, so nothing is
    copied.
    """
    va, vb = len(sa) == 1, len(sb) == 1
    if len(sa) <= 2 and len(sb) <= 2:
        numbers = (((len(sa) - 1,), (0,)), ((), ()))
        return lax.dot_general(a, b, numbers, precision=precision, preferred_element_type=wanted)
    la, lb = (() if va else sa[:-2]), (() if vb else sb[:-2])
    rank = max(len(la), len(lb))
    la, lb = (1,) * (rank - len(la)) + tuple(la), (1,) * (rank - len(lb)) + tuple(lb)
    for x, y in zip(la, lb):
        if x != y and 1 not in (x, y):
            raise ValueError(
                f"matmul: Incompatible shapes for broadcasting: leading axes of {sa} and {sb} "
                "differ"
            )
    keep_a = [k for k in range(rank) if la[k] != 1 or lb[k] == 1]
    batch = [k for k in range(rank) if la[k] == lb[k] and la[k] != 1]
    ones = [k for k in range(rank) if la[k] == lb[k] == 1]
    only_a = [k for k in keep_a if k not in batch and k not in ones]
    only_b = [k for k in range(rank) if lb[k] != 1 and la[k] == 1]
    a = lax.reshape(
        a,
        tuple(la[k] for k in range(rank) if k in batch or k in only_a)
        + tuple(sa[-1:] if va else sa[-2:]),
    )
    b = lax.reshape(
        b,
        tuple(lb[k] for k in range(rank) if k in batch or k in only_b)
        + tuple(sb[-1:] if vb else sb[-2:]),
    )
    place_a = {k: n for n, k in enumerate(k for k in range(rank) if k in batch or k in only_a)}
    place_b = {k: n for n, k in enumerate(k for k in range(rank) if k in batch or k in only_b)}
    na, nb = len(core.get_aval(a).shape), len(core.get_aval(b).shape)
    contract = ((na - 1,), (nb - 1 if vb else nb - 2,))
    numbers = (contract, (tuple(place_a[k] for k in batch), tuple(place_b[k] for k in batch)))
    out = lax.dot_general(a, b, numbers, precision=precision, preferred_element_type=wanted)
    # dot_general's axes: batch, a's own, [rows], b's own, [columns]; wanted: leading axes in
    # order, rows, columns
    names = [*batch, *only_a, *([] if va else ["row"]), *only_b, *([] if vb else ["col"])]
    target = (
        [k for k in range(rank) if k not in ones]
        + ([] if va else ["row"])
        + ([] if vb else ["col"])
    )
    order = tuple(names.index(n) for n in target)
    if order != tuple(range(len(order))):
        out = lax.transpose(out, order)
    return lax.expand_dims(out, tuple(ones)) if ones else out


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The sum of conj(a) b over all elements: a scalar. TypeError where their sizes differ."""
    check_arraylike("vdot", a, b)
    if core.get_aval(a).dtype.kind == "c":
        a = u.conjugate(a)
    return dot(
        ravel(a), ravel(b), precision=precision, preferred_element_type=preferred_element_type
    )


def vecdot(
    x1: Any,
    x2: Any,
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """conj(x1) . x2 along an axis, other axes broadcast. Dtypes as in dot. ValueError for scalars
    and for sizes that do not fit.
    """
    (x1, a1), (x2, a2) = shape_dtype("vecdot", x1), shape_dtype("vecdot", x2)
    if not a1.shape or not a2.shape:
        raise ValueError(
            f"vecdot requires arrays of at least one dimension, got {a1.shape} and {a2.shape}"
        )
    x1, x2 = moveaxis(x1, axis, -1), moveaxis(x2, axis, -1)
    if core.get_aval(x1).shape[-1] != core.get_aval(x2).shape[-1]:
        raise ValueError(
            f"vecdot: the contracted axes differ: {a1.shape} and {a2.shape} along axis {axis}"
        )
    if core.get_aval(x1).dtype.kind == "c":
        x1 = u.conjugate(x1)
    lead = np.broadcast_shapes(core.get_aval(x1).shape[:-1], core.get_aval(x2).shape[:-1])
    n = core.get_aval(x1).shape[-1]
    x1, x2 = (broadcast_value(x, (*lead, n)) for x in (x1, x2))
    x1, x2, wanted, weak = _pair("vecdot", x1, x2, preferred_element_type)
    k = tuple(range(len(lead)))
    return _contract(x1, x2, (((len(lead),), (len(lead),)), (k, k)), precision, wanted, weak)


def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices [..., m, n] times vectors [..., n], leading axes broadcast: [..., m]. Dtypes and
    errors as in matmul.
    """
    if len(np.shape(x1)) < 2 or len(np.shape(x2)) < 1:
        raise ValueError(
            f"matvec: needs a matrix and a vector, got shapes {np.shape(x1)} and {np.shape(x2)}"
        )
    x2 = shape_dtype("matvec", x2)[0]
    out = matmul(x1, lax.expand_dims(x2, (len(np.shape(x2)),)))
    return lax.squeeze(out, (len(np.shape(out)) - 1,))


def vecmat(x1: Any, x2: Any, /) -> Any:
    """conj(vectors) [..., m] times matrices [..., m, n], leading axes broadcast: [..., n]. Dtypes
    and errors as in matmul.
    """
    if len(np.shape(x1)) < 1 or len(np.shape(x2)) < 2:
        raise ValueError(
            f"vecmat: needs a vector and a matrix, got shapes {np.shape(x1)} and {np.shape(x2)}"
        )
    x1 = u.conjugate(shape_dtype("vecmat", x1)[0])
    out = matmul(lax.expand_dims(x1, (len(np.shape(x1)) - 1,)), x2)
    return lax.squeeze(out, (len(np.shape(out)) - 2,))


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum of products over the last axes of both: the other axes of a, then those of b; a product
    where one is a scalar. Dtypes and errors as in dot.
    """
    na, nb = len(np.shape(a)), len(np.shape(b))
    if na == 0 or nb == 0:
        return dot(a, b, precision=precision, preferred_element_type=preferred_element_type)
    return tensordot(
        a, b, (-1, -1), precision=precision, preferred_element_type=preferred_element_type
    )


def outer(a: Any, b: Any, out: None = None) -> Any:
    """The matrix [a.size, b.size] of a[i] * b[j] in the promoted dtype; more than one axis is
    flattened first.
    """
    base.no_out("outer", out)
    check_arraylike("outer", a, b)
    a, b = promote_dtypes("outer", a, b)
    a, b = ravel(a), ravel(b)
    return u.multiply(lax.expand_dims(a, (1,)), lax.expand_dims(b, (0,)))


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over pairs of axes: a count of trailing ones of a and leading ones of b, or
    two lists. The other axes of a come first, then those of b. Dtypes as in dot. TypeError where
    sizes differ, ValueError for more axes than there are.
    """
    a, b, wanted, weak = _pair("tensordot", a, b, preferred_element_type)
    sa, sb = core.get_aval(a).shape, core.get_aval(b).shape
    na, nb = len(sa), len(sb)
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= min(na, nb):
            raise ValueError(
                f"Number of tensordot axes (axes {axes}) exceeds input ranks ({sa} and {sb})"
            )
        ax, bx = tuple(range(na - axes, na)), tuple(range(axes))
    elif isinstance(axes, Sequence) and len(axes) == 2:
        pairs = [(x,) if isinstance(x, (int, np.integer)) else tuple(x) for x in axes]
        if len(pairs[0]) != len(pairs[1]):
            raise ValueError(
                "tensordot requires axes lists to have equal length, got "
                f"{pairs[0]} and {pairs[1]}."
            )
        ax = tuple(canonical_axis(k, na) for k in pairs[0])
        bx = tuple(canonical_axis(k, nb) for k in pairs[1])
    else:
        raise TypeError(
            f"tensordot requires both axes lists to be either ints, tuples or lists, got {axes}"
        )
    return _contract(a, b, ((ax, bx), ((), ())), precision, wanted, weak)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product in the promoted dtype: blocks a[i, j] * b; shapes are multiplied axis
    by axis, the shorter one with ones in front.
    """
    a, b = promote_dtypes("kron", a, b)
    sa, sb = core.get_aval(a).shape, core.get_aval(b).shape
    n = max(len(sa), len(sb))
    sa, sb = (1,) * (n - len(sa)) + sa, (1,) * (n - len(sb)) + sb
    a = lax.reshape(a, tuple(v for s in sa for v in (s, 1)))
    b = lax.reshape(b, tuple(v for s in sb for v in (1, s)))
    return lax.reshape(u.multiply(a, b), tuple(x * y for x, y in zip(sa, sb)))


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """The cross product of vectors of 2 or 3 components (ValueError for others) in the promoted
    dtype; of two pairs it is a number.

    Vectors lie along axisa and axisb, the result along axisc; the other axes are broadcast.
    """
    check_arraylike("cross", a, b)
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promote_dtypes("cross", a, b)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    da, db = core.get_aval(a).shape[-1], core.get_aval(b).shape[-1]
    if da not in (2, 3) or db not in (2, 3):
        raise ValueError("Dimension must be either 2 or 3 for cross product")

    def parts(x: Any, d: int) -> list[Any]:
        last = len(core.get_aval(x).shape) - 1
        found = [lax.squeeze(lax.slice_in_dim(x, k, k + 1, axis=last), (last,)) for k in range(d)]
        return found

    pa, pb = parts(a, da), parts(b, db)
    z = u.subtract(u.multiply(pa[0], pb[1]), u.multiply(pa[1], pb[0]))
    if da == db == 2:
        return z
    zero = base.const_as(z, 0)
    ax, ay, az = pa if da == 3 else (*pa, zero)
    bx, by, bz = pb if db == 3 else (*pb, zero)
    from fx.numpy.joining import stack
    from fx.numpy.manipulation import broadcast_arrays

    x = u.subtract(u.multiply(ay, bz), u.multiply(az, by))
    y = u.subtract(u.multiply(az, bx), u.multiply(ax, bz))
    out = stack(broadcast_arrays(x, y, z), -1)
    return moveaxis(out, -1, axisc)


# ---------------------------------------------------------------- convolution of vectors


def _convolve(name: str, a: Any, v: Any, mode: str, precision: Any, preferred: Any) -> Any:
    check_arraylike(name, a, v)
    if len(np.shape(a)) != 1 or len(np.shape(v)) != 1:
        raise ValueError(f"{name}() only support 1-dimensional inputs.")
    a, b = promote_dtypes_inexact(name, a, v)
    n, m = np.shape(a)[0], np.shape(b)[0]
    if n == 0 or m == 0:
        raise ValueError(f"{name}: inputs cannot be empty, got shapes ({n},) and ({m},).")
    if n < m:
        a, b, n, m = b, a, m, n
    paddings = {"full": (m - 1, m - 1), "same": (m // 2, m - m // 2 - 1), "valid": (0, 0)}
    if mode not in paddings:
        raise ValueError("mode must be one of ['full', 'same', 'valid']")
    wanted = None if preferred is None else check_requested(preferred, name)
    out = lax.conv_general_dilated(
        lax.reshape(a, (1, 1, n)),
        lax.reshape(lax.rev(b, (0,)), (1, 1, m)),
        (1,),
        [paddings[mode]],
        precision=precision,
        preferred_element_type=wanted,
    )
    return lax.reshape(out, (core.get_aval(out).shape[2],))


def convolve(
    a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """The convolution of vectors of n and m elements, sum_k a[k] v[i - k], in floating point: n + m
    - 1 elements, for mode "same" the middle max(n, m), for "valid" the max(n, m) - min(n, m) + 1
    without an edge. ValueError for empty ones, other ranks and modes.
    """
    return _convolve("convolve", a, v, mode, precision, preferred_element_type)


def correlate(
    a: Any,
    v: Any,
    mode: str = "valid",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """sum_n a[n + k] conj(v[n]) for shifts k, in floating point; sizes by mode ("valid" by default)
    and errors as in convolve.
    """
    if len(np.shape(a)) != 1 or len(np.shape(v)) != 1:
        raise ValueError("correlate() only support 1-dimensional inputs.")
    a, v = promote_dtypes_inexact("correlate", a, v)
    v = u.conjugate(v)
    # correlate(a, v) = convolve(a, reversed v); for a shorter than v the valid part comes out
    # reversed
    if mode == "same" and np.shape(a)[0] < np.shape(v)[0]:
        out = _convolve("correlate", v, lax.rev(a, (0,)), mode, precision, preferred_element_type)
        return lax.rev(out, (0,))
    return _convolve("correlate", a, lax.rev(v, (0,)), mode, precision, preferred_element_type)
