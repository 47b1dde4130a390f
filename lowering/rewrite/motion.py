"""Motion: what a counted loop need not do in every step. Graph to Graph, before canon.

A product of xs and constants becomes one product over all steps, before a counted loop. A carry
that adds up products becomes one product after it; one that adds up a sum over lanes keeps a sum a
lane, where that makes lanes independent. What constants alone make, `lift` takes out after canon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from lowering import graph as g
from lowering import lanes
from lowering.walk import with_loops

MIN_FLOPS = 1 << 14  # of a product worth moving
MAX_BYTES = 1 << 28  # of a stack that moving makes


def move(graph: g.Graph) -> g.Graph:
    """The graph with work moved out of its counted loops, inner ones first."""
    return with_loops(graph, move, _lighter)


def _lighter(b: g.Builder, loop: g.Node) -> list[g.Node] | None:
    """The results of a loop that does less in every step, or None where nothing moves."""
    f: g.Loop = loop.form
    if f.cond is not None or f.length < 2:
        return None
    m = _Motion(b, loop)
    m.find()
    if not m.before and not m.sinks:
        return None
    return m.results()


@dataclass
class _Motion:
    """One loop's motion: `before` are body nodes computed for all steps at once, `sinks` carries
    that only accumulate, with the addend.
    """

    b: g.Builder
    loop: g.Node
    before: list[g.Node] = field(default_factory=list)
    sinks: dict[int, g.Node] = field(default_factory=dict)
    by_lane: bool = False  # sums over lanes are kept a lane
    stacks: list[g.Node] = field(default_factory=list)  # body nodes that become stacked outputs
    sums: list[g.Node] = field(default_factory=list)  # body nodes that become accumulators

    def __post_init__(self) -> None:
        self.f: g.Loop = self.loop.form
        self.body = self.f.body
        self.nodes = self.body.nodes()
        self.depends = self.dependence()
        self.outside: dict[int, Any] = {}  # (node, whether it has the steps) or None

    def dependence(self) -> dict[int, str]:
        """Of each body node: carry, xs or const, whichever comes first among what it needs."""
        f, found = self.f, {}
        for n in self.body.inputs:
            i = n.form.index
            carried = f.n_consts <= i < f.n_consts + f.n_carry
            found[id(n)] = "carry" if carried else "const" if i < f.n_consts else "xs"
        for n in self.nodes:
            kinds = {found[id(a)] for a in n.args}
            kind = "carry" if "carry" in kinds else "xs" if "xs" in kinds else "const"
            found.setdefault(id(n), kind)
        return found

    # ------------------------------------------------ what can move

    def find(self) -> None:
        for n in self.nodes:
            if self.depends[id(n)] == "carry" or _flops(n) < MIN_FLOPS:
                continue
            small = n.size * n.dtype.itemsize * self.f.length <= MAX_BYTES
            if small and all(self.all_steps(a) is not None for a in n.args):
                self.before.append(n)
        adding = self.adding()
        self.sinks = {k: u for k, u in adding.items() if any(map(self.is_product, _leaves(u)))}
        stacked = {id(a) for u in self.sinks.values() for x in _leaves(u) for a in x.args}
        for k, u in adding.items() if self.sinks else ():
            if all(_is_sum(x) and id(x.args[0]) in stacked for x in _leaves(u)):
                self.sinks[k] = u  # of what is stacked anyway
        if not self.sinks and adding and any(_folds(u) for u in adding.values()):
            self.sinks, self.by_lane = adding, True
            if not self.frees_lanes():
                self.sinks, self.by_lane = {}, False

    def adding(self) -> dict[int, g.Node]:
        """Carries of which every step only adds something to what nothing else reads."""
        users: dict[int, int] = {}
        for n in self.nodes:
            for a in n.args:
                users[id(a)] = users.get(id(a), 0) + 1
        found: dict[int, g.Node] = {}
        for k in range(self.f.n_carry):
            x, o = self.body.inputs[self.f.n_consts + k], self.body.outputs[k]
            plain = isinstance(o.form, g.Map) and o.form.op == "add" and x.dtype.kind == "f"
            if not plain or users.get(id(x)) != 1 or x not in o.args or id(o) in users:
                continue
            if sum(p is o for p in self.body.outputs) == 1 and all(
                p is not x for p in self.body.outputs
            ):
                found[k] = o.args[1] if o.args[0] is x else o.args[0]
        return found

    def is_product(self, n: g.Node) -> bool:
        """Whether n is a product whose operands are worth stacking."""
        if _flops(n) < MIN_FLOPS or n.dtype != n.args[0].dtype:
            return False
        size = sum(a.size * a.dtype.itemsize for a in n.args)
        return size * self.f.length <= MAX_BYTES

    def frees_lanes(self) -> bool:
        """Whether a sum a lane makes the loop's lanes independent."""
        trial = _Motion(g.Builder(), self.loop, sinks=self.sinks, by_lane=True)
        made = trial.results()
        loops = [a for n in g.toposort(made) for a in n.args if isinstance(a.form, g.Loop)]
        new = next((n for n in loops if n.form.body is not self.body), None)
        if new is None:
            return False
        return prod(lanes.analyse(new).extents) > prod(lanes.analyse(self.loop).extents)

    # ------------------------------------------------ before the loop

    def all_steps(self, n: g.Node) -> tuple[g.Node, bool] | None:
        """(n for all steps at once, whether it has a leading step axis), None where no rule."""
        if id(n) not in self.outside:
            self.outside[id(n)] = self.compute_all(n)
        return self.outside[id(n)]

    def compute_all(self, n: g.Node) -> tuple[g.Node, bool] | None:
        if isinstance(n.form, g.Input):
            if self.depends[id(n)] == "carry":
                return None
            return self.loop.args[n.form.index], self.depends[id(n)] == "xs"
        args = [self.all_steps(a) for a in n.args]
        known = [a for a in args if a is not None]
        if len(known) < len(args):
            return None
        if not any(stacked for _, stacked in known):
            plain = tuple(a for a, _ in known)
            return self.b.node(n.form, plain, n.shape, n.dtype, n.outs), False
        rule = _ALL_STEPS.get(type(n.form))
        return None if rule is None else (rule(self.b, n, known, self.f.length), True)

    # ------------------------------------------------ the lighter loop

    def results(self) -> list[g.Node]:
        f, loop, b = self.f, self.loop, self.b
        totals = {k: self.plan_total(u) for k, u in self.sinks.items()}
        kept = [k for k in range(f.n_carry) if k not in self.sinks]
        c = g.Builder()
        ins = self.body.inputs
        new: dict[int, g.Node] = {}
        args: list[g.Node] = []

        def feed(node: g.Node, arg: g.Node) -> None:
            new[id(node)] = c.input(node.shape, node.dtype)
            args.append(arg)

        for k in range(f.n_consts):
            feed(ins[k], loop.args[k])
        steady = [n for n in self.before if not self.all_steps(n)[1]]  # type: ignore[index]
        for n in steady:
            feed(n, self.all_steps(n)[0])  # type: ignore[index]
        n_consts = len(args)
        for k in kept:
            feed(ins[f.n_consts + k], loop.args[f.n_consts + k])
        sums = [c.input(n.shape, n.dtype) for n in self.sums]
        args += [b.const(0, n.dtype, n.shape) for n in self.sums]
        for k in range(f.n_consts + f.n_carry, len(ins)):
            feed(ins[k], loop.args[k])
        for n in self.before:
            if n not in steady:
                feed(n, self.all_steps(n)[0])  # type: ignore[index]
        wanted = [self.body.outputs[k] for k in kept]
        ys = [*self.body.outputs[f.n_carry :], *self.stacks]
        for n in g.toposort((*wanted, *ys, *self.sums)):
            if id(n) not in new:
                made = tuple(new.get(id(a), a) for a in n.args)
                new[id(n)] = c.node(n.form, made, n.shape, n.dtype, n.outs)
        nexts = [new[id(o)] for o in wanted]
        nexts += [c.map("add", s, new[id(n)]) for s, n in zip(sums, self.sums)]
        body = c.graph([*nexts, *(new[id(y)] for y in ys)])
        n_carry = len(nexts)
        lighter = b.loop(
            body, args[:n_consts], args[n_consts : n_consts + n_carry],
            args[n_consts + n_carry :], length=f.length, reverse=f.reverse,
        )  # fmt: skip
        return self.collect(lighter, kept, totals, n_carry)

    def collect(self, outs, kept, totals, n_carry: int) -> list[g.Node]:
        """The old loop's results from the new one's."""
        f, b = self.f, self.b
        n_ys = len(self.body.outputs) - f.n_carry
        ys = outs[n_carry : n_carry + n_ys]
        for n, out in zip(self.stacks, outs[n_carry + n_ys :]):
            self.outside[id(n)] = (out, True)
        folded = dict(zip(map(id, self.sums), outs[len(kept) : n_carry]))
        carry: list[g.Node] = []
        place = iter(outs[: len(kept)])
        for k in range(f.n_carry):
            if k in self.sinks:
                total = totals[k](folded)
                carry.append(b.map("add", self.loop.args[f.n_consts + k], total))
            else:
                carry.append(next(place))
        return [*carry, *ys]

    # ------------------------------------------------ after the loop

    def plan_total(self, u: g.Node) -> Any:
        """A function that builds the sum of u over all steps; notes what the loop must hand out."""
        if _is_linear(u) and (self.by_lane or not isinstance(u.form, g.Reduce)):
            parts = [self.plan_total(a) for a in u.args[: 1 if isinstance(u.form, g.Pad) else None]]

            def linear(folded: dict[int, g.Node]) -> g.Node:
                args = [p(folded) for p in parts]
                fill = (self.b.const(0, u.dtype),) if isinstance(u.form, g.Pad) else ()
                return self.b.node(u.form, (*args, *fill), u.shape, u.dtype)

            return linear
        if self.is_product(u) and not self.by_lane:
            for a in u.args:
                if self.all_steps(a) is None and all(a is not s for s in self.stacks):
                    self.stacks.append(a)
            return lambda folded: self.product_of_all(u)
        if _is_sum(u) and any(u.args[0] is s for s in self.stacks):
            axes = (0, *(k + 1 for k in u.form.axes))
            return lambda folded: self.b.reduce("add", self.outside[id(u.args[0])][0], axes)
        if all(u is not s for s in self.sums):
            self.sums.append(u)
        return lambda folded: folded[id(u)]

    def product_of_all(self, u: g.Node) -> g.Node:
        """The sum over all steps of a product: the steps are one more contracted axis."""
        stacked = []
        for a in u.args:
            found = self.outside[id(a)]
            assert found is not None
            stacked.append(_with_steps(self.b, found, self.f.length))
        (cx, cy), (bx, by) = u.form.contract, u.form.batch
        contract = ((0, *(k + 1 for k in cx)), (0, *(k + 1 for k in cy)))
        batch = (tuple(k + 1 for k in bx), tuple(k + 1 for k in by))
        left, right = stacked
        return self.b.contract(left, right, contract, batch, u.dtype)


def _flops(n: g.Node) -> int:
    if not isinstance(n.form, g.Contract):
        return 0
    return 2 * n.size * prod(n.args[0].shape[k] for k in n.form.contract[0])


def _is_linear(n: g.Node) -> bool:
    """Whether summing over steps commutes with the form."""
    if isinstance(n.form, g.Map):
        return n.form.op in ("add", "neg")
    if isinstance(n.form, g.Pad):
        return isinstance(n.args[1].form, g.Const) and n.args[1].form.value == 0
    if isinstance(n.form, g.Reduce):
        return n.form.op == "add"
    return isinstance(n.form, g.Transpose | g.Reshape | g.Broadcast)


def _leaves(u: g.Node) -> list[g.Node]:
    """What a linear expression, folds apart, adds up."""
    if not _is_linear(u) or isinstance(u.form, g.Reduce):
        return [u]
    args = u.args[:1] if isinstance(u.form, g.Pad) else u.args
    return [x for a in args for x in _leaves(a)]


def _is_sum(n: g.Node) -> bool:
    return isinstance(n.form, g.Reduce) and n.form.op == "add"


def _folds(u: g.Node) -> bool:
    return any(map(_is_sum, _leaves(u)))


# ---------------------------------------------------------------- forms over all steps

Known = list[tuple[g.Node, bool]]


def _with_steps(b: g.Builder, found: tuple[g.Node, bool], steps: int) -> g.Node:
    x, stacked = found
    return x if stacked else b.broadcast(x, (steps, *x.shape), tuple(range(1, x.ndim + 1)))


def _map(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    whole = [_with_steps(b, a, steps) for a in args]
    return b.node(n.form, tuple(whole), (steps, *n.shape), n.dtype)


def _reshape(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    return b.reshape(args[0][0], (steps, *n.shape))


def _transpose(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    return b.transpose(args[0][0], (0, *(p + 1 for p in n.form.perm)))


def _broadcast(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    return b.broadcast(args[0][0], (steps, *n.shape), (0, *(d + 1 for d in n.form.dims)))


def _slice(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    form = g.Slice((0, *n.form.starts), (1, *n.form.strides))
    return b.node(form, (args[0][0],), (steps, *n.shape), n.dtype)


def _concat(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    return b.concat([_with_steps(b, a, steps) for a in args], n.form.dim + 1)


def _reduce(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    return b.reduce(n.form.op, args[0][0], tuple(k + 1 for k in n.form.axes))


def _contract(b: g.Builder, n: g.Node, args: Known, steps: int) -> g.Node:
    """Steps are a free axis of the operand that has them, a batch axis where both have."""
    (x, in_x), (y, in_y) = args
    (cx, cy), (bx, by) = n.form.contract, n.form.batch
    cx, bx = (tuple(k + in_x for k in ks) for ks in (cx, bx))
    cy, by = (tuple(k + in_y for k in ks) for ks in (cy, by))
    if in_x and in_y:
        return b.contract(x, y, (cx, cy), ((0, *bx), (0, *by)), n.dtype)
    out = b.contract(x, y, (cx, cy), (bx, by), n.dtype)
    at = len(bx) if in_x else len(bx) + x.ndim - len(cx) - len(bx)
    order = [at, *(k for k in range(out.ndim) if k != at)]
    return b.transpose(out, tuple(order))


_ALL_STEPS: dict[type, Any] = {
    g.Map: _map,
    g.Reshape: _reshape,
    g.Transpose: _transpose,
    g.Broadcast: _broadcast,
    g.Slice: _slice,
    g.Concat: _concat,
    g.Reduce: _reduce,
    g.Contract: _contract,
}
