"""Random loops as graphs: carries, constants, xs and ys of several shapes, inner loops, branches.

`Loops(seed).graph()` and `.inputs` are a graph and arrays for it. Values stay bounded (tanh), so
that many steps do not blow rounding up.
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g

F32, I32 = np.dtype(np.float32), np.dtype(np.int32)


class Loops:
    """One random program around one loop; `n` lanes, or none. `exchange`: carries that become
    other ones.
    """

    def __init__(self, seed: int, exchange: bool = False):
        self.exchange = exchange
        self.rng = np.random.default_rng(seed)
        self.n = int(self.rng.choice([1, 5, 16, 37, 70]))
        lanes = self.rng.random() < 0.7
        n = self.n
        self.shapes = [(n,), (n, 3), (3,), (), (2, n)] if lanes else [(), (3,), (3, 3), (2,)]
        self.inputs: list[np.ndarray] = []

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def array(self, shape) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def graph(self) -> g.Graph:
        b = g.Builder()

        def leaf(shape, lead=()):
            self.inputs.append(self.array((*lead, *shape)))
            return b.input((*lead, *shape), F32)

        length = int(self.pick([0, 1, 2, 7, 20]))
        consts = [leaf(self.pick(self.shapes)) for _ in range(self.rng.integers(0, 3))]
        carry = [leaf(self.pick(self.shapes)) for _ in range(self.rng.integers(1, 4))]
        if self.exchange:
            carry += [leaf(carry[0].shape) for _ in range(self.rng.integers(1, 4))]
        if self.rng.random() < 0.4:
            carry[0] = b.const(0.5, F32, carry[0].shape)
        carry.append(b.const(int(self.rng.integers(0, 3)), I32))
        if self.rng.random() < 0.3:
            return b.graph(self.while_loop(b, consts, carry))
        xs = [leaf(self.pick(self.shapes), (length,)) for _ in range(self.rng.integers(0, 3))]
        body = self.body(consts, carry, xs, int(self.rng.integers(0, 3)), 2)
        reverse = bool(self.rng.integers(2))
        outs = list(b.loop(body, consts, carry, xs, length=length, reverse=reverse))
        keep = [o for o in outs if self.rng.random() < 0.8] or outs[:1]
        if self.rng.random() < 0.3:
            keep.append(b.map("tanh", b.convert(keep[0], F32)))
        return b.graph(keep)

    # ------------------------------------------------ bodies

    def body(self, consts, carry, xs, n_ys: int, depth: int) -> g.Graph:
        c = g.Builder()
        shaped = [*((a.shape, a.dtype) for a in (*consts, *carry))]
        shaped += [(a.shape[1:], a.dtype) for a in xs]
        pool = [c.input(s, d) for s, d in shaped]
        carried = pool[len(consts) : len(consts) + len(carry)]
        for _ in range(int(self.rng.integers(3, 9))):
            v = self.operation(c, pool, depth)
            if v is not None:
                pool.append(v)
        outs = []
        for k, x in enumerate(carried):
            if x.dtype == I32:
                outs.append(c.map("add", x, c.const(1, I32)) if k == len(carried) - 1 else x)
                continue
            same = [v for v in pool if v.shape == x.shape and v.dtype == F32]
            v = same[-1] if self.rng.random() < 0.7 else self.pick(same)
            outs.append(v if self.rng.random() < 0.2 else self.damped(c, v, x))
        ys = [self.pick(pool) for _ in range(n_ys)]
        if self.exchange and depth == 2:
            same = [
                k for k, x in enumerate(carried) if x.dtype == F32 and x.shape == carry[0].shape
            ]
            for k in self.rng.permutation(same)[: len(same) - int(self.rng.integers(2))]:
                outs[k] = carried[self.pick(same)]
        return c.graph([*outs, *ys])

    def damped(self, c, v, x):
        return c.map("tanh", c.map("add", v, c.map("mul", x, c.const(0.5, F32))))

    def operation(self, c, pool, depth: int):
        floats = [v for v in pool if v.dtype == F32]
        x = self.pick(floats)
        counters = [v for v in pool if v.dtype == I32 and v.shape == ()]
        kinds = ["map", "map", "map", "view", "fold", "data", "inner", "branch", "product"]
        kind = self.pick(kinds)
        return getattr(self, kind)(c, pool, x, counters, depth)

    def map(self, c, pool, x, counters, depth):
        same = [v for v in pool if v.shape == x.shape and v.dtype == F32]
        op = self.pick(["add", "mul", "sub", "max", "sin", "select", "counter", "spread"])
        if op == "sin":
            return c.map("sin", x)
        if op == "counter" and counters:
            return c.map("mul", x, c.map("cos", c.convert(self.pick(counters), F32)))
        if op == "select":
            return c.select(c.map("lt", x, self.pick(same)), self.pick(same), x)
        if op == "spread":
            scalars = [v for v in pool if v.shape == () and v.dtype == F32]
            return c.map("add", x, self.pick(scalars)) if scalars else None
        if op in ("counter", "spread"):
            return None
        return c.map(op, x, self.pick(same))

    def view(self, c, pool, x, counters, depth):
        if not x.shape:
            return c.broadcast(x, self.pick(self.shapes), ())
        d = int(self.rng.integers(x.ndim))
        n = x.shape[d]

        def at(lo, hi):
            starts = [lo if k == d else 0 for k in range(x.ndim)]
            return c.slice(x, starts, [hi if k == d else m for k, m in enumerate(x.shape)])

        if n <= 3 and n > 1:
            j = int(self.rng.integers(1, n))
            return c.concat([at(j, n), at(0, j)], d)
        if x.ndim == 2:
            return c.reshape(c.transpose(c.transpose(x, (1, 0)), (1, 0)), x.shape)
        return c.reverse(x, (d,)) if self.rng.random() < 0.2 else None

    def fold(self, c, pool, x, counters, depth):
        small = [k for k, n in enumerate(x.shape) if n <= 3]
        if not small:
            return c.reduce("add", x, (0,)) if self.rng.random() < 0.1 and x.shape else None
        k = self.pick(small)
        kind = self.pick(["add", "max", "arg", "cum", "back"])
        if kind == "arg":
            return c.convert(c.argreduce("max", x, k, I32), F32)
        if kind == "cum":
            return c.cumscan("add", x, k, bool(self.rng.integers(2)))
        total = c.reduce(self.pick(["add", "max", "min"]), x, (k,))
        if kind == "back":
            dims = [d for d in range(x.ndim) if d != k]
            return c.map("sub", x, c.broadcast(total, x.shape, dims))
        return total

    def product(self, c, pool, x, counters, depth):
        if x.shape == (3, 3):
            return c.contract(x, self.pick([v for v in pool if v.shape == (3, 3)]), ((1,), (0,)))
        if x.ndim == 2 and x.shape[1] == 3:
            y = [v for v in pool if v.shape == x.shape and v.dtype == F32]
            return c.contract(x, self.pick(y), ((1,), (1,)), ((0,), (0,)))
        return None

    def data(self, c, pool, x, counters, depth):
        if not counters or not x.shape:
            return None
        d = int(self.rng.integers(x.ndim))
        if x.shape[d] > 3:
            return None
        zero = c.const(0, I32)
        starts = [self.pick(counters) if k == d else zero for k in range(x.ndim)]
        shape = tuple(1 if k == d else n for k, n in enumerate(x.shape))
        row = c.dynamic_slice(x, starts, shape)
        if self.rng.random() < 0.5:
            return c.map("sub", x, c.broadcast(row, x.shape, tuple(range(x.ndim))))
        return c.dynamic_update(x, c.map("sin", row), starts)

    def inner(self, c, pool, x, counters, depth):
        if depth == 0:
            return None
        carry = [x, c.const(1, I32)]
        consts = [self.pick(pool)]
        if self.rng.random() < 0.5:
            return self.while_loop(c, consts, carry, depth - 1)[0]
        length = int(self.pick([0, 2, 6]))
        n_ys = int(self.rng.integers(0, 2))
        body = self.body(consts, carry, [], n_ys, depth - 1)
        outs = c.loop(body, consts, carry, [], length=length, reverse=bool(self.rng.integers(2)))
        if n_ys and outs[-1].dtype == F32 and length:
            row = c.slice(outs[-1], [0] * outs[-1].ndim, [1, *outs[-1].shape[1:]])
            return c.reshape(row, outs[-1].shape[1:])
        return outs[0]

    def branch(self, c, pool, x, counters, depth):
        if not counters or depth == 0:
            return None
        graphs = []
        for j in range(int(self.rng.integers(1, 4))):
            i = g.Builder()
            a, y = i.input(x.shape, F32), i.input((), I32)
            v = a
            for _ in range(j * 3):
                v = i.map("tanh", i.map("add", i.map("sin", v), i.convert(y, F32)))
            graphs.append(i.graph([v]))
        index = c.map("sub", self.pick(counters), c.const(1, I32))
        return c.cond(index, graphs, [x, self.pick(counters)])[0]

    def while_loop(self, b, consts, carry, depth: int = 1):
        """Runs while the counter is below a limit; or each lane while its own value is small."""
        d = g.Builder()
        ins = [d.input(a.shape, a.dtype) for a in carry]
        limit = int(self.pick([0, 1, 5, 12]))
        x = carry[0]
        if x.shape and x.shape == (self.n,) and self.rng.random() < 0.6:
            return self.lanes_while(b, x, limit, carry)
        cond = d.graph([d.map("lt", ins[-1], d.const(limit, I32))])
        body = self.body(consts, carry, [], 0, depth)
        return list(b.while_loop(cond, [], body, consts, carry))

    def lanes_while(self, b, x, limit: int, carry):
        count = b.const(0, I32, x.shape)

        def goes_on(c, v, k):
            small = c.map("lt", v, c.const(2.0, F32))
            return c.map("and", small, c.map("lt", k, c.const(limit, I32)))

        d = g.Builder()
        v, k = d.input(x.shape, F32), d.input(x.shape, I32)
        cond = d.graph([d.reduce("or", goes_on(d, v, k), (0,))])
        c = g.Builder()
        v, k = c.input(x.shape, F32), c.input(x.shape, I32)
        p = goes_on(c, v, k)
        new = c.map("add", c.map("mul", v, c.const(1.1, F32)), c.const(0.3, F32))
        body = c.graph([c.select(p, new, v), c.select(p, c.map("add", k, c.const(1, I32)), k)])
        v, k = b.while_loop(cond, [], body, [], [x, count])
        return [v, *carry[1:-1], b.reduce("max", k, (0,))]
