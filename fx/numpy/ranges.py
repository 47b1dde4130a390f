"""Ranges and grids: arange, linspace, logspace, geomspace, eye, tri, indices, meshgrid."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import canonicalize_dtype, is_inexact
from fx.dtypes import check_requested, is_integer
from fx.numpy.creation import asarray, astype, full, place, to_dtype, zeros
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    canonical_shape,
    check_arraylike,
    concrete,
    convert,
    is_concrete,
    join,
    promote_dtypes_inexact,
    shape_dtype,
    value,
    wrap,
)

__all__ = [
    "arange",
    "eye",
    "geomspace",
    "identity",
    "indices",
    "linspace",
    "logspace",
    "meshgrid",
    "tri",
]


# ---------------------------------------------------------------- ranges


def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """start, start + step, ... up to but without stop: a vector in the promoted dtype of the three,
    or `dtype`. All must be concrete scalars: ConcretizationTypeError for traced ones, ValueError
    for arrays and for step 0.

    >>> import fx.numpy as fnp
    >>> fnp.arange(3)
    Array([0, 1, 2], dtype=int32)
    """
    given = {"start": start, "stop": stop, "step": step}
    for key, x in given.items():
        if x is not None and np.ndim(x) != 0 and not isinstance(x, core.Tracer):
            raise ValueError(f"fx.numpy.arange: arguments must be scalars; got {key}={x}")
    context = "It arose in the argument {} of fx.numpy.arange; use lax.iota or a static argument."
    bounds: list[Any] = [
        None if x is None else concrete(x, context.format(key))[()] for key, x in given.items()
    ]
    if start is None and stop is None:
        raise TypeError("arange() requires at least one of start and stop")
    if dtype is None:
        pairs = [core.get_aval(value(x)) for x in given.values() if x is not None]
        wanted = canonicalize_dtype(join([(a.dtype, a.weak_type) for a in pairs])[0])
    else:
        wanted = check_requested(dtype, "arange")
    if bounds[1] is None:
        bounds[0], bounds[1] = 0, bounds[0]
    low, high = bounds[0], bounds[1]
    by = 1 if bounds[2] is None else bounds[2]
    if by == 0:
        raise ValueError("arange: step must not be 0")
    if core.state.trace is not core.EVAL and low == 0 and by == 1 and wanted.kind != "b":
        from fx import lax

        size = max(int(np.ceil(high.real if np.iscomplexobj(high) else high)), 0)
        return place(lax.iota(wanted, size), device)
    return place(asarray(_numpy_arange(low, high, by, wanted)), device)


def _numpy_arange(low: Any, high: Any, by: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "V":
        return np.arange(low, high, by).astype(dtype)
    return np.arange(low, high, by, dtype=dtype)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` evenly spaced values from start to stop, exact at both ends (without stop and its place
    if not `endpoint`). start and stop broadcast; the new axis of the result stands at `axis`.
    Floats; an integer dtype rounds down. With `retstep` a pair with the step. ValueError for
    negative num, which is static.
    """
    import operator

    from fx import lax
    from fx.numpy import ufuncs as u

    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = promote_dtypes_inexact("linspace", start, stop)
    work = core.get_aval(start).dtype
    out_dtype = work if dtype is None else check_requested(dtype, "linspace")
    shape = np.broadcast_shapes(core.get_aval(start).shape, core.get_aval(stop).shape)
    start, stop = (convert(broadcast_value(x, shape), work) for x in (start, stop))
    div = num - 1 if endpoint else num
    if num > 1 or (num == 1 and not endpoint):
        delta = u.divide(u.subtract(stop, start), work.type(div))
        steps = convert(wrap(np.arange(div)), work)
        part = u.divide(lax.reshape(steps, (div,) + (1,) * len(shape)), work.type(div))
        out = u.add(u.multiply(start, u.subtract(work.type(1), part)), u.multiply(stop, part))
        if endpoint:
            out = lax.concatenate([out, lax.expand_dims(stop, (0,))], 0)
    else:
        delta = u.subtract(stop, start) if num == 1 else full((), np.nan, work)
        out = (
            broadcast_value(lax.expand_dims(start, (0,)), (num,) + tuple(shape))
            if num
            else zeros((0,) + tuple(shape), work)
        )
    axis = canonical_axis(axis, len(shape) + 1)
    if axis:
        order = list(range(1, len(shape) + 1))
        order.insert(axis, 0)
        out = lax.transpose(out, tuple(order))
    if is_integer(out_dtype) and is_inexact(work):
        out = lax.floor(out)
    out = place(to_dtype(out, out_dtype), device)
    return (out, delta) if retstep else out


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """base raised to linspace's exponents from start to stop; shapes and errors as there. `dtype`
    converts the result.
    """
    from fx.numpy.ufuncs import power

    wanted = None if dtype is None else check_requested(dtype, "logspace")
    start, stop = promote_dtypes_inexact("logspace", start, stop)
    exponents = linspace(start, stop, num=num, endpoint=endpoint, axis=axis)
    out = power(base, exponents)
    return out if wanted is None else astype(out, wanted)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Values from start to stop in a constant ratio: powers of 10 of evenly spaced logarithms, with
    the ends as given. Both must have the same sign (or, complex, angle), not 0. Shapes and errors
    as in linspace; `dtype` converts the result.
    """
    from fx import lax
    from fx.numpy import ufuncs as u

    wanted = None if dtype is None else check_requested(dtype, "geomspace")
    start, stop = promote_dtypes_inexact("geomspace", start, stop)
    if core.get_aval(start).dtype.kind == "c":
        sign = lax.sign(start)
        start, stop = u.divide(start, sign), u.divide(stop, sign)
    else:
        sign = lax.sign(start)
        start, stop = u.multiply(start, sign), u.multiply(stop, sign)
    logs = linspace(u.log10(start), u.log10(stop), num=num, endpoint=endpoint, axis=0)
    out = u.multiply(sign, u.power(core.get_aval(logs).dtype.type(10), logs))
    if num > 0:
        ends = [lax.expand_dims(u.multiply(sign, x), (0,)) for x in (start, stop)]
        ends = [broadcast_value(x, (1,) + tuple(np.shape(out)[1:])) for x in ends]
        head = [ends[0]]
        tail = [ends[1]] if endpoint and num > 1 else []
        middle = lax.slice_in_dim(out, 1, num - len(tail), axis=0)
        out = lax.concatenate([*head, middle, *tail], 0)
    if axis != 0:
        from fx.numpy.manipulation import moveaxis

        out = moveaxis(out, 0, axis)
    return out if wanted is None else astype(out, wanted)


# ---------------------------------------------------------------- grids and diagonals


def eye(N: Any, M: Any = None, k: Any = 0, dtype: Any = None, *, device: Any = None) -> Any:
    """Ones on the k-th diagonal (above the main one for k > 0) of an N x M array, zeros elsewhere:
    float32 (float64 with x64) unless `dtype` says otherwise. k may be traced; N and M must be
    static, not negative.
    """
    from fx import lax

    n = canonical_shape(N)[0]
    m = n if M is None else canonical_shape(M)[0]
    if isinstance(k, int):
        k = max(-n, min(k, m))
    wanted = canonicalize_dtype(np.float64) if dtype is None else check_requested(dtype, "eye")
    if core.state.trace is core.EVAL and is_concrete(k):
        return place(asarray(np.eye(n, m, int(concrete(k))).astype(wanted)), device)
    rows = lax.broadcasted_iota(np.int32, (n, m), 0)
    cols = lax.broadcasted_iota(np.int32, (n, m), 1)
    shifted = lax.add(rows, broadcast_value(convert(asarray(k), np.dtype(np.int32)), (n, m)))
    return place(convert(lax.eq(shifted, cols), wanted), device)


def identity(n: Any, dtype: Any = None) -> Any:
    """The identity matrix [n, n], float32 (float64 with x64) unless `dtype` says otherwise."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones at and below the k-th diagonal of an N x M array, zeros above: float32 unless `dtype`
    says otherwise. N and M are static.
    """
    wanted = np.dtype(np.float32) if dtype is None else check_requested(dtype, "tri")
    N, m = canonical_shape((N, N if M is None else M))
    if core.state.trace is core.EVAL and not isinstance(k, core.Tracer):
        return asarray(np.tri(N, m, k).astype(wanted))
    return convert(tri_mask((N, m), k), wanted)


def tri_mask(shape: tuple[int, ...], k: Any) -> Any:
    """Boolean mask of the lower triangle from the k-th diagonal down; k may be traced."""
    from fx import lax

    if core.state.trace is core.EVAL and not isinstance(k, core.Tracer):
        return wrap(np.tri(shape[0], shape[1], k, dtype=np.bool_))
    rows = lax.broadcasted_iota(np.int32, shape, 0)
    cols = lax.broadcasted_iota(np.int32, shape, 1)
    shift = convert(k, np.dtype(np.int32)) if isinstance(k, core.Tracer) else np.int32(k)
    return lax.ge(lax.add(rows, broadcast_value(shift, shape)), cols)


def indices(dimensions: Any, dtype: Any = None, sparse: bool = False) -> Any:
    """The index grid of a shape: an array [ndim, *dimensions] whose k-th part counts along axis k,
    or, if `sparse`, a tuple of arrays of size 1 on all other axes. int32 (int64 with x64) unless
    `dtype` says otherwise.
    """
    from fx import lax
    from fx.numpy.joining import stack

    dims = canonical_shape(dimensions)
    wanted = check_requested(np.int32 if dtype is None else dtype, "indices")
    if dtype is None:
        wanted = canonicalize_dtype(np.int64)
    out = []
    for k, d in enumerate(dims):
        line = lax.iota(wanted, d)
        shape = tuple(d if n == k else 1 for n in range(len(dims))) if sparse else dims
        out.append(lax.broadcast_in_dim(line, shape, (k,)))
    if sparse:
        return tuple(out)
    return stack(out, 0) if out else zeros((0,), wanted)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Any]:
    """A list of coordinate arrays, one per vector, each in its dtype: of n and m elements [m, n]
    with indexing "xy", [n, m] with "ij"; if `sparse` of size 1 on all axes but their own.
    ValueError for more than one axis and for copy=False.
    """
    from fx import lax

    check_arraylike("meshgrid", *xi)
    if not copy:
        raise ValueError("meshgrid: copy=False is impossible; arrays are immutable")
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for indexing are 'xy' and 'ij', got {indexing}")
    values = []
    for x in xi:
        v, a = shape_dtype("meshgrid", x)
        if len(a.shape) > 1:
            raise ValueError(f"Arguments to meshgrid must be 0- or 1-dimensional, got {a.shape}")
        values.append(v if a.shape else lax.reshape(v, (1,)))
    order = list(range(len(values)))
    if indexing == "xy" and len(values) >= 2:
        order[0], order[1] = 1, 0
    sizes = [0] * len(values)
    for k, v in zip(order, values):
        sizes[k] = np.shape(v)[0]
    out = []
    for k, v in zip(order, values):
        shape = [1] * len(values) if sparse else sizes
        target = tuple(sizes[k] if n == k else shape[n] for n in range(len(values)))
        out.append(lax.broadcast_in_dim(v, target, (k,)))
    return out
