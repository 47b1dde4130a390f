"""Random graphs over every form that kernels compute, for comparing the pipeline with the
interpreter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowering import graph as g

UNARY = ["neg", "abs", "exp", "tanh", "sin", "logistic", "sign", "floor", "log1p", "sqrt"]
BINARY = ["add", "sub", "mul", "max", "min", "atan2"]
SHAPES = [(4, 6), (3, 40), (5, 16), (2, 3, 17), (33,), (1, 9), (7, 1), (2, 2, 2, 5)]
F32 = np.dtype(np.float32)


class Maker:
    """Grows one graph by random steps; every value stays within a few units, so errors do not blow
    up.
    """

    def __init__(self, seed: int, shapes: Any = SHAPES, kinds: Any = None):
        self.r = np.random.default_rng(seed)
        self.kinds = STEPS if kinds is None else kinds
        self.b = g.Builder()
        self.inputs: list[np.ndarray] = []
        self.pool: list[g.Node] = []
        for _ in range(int(self.r.integers(1, 4))):
            shape = shapes[self.r.integers(len(shapes))]
            self.pool.append(self.b.input(shape, F32))
            self.inputs.append(self.r.uniform(-1.5, 1.5, shape).astype(np.float32))

    def pick(self) -> g.Node:
        k = len(self.pool)
        return (
            self.pool[int(self.r.integers(max(0, k - 6), k))]
            if self.r.random() < 0.7
            else self.pool[int(self.r.integers(k))]
        )

    def graph(self, steps: int, outputs: int) -> g.Graph:
        for _ in range(steps):
            step = self.kinds[int(self.r.integers(len(self.kinds)))]
            made = step(self, self.pick())
            if made is not None and 0 < made.size <= 4000 and made.dtype == F32:
                self.pool.append(self.tame(made))
        chosen = {int(k) for k in self.r.integers(0, len(self.pool), outputs)} | {
            len(self.pool) - 1
        }
        return self.b.graph([self.pool[k] for k in sorted(chosen)])

    def tame(self, x: g.Node) -> g.Node:
        """Keep magnitudes small: x / (1 + |x|) now and then."""
        if self.r.random() < 0.6:
            return x
        one = self.b.const(1, F32, x.shape)
        return self.b.map("div", x, self.b.map("add", one, self.b.map("abs", x)))

    def axis(self, x: g.Node) -> int:
        return int(self.r.integers(x.ndim))


def _unary(m: Maker, x: g.Node) -> g.Node:
    op = UNARY[int(m.r.integers(len(UNARY)))]
    if op in ("log1p", "sqrt"):
        x = m.b.map("abs", x)
    if op == "exp":
        x = m.b.map("min", x, m.b.const(1.5, F32, x.shape))
    if op in ("floor", "sign"):  # a last-bit difference must not become a whole unit
        return m.b.map("add", x, m.b.const(0.25, F32, x.shape))
    return m.b.map(op, x)


def _binary(m: Maker, x: g.Node) -> g.Node:
    same = [y for y in m.pool if y.shape == x.shape]
    y = same[int(m.r.integers(len(same)))]
    return m.b.map(BINARY[int(m.r.integers(len(BINARY)))], x, y)


def _select(m: Maker, x: g.Node) -> g.Node:
    y = m.b.map("neg", x)
    pred = m.b.map("gt", m.b.iota(x.shape, m.axis(x), F32), m.b.const(1, F32, x.shape))
    return m.b.select(pred, x, y)


def _reduce_back(m: Maker, x: g.Node) -> g.Node:
    """A reduction that is broadcast again: the row pattern."""
    k = m.axis(x) if m.r.random() < 0.4 else x.ndim - 1
    op = ["add", "max", "min"][int(m.r.integers(3))]
    folded = m.b.reduce(op, x, (k,))
    if op == "add":
        folded = m.b.map("mul", folded, m.b.const(1 / x.shape[k], F32, folded.shape))
    dims = [d for d in range(x.ndim) if d != k]
    return m.b.map("sub", x, m.b.broadcast(folded, x.shape, dims))


def _reduce(m: Maker, x: g.Node) -> g.Node | None:
    if x.ndim < 2:
        return None
    k = m.axis(x)
    folded = m.b.reduce("add", x, (k,))
    return m.b.map("mul", folded, m.b.const(1 / x.shape[k], F32, folded.shape))


def _transpose(m: Maker, x: g.Node) -> g.Node:
    return m.b.transpose(x, [int(p) for p in m.r.permutation(x.ndim)])


def _reshape(m: Maker, x: g.Node) -> g.Node:
    n = x.size
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    d = divisors[int(m.r.integers(len(divisors)))]
    return m.b.reshape(x, (d, n // d) if m.r.random() < 0.7 else (n,))


def _slice(m: Maker, x: g.Node) -> g.Node:
    starts = [int(m.r.integers(0, n)) if n > 2 else 0 for n in x.shape]
    strides = [int(m.r.integers(1, 3)) for _ in x.shape]
    return m.b.slice(x, starts, x.shape, strides)


def _reverse(m: Maker, x: g.Node) -> g.Node:
    return m.b.reverse(x, (m.axis(x),))


def _pad(m: Maker, x: g.Node) -> g.Node | None:
    low = [int(m.r.integers(-1, 3)) for _ in x.shape]
    high = [int(m.r.integers(-1, 3)) for _ in x.shape]
    gaps = [int(m.r.random() < 0.2) for _ in x.shape]
    if any(n + max(n - 1, 0) * i + lo + hi <= 0 for n, lo, hi, i in zip(x.shape, low, high, gaps)):
        return None
    return m.b.pad(x, m.b.const(0.5, F32), low, high, gaps)


def _concat(m: Maker, x: g.Node) -> g.Node:
    return m.b.concat([x, m.b.map("tanh", x), x], m.axis(x))


def _cumscan(m: Maker, x: g.Node) -> g.Node:
    op = ["add", "max", "min"][int(m.r.integers(3))]
    k = m.axis(x)
    out = m.b.cumscan(op, x, k, bool(m.r.integers(2)))
    return m.b.map("mul", out, m.b.const(1 / x.shape[k], F32, x.shape)) if op == "add" else out


def _contract(m: Maker, x: g.Node) -> g.Node | None:
    if x.ndim != 2 or x.size > 800:
        return None
    out = m.b.contract(x, x, ((1,), (1,)))
    return m.b.map("mul", out, m.b.const(1 / x.shape[1], F32, out.shape))


def _broadcast(m: Maker, x: g.Node) -> g.Node | None:
    if x.ndim > 3:
        return None
    return m.b.broadcast(x, (3, *x.shape), tuple(range(1, x.ndim + 1)))


def _gather(m: Maker, x: g.Node) -> g.Node:
    """Rows by indices that come from data, some of them out of bounds."""
    n = x.shape[0]
    index = m.b.iota((5, 1), 0, np.int32)
    index = m.b.map(
        "sub", m.b.map("mul", index, m.b.const(2, np.int32, (5, 1))), m.b.const(1, np.int32, (5, 1))
    )
    form = g.Gather((1, *x.shape[1:]), tuple(range(1, x.ndim)), (0,), (0,), (), (), "clip")
    del n
    return m.b.gather(x, index, (5, *x.shape[1:]), form)


def _dynamic(m: Maker, x: g.Node) -> g.Node:
    starts = [m.b.const(int(m.r.integers(0, 3)), np.int32) for _ in x.shape]
    window = m.b.dynamic_slice(x, starts, [max(1, n // 2) for n in x.shape])
    return m.b.dynamic_update(x, m.b.map("neg", window), starts[::-1] if x.ndim == 1 else starts)


def _scatter(m: Maker, x: g.Node) -> g.Node:
    index = m.b.map("sub", m.b.iota((4, 1), 0, np.int32), m.b.const(1, np.int32, (4, 1)))
    update = m.b.broadcast(m.b.const(0.5, F32), (4, *x.shape[1:]), ())
    form = g.Scatter("add", tuple(range(1, x.ndim)), (0,), (0,), (), (), "fill", False)
    return m.b.scatter(x, index, update, form)


def _window(m: Maker, x: g.Node) -> g.Node | None:
    if any(n < 3 for n in x.shape):
        return None
    size = [2] * x.ndim
    strides = [int(m.r.integers(1, 3)) for _ in x.shape]
    shape = [(n + 1 - 2) // s + 1 for n, s in zip(x.shape, strides)]
    ones = (1,) * x.ndim
    init = m.b.const(-np.inf, F32)
    return m.b.window("max", x, init, shape, size, strides, ((1, 0),) * x.ndim, ones, ones)


def _loop(m: Maker, x: g.Node) -> g.Node:
    c = g.Builder()
    carry, item = c.input(x.shape, F32), c.input(x.shape[1:], F32)
    spread = c.broadcast(item, x.shape, tuple(range(1, x.ndim)))
    after = c.map("add", c.map("mul", carry, c.const(0.5, F32, x.shape)), spread)
    body = c.graph([after, c.map("tanh", item)])
    carried, stacked = m.b.loop(
        body, [], [x], [x], length=x.shape[0], reverse=bool(m.r.integers(2))
    )
    return m.b.map("sub", carried, stacked)


STEPS: list[Any] = [
    *[_unary] * 4,
    *[_binary] * 4,
    _select,
    *[_reduce_back] * 3,
    _reduce,
    _transpose,
    _reshape,
    _slice,
    _reverse,
    _pad,
    _concat,
    _cumscan,
    _contract,
    _broadcast,
    _gather,
    _dynamic,
    _scatter,
    _window,
    _loop,
]
SAME_SHAPE: list[Any] = [_unary, *[_binary] * 3, _select, _reduce_back, _reverse]
