"""Graph: what a jitted function computes, in a closed set of `forms`.

A `Graph` is a tuple of input nodes and a tuple of output nodes over immutable, hash-consed `Node`s.
It comes from lower rules (through `Builder`) and goes to `canon`. Invariant: operands precede their
users, shape and dtype are what the form says, equal computations are one node. A few us a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lowering.forms import (  # noqa: F401  users of graphs say g.Map, g.Reduce, ...
    VIEWS,
    ArgReduce,
    Bits,
    Broadcast,
    Concat,
    Cond,
    Const,
    Contract,
    Conv,
    CumScan,
    DynamicSlice,
    DynamicUpdate,
    Form,
    Gather,
    Get,
    Input,
    Iota,
    KernelCall,
    Loop,
    Map,
    Opaque,
    Pad,
    Reduce,
    Reshape,
    Reverse,
    Scatter,
    Shape,
    Slice,
    Sort,
    TopK,
    Transpose,
    Window,
    has_effect,
)

# ---------------------------------------------------------------- nodes and graphs


class Node:
    """One value: form, operands, shape, dtype; with several outputs it has `outs`, read by Get."""

    __slots__ = ("args", "dtype", "form", "outs", "shape", "tag")

    def __init__(self, form, args, shape, dtype, outs: Any = None, tag=None):
        self.form: Form = form
        self.args: tuple[Node, ...] = args
        self.shape: Shape = shape
        self.dtype: np.dtype = dtype
        self.outs: Any = outs  # ((shape, dtype), ...) or None
        self.tag: str | None = tag  # the user's label, for profiles; no part of identity

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        kind = "outs" if self.outs is not None else f"{self.dtype}{list(self.shape)}"
        return f"<{type(self.form).__name__} {kind}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """Inputs and outputs in order; `effects` are the effectful nodes that no output reaches."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    effects: tuple[Node, ...] = ()

    def nodes(self) -> list[Node]:
        """All nodes that the outputs need, operands first; one list, for all who ask."""
        if (found := self.__dict__.get("order")) is None:
            found = self.__dict__["order"] = toposort((*self.outputs, *self.effects))
        return found


def parts(n: Node) -> list[tuple[Node, int]]:
    """The operands of a Concat, and where along its axis each begins."""
    found, at = [], 0
    for x in n.args:
        found.append((x, at))
        at += x.shape[n.form.dim]
    return found


def fold_axes(n: Node) -> tuple[int, ...]:
    """The axes of its operand that a Reduce or ArgReduce folds."""
    return n.form.axes if isinstance(n.form, Reduce) else (n.form.axis,)


def toposort(roots: Iterable[Node]) -> list[Node]:
    """Nodes reachable from `roots`, each after its operands; iterative, so depth is no limit."""
    order: list[Node] = []
    done: set[int] = set()
    stack: list[Any] = [*roots][::-1]
    while stack:
        node = stack.pop()
        if node is None:  # all operands of what lies beneath are there
            order.append(stack.pop())
        elif id(node) not in done:
            done.add(id(node))
            stack += (node, None, *node.args[::-1])
    return order


# ---------------------------------------------------------------- building


class Builder:
    """Builds one Graph: the vocabulary of lower rules; methods check operands and return Nodes."""

    def __init__(self) -> None:
        self._seen: dict[Any, Node] = {}
        self._inputs: list[Node] = []
        self._effects: list[Node] = []
        self.tag: str | None = None

    def node(self, form, args: Sequence[Node], shape, dtype, outs=None) -> Node:
        key = (form, tuple(map(id, args)), shape, dtype)
        found = self._seen.get(key)
        if found is None or (isinstance(form, Opaque) and form.effect):
            found = Node(form, tuple(args), shape, dtype, outs, self.tag)
            self._seen[key] = found
        return found

    def graph(self, outputs: Sequence[Node]) -> Graph:
        return Graph(tuple(self._inputs), tuple(outputs), tuple(self._effects))

    # leaves
    def input(self, shape, dtype) -> Node:
        n = Node(Input(len(self._inputs)), (), tuple(shape), np.dtype(dtype))
        self._inputs.append(n)
        return n

    def const(self, value, dtype, shape=()) -> Node:
        dtype = np.dtype(dtype)
        if isinstance(value, (np.generic, np.ndarray)):
            value = value.item()
        kind = {"b": bool, "i": int, "u": int, "c": complex}.get(dtype.kind, float)
        return self.node(Const(kind(value)), (), tuple(shape), dtype)

    def iota(self, shape, dim, dtype) -> Node:
        return self.node(Iota(dim), (), tuple(shape), np.dtype(dtype))

    # elementwise; scalars (shape ()) among the operands are spread
    def map(self, op: str, *args: Node, dtype=None) -> Node:
        shape = next((a.shape for a in args if a.shape), ())
        args = tuple(a if a.shape == shape else self.broadcast(a, shape, ()) for a in args)
        if dtype is None:
            from lowering import scalar

            dtype = scalar.result_dtype(op, tuple(a.dtype for a in args))
        return self.node(Map(op), args, shape, np.dtype(dtype))

    def convert(self, x: Node, dtype) -> Node:
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else self.map("convert", x, dtype=dtype)

    def bitcast(self, x: Node, dtype) -> Node:
        """Same bits in another dtype of the same width."""
        return x if x.dtype == np.dtype(dtype) else self.map("bitcast", x, dtype=dtype)

    def select(self, pred: Node, on_true: Node, on_false: Node) -> Node:
        return self.map("select", pred, on_true, on_false, dtype=on_true.dtype)

    def places(self, shape, at: dict[int, Node]) -> Node:
        """Where the index along each of these axes is the integer, or one of the integers of this
        shape, that `at` has for it.
        """
        here = self.const(True, bool, shape)
        for k, i in at.items():
            match = self.map("eq", self.iota(shape, k, i.dtype), i)
            here = match if isinstance(here.form, Const) else self.map("and", here, match)
        return here

    # views
    def reshape(self, x: Node, shape) -> Node:
        shape = tuple(shape)
        assert prod(shape) == x.size, (x.shape, shape)
        if x.shape == shape:
            return x
        if isinstance(x.form, Reshape):
            return self.reshape(x.args[0], shape)
        if isinstance(x.form, Const):
            return self.node(x.form, (), shape, x.dtype)
        return self.node(Reshape(), (x,), shape, x.dtype)

    def transpose(self, x: Node, perm) -> Node:
        perm = tuple(perm)
        if perm == tuple(range(x.ndim)):
            return x
        if isinstance(x.form, Transpose):
            return self.transpose(x.args[0], tuple(x.form.perm[p] for p in perm))
        shape = tuple(x.shape[p] for p in perm)
        if isinstance(x.form, Const):
            return self.node(x.form, (), shape, x.dtype)
        return self.node(Transpose(perm), (x,), shape, x.dtype)

    def broadcast(self, x: Node, shape, dims) -> Node:
        shape, dims = tuple(shape), tuple(dims)
        fits = all(n in (1, shape[d]) for n, d in zip(x.shape, dims))
        assert len(dims) == x.ndim and fits, (x.shape, shape, dims)
        if x.shape == shape and dims == tuple(range(len(shape))):
            return x
        if isinstance(x.form, Const):
            return self.node(x.form, (), shape, x.dtype)
        return self.node(Broadcast(dims), (x,), shape, x.dtype)

    def slice(self, x: Node, starts, limits, strides=None) -> Node:
        strides = tuple(strides or (1,) * x.ndim)
        starts, limits = tuple(starts), tuple(limits)
        shape = tuple(
            max(0, -(-(hi - lo) // s)) for lo, hi, s in zip(starts, limits, strides, strict=True)
        )
        if shape == x.shape:
            return x
        if isinstance(x.form, Const):
            return self.node(x.form, (), shape, x.dtype)
        return self.node(Slice(starts, strides), (x,), shape, x.dtype)

    def reverse(self, x: Node, dims) -> Node:
        dims = tuple(d for d in dims if x.shape[d] > 1)
        return self.node(Reverse(dims), (x,), x.shape, x.dtype) if dims else x

    def pad(self, x: Node, fill: Node, low, high, interior) -> Node:
        low, high = tuple(low), tuple(high)
        interior = tuple(i if n > 1 else 0 for i, n in zip(interior, x.shape, strict=True))
        spread = any(interior)
        if not (any(low) or any(high) or spread):
            return x
        shape = tuple(
            max(0, lo + hi + n + max(n - 1, 0) * i)
            for lo, hi, i, n in zip(low, high, interior, x.shape, strict=True)
        )
        return self.node(Pad(low, high, interior), (x, fill), shape, x.dtype)

    def concat(self, xs: Sequence[Node], dim: int) -> Node:
        xs = [x for x in xs if x.shape[dim]] or list(xs[:1])
        if len(xs) == 1:
            return xs[0]
        shape = list(xs[0].shape)
        shape[dim] = sum(x.shape[dim] for x in xs)
        return self.node(Concat(dim), xs, tuple(shape), xs[0].dtype)

    # reductions
    def reduce(self, op: str, x: Node, axes) -> Node:
        axes = tuple(sorted(axes))
        if not axes:
            return x
        shape = tuple(n for k, n in enumerate(x.shape) if k not in axes)
        return self.node(Reduce(op, axes), (x,), shape, x.dtype)

    def argreduce(self, op: str, x: Node, axis: int, dtype) -> Node:
        shape = x.shape[:axis] + x.shape[axis + 1 :]
        return self.node(ArgReduce(op, axis), (x,), shape, np.dtype(dtype))

    def cumscan(self, op: str, x: Node, axis: int, reverse=False) -> Node:
        return self.node(CumScan(op, axis, bool(reverse)), (x,), x.shape, x.dtype)

    # products
    def contract(self, x: Node, y: Node, contract, batch=((), ()), dtype=None) -> Node:
        (cx, cy), (bx, by) = tuple(map(tuple, contract)), tuple(map(tuple, batch))
        free_x = [n for k, n in enumerate(x.shape) if k not in cx and k not in bx]
        free_y = [n for k, n in enumerate(y.shape) if k not in cy and k not in by]
        shape = (*(x.shape[k] for k in bx), *free_x, *free_y)
        return self.node(Contract((cx, cy), (bx, by)), (x, y), shape, np.dtype(dtype or x.dtype))

    def conv(
        self, x, w, shape, strides, padding, lhs_dilation, rhs_dilation, groups, dtype
    ) -> Node:
        form = Conv(
            tuple(strides),
            tuple(map(tuple, padding)),
            tuple(lhs_dilation),
            tuple(rhs_dilation),
            groups,
        )
        return self.node(form, (x, w), tuple(shape), np.dtype(dtype))

    def window(
        self, op, x, init, shape, size, strides, padding, base_dilation, window_dilation
    ) -> Node:
        form = Window(
            op,
            tuple(size),
            tuple(strides),
            tuple(map(tuple, padding)),
            tuple(base_dilation),
            tuple(window_dilation),
        )
        return self.node(form, (x, init), tuple(shape), x.dtype)

    # data-dependent indices
    def gather(self, x: Node, indices: Node, shape, form: Gather, fill: Node | None = None) -> Node:
        args = (x, indices) if fill is None else (x, indices, fill)
        return self.node(form, args, tuple(shape), x.dtype)

    def scatter(self, x: Node, indices: Node, updates: Node, form: Scatter) -> Node:
        return self.node(form, (x, indices, updates), x.shape, x.dtype)

    def dynamic_slice(self, x: Node, starts: Sequence[Node], shape) -> Node:
        return self.node(DynamicSlice(), (x, *starts), tuple(shape), x.dtype)

    def dynamic_update(self, x: Node, update: Node, starts: Sequence[Node]) -> Node:
        return self.node(DynamicUpdate(), (x, update, *starts), x.shape, x.dtype)

    # several outputs
    def several(self, form, args, outs) -> tuple[Node, ...]:
        outs = tuple((tuple(s), np.dtype(d)) for s, d in outs)
        n = self.node(form, args, outs, np.dtype(bool), outs)
        if has_effect(form):
            self._effects.append(n)
        return tuple(self.node(Get(i), (n,), s, d) for i, (s, d) in enumerate(outs))

    def sort(self, xs: Sequence[Node], dim: int, num_keys: int, stable=True) -> tuple[Node, ...]:
        return self.several(Sort(dim, num_keys, stable), xs, [(x.shape, x.dtype) for x in xs])

    def topk(self, x: Node, k: int) -> tuple[Node, ...]:
        shape = (*x.shape[:-1], k)
        return self.several(TopK(k), (x,), [(shape, x.dtype), (shape, np.int32)])

    def threefry(self, k0: Node, k1: Node, c0: Node, c1: Node) -> tuple[Node, ...]:
        shape = next((a.shape for a in (k0, k1, c0, c1) if a.shape), ())
        args = [a if a.shape == shape else self.broadcast(a, shape, ()) for a in (k0, k1, c0, c1)]
        return self.several(Bits(), args, [(shape, np.uint32)] * 2)

    def loop(
        self, body: Graph, consts, carry, xs=(), *, length=0, reverse=False
    ) -> tuple[Node, ...]:
        ys = [((length, *o.shape), o.dtype) for o in body.outputs[len(carry) :]]
        form = Loop(body, None, length, bool(reverse), 0, len(consts), len(carry))
        return self.several(form, (*consts, *carry, *xs), [(c.shape, c.dtype) for c in carry] + ys)

    def while_loop(self, cond: Graph, cond_consts, body: Graph, consts, carry) -> tuple[Node, ...]:
        form = Loop(body, cond, 0, False, len(cond_consts), len(consts), len(carry))
        return self.several(
            form, (*cond_consts, *consts, *carry), [(c.shape, c.dtype) for c in carry]
        )

    def cond(self, index: Node, branches: Sequence[Graph], operands) -> tuple[Node, ...]:
        outs = [(o.shape, o.dtype) for o in branches[0].outputs]
        return self.several(Cond(tuple(branches)), (index, *operands), outs)

    def opaque(self, key, fn, args, outs, effect=False, stage=()) -> tuple[Node, ...]:
        return self.several(Opaque(key, fn, effect, stage), args, outs)

    def kernel_call(self, form: KernelCall, args, outs) -> tuple[Node, ...]:
        return self.several(form, args, outs)
