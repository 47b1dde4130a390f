"""The scatter family: set, add, mul, min, max of windows of an array at positions that are data.

Updates are taken in row-major order of the index batch: later ones win for `scatter`, sums run in
that order, so results are the same everywhere. A window that does not fit is dropped, or moved
inside in clip mode.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fx import core
from fx.avals import ShapedArray
from fx.core import Zero, instantiate, is_undefined, no
from fx.prims import compare, elementwise, shape
from fx.prims.index import (
    GatherDimensionNumbers,
    GatherScatterMode,
    Windows,
    check_windows,
    drops,
    gather_p,
    index_arrays,
    result_axes,
    starts_of,
    up,
)
from fx.prims.registry import Case, primitive
from lowering import graph


class ScatterDimensionNumbers(NamedTuple):
    """Which axes mean what in the scatter family, as in XLA.

    update_window_dims: axes of updates that hold window axes; inserted_window_dims: operand axes
    of window size 1 that updates lack; scatter_dims_to_operand_dims[j]: the operand axis that
    index component j moves along; the batching tuples pair axes off.
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def window_sizes(ndim: int, update_shape: Any, n: ScatterDimensionNumbers) -> tuple[int, ...]:
    """Window size per operand axis, read off the updates."""
    gone = {*n.inserted_window_dims, *n.operand_batching_dims}
    kept = [d for d in range(ndim) if d not in gone]
    if len(kept) != len(n.update_window_dims):
        raise TypeError(
            f"Scatter op has window of size {len(n.update_window_dims) + len(gone)}; window must "
            f"have rank equal to "
            f"operand.ndim={ndim}."
        )
    sizes = {d: update_shape[a] for d, a in zip(kept, n.update_window_dims)}
    return tuple(sizes.get(d, 1) for d in range(ndim))


def windows_of_scatter(x_shape, update_shape, n: ScatterDimensionNumbers) -> Windows:
    return Windows(window_sizes(len(x_shape), update_shape, n), *n)


def _abstract(x, indices, updates, *, dimension_numbers, **params):
    if x.dtype != updates.dtype:
        raise TypeError(
            f"scatter requires operand and updates of one dtype, got {x.dtype.name} and "
            f"{updates.dtype.name}."
        )
    w = windows_of_scatter(x.shape, updates.shape, dimension_numbers)
    sizes = tuple(min(a, b) if d in dimension_numbers.operand_batching_dims else a
                  for d, (a, b) in enumerate(zip(w.sizes, x.shape)))  # fmt: skip
    for d, (size, n) in enumerate(zip(sizes, x.shape)):
        if size > n and d not in dimension_numbers.inserted_window_dims:
            raise TypeError(
                f"Bounds of the window dimensions of updates must not exceed the bounds of the "
                f"corresponding "
                f"dimensions of operand. For dimension {d}, updates bound is {size}, operand "
                f"bound is {n}."
            )
    sizes = tuple(map(min, sizes, x.shape))
    check_windows("scatter", x, indices, w._replace(sizes=sizes))
    expected = w.result_shape(indices.shape)
    if updates.shape != expected:
        raise TypeError(
            f"Bounds of the scatter dimensions of updates must be the same as the bounds of the "
            f"corresponding "
            f"dimensions of scatter indices: updates have shape {updates.shape}, expected "
            f"{expected}."
        )
    return ShapedArray(x.shape, x.dtype, x.weak_type)


# ---------------------------------------------------------------- NumPy

_AT = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def _numpy(op: str) -> Any:
    """x with `op` of the updates at their windows, one after the other."""

    def scatter(x, indices, updates, *, dimension_numbers, mode, unique_indices, **params):
        w = windows_of_scatter(x.shape, updates.shape, dimension_numbers)
        out = np.array(x)
        if not updates.size or not x.size:
            return out
        starts, valid = starts_of(x.shape, indices, w, drops(mode))
        batch = indices.shape[:-1]
        combine = _AT.get(op)
        if prod(batch) == 1:  # one window: a plain slice
            if valid is None:
                at = [0 if s is None else int(s.reshape(())) for s in starts]
                view = out[(*(slice(a, a + n) for a, n in zip(at, w.sizes)), ...)]
                update = updates.reshape(view.shape)
                view[...] = update if combine is None else combine(view, update)
            return out
        indexed, partial, whole, arrays = index_arrays(x.shape, indices, w, starts)
        axes = result_axes(w, len(batch), partial, whole)
        values = updates.transpose(np.argsort(axes))
        at = np.ravel_multi_index(
            np.broadcast_arrays(*arrays), [x.shape[d] for d in indexed]
        ) if arrays else np.zeros(batch, np.int64)  # fmt: skip
        turned = out.transpose([*indexed, *whole])
        rows = np.ascontiguousarray(turned).reshape(-1, prod(x.shape[d] for d in whole))
        values = values.reshape(at.size, rows.shape[1])
        at = at.reshape(-1)
        if valid is not None:
            sizes = (*batch, *(w.sizes[d] for d in partial))
            keep = np.broadcast_to(valid[(..., *(None,) * len(partial))], sizes).reshape(-1)
            at, values = at[keep], values[keep]
        _combine_rows(rows, at, values, combine, unique_indices)
        turned[...] = rows.reshape(turned.shape)
        return out

    return scatter


def _combine_rows(rows, at, values, combine, unique) -> None:
    """rows[at] op= values in order, in place.

    Elements go through ufunc.at's fast path for one dimension.
    """
    if combine is None:
        rows[at] = values
    elif unique:
        rows[at] = combine(rows[at], values)
    elif rows.shape[1] == 1:
        combine.at(rows[:, 0], at, values[:, 0])
    elif at.size <= rows.shape[1]:
        for k, row in zip(at, values):
            rows[k] = combine(rows[k], row)
    else:
        width = rows.shape[1]
        flat = (at[:, None] * width + np.arange(width)).reshape(-1)
        combine.at(rows.reshape(-1), flat, values.reshape(-1))


# ---------------------------------------------------------------- rules shared by the family


def _gather_at(value, indices, updates_shape, x_shape, n, mode, fill, unique=False):
    """What stands at the windows that updates of this shape touch."""
    return gather_p.bind(
        value,
        indices,
        dimension_numbers=GatherDimensionNumbers(*n),
        slice_sizes=tuple(map(min, window_sizes(len(x_shape), updates_shape, n), x_shape)),
        unique_indices=unique,
        indices_are_sorted=False,
        mode=mode,
        fill_value=fill,
    )


def full_like(x: Any, value: Any) -> Any:
    """The scalar `value` in the shape and dtype of x."""
    aval = core.get_aval(x)
    return shape.full(aval.shape, value, aval.dtype)


def _batch(p_of: Any) -> Any:
    def batch(axis, args, dims, *, dimension_numbers: ScatterDimensionNumbers, **params):
        (x, indices, updates), (xd, idim, ud), n = args, dims, dimension_numbers
        front = lambda a, d: (  # noqa: E731
            shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
        )
        x, updates = front(x, xd), front(updates, ud)
        if idim is None:
            new = ScatterDimensionNumbers(
                (0, *up(n.update_window_dims)),
                up(n.inserted_window_dims),
                up(n.scatter_dims_to_operand_dims),
                up(n.operand_batching_dims),
                n.scatter_indices_batching_dims,
            )
        else:
            indices = shape.move_axis(indices, idim, 0)
            new = ScatterDimensionNumbers(
                up(n.update_window_dims),
                up(n.inserted_window_dims),
                up(n.scatter_dims_to_operand_dims),
                (0, *up(n.operand_batching_dims)),
                (0, *up(n.scatter_indices_batching_dims)),
            )
            params |= {"indices_are_sorted": False}
        return p_of().bind(x, indices, updates, dimension_numbers=new, **params), 0

    return batch


def _lower(op: str) -> Any:
    def lower(b, x, indices, updates, *, dimension_numbers, mode, unique_indices, **params):
        n = dimension_numbers
        name = "drop" if drops(mode) else "clip"
        form = graph.Scatter(
            op,
            n.update_window_dims,
            n.inserted_window_dims,
            n.scatter_dims_to_operand_dims,
            n.operand_batching_dims,
            n.scatter_indices_batching_dims,
            name,
            bool(unique_indices),
        )
        return b.scatter(x, indices, updates, form)

    return lower


def _linear_jvp(p_of: Any) -> Any:
    """Linear in operand and updates together (set, add)."""

    def jvp(primals, tangents, **params):
        (x, indices, updates), (tx, _, tu) = primals, tangents
        out = p_of().bind(x, indices, updates, **params)
        if type(tx) is Zero and type(tu) is Zero:
            return out, Zero.like(out)
        return out, p_of().bind(instantiate(tx), indices, instantiate(tu), **params)

    return jvp


# ---------------------------------------------------------------- set


def _set_transpose(ct, x, indices, updates, *, dimension_numbers, mode, unique_indices, **params):
    """ct of x: ct with the windows zeroed; ct of updates: what reached the result, so the last of
    equal positions.
    """
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, indices, updates)]
    common = {"dimension_numbers": dimension_numbers, "mode": mode} | params
    u = core.typeof(updates) if not is_undefined(updates) else updates.aval
    x_ct = u_ct = None
    if is_undefined(x):
        x_ct = scatter_p.bind(
            ct, indices, core.zeros_like_aval(u), unique_indices=unique_indices, **common
        )
    if is_undefined(updates):
        u_ct = _gather_at(ct, indices, u.shape, ct.shape, dimension_numbers, mode, 0)
        if not unique_indices:
            ids = shape.reshape(shape.iota(np.dtype(np.int32), (u.size,), 0), u.shape)
            holder = core.zeros_like_aval(ShapedArray(ct.shape, np.int32))
            last = scatter_p.bind(holder, indices, ids, unique_indices=False, **common)
            last = _gather_at(last, indices, u.shape, ct.shape, dimension_numbers, mode, -1)
            u_ct = compare.select_n_p.bind(
                compare.eq(last, ids), core.zeros_like_aval(core.typeof(u_ct)), u_ct
            )
    return [x_ct, None, u_ct]


# ---------------------------------------------------------------- add


def _add_transpose(ct, x, indices, updates, *, dimension_numbers, mode, unique_indices, **params):
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, indices, updates)]
    u_ct = None
    if is_undefined(updates):
        u_ct = _gather_at(
            ct, indices, updates.aval.shape, ct.shape, dimension_numbers, mode, 0, unique_indices
        )
    return [ct if is_undefined(x) else None, None, u_ct]


# ---------------------------------------------------------------- mul


def _mul_jvp(primals, tangents, *, dimension_numbers, mode, unique_indices, **params):
    """d(x prod u) = dx prod u + sum_k du_k x prod_{j != k} u_j; the products of the others count
    zeros apart.
    """
    (x, indices, u), (tx, _, tu) = primals, tangents
    every = {
        "dimension_numbers": dimension_numbers,
        "mode": mode,
        "unique_indices": unique_indices,
        **params,
    }
    out = scatter_mul_p.bind(x, indices, u, **every)
    parts = []
    if type(tx) is not Zero:
        parts.append(scatter_mul_p.bind(tx, indices, u, **every))
    if type(tu) is not Zero:
        look = lambda v: _gather_at(v, indices, u.shape, x.shape, dimension_numbers, mode, 0)  # noqa: E731
        scale = look(x)
        if not unique_indices:
            zero, one = full_like(u, 0), full_like(u, 1)
            is_zero = compare.eq(u, zero)
            safe = compare.select_n_p.bind(is_zero, u, one)
            blank = core.zeros_like_aval(core.typeof(x))
            n_zero = scatter_add_p.bind(
                blank, indices, compare.select_n_p.bind(is_zero, zero, one), **every
            )
            product = look(scatter_mul_p.bind(full_like(x, 1), indices, safe, **every))
            other_zeros = elementwise.sub(look(n_zero), compare.select_n_p.bind(is_zero, zero, one))
            others = compare.select_n_p.bind(
                compare.eq(other_zeros, zero), zero, elementwise.div(product, safe)
            )
            scale = elementwise.mul(scale, others)
        blank = core.zeros_like_aval(core.typeof(x))
        parts.append(scatter_add_p.bind(blank, indices, elementwise.mul(tu, scale), **every))
    if not parts:
        return out, Zero.like(out)
    return out, parts[0] if len(parts) == 1 else core.add_values(*parts)


def _mul_transpose(ct, x, indices, updates, *, dimension_numbers, mode, unique_indices, **params):
    """By the operand, or by the updates where each position has one."""
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, indices, updates)]
    more = {"dimension_numbers": dimension_numbers, "mode": mode, "unique_indices": unique_indices}
    if is_undefined(x):
        return [scatter_mul_p.bind(ct, indices, updates, **more, **params), None, None]
    if not (unique_indices or prod(core.get_aval(indices).shape[:-1]) == 1):
        raise NotImplementedError(
            "scatter-mul is linear in its updates only where indices are unique: pass "
            "unique_indices=True if they are."
        )
    back = _gather_at(
        ct * x, indices, updates.aval.shape, x.shape, dimension_numbers, mode, 0, unique_indices
    )
    return [None, None, back]


# ---------------------------------------------------------------- min, max


def _extremal_jvp(p_of: Any) -> Any:
    """Everything that attains the extremum shares the tangent evenly."""

    def jvp(primals, tangents, **params):
        (x, indices, u), (tx, _, tu) = primals, tangents
        out = p_of().bind(x, indices, u, **params)
        if type(tx) is Zero and type(tu) is Zero:
            return out, Zero.like(out)
        n, mode = params["dimension_numbers"], params["mode"]
        best = _gather_at(out, indices, u.shape, x.shape, n, mode, 0)
        from_x, from_u = compare.eq(x, out), compare.eq(u, best)
        one_x, one_u = full_like(x, 1), full_like(u, 1)
        zero_x, zero_u = full_like(x, 0), full_like(u, 0)
        count = scatter_add_p.bind(
            compare.select_n_p.bind(from_x, zero_x, one_x),
            indices,
            compare.select_n_p.bind(from_u, zero_u, one_u),
            **params,
        )
        total = scatter_add_p.bind(
            compare.select_n_p.bind(from_x, zero_x, instantiate(tx)),
            indices,
            compare.select_n_p.bind(from_u, zero_u, instantiate(tu)),
            **params,
        )
        return out, elementwise.div(total, elementwise.max_p.bind(count, one_x))

    return jvp


# ---------------------------------------------------------------- entries


def _cases():
    rows, one = ScatterDimensionNumbers((1,), (0,), (0,)), ScatterDimensionNumbers((), (0,), (0,))
    window = ScatterDimensionNumbers((1, 2), (), (0, 1))
    paired = ScatterDimensionNumbers((), (1,), (1,), (0,), (0,))
    drop, clip = GatherScatterMode.FILL_OR_DROP, GatherScatterMode.CLIP

    def case(shapes, dnums, mode, index, note, unique=False):
        params = {
            "dimension_numbers": dnums,
            "mode": mode,
            "unique_indices": unique,
            "indices_are_sorted": False,
        }
        index = np.array(index, np.int32)
        dtypes, ranges = (np.float32, np.int32, np.float32), ((-2, 2), index, (-2, 2))
        return Case(shapes, params, dtypes, ranges, (0, 2), note)

    return [
        case(((5, 3), (4, 1), (4, 3)), rows, drop, [[0], [4], [2], [4]], "rows, one twice"),
        case(((5, 3), (3, 1), (3, 3)), rows, drop, [[0], [4], [2]], "rows, unique", True),
        case(((5,), (2, 2, 1), (2, 2)), one, clip, [[[0], [9]], [[-3], [2]]], "clipped elements"),
        case(((5,), (3, 1), (3,)), one, drop, [[0], [9], [-3]], "dropped elements"),
        case(((5, 4), (2, 2), (2, 2, 3)), window, drop, [[0, 0], [3, 1]], "windows"),
        case(((2, 4), (2, 3, 1), (2, 3)), paired, drop, [[[0], [1], [1]]] * 2, "batched pairs"),
        case(((5,), (1, 1), (1,)), one, drop, [[3]], "one element"),
        case(((0, 3), (2, 1), (2, 3)), rows, drop, [[0], [1]], "into nothing"),
        case(((3, 2), (0, 1), (0, 2)), rows, drop, np.zeros((0, 1)), "of nothing"),
        case(((), (0,), ()), ScatterDimensionNumbers((), (), ()), drop, [], "a scalar"),
        replace(
            case(((3,), (4, 1), (4,)), one, drop, [[1], [1], [2], [2]], "zeros among updates"),
            ranges=((-2, 2), np.array([[1], [1], [2], [2]]), np.array([0, 2, 3, 0])),
            order=1,
        ),
    ]


def _entry(name: str, op: str, doc: str, jvp: Any, transpose: Any) -> core.Primitive:
    p = primitive(
        name,
        doc,
        abstract=_abstract,
        numpy=_numpy(op),
        jvp=jvp,
        transpose=transpose,
        batch=_batch(lambda: p),
        lower=_lower(op),
        cases=_cases,
    )
    return p


scatter_p = _entry(
    "scatter",
    "set",
    "The operand with windows replaced by the updates; of equal positions the last wins.",
    _linear_jvp(lambda: scatter_p),
    _set_transpose,
)
scatter_add_p = _entry(
    "scatter-add",
    "add",
    "The operand with the updates added to its windows.",
    _linear_jvp(lambda: scatter_add_p),
    _add_transpose,
)
scatter_mul_p = _entry(
    "scatter-mul",
    "mul",
    "The operand with its windows multiplied by the updates. Where two updates of one position "
    "are exactly zero, "
    "derivatives beyond the first lack the cross terms of the two.",
    _mul_jvp,
    _mul_transpose,
)
scatter_min_p = _entry(
    "scatter-min",
    "min",
    "The operand with its windows lowered to the updates where those are smaller.",
    _extremal_jvp(lambda: scatter_min_p),
    no("it is not linear"),
)
scatter_max_p = _entry(
    "scatter-max",
    "max",
    "The operand with its windows raised to the updates where those are larger.",
    _extremal_jvp(lambda: scatter_max_p),
    no("it is not linear"),
)
