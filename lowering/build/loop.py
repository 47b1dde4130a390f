"""Loop to Nest: a whole loop in one kernel, its state in registers, one scalar value an element
and lane.

In: a Loop node and its `Lanes`. Every result is asked for at (lane axes, constants); the body is
instantiated from there, demand-driven as in `build`, with an environment (`build.env`) for each
enclosing loop or branch that says what its inputs are. Axes that are no lanes are spelled out
(`build.static`), so bodies must be small there; `Cut` says that this loop is not.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from lowering import affine, scalar
from lowering import graph as g
from lowering.affine import ZERO, Affine, Cut, SplitNeeded
from lowering.build.env import MAX_STATE, MAX_VECTORS, Env, LoopEnv, Root
from lowering.build.static import STATIC
from lowering.build.values import BOOL, Guards, Index, ValueBuilder
from lowering.build.views import VIEWS
from lowering.lanes import Lanes
from lowering.nest import Nest, Store, Value

RULES = VIEWS | STATIC

MAX_VALUES = 2400  # of one kernel; compile time grows with them


def build_loop(loop: g.Node, lanes: Lanes, gets: dict[int, g.Node], chunk: int = 0) -> Nest:
    """The nest that computes those outputs of `loop` that `gets` names; raises Cut where it cannot
    be one.

    With `chunk`, a while loop makes at most so many steps, and the last buffer says whether one is
    still running.
    """
    b = LoopBuilder(lanes)
    try:
        b.store_loop(loop, gets, chunk)
    except SplitNeeded as need:
        raise Cut(loop, "an index does not follow its lanes") from need
    except RecursionError as deep:
        raise Cut(loop, "its body is too deep") from deep
    return b.nest


class LoopBuilder(ValueBuilder):
    """One loop's nest; `env` says which loop, branch or condition is being instantiated."""

    def __init__(self, lanes: Lanes):
        super().__init__()
        self.lanes = lanes
        self.env: Env = Root(None)
        extents = enumerate(lanes.extents)
        self.space = [self.axis(("lanes", k), n) if n != 1 else ZERO for k, n in extents]
        self.lane_axes = frozenset().union(*(e.axes for e in self.space))

    def within(self, env: Env, compute: Callable[[], Any]) -> Any:
        old, self.env = self.env, env
        try:
            return compute()
        finally:
            self.env = old

    def inside(self, node: g.Node) -> bool:
        return True

    def value(self, node: g.Node, index: Index, guards: Guards = ()) -> int:
        env = self.env
        key = (id(node), index)
        found = env.memo.get(key)
        if found is None:
            if isinstance(node.form, g.Const):
                found = self.const(node.form.value, node.dtype)
            elif isinstance(node.form, g.Input) or env.parent is None:
                found = env.leaf(self, node, index)
            else:
                rule = RULES.get(type(node.form))
                if rule is None:
                    raise Cut(node, f"{type(node.form).__name__} has no form in registers")
                found = rule(self, node, index, guards)
            env.memo[key] = found
        return found

    def emit(self, op, args, dtype, mask, attr: Any = None) -> int:
        if len(self.nest.values) > MAX_VALUES:
            raise Cut(None, f"a step has more than {MAX_VALUES} operations a lane")
        return super().emit(op, args, dtype, mask, attr)

    def fresh_value(self, op: str, dtype: Any, mask: frozenset[int], attr: Any) -> int:
        """A value that is equal to no other."""
        self.nest.values.append(Value(op, (), np.dtype(dtype), mask, attr))
        return len(self.nest.values) - 1

    def time_axis(self, extent: int) -> int:
        self.axis(("time", len(self.keys)), extent)
        return len(self.keys) - 1

    # ------------------------------------------------ folding of what is known

    def map(self, op: str, *args: int, dtype) -> int:
        values = [self.nest.values[a] for a in args]
        if op == "select":
            if values[0].op == "const":
                return args[1] if values[0].attr else args[2]
            if args[1] == args[2]:
                return args[1]
        dtype = np.dtype(dtype)
        static = all(v.op in ("const", "index") and v.dtype.kind in "biu" for v in values)
        known = self.known(op, values, dtype) if static and dtype.kind in "biu" else None
        if isinstance(known, Affine):
            return self.index(known, dtype)
        if known is not None:
            return self.const(known, dtype)
        return super().map(op, *args, dtype=dtype)

    def known(self, op: str, values: list[Value], dtype: np.dtype) -> Any:
        """The result of an operation on constants and indices: a number, an Affine, or None."""
        if all(v.op == "const" for v in values):
            return scalar.numpy(
                op, *(np.array(v.attr, v.dtype) for v in values), dtype=dtype
            ).item()
        parts = [Affine(int(v.attr)) if v.op == "const" else v.attr for v in values]
        e: Affine | None = None
        if op == "convert":
            e = parts[0]
        elif op == "add":
            e = parts[0] + parts[1]
        elif op == "sub":
            e = parts[0] + parts[1] * -1
        elif op == "mul" and not parts[1].terms:
            e = parts[0] * parts[1].const
        elif op == "mul" and not parts[0].terms:
            e = parts[1] * parts[0].const
        if e is not None:
            return e if dtype.kind in "iu" and self.fits(e, dtype) else None
        return self.compared(op, parts)

    def compared(self, op: str, parts: list[Affine]) -> Any:
        if op not in ("lt", "le", "gt", "ge", "eq", "ne", "max", "min"):
            return None
        low, high = affine.bounds(parts[0] + parts[1] * -1, self.nest.extents)
        if op in ("max", "min"):
            if low >= 0 or high <= 0:
                return parts[0] if (low >= 0) == (op == "max") else parts[1]
            return None
        if op in ("lt", "ge") and (high < 0 or low >= 0):
            return (op == "lt") == (high < 0)
        if op in ("le", "gt") and (high <= 0 or low > 0):
            return (op == "le") == (high <= 0)
        if op in ("eq", "ne") and (low > 0 or high < 0):
            return op == "ne"
        return None

    def fits(self, e: Affine, dtype: np.dtype) -> bool:
        low, high = affine.bounds(e, self.nest.extents)
        limits = np.iinfo(dtype)
        return limits.min <= low and high <= min(limits.max, 2**31 - 1)

    # ------------------------------------------------ the loop's results

    def places(self, key: Any, shape: tuple[int, ...]) -> list[Index]:
        """Every index at which a value is computed: lanes stay axes, all else is spelled out."""
        axes = self.lanes.axes(key, len(shape))
        held = {a for a in axes if a is not None}
        missing = prod(n for k, n in enumerate(self.lanes.extents) if k not in held)
        if held and missing > 64:
            raise Cut(None, "one result has not all the lanes of another")
        rest = prod(n for n, a in zip(shape, axes) if a is None)
        if rest > (MAX_VECTORS if self.lane_axes else MAX_STATE):
            raise Cut(None, f"a result has {rest} elements a lane")
        choices = [
            [self.space[a]] if a is not None else [Affine(j) for j in range(n)]
            for n, a in zip(shape, axes)
        ]
        return [tuple(index) for index in product(*choices)]

    def store_loop(self, loop: g.Node, gets: dict[int, g.Node], chunk: int) -> None:
        f: g.Loop = loop.form
        env = LoopEnv(self, loop, self.env, id(loop) in self.lanes.masked)
        env.body.chunk = chunk
        todo = [
            (i, get, index)
            for i, get in sorted(gets.items())
            for index in self.result_places(loop, i)
        ]
        for i, get, index in todo:
            if i < f.n_carry:
                v = env.result(self, i, index)
                self.store(get, affine.linearize(index, get.shape), v)
                continue
            v = self.within(env, lambda i=i, index=index: self.value(f.body.outputs[i], index))
            place = (env.time(), *index)
            b = self.buffer(get)
            self.nest.buffers[b].written = True
            env.body.stores.append(Store(b, affine.linearize(place, get.shape), v))
        env.settle(self)
        self.nest.label = loop.tag or "loop"
        if chunk:
            env.body.flag = self.buffer(chunk_flag())
            self.nest.buffers[env.body.flag].written = True

    def result_places(self, loop: g.Node, i: int) -> list[Index]:
        shape = loop.outs[i][0]
        if i < loop.form.n_carry:
            return self.places((id(loop), i), shape)
        key = (id(loop), i)
        shifted = Lanes(
            self.lanes.extents,
            {
                (key, d): a
                for d in range(len(shape) - 1)
                if (a := self.lanes.axis_of.get((key, d + 1))) is not None
            },
        )
        whole, self.lanes = self.lanes, shifted
        try:
            return self.places(key, shape[1:])
        finally:
            self.lanes = whole


_FLAG = g.Node(g.Input(-1), (), (), BOOL)


def chunk_flag() -> g.Node:
    """The node that stands for the flag buffer of a while loop in chunks."""
    return _FLAG
