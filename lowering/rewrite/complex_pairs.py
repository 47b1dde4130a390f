"""Complex pairs: a graph with complex values becomes one with real and imaginary parts as real
nodes.

In memory a complex array is its parts side by side, so inputs and outputs keep their bytes: [...,
2] of the real dtype. Inside, every complex node is a pair of real nodes, and kernels never see a
complex dtype. Elementwise formulas stand in `complex_maps`. One sweep; graphs without complex
values are handed through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lowering import graph as g
from lowering import host
from lowering.rewrite.complex_maps import MAPS
from lowering.walk import inner_graphs

Pair = tuple[g.Node, g.Node]


def is_complex(dtype: np.dtype) -> bool:
    return dtype.kind == "c"


def part_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the parts of a complex dtype."""
    return np.dtype(np.float32) if dtype == np.complex64 else np.dtype(np.float64)


def has_complex(graph: g.Graph) -> bool:
    """Whether any value of the graph, or of graphs inside it, is complex."""
    for n in (*graph.inputs, *graph.nodes()):
        if n.outs is None and is_complex(n.dtype):
            return True
        if n.outs is not None and any(is_complex(d) for _, d in n.outs):
            return True
        if any(has_complex(x) for x in inner_graphs(n.form)):
            return True
    return False


def split(graph: g.Graph) -> g.Graph:
    """The graph over real values; complex inputs and outputs are [..., 2] arrays of their parts."""
    if not has_complex(graph):
        return graph
    s = _Splitter(g.Builder())
    for n in graph.inputs:
        if is_complex(n.dtype):
            s.pairs[id(n)] = s.unstack(s.b.input((*n.shape, 2), part_dtype(n.dtype)))
        else:
            s.real[id(n)] = s.b.input(n.shape, n.dtype)
    s.sweep(graph)
    outputs = [s.stacked(o) if is_complex(o.dtype) else s.real[id(o)] for o in graph.outputs]
    return s.finish(graph, outputs)


def split_inner(graph: g.Graph) -> g.Graph:
    """The body of a loop or a branch: a complex input or output becomes two."""
    s = _Splitter(g.Builder())
    for n in graph.inputs:
        if is_complex(n.dtype):
            dtype = part_dtype(n.dtype)
            s.pairs[id(n)] = (s.b.input(n.shape, dtype), s.b.input(n.shape, dtype))
        else:
            s.real[id(n)] = s.b.input(n.shape, n.dtype)
    s.sweep(graph)
    outputs = [p for o in graph.outputs for p in s.parts(o)]
    return s.finish(graph, outputs)


class _Splitter:
    """The state of one sweep: new nodes by old node, real ones and pairs."""

    def __init__(self, b: g.Builder):
        self.b = b
        self.real: dict[int, g.Node] = {}
        self.pairs: dict[int, Pair] = {}
        self.several: dict[int, tuple[Pair | g.Node, ...]] = {}
        self.effects: dict[int, g.Node] = {}
        # the ids of a pair -> the [..., 2] that it was taken from, and the pair
        self.wholes: dict[tuple[int, int], tuple[g.Node, ...]] = {}

    def sweep(self, graph: g.Graph) -> None:
        for n in graph.nodes():
            if id(n) in self.real or id(n) in self.pairs:
                continue
            self.b.tag = n.tag
            self.node(n)

    def finish(self, graph: g.Graph, outputs: Sequence[g.Node]) -> g.Graph:
        made = self.b.graph(outputs)
        return g.Graph(made.inputs, made.outputs, tuple(self.effects[id(e)] for e in graph.effects))

    def parts(self, n: g.Node) -> tuple[g.Node, ...]:
        """The new node, or both parts."""
        return self.pairs[id(n)] if id(n) in self.pairs else (self.real[id(n)],)

    def pair(self, n: g.Node) -> Pair:
        """Both parts; those of a real node are itself and zero."""
        if id(n) in self.pairs:
            return self.pairs[id(n)]
        x = self.real[id(n)]
        return x, self.b.const(0, x.dtype, x.shape)

    def stacked(self, n: g.Node) -> g.Node:
        """[..., 2] in memory order; what was taken apart from such an array is that array."""
        re, im = self.pair(n)
        if (id(re), id(im)) in self.wholes:
            return self.wholes[id(re), id(im)][0]
        parts = [self.b.reshape(p, (*p.shape, 1)) for p in self.pair(n)]
        return self.b.concat(parts, n.ndim)

    def unstack(self, x: g.Node) -> Pair:
        shape = x.shape[:-1]
        found = []
        for k in (0, 1):
            starts = (*(0 for _ in shape), k)
            part = self.b.slice(x, starts, (*shape, k + 1))
            found.append(self.b.reshape(part, shape))
        self.wholes[id(found[0]), id(found[1])] = (x, *found)
        return found[0], found[1]

    # ------------------------------------------------ one node

    def node(self, n: g.Node) -> None:
        complex_out = n.outs is None and is_complex(n.dtype)
        complex_in = any(id(a) in self.pairs for a in n.args)
        if isinstance(n.form, g.Get):
            got = self.several[id(n.args[0])][n.form.index]
            if isinstance(got, tuple):
                self.pairs[id(n)] = got
            else:
                self.real[id(n)] = got
        elif n.outs is not None:
            self.several_outputs(n)
        elif not complex_out and not complex_in:
            args = [self.real[id(a)] for a in n.args]
            self.real[id(n)] = self.b.node(n.form, args, n.shape, n.dtype)
        else:
            rule = RULES.get(type(n.form), _each)
            result = rule(self, n)
            if isinstance(result, tuple):
                self.pairs[id(n)] = result
            else:
                self.real[id(n)] = result

    def several_outputs(self, n: g.Node) -> None:
        outs = n.outs or []
        form = n.form
        any_complex = any(is_complex(d) for _, d in outs) or any(
            id(a) in self.pairs for a in n.args
        )
        if isinstance(form, g.Cond | g.Loop):
            self.several[id(n)] = self.control(n)
            return
        if not any_complex:
            args = [self.real[id(a)] for a in n.args]
            got = self.b.several(form, args, outs)
            self.remember_effect(n, got)
            self.several[id(n)] = got
            return
        fn, key, effect = _host_function(form)
        args = [self.stacked(a) if id(a) in self.pairs else self.real[id(a)] for a in n.args]
        wrapped = OnComplex(fn, tuple(id(a) in self.pairs for a in n.args))
        flat = [((*s, 2), part_dtype(d)) if is_complex(d) else (s, d) for s, d in outs]
        stage = _of_parts(getattr(form, "stage", ()))
        got = self.b.opaque(("complex", key, wrapped.flags), wrapped, args, flat, effect, stage)
        self.remember_effect(n, got)
        self.several[id(n)] = tuple(
            self.unstack(x) if is_complex(d) else x for x, (_, d) in zip(got, outs)
        )

    def remember_effect(self, n: g.Node, got: tuple[g.Node, ...]) -> None:
        if got:
            self.effects[id(n)] = got[0].args[0]
        elif self.b._effects:
            self.effects[id(n)] = self.b._effects[-1]

    def control(self, n: g.Node) -> tuple[Pair | g.Node, ...]:
        """A loop or a branch on the parts."""
        outs = [
            (s, p) for s, d in n.outs or [] for p in ([part_dtype(d)] * 2 if is_complex(d) else [d])
        ]
        args = [p for a in n.args for p in self.parts(a)]
        form = n.form
        if isinstance(form, g.Cond):
            form = g.Cond(tuple(map(split_inner, form.branches)))
        else:
            n_cc, n_c, n_k = form.n_cond_consts, form.n_consts, form.n_carry

            def count(start: int, stop: int) -> int:
                return sum(len(self.parts(a)) for a in n.args[start:stop])

            form = replace(
                form,
                body=split_inner(form.body),
                cond=None if form.cond is None else split_inner(form.cond),
                n_cond_consts=count(0, n_cc),
                n_consts=count(n_cc, n_cc + n_c),
                n_carry=count(n_cc + n_c, n_cc + n_c + n_k),
            )
        flat = iter(self.b.several(form, args, outs))
        return tuple(
            (next(flat), next(flat)) if is_complex(d) else next(flat) for _, d in n.outs or []
        )


@dataclass(frozen=True)
class OnComplex:
    """A host function of complex arrays, called with arrays of parts."""

    fn: Callable[..., Any]
    flags: tuple[bool, ...]

    def __call__(self, *xs: np.ndarray) -> tuple[np.ndarray, ...]:
        args = []
        for x, flag in zip(xs, self.flags):
            kind = np.complex64 if x.dtype == np.float32 else np.complex128
            args.append(np.ascontiguousarray(x).view(kind)[..., 0] if flag else x)
        results = self.fn(*args) or ()
        results = results if isinstance(results, tuple | list) else (results,)
        return tuple(_parts(np.asarray(r)) for r in results)


def _parts(r: np.ndarray) -> np.ndarray:
    if r.dtype.kind != "c":
        return r
    part = np.float32 if r.dtype == np.complex64 else np.float64
    return np.ascontiguousarray(r).reshape(*r.shape, 1).view(part)


WRITTEN = ("lu", "cholesky", "triangular_solve")


def _of_parts(stage: tuple[Any, ...]) -> tuple[Any, ...]:
    """What is written for arrays of parts, in the place of a stage for real arrays."""
    if stage[:1] == ("fft",):
        return stage
    return (f"complex_{stage[0]}", *stage[1:]) if stage and stage[0] in WRITTEN else ()


def _host_function(form: Any) -> tuple[Callable[..., Any], Any, bool]:
    """Sorting of complex numbers happens on the host, lexicographically as NumPy does."""
    from functools import partial

    if isinstance(form, g.Opaque):
        return form.fn, form.key, form.effect
    if isinstance(form, g.Sort):
        return partial(host.sort, dim=form.dim, num_keys=form.num_keys), ("sort", form), False
    raise TypeError(f"{type(form).__name__} of complex numbers has no kernel")


# ---------------------------------------------------------------- rules


def _each(s: _Splitter, n: g.Node) -> Pair:
    """Forms that move or add values: the same form on each part (integer operands go to both)."""
    found = []
    for k in (0, 1):
        args = [self_or(s, a, k) for a in n.args]
        found.append(s.b.node(n.form, args, n.shape, part_dtype(n.dtype)))
    return found[0], found[1]


def self_or(s: _Splitter, a: g.Node, k: int) -> g.Node:
    """Part k of a complex operand; a real one as it is."""
    return s.pairs[id(a)][k] if id(a) in s.pairs else s.real[id(a)]


def _const(s: _Splitter, n: g.Node) -> Pair:
    d = part_dtype(n.dtype)
    z = complex(n.form.value)
    return s.b.const(z.real, d, n.shape), s.b.const(z.imag, d, n.shape)


def _iota(s: _Splitter, n: g.Node) -> Pair:
    d = part_dtype(n.dtype)
    return s.b.iota(n.shape, n.form.dim, d), s.b.const(0, d, n.shape)


def _map(s: _Splitter, n: g.Node) -> Pair | g.Node:
    op = n.form.op
    b = s.b
    if op == "complex":
        return s.real[id(n.args[0])], s.real[id(n.args[1])]
    if op == "select":
        p = s.real[id(n.args[0])]
        (tr, ti), (fr, fi) = s.pair(n.args[1]), s.pair(n.args[2])
        return b.select(p, tr, fr), b.select(p, ti, fi)
    if op == "convert":
        re, im = s.pair(n.args[0])
        if is_complex(n.dtype):
            d = part_dtype(n.dtype)
            return b.convert(re, d), b.convert(im, d)
        if n.dtype.kind == "b":
            zero = b.const(0, re.dtype, re.shape)
            return b.map("or", b.map("ne", re, zero), b.map("ne", im, zero))
        return b.convert(re, n.dtype)
    rule = MAPS.get(op)
    if rule is None:
        raise TypeError(f"scalar operation {op!r} of complex numbers has no kernel")
    return rule(b, *(s.pair(a) for a in n.args))


def _bilinear(s: _Splitter, n: g.Node) -> Pair:
    """Products and convolutions: four real ones (two where an operand is real)."""
    x, y = n.args
    d = part_dtype(n.dtype)

    def one(a: g.Node, c: g.Node) -> g.Node:
        return s.b.node(n.form, (a, c), n.shape, d)

    if id(x) not in s.pairs:
        re, im = s.pairs[id(y)]
        return one(s.real[id(x)], re), one(s.real[id(x)], im)
    if id(y) not in s.pairs:
        re, im = s.pairs[id(x)]
        return one(re, s.real[id(y)]), one(im, s.real[id(y)])
    (xr, xi), (yr, yi) = s.pairs[id(x)], s.pairs[id(y)]
    re = s.b.map("sub", one(xr, yr), one(xi, yi))
    return re, s.b.map("add", one(xr, yi), one(xi, yr))


def _reduce(s: _Splitter, n: g.Node) -> Pair:
    if n.form.op == "add":
        return _each(s, n)
    if n.form.op not in _IDENTITY:
        raise TypeError(f"a {n.form.op} reduction of complex numbers has no kernel")
    pair = s.pair(n.args[0])
    for axis in sorted(n.form.axes, reverse=True):
        pair = _fold_along(s.b, n.form.op, pair, axis)
    return pair


_IDENTITY = {"mul": (1, 0), "max": (-np.inf, 0), "min": (np.inf, 0)}


def _combined(b: g.Builder, op: str, x: Pair, y: Pair) -> Pair:
    made = MAPS[op](b, x, y)
    assert isinstance(made, tuple)
    return made


def _fold_along(b: g.Builder, op: str, pair: Pair, axis: int) -> Pair:
    """Halve the axis, combining its two halves, until one is left."""
    while pair[0].shape[axis] > 1:
        n = pair[0].shape[axis]
        half = n // 2

        def cut(x: g.Node, lo: int, hi: int) -> g.Node:
            starts = [0] * x.ndim
            limits = list(x.shape)
            starts[axis], limits[axis] = lo, hi
            return b.slice(x, starts, limits)

        low = (cut(pair[0], 0, half), cut(pair[1], 0, half))
        high = (cut(pair[0], half, 2 * half), cut(pair[1], half, 2 * half))
        joined = _combined(b, op, low, high)
        if n % 2:
            rest = (cut(pair[0], n - 1, n), cut(pair[1], n - 1, n))
            joined = (b.concat([joined[0], rest[0]], axis), b.concat([joined[1], rest[1]], axis))
        pair = joined
    shape = [m for k, m in enumerate(pair[0].shape) if k != axis]
    if pair[0].shape[axis] == 0:
        re, im = (b.const(v, pair[0].dtype, tuple(shape)) for v in _IDENTITY[op])
        return re, im
    return b.reshape(pair[0], shape), b.reshape(pair[1], shape)


def _cumscan(s: _Splitter, n: g.Node) -> Pair:
    """Running sums part by part; other folds by doubling the reach."""
    form = n.form
    if form.op == "add":
        return _each(s, n)
    if form.op not in MAPS:
        raise TypeError(f"a running {form.op} of complex numbers has no kernel")
    b, pair, axis = s.b, s.pair(n.args[0]), form.axis
    size = n.shape[axis]
    reach = 1

    def cut(pair: Pair, lo: int, hi: int) -> Pair:
        starts, limits = [0] * n.ndim, list(n.shape)
        starts[axis], limits[axis] = lo, hi
        return b.slice(pair[0], starts, limits), b.slice(pair[1], starts, limits)

    while reach < size:
        before, after = cut(pair, 0, size - reach), cut(pair, reach, size)
        if form.reverse:
            joined = (_combined(b, form.op, after, before), cut(pair, size - reach, size))
        else:
            joined = (cut(pair, 0, reach), _combined(b, form.op, before, after))
        re, im = (b.concat([joined[0][k], joined[1][k]], axis) for k in (0, 1))
        pair = re, im
        reach *= 2
    return pair


def _scatter(s: _Splitter, n: g.Node) -> Pair:
    """Moves and sums part by part; other scatters on the host."""
    if n.form.op in ("add", "set"):
        return _each(s, n)
    x, indices, updates = n.args
    wrapped = OnComplex(host.Scattered(n.form), (True, False, True))
    shape = (*n.shape, 2)
    args = (s.stacked(x), s.real[id(indices)], s.stacked(updates))
    key = ("complex", "scatter", n.form)
    return s.unstack(s.b.opaque(key, wrapped, args, [(shape, part_dtype(n.dtype))])[0])


RULES: dict[type, Callable[[_Splitter, g.Node], Pair | g.Node]] = {
    g.Const: _const,
    g.Iota: _iota,
    g.Map: _map,
    g.Contract: _bilinear,
    g.Conv: _bilinear,
    g.Reduce: _reduce,
    g.CumScan: _cumscan,
    g.Scatter: _scatter,
}
