"""Random loops in loops as functions: scans, while loops, batched ones and branches inside each
other, over arrays that are updated by element, window, condition and branch.

`Nests(seed).program` is a function of `.arrays`. Values stay bounded, so that many steps do not
blow rounding up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fx
import fx.numpy as jnp
from fx import lax

Pair = tuple[Any, Any]


class Nests:
    """One random program on two arrays of n rows."""

    def __init__(self, seed: int):
        rng = self.rng = np.random.default_rng(seed)
        self.n = int(rng.choice([4, 9, 33, 300]))
        shape = (self.n,) if rng.random() < 0.4 else (self.n, int(rng.choice([1, 3, 40])))
        self.arrays = [rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
        self.steps = [self.nest(int(rng.integers(1, 4))) for _ in range(int(rng.integers(1, 3)))]

    def program(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        for step in self.steps:
            x, y = step(x, y, jnp.int32(1))
        return x, y, x + y

    def nest(self, depth: int) -> Callable[[Any, Any, Any], Pair]:
        """A function of both arrays and a step's number."""
        kinds = ("scan", "whiles", "counted", "batched", "branch")
        kind = self.rng.choice(kinds) if depth else "update"
        inner = self.nest(depth - 1) if depth else None
        return getattr(self, kind)(inner, int(self.rng.integers(1, 7)))

    # ------------------------------------------------ loops

    def scan(self, inner: Any, length: int) -> Any:
        def run(x, y, i):
            def step(c, t):
                x, y = inner(*c, t + i)
                return (x, y), 0.5 * x[t % self.n]

            steps = jnp.arange(length)
            (x, y), rows = lax.scan(step, (x, y), steps, reverse=bool(length % 2))
            return x, y.at[i % self.n].set(rows[0])

        return run

    def whiles(self, inner: Any, length: int) -> Any:
        def run(x, y, i):
            def on(c):
                return (c[2] < length) & (jnp.sum(c[0][0]) < 1e3)

            def step(c):
                return (*inner(c[0], c[1], c[2] + i), c[2] + 1)

            return lax.while_loop(on, step, (x, y, jnp.int32(0)))[:2]

        return run

    def counted(self, inner: Any, length: int) -> Any:
        return lambda x, y, i: lax.fori_loop(0, length, lambda t, c: inner(*c, t), (x, y))

    def batched(self, inner: Any, length: int) -> Any:
        """A while loop of each column's own length, which writes at places of its own."""

        def column(x, last, i):
            def step(c):
                x, k = c
                return x.at[(k + i) % self.n].set(jnp.tanh(x[k % self.n] + 0.3)), k + 1

            return lax.while_loop(lambda c: c[1] < last, step, (x, jnp.int32(0)))[0]

        def run(x, y, i):
            x, y = inner(x, y, i)
            if x.ndim == 1:
                return column(x, length, i), y
            last = jnp.arange(x.shape[1]) % length
            return fx.vmap(column, (1, 0, None), 1)(x, last, i), y

        return run

    def branch(self, inner: Any, length: int) -> Any:
        def run(x, y, i):
            other = lambda x, y: (y, jnp.roll(x, length, 0))
            return lax.cond(jnp.sum(x[i % self.n]) > 0, lambda x, y: inner(x, y, i), other, x, y)

        return run

    # ------------------------------------------------ updates

    def update(self, inner: Any, length: int) -> Any:
        kind, both = int(self.rng.integers(7)), self.rng.random() < 0.5

        def run(x, y, i):
            x = self.updated(kind, x, i % self.n, y[(3 * i) % self.n] - x[0])
            return x, (self.updated((kind + length) % 7, y, (i + 1) % self.n, x[0]) if both else y)

        return run

    def updated(self, kind: int, x: Any, i: Any, row: Any) -> Any:
        low = (jnp.arange(self.n) < i).reshape(-1, *(1,) * (x.ndim - 1))
        zeros = (0,) * (x.ndim - 1)
        rules = (
            lambda: x.at[i].set(jnp.tanh(row)),
            lambda: lax.dynamic_update_slice(x, jnp.tanh(x[:2] + row), (i, *zeros)),
            lambda: jnp.where(low, 0.5 * x, jnp.tanh(x + row)),
            lambda: jnp.where(jnp.sum(row) > 0, x.at[i].add(jnp.tanh(row)), x),
            lambda: lax.cond(jnp.sum(x[i]) > 0, lambda x: x.at[i].multiply(0.5), lambda x: x, x),
            lambda: lax.cond(jnp.sum(x[0]) > 0, lambda x: 0.7 * jnp.roll(x, 1, 0), jnp.abs, x),
            lambda: x.at[(i + 1) % self.n].set(0.5 * x[i] + 0.1 * jnp.tanh(row)),
        )
        return rules[kind]()
