"""Graph group to Nest: demand-driven instantiation of nodes at affine indices.

`build_nest(roots, space, inside)` walks back from each root: a node in `inside` is computed in the
kernel, any other is loaded from memory. A (node, index, guards) triple is computed once, so shared
work is shared and views cost nothing. Reductions reuse an axis of the space of equal extent if
they can (softmax's rows), else they get one of their own. An index that is not affine splits an
axis and starts again; where that does not help, `Cut` names the node to keep in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lowering import affine
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, Range, SplitNeeded
from lowering.nest import IDENTITY, Nest, NestBuffer, Store, Value

Index = tuple[Affine, ...]
Guards = tuple[Range, ...]
INT = np.dtype(np.int32)
LONG = np.dtype(np.int64)
BOOL = np.dtype(bool)


@dataclass(frozen=True, slots=True)
class Root:
    """A node that the nest writes to memory, and how its axes lie in the space.

    `dims[k]` is the space axis that the root's axis k is; None: the root is a reshape of the whole
    space.
    `partial` is the fold over the space's leading axes in blocks, and then `node` is a BlockReduce.
    """

    node: g.Node
    dims: tuple[int, ...] | None
    piece: tuple[g.Node, int, int] | None = None  # of a Concat: operand, axis, where it begins


def build_nest(
    roots: Sequence[Root],
    space: tuple[int, ...],
    inside: Callable[[g.Node], bool],
    dynamic_updates: bool = True,
) -> Nest:
    """The nest that computes `roots` over `space`; raises Cut where a node must be in memory first."""
    splits: dict[Any, int] = {}
    for _ in range(64):
        b = NestBuilder(space, inside, splits)
        try:
            for r in roots:
                b.store_root(r)
            return b.nest
        except SplitNeeded as need:
            splits[b.keys[need.axis]] = need.inner
    raise Cut(roots[0].node, "its index does not settle after 64 axis splits")


class NestBuilder:
    """One attempt at a nest, with the axis splits that are known to be needed."""

    def __init__(self, space: tuple[int, ...], inside: Callable[[g.Node], bool], splits: dict):
        self.nest = Nest([])
        self.inside = inside
        self.splits = splits
        self.keys: list[Any] = []  # what each axis stands for, the same in every attempt
        self.memo: dict[Any, int] = {}
        self.value_of: dict[Any, int] = {}
        self.buffer_of: dict[int, int] = {}
        self.space = tuple(self.new_axis(("space", k), n) for k, n in enumerate(space))
        self.space_shape = space
        self.pool: list[tuple[int, Affine]] = list(
            zip(space, self.space)
        )  # reusable for reductions

    # ------------------------------------------------ axes

    def new_axis(self, key: Any, extent: int) -> Affine:
        """A fresh axis, already split where an earlier attempt asked for it; extent 1 needs none."""
        if extent == 1:
            return ZERO
        inner = self.splits.get(key)
        if inner is not None and inner not in (1, extent):
            outer = self.new_axis((key, 0), extent // inner)
            return outer * inner + self.new_axis((key, 1), inner)
        self.nest.extents.append(extent)
        self.keys.append(key)
        return affine.axis(len(self.keys) - 1)

    def fold_axis(self, key: Any, extent: int, used: frozenset[int]) -> Affine:
        """An axis to reduce over: one that exists, has this extent and is not in use, or a new one."""
        if extent == 1:
            return ZERO
        for n, e in self.pool:
            if n == extent and e.axes and not (e.axes & used):
                return e
        e = self.new_axis(key, extent)
        self.pool.append((extent, e))
        return e

    # ------------------------------------------------ values

    def emit(
        self, op: str, args: tuple[int, ...], dtype, mask: frozenset[int], attr: Any = None
    ) -> int:
        """A value, unless the same one exists."""
        key = (op, args, dtype, attr if op != "const" else repr(attr))
        found = self.value_of.get(key)
        if found is None:
            found = self.value_of[key] = len(self.nest.values)
            self.nest.values.append(Value(op, args, np.dtype(dtype), mask, attr))
        return found

    def mask(self, *values: int) -> frozenset[int]:
        return frozenset().union(*(self.nest.values[v].mask for v in values))

    def const(self, value: Any, dtype) -> int:
        return self.emit("const", (), np.dtype(dtype), frozenset(), value)

    def map(self, op: str, *args: int, dtype) -> int:
        return self.emit("map", args, np.dtype(dtype), self.mask(*args), op)

    def index(self, e: Affine, dtype) -> int:
        if not e.terms:
            return self.const(e.const, dtype)
        return self.emit("index", (), np.dtype(dtype), e.axes, e)

    def buffer(self, node: g.Node) -> int:
        """The nest's buffer for a node that stands in memory."""
        found = self.buffer_of.get(id(node))
        if found is None:
            found = self.buffer_of[id(node)] = len(self.nest.buffers)
            self.nest.buffers.append(NestBuffer(node, node.dtype, node.size))
        return found

    def load(self, node: g.Node, linear: Affine, guards: Guards, dynamic: int | None = None) -> int:
        b = self.buffer(node)
        mask = linear.axes.union(*(r.index.axes for r in guards))
        args: tuple[int, ...] = ()
        if dynamic is not None:
            args = (dynamic,)
            mask = mask | self.mask(dynamic)
        return self.emit("load", args, node.dtype, mask, (b, linear, guards))

    def value(self, node: g.Node, index: Index, guards: Guards = ()) -> int:
        """The value id of node[index]. Outside `guards` the value may be anything but is safe to
        compute.
        """
        key = (id(node), index, guards)
        found = self.memo.get(key)
        if found is None:
            if isinstance(node.form, g.Const):
                found = self.const(node.form.value, node.dtype)
            elif not self.inside(node):
                found = self.load(node, affine.linearize(index, node.shape), guards)
            else:
                found = RULES[type(node.form)](self, node, index, guards)
            self.memo[key] = found
        return found

    def decide(self, conditions: Sequence[Range]) -> tuple[Guards, bool]:
        """(the conditions that depend on the axes, whether all the others hold)."""
        open_: list[Range] = []
        for r in conditions:
            known = affine.decide(r, self.nest.extents)
            if known is False:
                return (), False
            if known is None:
                open_.append(r)
        return tuple(open_), True

    def guard(self, conditions: Guards) -> int:
        mask = frozenset().union(*(r.index.axes for r in conditions))
        return self.emit("guard", (), BOOL, mask, conditions)

    def guarded(self, conditions: Guards, inner: int, outer: int, dtype) -> int:
        """inner where the conditions hold, else outer."""
        return self.map("select", self.guard(conditions), inner, outer, dtype=dtype)

    # ------------------------------------------------ roots

    def store_root(self, root: Root) -> None:
        """Compute a root over the space and store it."""
        node = root.node
        if isinstance(node.form, BlockReduce):
            return self.store_partial(node)
        if root.piece is not None:
            return self.store_piece(node, *root.piece)
        if root.dims is not None:
            index = tuple(self.space[d] for d in root.dims)
        else:
            linear = affine.linearize(self.space, self.space_shape)
            found = affine.delinearize(linear, node.shape, self.nest.extents)
            if found is None:
                raise Cut(node, "its shape does not divide into the axes of its group")
            index = tuple(found)
        rule = ROOT_RULES.get(type(node.form))
        if rule is not None:
            return rule(self, node, index)
        v = (
            RULES[type(node.form)](self, node, index, ())
            if not isinstance(node.form, g.Const)
            else None
        )
        if v is None:
            v = self.value(node, index)
        self.memo[(id(node), index, ())] = v
        self.store(node, affine.linearize(index, node.shape), v)

    def store_piece(self, node: g.Node, x: g.Node, dim: int, at: int) -> None:
        """One operand of a concatenation, into its range."""
        place = (*self.space[:dim], self.space[dim] + at, *self.space[dim + 1 :])
        self.store(node, affine.linearize(place, node.shape), self.value(x, self.space))

    def store(self, node: g.Node, linear: Affine, value: int, **kwargs: Any) -> None:
        b = self.buffer(node)
        self.nest.buffers[b].written = True
        self.nest.stores.append(Store(b, linear, value, **kwargs))
        self.nest.label = self.nest.label or node.tag or ""

    def store_partial(self, node: g.Node) -> None:
        form: BlockReduce = node.form
        (x,) = node.args
        v = self.value(x, self.space)
        lead = frozenset().union(*(e.axes for e in self.space[: form.lead]))
        v = _varying(self, v, lead - self.nest.values[v].mask)
        rest = x.shape[form.lead :]
        index = affine.linearize(self.space[form.lead :], rest)
        self.store(node, index, v, partial=form.op)
        self.nest.buffers[self.buffer(node)].lead = prod(rest)


# ---------------------------------------------------------------- a form of our own


@dataclass(frozen=True, slots=True)
class BlockReduce:
    """Fold the first `lead` axes, cut into `blocks` equal runs of their flattened length: [blocks,
    *rest].

    Made by `canon` from reductions over leading axes; a nest computes it along the way and a small
    Reduce ends it.
    """

    op: str
    lead: int
    blocks: int


# ---------------------------------------------------------------- one rule a form


def _iota(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    e = index[node.form.dim]
    if node.dtype.kind in "iu" or not e.terms:
        return b.index(e, node.dtype)
    return b.map("convert", b.index(e, INT), dtype=node.dtype)


def _map(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    args = [b.value(a, index, guards) for a in node.args]
    return b.map(node.form.op, *args, dtype=node.dtype)


def _reshape(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    linear = affine.linearize(index, node.shape)
    if not b.inside(x) and not isinstance(x.form, g.Const):
        return b.load(x, linear, guards)
    inner = affine.delinearize(linear, x.shape, b.nest.extents)
    if inner is None:
        raise Cut(x, f"the reshape {list(x.shape)} -> {list(node.shape)} does not split evenly")
    return b.value(x, tuple(inner), guards)


def _transpose(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    inner: list[Affine] = [ZERO] * len(index)
    for k, p in enumerate(node.form.perm):
        inner[p] = index[k]
    return b.value(node.args[0], tuple(inner), guards)


def _broadcast(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(ZERO if x.shape[k] == 1 else index[d] for k, d in enumerate(node.form.dims))
    return b.value(x, inner, guards)


def _slice(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    form = node.form
    inner = tuple(i * s + lo for i, s, lo in zip(index, form.strides, form.starts))
    return b.value(node.args[0], inner, guards)


def _reverse(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    inner = tuple(
        i * -1 + (x.shape[k] - 1) if k in node.form.dims else i for k, i in enumerate(index)
    )
    return b.value(x, inner, guards)


def _pad(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, fill = node.args
    form = node.form
    inner: list[Affine] = []
    conditions: list[Range] = []
    for i, lo, n in zip(index, form.low, x.shape):
        e = i + -lo
        conditions.append(Range(e, 0, n))
        inner.append(e)
    return _inside_or(b, node, conditions, x, tuple(inner), fill, guards)


def _inside_or(b, node, conditions, x, inner, fill, guards) -> int:
    """x[inner] where the conditions hold, the scalar `fill` elsewhere."""
    open_, possible = b.decide(conditions)
    if not possible or 0 in x.shape:
        return b.value(fill, (), ())
    if not open_:
        return b.value(x, inner, guards)
    merged = tuple(dict.fromkeys((*guards, *open_)))
    return b.guarded(open_, b.value(x, inner, merged), b.value(fill, (), ()), node.dtype)


def _concat(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    dim = node.form.dim
    e = index[dim]
    at, parts = 0, []
    for x in node.args:
        n = x.shape[dim]
        condition = Range(e, at, at + n)
        open_, possible = b.decide((condition,))
        if possible:
            parts.append((x, at, condition if open_ else None))
        at += n
    result = None
    for x, at, condition in reversed(parts):
        inner = (*index[:dim], e + -at, *index[dim + 1 :])
        extra = () if condition is None else (condition,)
        v = b.value(x, inner, tuple(dict.fromkeys((*guards, *extra))))
        result = v if result is None else b.guarded((condition,), v, result, node.dtype)
    return result


def _used(index: Sequence[Affine], guards: Guards) -> frozenset[int]:
    return frozenset().union(*(e.axes for e in index), *(r.index.axes for r in guards))


def _fold_index(b, node, x, axes, index, guards) -> tuple[Index, frozenset[int]]:
    """x's index with the reduced axes filled in, and the nest axes that are folded."""
    used = _used(index, guards)
    full: list[Affine] = []
    folded: frozenset[int] = frozenset()
    kept = iter(index)
    for k, n in enumerate(x.shape):
        if k in axes:
            e = b.fold_axis((id(node), k), n, used | folded)
            folded |= e.axes
            full.append(e)
        else:
            full.append(next(kept))
    return tuple(full), folded


def _reduce(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    full, folded = _fold_index(b, node, x, form.axes, index, guards)
    v = b.value(x, full, guards)
    if not folded:
        return v
    return _fold(b, form.op, v, folded, node.dtype)


def _fold(b: NestBuilder, op: str, v: int, folded: frozenset[int], dtype) -> int:
    """Reduce a value over axes; axes that it does not vary over multiply a sum and leave the others
    as they are.
    """
    missing = folded - b.nest.values[v].mask
    if missing:
        times = prod(b.nest.extents[a] for a in missing)
        if op == "add":
            v = b.map("mul", v, b.const(times, dtype), dtype=dtype)
        elif op in ("mul", "xor"):
            v = _varying(b, v, missing)
        folded = folded & b.nest.values[v].mask
        if not folded:
            return v
    return b.emit("reduce", (v,), dtype, b.mask(v) - folded, (op, folded))


def _varying(b: NestBuilder, v: int, axes: frozenset[int]) -> int:
    """The same value, marked as varying over `axes` too, so that a fold over them counts every
    point.
    """
    if not axes:
        return v
    dtype = b.nest.values[v].dtype
    always = b.map("ge", b.index(_sum_axes(axes), INT), b.const(0, INT), dtype=BOOL)
    return b.emit("map", (always, v, v), dtype, b.mask(always, v), "select")


def _sum_axes(axes: frozenset[int]) -> Affine:
    e = ZERO
    for a in sorted(axes):
        e = e + affine.axis(a)
    return e


def _argreduce(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    full, folded = _fold_index(b, node, x, (form.axis,), index, guards)
    v = b.value(x, full, guards)
    folded &= b.nest.values[v].mask
    if not folded:
        return b.const(0, node.dtype)
    return b.emit(
        "argreduce", (v,), node.dtype, b.mask(v) - folded, (form.op, full[form.axis], folded)
    )


def _cumscan(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (x,) = node.args
    form = node.form
    e = index[form.axis]
    if not e.terms and x.shape[form.axis] == 1:
        return b.value(x, index, guards)
    plain = len(e.terms) == 1 and e == affine.axis(e.terms[0][0])
    if not plain or b.nest.extents[e.terms[0][0]] != x.shape[form.axis]:
        raise Cut(node, "a running fold is read at another index than its own axis")
    others = _used([i for k, i in enumerate(index) if k != form.axis], guards)
    if e.axes & others:
        raise Cut(node, "a running fold is read along a diagonal")
    v = b.value(x, index, guards)
    a = e.terms[0][0]
    return b.emit("cumscan", (v,), node.dtype, b.mask(v) | {a}, (form.op, a, form.reverse))


def accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which products of `dtype` are summed."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


def _contract(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, y = node.args
    (cx, cy), (bx, by) = node.form.contract, node.form.batch
    used = _used(index, guards)
    ix: list[Affine] = [ZERO] * x.ndim
    iy: list[Affine] = [ZERO] * y.ndim
    out = iter(index)
    for p, q in zip(bx, by):
        ix[p] = iy[q] = next(out)
    for axes, contracted, batched, shape in ((ix, cx, bx, x.shape), (iy, cy, by, y.shape)):
        for k in range(len(shape)):
            if k not in contracted and k not in batched:
                axes[k] = next(out)
    folded: frozenset[int] = frozenset()
    for p, q in zip(cx, cy):
        e = b.fold_axis((id(node), p), x.shape[p], used | folded)
        folded |= e.axes
        ix[p] = iy[q] = e
    vx, vy = b.value(x, tuple(ix), guards), b.value(y, tuple(iy), guards)
    return _mad(b, vx, vy, folded, x.dtype, y.dtype, node.dtype)


def _mad(b, vx, vy, folded, x_dtype, y_dtype, dtype) -> int:
    """Sum of products, accumulated in at least float32, converted to dtype."""
    acc = accumulator(dtype)
    vx = b.map("convert", vx, dtype=acc) if x_dtype != acc else vx
    vy = b.map("convert", vy, dtype=acc) if y_dtype != acc else vy
    if acc.kind == "b":
        product = b.map("and", vx, vy, dtype=BOOL)
        return _fold(b, "or", product, folded, BOOL) if folded else product
    vary = b.mask(vx, vy)
    if not folded or folded - vary:
        product = b.map("mul", vx, vy, dtype=acc)
        v = _fold(b, "add", product, folded, acc) if folded else product
    else:
        v = b.emit("mad", (vx, vy), acc, vary - folded, folded)
    return b.map("convert", v, dtype=dtype) if acc != dtype else v


def _conv(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, w = node.args
    form = node.form
    n, o, *spatial = index
    per_group = w.shape[1]
    if form.groups == 1:
        channel0 = ZERO
    else:
        pair = affine.divmod_affine(o, w.shape[0] // form.groups, b.nest.extents)
        if pair is None:
            raise Cut(node, "the output channels do not split into the groups")
        channel0 = pair[0] * per_group
    used = _used(index, guards)
    c = b.fold_axis((id(node), 1), per_group, used)
    folded = c.axes
    taps: list[Affine] = []
    inner: list[Affine] = []
    conditions: list[Range] = []
    for k, i in enumerate(spatial):
        tap = b.fold_axis((id(node), 2 + k), w.shape[2 + k], used | folded)
        folded |= tap.axes
        taps.append(tap)
        e = i * form.strides[k] + tap * form.rhs_dilation[k] + -form.padding[k][0]
        conditions.append(Range(e, 0, x.shape[2 + k]))
        inner.append(e)
    open_, possible = b.decide(conditions)
    if not possible:
        return b.const(0, node.dtype)
    merged = tuple(dict.fromkeys((*guards, *open_)))
    vx = b.value(x, (n, channel0 + c, *inner), merged)
    if open_ and not _reads_zero_outside(b, vx, open_):
        vx = b.guarded(open_, vx, b.const(0, x.dtype), x.dtype)
    vw = b.value(w, (o, c, *taps), guards)
    return _mad(b, vx, vw, folded, x.dtype, w.dtype, node.dtype)


def _reads_zero_outside(b: NestBuilder, v: int, conditions: Guards) -> bool:
    """Whether value v is a load that already gives 0 where a condition fails."""
    value = b.nest.values[v]
    return value.op == "load" and set(conditions) <= set(value.attr[2])


def _window(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, init = node.args
    form = node.form
    used = _used(index, guards)
    folded: frozenset[int] = frozenset()
    inner: list[Affine] = []
    conditions: list[Range] = []
    for k, i in enumerate(index):
        tap = b.fold_axis((id(node), k), form.size[k], used | folded)
        folded |= tap.axes
        e = i * form.strides[k] + tap * form.window_dilation[k] + -form.padding[k][0]
        conditions.append(Range(e, 0, x.shape[k]))
        inner.append(e)
    v = _inside_or(b, node, conditions, x, tuple(inner), init, guards)
    if folded:
        v = _fold(b, form.op, v, folded, node.dtype)
    if isinstance(init.form, g.Const) and init.form.value == IDENTITY[form.op](node.dtype):
        return v
    return b.map(form.op, v, b.value(init, (), ()), dtype=node.dtype)


def _get(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    (multi,) = node.args
    if not isinstance(multi.form, g.Bits):
        raise AssertionError(f"{multi!r} was to stand in memory")
    words = tuple(b.value(a, index, guards) for a in multi.args)
    bits = b.emit("bits", words, node.dtype, b.mask(*words), ())
    return b.emit("get", (bits,), node.dtype, b.mask(bits), node.form.index)


def _offset_dtype(size: int) -> np.dtype:
    return INT if size < 2**31 else LONG


def _clamped(b: NestBuilder, v: int, high: int, dtype) -> int:
    """An index component as `dtype`, moved into [0, high]; unsigned and 64-bit values are clamped
    before narrowing.
    """
    source = b.nest.values[v].dtype
    if source.kind == "u" or source.itemsize > dtype.itemsize:
        limit = min(high, np.iinfo(source).max)
        v = b.map("min", v, b.const(limit, source), dtype=source)
        if source.kind == "i":
            v = b.map("max", v, b.const(0, source), dtype=source)
        return b.map("convert", v, dtype=dtype) if source != dtype else v
    v = b.map("convert", v, dtype=dtype) if source != dtype else v
    v = b.map("max", v, b.const(0, dtype), dtype=dtype)
    return b.map("min", v, b.const(high, dtype), dtype=dtype)


def _in_range(b: NestBuilder, v: int, high: int) -> int:
    """Whether an index component lies in [0, high]; a negative `high` is never met."""
    dtype = b.nest.values[v].dtype
    if high < 0:
        return b.const(False, BOOL)
    limit = min(high, np.iinfo(dtype).max)
    low = b.map("ge", v, b.const(0, dtype), dtype=BOOL)
    return b.map("and", low, b.map("le", v, b.const(limit, dtype), dtype=BOOL), dtype=BOOL)


def gather_parts(b: NestBuilder, node: g.Node, index: Index, guards: Guards):
    """(index component values, window index per axis of x, batch index of x's batch axes)."""
    x, indices = node.args[0], node.args[1]
    form = node.form
    batch = [i for k, i in enumerate(index) if k not in form.offset_dims]
    window = iter([index[k] for k in form.offset_dims])
    full: list[Affine] = [ZERO] * x.ndim
    for k in range(x.ndim):
        if k not in form.collapsed and k not in form.x_batch:
            full[k] = next(window)
    for p, q in zip(form.x_batch, form.index_batch):
        full[p] = batch[q]
    n = len(form.start_map)
    components = [b.value(indices, (*batch, Affine(j)), guards) for j in range(n)]
    return components, full


def _gather(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x = node.args[0]
    form = node.form
    if 0 in x.shape:
        fill = node.args[2] if len(node.args) > 2 else None
        return b.value(fill, (), ()) if fill is not None else b.const(0, node.dtype)
    if b.inside(x) and not isinstance(x.form, g.Const):
        raise Cut(x, "a gather reads it at indices that come from data")
    components, full = gather_parts(b, node, index, guards)
    dtype = _offset_dtype(x.size)
    strides = affine.strides_of(x.shape)
    offset = ok = None
    for j, (v, k) in enumerate(zip(components, form.start_map)):
        high = x.shape[k] - form.sizes[k]
        if form.mode == "fill":
            here = _in_range(b, v, high)
            ok = here if ok is None else b.map("and", ok, here, dtype=BOOL)
        part = _clamped(b, v, max(high, 0), dtype)
        if strides[k] != 1:
            part = b.map("mul", part, b.const(strides[k], dtype), dtype=dtype)
        offset = part if offset is None else b.map("add", offset, part, dtype=dtype)
    v = (
        b.load(x, affine.linearize(full, x.shape), guards, offset)
        if not isinstance(x.form, g.Const)
        else b.value(x, tuple(full))
    )
    if ok is not None:
        return b.map("select", ok, v, b.value(node.args[2], (), ()), dtype=node.dtype)
    return v


def start_offset(b: NestBuilder, starts, x_shape, window_shape, guards) -> int | None:
    """The linear offset of a window whose scalar starts are clamped so that it fits."""
    size = prod(x_shape)
    dtype = _offset_dtype(size)
    offset = None
    for s, n, w, stride in zip(starts, x_shape, window_shape, affine.strides_of(x_shape)):
        if n == w:
            continue
        part = _clamped(b, b.value(s, (), ()), n - w, dtype)
        if stride != 1:
            part = b.map("mul", part, b.const(stride, dtype), dtype=dtype)
        offset = part if offset is None else b.map("add", offset, part, dtype=dtype)
    return offset


def _dynamic_slice(b: NestBuilder, node: g.Node, index: Index, guards: Guards) -> int:
    x, *starts = node.args
    if b.inside(x) and not isinstance(x.form, g.Const):
        raise Cut(x, "a dynamic slice reads it at an index that comes from data")
    if isinstance(x.form, g.Const):
        return b.value(x, index, guards)
    offset = start_offset(b, starts, x.shape, node.shape, guards)
    return b.load(x, affine.linearize(index, x.shape), guards, offset)


RULES: dict[type, Callable[[NestBuilder, g.Node, Index, Guards], int]] = {
    g.Iota: _iota,
    g.Map: _map,
    g.Reshape: _reshape,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Reverse: _reverse,
    g.Pad: _pad,
    g.Concat: _concat,
    g.Reduce: _reduce,
    g.ArgReduce: _argreduce,
    g.CumScan: _cumscan,
    g.Contract: _contract,
    g.Conv: _conv,
    g.Window: _window,
    g.Gather: _gather,
    g.DynamicSlice: _dynamic_slice,
    g.Get: _get,
}


def _dynamic_update_root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """The update over its window of the node's buffer, which holds the operand already."""
    x, update, *starts = node.args
    offset = start_offset(b, starts, x.shape, update.shape, ())
    value = b.value(update, index)
    b.store(node, affine.linearize(index, x.shape), value, dynamic=offset)


def _spread_root(b: NestBuilder, node: g.Node, index: Index) -> None:
    """Interior padding: the operand with gaps between its elements; the node's buffer holds the
    fill value already.
    """
    if not any(node.form.interior):
        value = _pad(b, node, index, ())
        b.store(node, affine.linearize(index, node.shape), value)
        return
    x, _ = node.args
    form = node.form
    place = [i * (gap + 1) + lo for i, gap, lo in zip(index, form.interior, form.low)]
    open_, possible = b.decide([Range(e, 0, n) for e, n in zip(place, node.shape)])
    if possible:
        value = b.value(x, index)
        b.store(node, affine.linearize(place, node.shape), value, guards=open_)


ROOT_RULES: dict[type, Callable[[NestBuilder, g.Node, Index], None]] = {
    g.Pad: _spread_root,
    g.DynamicUpdate: _dynamic_update_root,
}
