"""Environments: what the inputs of the graph that is being instantiated are.

`build.loop` computes the body of a loop, the branches of a Cond and the condition of a while loop
where they stand, as often as they are asked for. In: an input and an index. Out: its value: a carry
in a variable, an operand outside, a row of what is scanned, or another step's result. Each
environment computes a node at an index once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowering import affine, scalar
from lowering import graph as g
from lowering.affine import Affine, Cut
from lowering.build.values import BOOL, INT, Index
from lowering.lanes import key_of, lane_predicate
from lowering.nest import BranchBody, LoopBody

if TYPE_CHECKING:
    from lowering.build.loop import LoopBuilder

MAX_STATE = 160  # carried scalars
MAX_VECTORS = 64  # carried scalars a lane, where these are vectors: 144 took LLVM 20 s
MAX_STEPS = 1 << 30  # extent of a while loop's time axis
SELECT_COST = 40.0  # flops of branches that are all computed rather than chosen


class Env:
    """What the inputs of the graph that is being instantiated are; `parent` is where its operands
    are computed.
    """

    def __init__(self, parent: Any):
        self.parent = parent
        self.memo: dict[Any, Any] = {}
        self.inner: dict[Any, Any] = {}  # loops and branches instantiated here

    def open_axes(self) -> frozenset[int]:
        """Time and branch axes that are open here."""
        return frozenset() if self.parent is None else self.parent.open_axes()

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        raise NotImplementedError

    def memory(self, node: g.Node) -> tuple[g.Node, Index] | None:
        """The stored node and the leading indices through which an input is read, if it stands in
        memory.
        """
        return None


class Root(Env):
    """The graph around the loop: all its values stand in memory."""

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        return b.load(node, affine.linearize(index, node.shape), ())

    def memory(self, node: g.Node) -> tuple[g.Node, Index] | None:
        return None if isinstance(node.form, g.Const) else (node, ())


class Operands(Env):
    """A branch's inputs are operands of its Cond; its values are computed only where it is taken
    (`axis`).
    """

    def __init__(self, parent: Env, args: tuple[g.Node, ...], axis: int | None = None):
        super().__init__(parent)
        self.args = args
        self.axis = axis

    def open_axes(self) -> frozenset[int]:
        return super().open_axes() | ({self.axis} if self.axis is not None else frozenset())

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        arg = self.args[node.form.index]
        v = b.within(self.parent, lambda: b.value(arg, index))
        if self.axis is None or b.nest.values[v].op in ("const", "index"):
            return v
        value = b.nest.values[v]
        return b.emit("alias", (v,), value.dtype, value.mask | {self.axis}, self.axis)

    def memory(self, node: g.Node) -> tuple[g.Node, Index] | None:
        if not isinstance(node.form, g.Input):
            return None
        return self.parent.memory(self.args[node.form.index])


class Condition(Env):
    """The condition of a while loop: constants and the carry."""

    def __init__(self, loop: LoopEnv):
        super().__init__(loop)
        self.loop = loop

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        loop, i = self.loop, node.form.index
        n_cc = loop.form.n_cond_consts
        if i < n_cc:
            return b.within(loop.parent, lambda: b.value(loop.node.args[i], index))
        return loop.carry(b, i - n_cc, index)


class LoopEnv(Env):
    """A loop in progress: the elements of the carry that it keeps, and their successors."""

    def __init__(self, b: LoopBuilder, node: g.Node, parent: Env, masked: bool):
        super().__init__(parent)
        self.node = node
        self.form: g.Loop = node.form
        while_ = self.form.cond is not None
        self.axis = b.time_axis(MAX_STEPS if while_ else self.form.length)
        self.body = LoopBody(self.axis, 0 if while_ else self.form.length, self.form.reverse)
        mask = b.lane_axes | parent.open_axes()
        self.value_id = b.fresh_value("loop", bool, mask, self.body)
        self.ordinals: dict[tuple[int, Index], int] = {}
        self.pending: list[tuple[int, Index]] = []
        self.running = False
        self.inputs = self.form.body.inputs[self.form.n_consts :]
        if while_:
            pred = lane_predicate(node) if masked else None
            root = pred or self.form.cond.outputs[0]
            axes = b.lanes.axes(key_of(root), root.ndim)
            if None in [a for a, n in zip(axes, root.shape) if n != 1]:
                raise Cut(node, "the condition looks at axes that are no lanes")
            index = tuple(b.space[a] if a is not None else Affine(0) for a in axes)
            self.running = True
            self.body.stop = b.within(Condition(self), lambda: b.value(root, index))
            self.running = False

    def open_axes(self) -> frozenset[int]:
        return super().open_axes() | {self.axis}

    def time(self) -> Affine:
        """The row of xs and ys of a step."""
        t = affine.axis(self.axis)
        return t * -1 + (self.form.length - 1) if self.form.reverse else t

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        f, i = self.form, node.form.index
        if i < f.n_consts:
            arg = self.node.args[f.n_cond_consts + i]
            return b.within(self.parent, lambda: b.value(arg, index))
        if i < f.n_consts + f.n_carry:
            return self.carry(b, i - f.n_consts, index)
        arg = self.node.args[f.n_cond_consts + i]
        return b.within(self.parent, lambda: b.value(arg, (self.time(), *index)))

    def memory(self, node: g.Node) -> tuple[g.Node, Index] | None:
        if not isinstance(node.form, g.Input):
            return None
        f, i = self.form, node.form.index
        carried = f.n_consts <= i < f.n_consts + f.n_carry
        if carried and not self.unchanged(i - f.n_consts):
            return None
        found = self.parent.memory(self.node.args[f.n_cond_consts + i])
        if found is None or i < f.n_consts + f.n_carry:
            return found
        return found[0], (*found[1], self.time())

    def unchanged(self, k: int) -> bool:
        return self.form.body.outputs[k] is self.inputs[k]

    def init(self, b: LoopBuilder, k: int, index: Index) -> int:
        arg = self.node.args[self.form.n_cond_consts + self.form.n_consts + k]
        return b.within(self.parent, lambda: b.value(arg, index))

    def carry(self, b: LoopBuilder, k: int, index: Index) -> int:
        """The carry's element in this step."""
        if self.unchanged(k):
            return self.init(b, k, index)
        counter = self.counter(b, k, index)
        if counter is not None:
            return counter
        foreign = [d for d, e in enumerate(index) if not e.axes <= b.lane_axes]
        if foreign:
            return self.chosen(b, k, index, foreign[0])
        axes = frozenset().union({self.axis}, *(e.axes for e in index))
        dtype = self.inputs[k].dtype
        return b.emit("carry", (), dtype, axes, (self.value_id, self.ordinal(b, k, index)))

    def ordinal(self, b: LoopBuilder, k: int, index: Index) -> int:
        found = self.ordinals.get((k, index))
        if found is None:
            found = self.ordinals[(k, index)] = len(self.ordinals)
            most = MAX_VECTORS if b.lane_axes else MAX_STATE
            if found >= most:
                raise Cut(self.node, f"its state has more than {most} elements a lane")
            self.body.inits.append(self.init(b, k, index))
            self.body.nexts.append(-1)
            axes = frozenset().union({self.axis}, *(e.axes for e in index))
            carry = b.emit("carry", (), self.inputs[k].dtype, axes, (self.value_id, found))
            self.body.carries.append(carry)
            self.pending.append((k, index))
        return found

    def counter(self, b: LoopBuilder, k: int, index: Index) -> int | None:
        """A carry that starts at a constant and grows by one every step is an index."""
        if self.form.cond is not None or index:
            return None
        x, out = self.inputs[k], self.form.body.outputs[k]
        start = self.node.args[self.form.n_consts + k]
        if x.dtype.kind not in "iu" or not isinstance(start.form, g.Const):
            return None
        if not (isinstance(out.form, g.Map) and out.form.op == "add" and x in out.args):
            return None
        step = out.args[1] if out.args[0] is x else out.args[0]
        if not isinstance(step.form, g.Const):
            return None
        e = affine.axis(self.axis) * step.form.value + start.form.value
        return b.index(e, x.dtype) if b.fits(e + step.form.value, x.dtype) else None

    def chosen(self, b: LoopBuilder, k: int, index: Index, d: int) -> int:
        """An element whose place along axis d is known only at run time: the one of all that is
        meant.
        """
        n = self.inputs[k].shape[d]
        at = b.index(index[d], INT)
        result = None
        for j in range(n):
            v = self.carry(b, k, (*index[:d], Affine(j), *index[d + 1 :]))
            here = b.map("eq", at, b.const(j, INT), dtype=BOOL)
            result = (
                v
                if result is None
                else b.map("select", here, v, result, dtype=self.inputs[k].dtype)
            )
        assert result is not None
        return result

    def result(self, b: LoopBuilder, k: int, index: Index) -> int:
        """The carry's element after the loop."""
        if self.unchanged(k):
            return self.init(b, k, index)
        n = self.ordinal(b, k, index)
        self.settle(b)
        mask = b.nest.values[self.value_id].mask
        return b.emit("get", (self.value_id,), self.inputs[k].dtype, mask, n)

    def settle(self, b: LoopBuilder) -> None:
        """Successors of all carries that are asked for, and of those that these ask for."""
        if self.running:
            return
        self.running = True
        while self.pending:
            k, index = self.pending.pop()
            v = b.within(self, lambda k=k, index=index: b.value(self.form.body.outputs[k], index))
            self.body.nexts[self.ordinals[(k, index)]] = v
        self.running = False


class StepEnv(Env):
    """One step of an inner loop that is written out: its carry is the previous step's result."""

    def __init__(self, parent: Env, node: g.Node, step: int, before: StepEnv | None):
        super().__init__(parent)
        self.node, self.form, self.step, self.before = node, node.form, step, before

    def leaf(self, b: LoopBuilder, node: g.Node, index: Index) -> int:
        f, i = self.form, node.form.index
        arg = self.node.args[i]
        if f.n_consts <= i < f.n_consts + f.n_carry and self.before is not None:
            return self.before.output(b, i - f.n_consts, index)
        if i < f.n_consts + f.n_carry:
            return b.within(self.parent, lambda: b.value(arg, index))
        t = f.length - 1 - self.step if f.reverse else self.step
        return b.within(self.parent, lambda: b.value(arg, (Affine(t), *index)))

    def output(self, b: LoopBuilder, k: int, index: Index) -> int:
        return b.within(self, lambda: b.value(self.form.body.outputs[k], index))


# ---------------------------------------------------------------- inner loops and branches


def loop_output(b: LoopBuilder, node: g.Node, k: int, index: Index) -> int:
    """Output k of an inner loop."""
    f: g.Loop = node.form
    if f.cond is None and (f.length <= 4 or k >= f.n_carry):
        return _written_out(b, node, k, index)
    env = b.env.inner.get(id(node))
    if env is None:
        env = b.env.inner[id(node)] = LoopEnv(b, node, b.env, id(node) in b.lanes.masked)
    return env.result(b, k, index)


def _written_out(b: LoopBuilder, node: g.Node, k: int, index: Index) -> int:
    f: g.Loop = node.form
    if f.length > 64:
        raise Cut(node, "an inner loop stacks its outputs")
    steps = b.env.inner.get(("steps", id(node)))
    if steps is None:
        steps = []
        for s in range(f.length):
            steps.append(StepEnv(b.env, node, s, steps[-1] if steps else None))
        b.env.inner[("steps", id(node))] = steps
    if k < f.n_carry:
        return steps[-1].output(b, k, index) if steps else b.value(node.args[f.n_consts + k], index)
    if index[0].terms:
        raise Cut(node, "an inner loop's stacked outputs are read at an index that varies")
    t = index[0].const
    return steps[f.length - 1 - t if f.reverse else t].output(b, k, index[1:])


def branch_output(b: LoopBuilder, node: g.Node, k: int, index: Index) -> int:
    """Output k of a Cond: all branches and a selection where they are cheap, else a branch in the
    kernel.
    """
    which = b.value(node.args[0], ())
    branches = node.form.branches
    last = len(branches) - 1
    value = b.nest.values[which]
    if value.op == "const":
        chosen = min(max(int(value.attr), 0), last)
        return _env_of_branch(b, node, chosen, None).output(b, k, index)
    if sum(map(_graph_cost, branches)) <= SELECT_COST:
        result = _env_of_branch(b, node, last, None).output(b, k, index)
        for j in range(last - 1, -1, -1):
            here = b.map("le", which, b.const(j, value.dtype), dtype=BOOL)
            v = _env_of_branch(b, node, j, None).output(b, k, index)
            result = b.map("select", here, v, result, dtype=node.outs[k][1])
        return result
    return _branch(b, node, which, k, index)


class BranchEnv(Operands):
    """One branch of a Cond."""

    def __init__(self, parent: Env, node: g.Node, graph: g.Graph, axis: int | None):
        super().__init__(parent, node.args[1:], axis)
        self.graph = graph

    def output(self, b: LoopBuilder, k: int, index: Index) -> int:
        return b.within(self, lambda: b.value(self.graph.outputs[k], index))


def _env_of_branch(b: LoopBuilder, node: g.Node, j: int, axis: int | None) -> BranchEnv:
    key = ("branch", id(node), j)
    env = b.env.inner.get(key)
    if env is None:
        env = b.env.inner[key] = BranchEnv(b.env, node, node.form.branches[j], axis)
    return env


def _branch(b: LoopBuilder, node: g.Node, which: int, k: int, index: Index) -> int:
    found = b.env.inner.get(("chosen", id(node)))
    mask = b.lane_axes | b.env.open_axes()
    if found is None:
        axes = tuple(b.time_axis(1) for _ in node.form.branches)
        body = BranchBody(which, axes, [[] for _ in axes], [])
        v = b.fresh_value("branch", bool, mask, body)
        found = b.env.inner[("chosen", id(node))] = (v, body, {})
    v, body, known = found
    n = known.get((k, index))
    if n is None:
        n = known[(k, index)] = len(known)
        for j, axis in enumerate(body.axes):
            body.results[j].append(_env_of_branch(b, node, j, axis).output(b, k, index))
        body.dtypes.append(node.outs[k][1])
    return b.emit("get", (v,), node.outs[k][1], mask, n)


def _graph_cost(graph: g.Graph) -> float:
    total = 0.0
    for n in graph.nodes():
        if isinstance(n.form, g.Loop | g.Cond | g.Contract | g.Bits):
            return 1e9
        if isinstance(n.form, g.Map):
            total += scalar.cost(n.form.op) * min(n.size, 16)
    return total
