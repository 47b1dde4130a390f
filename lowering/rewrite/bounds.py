"""Bounds: what integer values can be, and what need not be asked because of it.

A loop's counter runs from its start to its end, so `select(i < 0, i + n, i)` is i, an index made of
it needs no clamp, and a gather nothing to put out of bounds. In: a canonical graph. Out: the same
values, with decided comparisons, selections, minima and maxima gone, and dynamic slices and updates
that are known to fit marked so. Intervals are those of Python's integers; what could wrap has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lowering import graph as g
from lowering.walk import inner_graphs

Interval = tuple[int, int]
Env = Sequence[Interval | None]  # of the graph's inputs

_INDEXED = (g.DynamicSlice, g.DynamicUpdate, g.Gather, g.Scatter)
_VIEWS = (g.Reshape, g.Transpose, g.Broadcast, g.Slice, g.Reverse, g.DynamicSlice, g.Gather)
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def narrow(graph: g.Graph) -> g.Graph:
    """The graph without what the bounds of its integers decide."""
    return _Narrowing().graph(graph, [None] * len(graph.inputs)) if _indexes(graph) else graph


def _indexes(graph: g.Graph) -> bool:
    return any(
        isinstance(n.form, _INDEXED) or any(map(_indexes, inner_graphs(n.form)))
        for n in graph.nodes()
    )


class _Narrowing:
    """One graph; `known` has the intervals of the new nodes."""

    def __init__(self) -> None:
        self.b = g.Builder()
        self.known: dict[int, Interval | None] = {}

    def graph(self, graph: g.Graph, env: Env) -> g.Graph:
        b = self.b
        new: dict[int, g.Node] = {}
        for n, interval in zip(graph.inputs, env, strict=True):
            x = new[id(n)] = b.input(n.shape, n.dtype)
            self.known[id(x)] = interval
        for n in graph.nodes():
            if id(n) not in new:
                b.tag = n.tag
                new[id(n)] = self.node(n, tuple(new[id(a)] for a in n.args))
        effects = tuple(new[id(e)] for e in graph.effects)
        return g.Graph(b.graph(()).inputs, tuple(new[id(o)] for o in graph.outputs), effects)

    def node(self, n: g.Node, args: tuple[g.Node, ...]) -> g.Node:
        f = n.form
        if isinstance(f, g.Map):
            found = self.decided(f.op, n, args)
            if found is not None:
                return found
        elif isinstance(f, g.Loop):
            f = self.loop(f, args)
        elif isinstance(f, g.Cond):
            env = [self.of(a) for a in args[1:]]
            f = g.Cond(tuple(_Narrowing().graph(branch, env) for branch in f.branches))
        elif isinstance(f, g.DynamicSlice):
            f = g.DynamicSlice(self.fits(args[0].shape, n.shape, args[1:]))
        elif isinstance(f, g.DynamicUpdate):
            f = g.DynamicUpdate(self.fits(args[0].shape, args[1].shape, args[2:]))
        elif isinstance(f, g.Gather) and f.mode == "fill":
            high = [args[0].shape[k] - f.sizes[k] for k in f.start_map]
            if self.within(args[1], 0, min(high, default=0)):
                f, args = replace(f, mode="clip"), args[:2]
        elif isinstance(f, g.Scatter) and f.wrap and self.within(args[1], 0, None):
            f = replace(f, wrap=False)
        return self.b.node(f, args, n.shape, n.dtype, n.outs)

    # ------------------------------------------------ intervals

    def of(self, n: g.Node) -> Interval | None:
        """The least and the greatest value that an integer or bool node can have."""
        if n.dtype.kind not in "iub" or n.outs is not None:
            return None
        if id(n) not in self.known:
            found = _interval(n, [self.of(a) for a in n.args])
            limits = (0, 1) if n.dtype.kind == "b" else _limits(n.dtype)
            inside = found is not None and limits[0] <= found[0] and found[1] <= limits[1]
            self.known[id(n)] = found if inside else None
        return self.known[id(n)]

    def within(self, n: g.Node, low: int, high: int | None) -> bool:
        found = self.of(n)
        return found is not None and found[0] >= low and (high is None or found[1] <= high)

    def fits(self, outer: Sequence[int], inner: Sequence[int], starts: Sequence[g.Node]) -> bool:
        """Whether a window that starts there is inside."""
        return all(n == w or self.within(s, 0, n - w) for n, w, s in zip(outer, inner, starts))

    def decided(self, op: str, n: g.Node, args: tuple[g.Node, ...]) -> g.Node | None:
        """What a comparison, selection, minimum, maximum or logical operation comes to, if its
        operands' bounds tell.
        """
        bounds = [self.of(a) for a in args]
        if op == "select":
            return None if bounds[0] not in ((0, 0), (1, 1)) else args[2 - bounds[0][0]]
        if op in ("and", "or") and n.dtype.kind == "b":
            for one, other in ((0, 1), (1, 0)):
                if bounds[one] in ((0, 0), (1, 1)):
                    passes = bounds[one][0] == (op == "and")  # type: ignore[index]
                    return args[other] if passes else args[one]
        if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
            return None
        (a, b), (c, d) = bounds[0], bounds[1]
        if op == "max" and (a >= d or c >= b):
            return args[0] if a >= d else args[1]
        if op == "min" and (b <= c or d <= a):
            return args[0] if b <= c else args[1]
        truth = _compared(op, a, b, c, d)
        return None if truth is None else self.b.const(truth, n.dtype, n.shape)

    # ------------------------------------------------ loops

    def loop(self, f: g.Loop, args: tuple[g.Node, ...]) -> g.Loop:
        """The loop with its body narrowed by what its operands, and its counters, can be."""
        outside = [self.of(a) for a in args]
        n_cc, n_c, n_k = f.n_cond_consts, f.n_consts, f.n_carry
        first = n_cc + n_c
        starts, cond = outside[first : first + n_k], None
        if f.cond is None:
            carries = [_carried(f, k, start) for k, start in enumerate(starts)]
        else:  # which sees the carries one step past what the body sees
            carries = _while_bounds(f, outside[:n_cc], starts)
            cond = _Narrowing().graph(f.cond, [*outside[:n_cc], *[None] * n_k])
        env = [*outside[n_cc:first], *carries, *outside[first + n_k :]]
        body = _Narrowing().graph(f.body, env)
        return g.Loop(body, cond, f.length, f.reverse, n_cc, n_c, n_k)


def _carried(f: g.Loop, k: int, start: Interval | None) -> Interval | None:
    """What a carry that grows by a constant has been at the begin of some iteration."""
    step = _step(f, k)
    if start is None or step is None or f.length < 1:
        return None
    moved = step * (f.length - 1)
    return _kept((start[0] + min(0, moved), start[1] + max(0, moved)), f, k)


def _step(f: g.Loop, k: int) -> int | None:
    """The constant that an iteration adds to carry k; 0 if it hands it through."""
    mine, out = f.body.inputs[f.n_consts + k], f.body.outputs[k]
    if out is mine:
        return 0
    if not isinstance(out.form, g.Map) or out.form.op not in ("add", "sub"):
        return None
    x, y = out.args
    if out.form.op == "add" and y is mine:
        x, y = y, x
    if x is not mine or not isinstance(y.form, g.Const) or y.dtype.kind != "i":
        return None
    return y.form.value if out.form.op == "add" else -y.form.value


def _kept(found: Interval, f: g.Loop, k: int) -> Interval | None:
    low, high = _limits(f.body.inputs[f.n_consts + k].dtype)
    return found if low <= found[0] and found[1] <= high else None


def _unwrapped(found: Interval, step: int, f: g.Loop, k: int) -> Interval | None:
    """The interval, if one more step from its end does not come out at the dtype's other end."""
    beyond = (found[0] + min(0, step), found[1] + max(0, step))
    return None if _kept(beyond, f, k) is None else found


def _while_bounds(f: g.Loop, consts: Env, starts: Env) -> list[Interval | None]:
    """What the carries of a while loop can be in its body: the condition held, and a counter is
    not before its start.
    """
    found: list[Interval | None] = [None] * f.n_carry
    known = _Narrowing()
    for n, interval in zip(f.cond.inputs, consts):
        known.known[id(n)] = interval
    places = {id(n): k for k, n in enumerate(f.cond.inputs[f.n_cond_consts :])}
    for n in f.cond.inputs[f.n_cond_consts :]:
        known.known[id(n)] = None
    for x, op, y in _conditions(f.cond.outputs[0]):
        k = places.get(id(x))
        limit, start = known.of(y), None if k is None else starts[k]
        step = None if k is None else _step(f, k)
        if k is None or limit is None or start is None or not step or x.shape:
            continue
        if step > 0 and op in ("lt", "le"):
            found[k] = _unwrapped((start[0], limit[1] - (op == "lt")), step, f, k)
        elif step < 0 and op in ("gt", "ge"):
            found[k] = _unwrapped((limit[0] + (op == "gt"), start[1]), step, f, k)
    return found


def _conditions(n: g.Node) -> list[tuple[g.Node, str, g.Node]]:
    """Comparisons that all hold where n does, each both ways round."""
    if not isinstance(n.form, g.Map):
        return []
    if n.form.op == "and":
        return [c for a in n.args for c in _conditions(a)]
    if n.form.op not in _FLIPPED:
        return []
    x, y = n.args
    return [(x, n.form.op, y), (y, _FLIPPED[n.form.op], x)]


# ---------------------------------------------------------------- arithmetic


def _limits(dtype: np.dtype) -> Interval:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _interval(n: g.Node, args: list[Interval | None]) -> Interval | None:
    """A node's interval from its operands'."""
    f = n.form
    if isinstance(f, g.Const):
        return int(f.value), int(f.value)
    if isinstance(f, g.Iota):
        return 0, max(n.shape[f.dim] - 1, 0)
    if isinstance(f, g.ArgReduce):
        return 0, max(n.args[0].shape[f.axis] - 1, 0)
    if isinstance(f, _VIEWS):
        fill = isinstance(f, g.Gather) and f.mode == "fill"
        return None if fill else args[0]
    if isinstance(f, g.Concat):
        known = [a for a in args if a is not None]
        if not known or len(known) < len(args):
            return None
        return min(a for a, _ in known), max(b for _, b in known)
    return _mapped(f.op, args) if isinstance(f, g.Map) else None


def _mapped(op: str, args: list[Interval | None]) -> Interval | None:
    if op == "select" and args[1] is not None and args[2] is not None:
        return min(args[1][0], args[2][0]), max(args[1][1], args[2][1])
    if op == "convert" and args[0] is not None:
        return args[0]
    if op == "neg" and args[0] is not None:
        return -args[0][1], -args[0][0]
    if len(args) != 2:
        return None
    return _of_two(op, *args)


def _of_two(op: str, x: Interval | None, y: Interval | None) -> Interval | None:
    if op == "rem" and y is not None and y[0] > 0:  # of the dividend's sign
        low = 0 if x is not None and x[0] >= 0 else 1 - y[1]
        return low, y[1] - 1
    if x is None or y is None:
        return None
    (a, b), (c, d) = x, y
    if op == "add":
        return a + c, b + d
    if op == "sub":
        return a - d, b - c
    if op == "mul":
        products = (a * c, a * d, b * c, b * d)
        return min(products), max(products)
    if op == "div" and a >= 0 and c > 0:
        return a // d, b // c
    if op in ("max", "min"):
        of = max if op == "max" else min
        return of(a, c), of(b, d)
    truth = _compared(op, a, b, c, d)
    return None if truth is None else (int(truth), int(truth))


def _compared(op: str, a: int, b: int, c: int, d: int) -> bool | None:
    """Whether x op y for all x in [a, b] and y in [c, d], or for none."""
    if op in ("gt", "le"):
        op, a, b, c, d = _FLIPPED[op], c, d, a, b
    if op == "lt":
        return True if b < c else False if a >= d else None
    if op == "ge":
        return True if a >= d else False if b < c else None
    if op in ("eq", "ne") and (b < c or d < a):
        return op == "ne"
    return None
