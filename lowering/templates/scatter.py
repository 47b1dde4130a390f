"""Scatter: what both schedules say of a Scatter node: where an update lands, and how it is applied.

Updates that may meet are taken in a fixed order (`scatter_cpu`, `scatter_gpu`): no float atomics,
and the same bits on any number of cores. Index components are clamped or dropped before use.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.affine import strides_of
from lowering.rewrite.gather import component, within

SIGNED = ("int32", "int64")


COPY_BYTES = 1 << 18


def few_places(node: g.Node) -> bool:
    """Whether an output is small, and a few copies of it are little work beside all updates."""
    small = node.size * node.dtype.itemsize <= COPY_BYTES
    return small and node.form.op != "set" and node.args[2].size >= 8 * node.size


def owner_axis(f: g.Scatter, sizes: dict[int, int], x: g.Node) -> int | None:
    """An axis along which every update touches one row."""
    for k in f.start_map:
        if sizes.get(k, 1) == 1 and x.shape[k] > 1:
            return k
    return None


def place(
    f: g.Scatter,
    x: g.Node,
    indices: g.Node,
    sizes: dict[int, int],
    owner: int | None,
    at: str = "s * {n}",
    base: str = "0",
) -> list[str]:
    """Lines that set `o`, the window's start in the output: clamped, or `continue` where it is
    dropped or another item's. `at` is the text of the index vector's place.
    """
    n = len(f.start_map)
    lines = [f"    const long at = {at.format(n=n)};"]
    strides = strides_of(x.shape)
    terms = [base]
    kind = scalar.register_type(indices.dtype, 1)
    for j, k in enumerate(f.start_map):
        high = x.shape[k] - sizes.get(k, 1)
        value = f"b0[at + {j}]"
        if f.wrap:
            lines.append(f"    const {kind} r{j} = {value};")
            value = f"r{j} < 0 ? r{j} + {x.shape[k]} : r{j}"
        lines.append(f"    const {kind} v{j} = {value};")
        top = min(high, np.iinfo(indices.dtype).max)
        if high < 0:
            lines.append("    continue;")
        elif f.mode == "clip":
            lines.append(f"    const long c{j} = v{j} < 0 ? 0 : v{j} > {top} ? {top} : (long)v{j};")
        else:
            lines.append(f"    if (v{j} < 0 || v{j} > {top}) continue;")
            lines.append(f"    const long c{j} = (long)v{j};")
        if k == owner:
            lines.append(f"    if (c{j} < lo || c{j} >= hi) continue;")
        terms.append(f"c{j} * {strides[k]}" if high >= 0 else "0")
    return [*lines, f"    const long o = {' + '.join(terms)};"]


def apply(node: g.Node, width: int, target: str, new: str, dtype: np.dtype | None = None) -> str:
    """A statement: the value `new` is put in, or joined to, the elements at `target`."""
    d = dtype if dtype is not None else node.dtype
    op = node.form.op
    if op == "set":
        return scalar.store(d, width, target, new) + ";"
    kind = scalar.register_type(d, width)
    both = scalar.text(op, (d, d), d, width, ["x", "y"])
    old = scalar.load(d, width, target)
    return f"const {kind} x = {old}, y = {new}; {scalar.store(d, width, target, both)};"


# ---------------------------------------------------------------- canon


def rewrite(b: g.Builder, n: g.Node, args: tuple[g.Node, ...], copied: bool = False) -> g.Node:
    """A choice where no two updates can meet and there is nothing to keep, or what is kept is
    `copied` anyway; an update of one window where there is one; else the node, with negative
    indices counted from the end by itself instead of by a pass over memory before it.
    """
    x, indices, updates = args
    form, rows = _by_rows(b, n.form, x, indices) if copied else (n.form, indices)
    found = _as_choice(b, form, x, rows, updates, copied)
    found = found or _as_update(b, n.form, x, indices, updates)
    if found is not None:
        return found
    plain = None if n.form.wrap else _unwrapped(b, indices, [x.shape[k] for k in n.form.start_map])
    if plain is None:
        return b.node(n.form, args, n.shape, n.dtype)
    form, kept = replace(n.form, wrap=True), plain
    if form.mode != "clip":  # segment_sum and its kin move negative ones past the end: they drop
        kept = _undropped(b, plain, x.shape[form.start_map[0]])
        form = form if kept is None else n.form
    return b.node(form, (x, plain if kept is None else kept, updates), n.shape, n.dtype)


def _by_rows(b: g.Builder, f: g.Scatter, x: g.Node, indices: g.Node) -> tuple[g.Scatter, g.Node]:
    """The form and the indices of an update of each row in order, as in x.at[arange(n), k]: rows
    are its batch.
    """
    count, parts = indices.shape[:-1], [component(b, indices, j) for j in range(len(f.start_map))]
    for j, k in enumerate(f.start_map):
        d = _counts(parts[j])
        new = d is not None and d not in f.index_batch and count[d] == x.shape[k]
        if d is None or not new or k not in f.inserted or len(parts) == 1:
            continue
        others = [b.reshape(p, (*count, 1)) for i, p in enumerate(parts) if i != j]
        form = replace(
            f,
            inserted=tuple(i for i in f.inserted if i != k),
            start_map=tuple(i for i in f.start_map if i != k),
            x_batch=(*f.x_batch, k),
            index_batch=(*f.index_batch, d),
        )
        return form, b.concat(others, len(count))
    return f, indices


def _counts(x: g.Node) -> int | None:
    """The axis that x counts along from 0, None where it is something else."""
    if isinstance(x.form, g.Iota):
        return x.form.dim
    if x.form == g.Map("select"):  # what is negative counts from the end, and nothing is
        below, _, i = x.args
        tested = below.form == g.Map("lt") and below.args[0] is i and scalar_of(below.args[1]) == 0
        return _counts(i) if tested else None
    if isinstance(x.form, g.Broadcast) and (d := _counts(x.args[0])) is not None:
        own = x.form.dims[d]
        return own if x.args[0].shape[d] == x.shape[own] else None
    if isinstance(x.form, g.Reshape) and (d := _counts(x.args[0])) is not None:
        long = [k for k, n in enumerate(x.shape) if n != 1]
        return long[0] if x.args[0].size == x.args[0].shape[d] and len(long) == 1 else None
    return None


def _as_choice(
    b: g.Builder, f: g.Scatter, x: g.Node, indices: g.Node, updates: g.Node, copied: bool
) -> g.Node | None:
    """where(place == index, update, background), which fuses with what comes next.

    That is the scatter if each batch member has one window, as in the gradient of x[i, labels[i]],
    and all of x is one number or x is `copied` anyway.
    """
    count = indices.shape[:-1]
    alone = all(d in f.index_batch or size == 1 for d, size in enumerate(count))
    window = [k for k in range(x.ndim) if k not in f.inserted and k not in f.x_batch]
    sizes = {k: updates.shape[d] for k, d in zip(window, f.window_dims)}
    whole = all(size == (1 if k in f.start_map else x.shape[k]) for k, size in sizes.items())
    background = scalar_of(x)
    if (
        (background is None and not copied)
        or not (alone and whole and x.size)
        or indices.dtype.kind != "i"
    ):
        return None
    if max((x.shape[k] for k in f.start_map), default=0) - 1 > np.iinfo(indices.dtype).max:
        return None  # what counts the places has the indices' dtype
    outside = [d for d in range(updates.ndim) if d not in f.window_dims]
    origin = {k: outside[d] for k, d in zip(f.x_batch, f.index_batch)}
    origin |= {k: d for k, d in zip(window, f.window_dims) if k not in f.start_map}
    value = _spread(b, updates, origin, x.shape)
    if f.op != "set" and not (f.op == "add" and background == 0):
        value = b.map(f.op, x, value)
    at = {}
    for j, k in enumerate(f.start_map):
        i = component(b, indices, j)
        i = _spread(b, i, dict(zip(f.x_batch, f.index_batch)), x.shape)
        if f.wrap:
            i = _wrapped(b, i, x.shape[k])
        if f.mode == "clip":
            zero, top = (b.const(v, i.dtype, x.shape) for v in (0, x.shape[k] - 1))
            i = b.map("max", zero, b.map("min", top, i))
        at[k] = i
    return b.select(b.places(x.shape, at), value, x) if at else value


def _as_update(
    b: g.Builder, f: g.Scatter, x: g.Node, indices: g.Node, updates: g.Node
) -> g.Node | None:
    """One window, as in x.at[i].set(y) and x.at[i, j].add(y): a dynamic update, which fuses with
    what computes y; where it would be dropped, it writes what is there.
    """
    window = [k for k in range(x.ndim) if k not in f.inserted]
    sizes = {k: updates.shape[d] for k, d in zip(window, f.window_dims)}
    spare = {k: x.shape[k] - sizes.get(k, 1) for k in range(x.ndim)}
    wide = indices.dtype.kind in "iu" and indices.dtype.itemsize >= 4
    fits = wide and max(x.shape, default=0) <= np.iinfo(indices.dtype).max
    if f.x_batch or prod(indices.shape[:-1]) != 1 or not (fits and updates.size):
        return None
    if min(spare.values(), default=0) < 0:
        return None
    starts = [b.const(0, indices.dtype) for _ in x.shape]
    inside = b.const(True, bool)
    for j, k in enumerate(f.start_map):
        i = b.reshape(component(b, indices, j), ())
        starts[k] = i = _wrapped(b, i, x.shape[k]) if f.wrap else i
        inside = b.map("and", inside, within(b, i, spare[k]))
    new = b.reshape(updates, tuple(sizes.get(k, 1) for k in range(x.ndim)))
    old = b.dynamic_slice(x, starts, new.shape)
    if f.op != "set":
        new = b.map(f.op, old, new)
    if f.mode != "clip":
        new = b.select(b.broadcast(inside, new.shape, ()), new, old)
    return b.dynamic_update(x, new, starts)


def _wrapped(b: g.Builder, i: g.Node, n: int) -> g.Node:
    """Indices into n elements, negative ones counted from the end."""
    zero, length = (b.const(v, i.dtype, i.shape) for v in (0, n))
    return b.select(b.map("lt", i, zero), b.map("add", i, length), i)


def _spread(b: g.Builder, x: g.Node, origin: dict[int, int], shape: tuple[int, ...]) -> g.Node:
    """x with its axis origin[k] as axis k of `shape`, constant along the others; the rest of x's
    axes have one element.
    """
    axes = sorted(origin)
    kept = [origin[k] for k in axes]
    turned = b.transpose(x, (*kept, *(d for d in range(x.ndim) if d not in kept)))
    return b.broadcast(b.reshape(turned, tuple(x.shape[d] for d in kept)), shape, tuple(axes))


def _unwrapped(b: g.Builder, indices: g.Node, extents: list[int]) -> g.Node | None:
    """i, if `indices` are views of select(i < 0, i + n, i); the views are made again on i."""

    def rule(below: g.Node, after: g.Node, i: g.Node) -> bool:
        added = after.form == g.Map("add") and after.args[0] is i
        return added and scalar_of(after.args[1]) == extents[0]

    return _through(b, indices, rule) if len(set(extents)) == 1 else None


def _undropped(b: g.Builder, indices: g.Node, n: int) -> g.Node | None:
    """i, if `indices` are views of select(i < 0, m, i) with m >= n."""

    def rule(below: g.Node, after: g.Node, i: g.Node) -> bool:
        beyond = scalar_of(after)
        return isinstance(beyond, int) and beyond >= n

    return _through(b, indices, rule)


def _through(b: g.Builder, indices: g.Node, rule: Any) -> g.Node | None:
    """i, if `indices` are views of select(i < 0, y, i) with a y that the rule accepts."""
    if isinstance(indices.form, g.Broadcast | g.Reshape | g.Transpose) and indices.args[0].size:
        inner = _through(b, indices.args[0], rule)
        if inner is None:
            return None
        return b.node(indices.form, (inner,), indices.shape, indices.dtype)
    if indices.form != g.Map("select") or indices.dtype.name not in SIGNED:
        return None
    below, after, i = indices.args
    if below.form != g.Map("lt") or below.args[0] is not i or scalar_of(below.args[1]) != 0:
        return None
    return i if rule(below, after, i) else None


def scalar_of(n: g.Node) -> Any:
    """The number that a constant, spread or not, is; None for other nodes."""
    while isinstance(n.form, g.Broadcast | g.Reshape):
        n = n.args[0]
    return n.form.value if isinstance(n.form, g.Const) else None
