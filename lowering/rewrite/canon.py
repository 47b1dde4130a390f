"""Canon: the graph as the later stages want it. One sweep; each node is rebuilt from its rebuilt
operands.

Reductions that would leave the machine idle become two (blocks, then the blocks' results); the
number of blocks depends on shapes alone. Complex values become pairs of real ones
(`complex_pairs`). In and out: a Graph with the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from lowering import graph as g
from lowering.build.group import BlockReduce
from lowering.lanes import lane_predicate
from lowering.profile import Profile
from lowering.rewrite import (
    complex_pairs,
    contract,
    convolve,
    deal,
    dynamic,
    gated,
    gather,
    network,
    outer,
    pads,
    pairs,
    phases,
    stacks,
    upright,
    views,
)
from lowering.templates import scatter
from lowering.walk import users_of, with_inner

MIN_SPLIT = 1 << 15  # elements below which one kernel does a reduction
MAX_BLOCKS = 64
LITTLE = 1 << 18  # bytes that a kernel copies before the host begins to
DEEPEST = 4  # Maps upon each other that are looked through for a reshape
LONG_DOT = 1 << 22  # elements that one core and its caches do not multiply and sum as fast as two
FEW_ROWS, MANY = 128, 4096  # each of so many results folds so few elements by itself


def canonicalize(
    graph: g.Graph,
    *,
    split_reductions: bool = True,
    profile: Profile | None = None,
    repeated: bool = False,
    donated: tuple[bool, ...] | None = None,
) -> g.Graph:
    """The canonical form of a graph and of the graphs inside it; `repeated`: it is a loop's;
    `donated`: which inputs may be written over, None inside of loops and branches.
    """
    graph = complex_pairs.split(graph)
    kept = []
    if donated is not None and len(donated) == len(graph.inputs):
        kept = [n for n, given in zip(graph.inputs, donated) if not given]
    return _Sweep(graph, split_reductions, profile, repeated, kept).run()


Args = tuple[g.Node, ...]


class _Sweep:
    """One sweep over a graph: what is asked of the whole of it before, and a rule a form.

    A rule takes a node and its rebuilt operands; None says that the node stays what it is.
    """

    def __init__(
        self,
        graph: g.Graph,
        split: bool,
        profile: Profile | None,
        repeated: bool,
        kept: Sequence[g.Node],
    ):
        self.inputs_kept = kept
        self.copied: set[int] = set()  # rebuilt inputs that an update copies, and such updates
        self.chosen: set[int] = set()  # such updates
        self.graph, self.split, self.profile, self.repeated = graph, split, profile, repeated
        self.b = g.Builder()
        self.new: dict[int, g.Node] = {}
        self.pieces = pads.side_by_side(graph)
        self.users = users = users_of(graph.nodes())
        self.apart = {k for k, above in users.items() if stacks.only_taken(above)}
        self.picked = dynamic.picked(graph, users)
        self.folded = {k for k, above in users.items() if upright.only_folded(above)}
        self.folded -= set(map(id, graph.outputs))
        self.multiplied = upright.only_multiplied(graph, users) if profile is not None else set()
        self.turned = contract.turned_by_users(graph) if profile is not None else set()
        self.alone = pairs.folded_alone(graph) if profile is not None else set()
        self.several: dict[int, Args] = {}  # the results of what became several nodes

    def run(self) -> g.Graph:
        b, new = self.b, self.new
        for n in self.graph.inputs:
            new[id(n)] = b.input(n.shape, n.dtype)
        self.copied |= {id(new[id(n)]) for n in self.inputs_kept}
        for n in self.graph.nodes():
            if id(n) not in new:
                b.tag = n.tag
                new[id(n)] = self.rebuilt(n)
        effects = tuple(new[id(e)] for e in self.graph.effects)
        outputs = tuple(new[id(o)] for o in self.graph.outputs)
        return g.Graph(b.graph(()).inputs, outputs, effects)

    def rebuilt(self, n: g.Node) -> g.Node:
        if id(n) in self.pieces:
            axis, xs = self.pieces[id(n)]
            return pads.joined(self.b, [self.new[id(x)] for x in xs], axis)
        args = tuple(self.new[id(a)] for a in n.args)
        rule = _RULES.get(type(n.form))
        made = None if rule is None else rule(self, n, args)
        return self.b.node(n.form, args, n.shape, n.dtype, n.outs) if made is None else made

    def choice(self, n: g.Node, args: Args) -> g.Node | None:
        return gated.rewrite(self.b, n, args, self.users)

    def update(self, n: g.Node, args: Args) -> g.Node | None:
        return self.one_pass(n, n, args)

    def one_pass(self, old: g.Node, n: g.Node, args: Args) -> g.Node | None:
        """The update n as a choice by place, if it is most of what it updates, or that would be
        copied, and is little or read element by element then, as `old`, or if little of it is read.
        """
        passes = self.passes(old, n, args)
        if not passes and 2 * args[1].size < n.size:
            return None
        made = views.placed(self.b, args)
        if passes:
            made = made or views.chosen(self.b, n.shape, args)
            return made if made is None else self.as_choice(made)
        return made

    def as_choice(self, made: g.Node) -> g.Node:
        """An update as a choice, on which another one may be one."""
        self.copied.add(id(made))
        self.chosen.add(id(made))
        return made

    def passes(self, old: g.Node, n: g.Node, args: Args) -> bool:
        """Whether the update n, `old` before, is better a part of a pass than a copy's change."""
        most = LITTLE if id(args[0]) in self.chosen else 4 * LITTLE
        little = n.size * n.dtype.itemsize <= most
        copied = id(args[0]) in self.copied and (little or self.read_along(old))
        return copied or (not self.repeated and id(old) in self.picked)

    def read_along(self, n: g.Node) -> bool:
        """Whether something that goes element by element reads n, or an update of n."""
        for u in self.users.get(id(n), ()):
            if isinstance(u.form, g.Map | g.Reduce | g.Slice):
                return True
            above = isinstance(u.form, g.DynamicUpdate | g.Scatter) and u.args[0] is n
            if above and self.read_along(u):
                return True
        return False

    def part(self, n: g.Node, args: Args) -> g.Node:
        made = stacks.taken(self.b, n, args[0]) if id(n.args[0]) in self.apart else None
        return views.part(self.b, n, args[0]) if made is None else made

    def reshape(self, n: g.Node, args: Args) -> g.Node:
        return self.b.reshape(args[0], n.shape)

    def transpose(self, n: g.Node, args: Args) -> g.Node | None:
        return None if n.form.stored else self.b.transpose(args[0], n.form.perm)

    def reduction(self, n: g.Node, args: Args) -> g.Node | None:
        if not self.split:
            return None
        fold, x, perm = _fold_of(self.b, n, args[0], id(n.args[0]) in self.folded)
        made = _reduction(self.b, fold, x, self.profile, id(n) in self.alone)
        return self.b.transpose(made, perm)

    def place(self, n: g.Node, args: Args) -> g.Node | None:
        if not self.split:
            return None
        fold, x, perm = _fold_of(self.b, n, args[0], id(n.args[0]) in self.folded)
        x = pairs.rewrite(self.b, fold, x) if id(n) in self.alone else x
        return self.b.transpose(_argreduce(self.b, fold, x), perm)

    def product(self, n: g.Node, args: Args) -> g.Node | None:
        if self.profile is None:
            return None
        shape, thin = n.shape, contract.without_ones(self.b, n, (args[0], args[1]))
        if thin is not None:
            n, args = thin
            made = self.product(n, args)
            return self.b.reshape(n if made is None else made, shape)
        made = _dot(self.b, n, *args) if self.split else None
        if made is not None:
            return made
        x, y = (
            upright.operand(self.b, new) if id(old) in self.multiplied else new
            for old, new in zip(n.args, args, strict=True)
        )
        return contract.rewrite(self.b, n, (x, y), self.profile, id(n) in self.turned)

    def conv(self, n: g.Node, args: Args) -> g.Node:
        return _conv(self.b, n, args, self.profile)

    def window(self, n: g.Node, args: Args) -> g.Node | None:
        if max(n.form.base_dilation, default=1) == 1:
            return None
        return _dilated_window(self.b, n, *args)

    def scatter(self, n: g.Node, args: Args) -> g.Node:
        alone = prod(n.args[1].shape[:-1]) == 1  # of many updates, each would be a turn of a loop
        copied = self.passes(n, n, args) if alone else id(args[0]) in self.copied
        made = scatter.rewrite(self.b, n, args, copied)
        if copied and isinstance(made.form, g.Map):
            return self.as_choice(made)
        return made if self.profile is None else deal.rewrite(self.b, made, self.profile)

    def pick(self, n: g.Node, args: Args) -> g.Node | None:
        return dynamic.rewrite(self.b, n, args, id(n.args[0]) in self.picked, self.repeated)

    def gather(self, n: g.Node, args: Args) -> g.Node | None:
        return gather.rewrite(self.b, n, args)

    def sort(self, n: g.Node, args: Args) -> None:
        """What becomes a network is taken from there; the node itself is left without users."""
        made = self.profile and network.rewrite(self.b, n, args, self.repeated)
        if made:
            self.several[id(n)] = made

    def get(self, n: g.Node, args: Args) -> g.Node | None:
        made = self.several.get(id(n.args[0]))
        return None if made is None else made[n.form.index]

    def inner_graphs(self, n: g.Node, args: Args) -> g.Node:
        repeated = self.repeated or isinstance(n.form, g.Loop)
        # whether any lane goes on is asked lane by lane where the loop is one kernel
        whole = isinstance(n.form, g.Loop) and lane_predicate(n) is not None

        def again(x: g.Graph) -> g.Graph:
            cut = self.split and not (whole and x is n.form.cond)
            return canonicalize(x, split_reductions=cut, profile=self.profile, repeated=repeated)

        made = self.b.node(with_inner(n.form, again), args, n.shape, n.dtype, n.outs)
        if isinstance(made.form, g.Cond) and not any(x.effects for x in made.form.branches):
            found = gated.branches(self.b, made, args)
            if found is not None:
                self.several[id(n)] = self.left(n, found)
        return made

    def left(self, n: g.Node, found: Args) -> Args:
        """The results of the branch n, of which some are updates that its branches have left."""
        made = list(found)
        for get in self.users.get(id(n), ()):
            x = found[get.form.index]
            if isinstance(x.form, g.DynamicUpdate):
                made[get.form.index] = self.one_pass(get, x, x.args) or x
        return tuple(made)


_RULES: dict[type, Callable[[_Sweep, g.Node, Args], g.Node | None]] = {
    g.Map: _Sweep.choice,
    g.DynamicUpdate: _Sweep.update,
    g.Slice: _Sweep.part,
    g.Reshape: _Sweep.reshape,
    g.Transpose: _Sweep.transpose,
    g.Reduce: _Sweep.reduction,
    g.ArgReduce: _Sweep.place,
    g.Contract: _Sweep.product,
    g.Conv: _Sweep.conv,
    g.Window: _Sweep.window,
    g.Scatter: _Sweep.scatter,
    g.Gather: _Sweep.gather,
    g.DynamicSlice: _Sweep.pick,
    g.Sort: _Sweep.sort,
    g.TopK: _Sweep.sort,
    g.Get: _Sweep.get,
    g.Loop: _Sweep.inner_graphs,
    g.Cond: _Sweep.inner_graphs,
}


def _fold_of(
    b: g.Builder, n: g.Node, x: g.Node, folded: bool
) -> tuple[g.Node, g.Node, tuple[int, ...]]:
    """The fold n of x, what it folds, and how its result is turned: of what only folds read along
    the axes of memory.
    """
    made = upright.rewrite(b, n, x) if folded else None
    return made or (n, x, tuple(range(n.ndim)))


def _reduction(b: g.Builder, n: g.Node, x: g.Node, profile: Profile | None, alone: bool) -> g.Node:
    """The reduction n of x: a product, operations between what was stacked, or in two steps."""
    long = tuple(k for k in n.form.axes if x.shape[k] != 1)
    if len(long) < len(n.form.axes):
        shape = [size for k, size in enumerate(x.shape) if size != 1 or k not in n.form.axes]
        axes = tuple(k - sum(j < k for j in n.form.axes if j not in long) for k in long)
        n = g.Node(g.Reduce(n.form.op, axes), n.args, n.shape, n.dtype)
        x = b.reshape(x, shape)
        if not axes:
            return x
    made = None if profile is None else outer.rewrite(b, n, x, profile)
    if made is not None:
        return made
    rest = stacks.folded(b, n, x)
    if rest is not None:
        x, axes = rest
        n = g.Node(g.Reduce(n.form.op, axes), (x,), n.shape, n.dtype)
    return _reduce(b, n, pairs.rewrite(b, n, x) if alone and rest is None else x)


def _conv(b: g.Builder, n: g.Node, args: tuple[g.Node, ...], profile: Profile | None) -> g.Node:
    """By phases where the input has gaps, as a product where that is better."""
    x, w = args
    made = phases.split(b, n, x, w, lambda part: _conv(b, part, part.args, profile))
    if made is None and profile is not None:
        made = convolve.rewrite(b, n, (x, w), profile)
    return made if made is not None else _dilated_conv(b, n, x, w)


def _dilated_conv(b: g.Builder, n: g.Node, x: g.Node, w: g.Node) -> g.Node:
    """Input dilation becomes interior padding, so that every index stays affine."""
    gaps = (0, 0, *(d - 1 for d in n.form.lhs_dilation))
    if not any(gaps):
        return b.node(n.form, (x, w), n.shape, n.dtype)
    x = b.pad(x, b.const(0, x.dtype), (0,) * x.ndim, (0,) * x.ndim, gaps)
    form = replace(n.form, lhs_dilation=(1,) * len(n.form.lhs_dilation))
    return b.node(form, (x, w), n.shape, n.dtype)


def _dilated_window(b: g.Builder, n: g.Node, x: g.Node, init: g.Node) -> g.Node:
    made = phases.spread(b, n, x, init)
    if made is not None:
        return made
    gaps = tuple(d - 1 for d in n.form.base_dilation)
    x = b.pad(x, init, (0,) * x.ndim, (0,) * x.ndim, gaps)
    form = replace(n.form, base_dilation=(1,) * x.ndim)
    return b.node(form, (x, init), n.shape, n.dtype)


def block_count(rows: int, inner: int) -> int:
    """How many blocks of rows a reduction is cut into: from shapes alone."""
    return max(1, min(MAX_BLOCKS, rows, rows * inner // MIN_SPLIT))


def _reduce(b: g.Builder, n: g.Node, x: g.Node) -> g.Node:
    """A reduction whose result is small against its operand, in two steps where one would run on
    one core.
    """
    op, axes = n.form.op, n.form.axes
    if len(axes) == x.ndim and (y := _unflattened(b, x, 0)) is not x:
        x, axes = y, tuple(range(y.ndim))
    if x.size < 2 * MIN_SPLIT:
        return b.reduce(op, x, axes)
    if n.size == 1:
        return b.reshape(_reduce_all(b, op, x), n.shape)
    lead = 0
    while lead in axes:
        lead += 1
    inner_axes = tuple(k for k in axes if k >= lead)
    if lead and inner_axes:
        return _blocks(b, op, b.reduce(op, x, inner_axes), lead)
    if lead:
        return _blocks(b, op, x, lead)
    return b.reduce(op, x, axes)


def _unflattened(b: g.Builder, x: g.Node, depth: int) -> g.Node:
    """What x is a reshape of, itself or made of such reshapes element by element: folded whole, it
    is the same, and goes along the axes that the rest of its kernel has.
    """
    if isinstance(x.form, g.Reshape):
        return x.args[0]
    if not isinstance(x.form, g.Map) or depth == DEEPEST:
        return x
    made = {id(a): _unflattened(b, a, depth + 1) for a in x.args}
    shapes = {made[id(a)].shape for a in x.args if not isinstance(a.form, g.Const)}
    if len(shapes) != 1 or shapes == {x.shape}:
        return x
    (shape,) = shapes
    args = (
        b.const(a.form.value, a.dtype, shape) if isinstance(a.form, g.Const) else made[id(a)]
        for a in x.args
    )
    return b.node(x.form, tuple(args), shape, x.dtype)


def _argreduce(b: g.Builder, n: g.Node, x: g.Node) -> g.Node:
    """Where the extreme of one long axis is: where it is in each of some rows, and in which row."""
    op, long = n.form.op, x.size
    most = block_count(long, 1) if n.size == 1 and long == x.shape[n.form.axis] else 1
    rows = next((k for k in range(most, 1, -1) if long % k == 0), 1)
    if rows == 1:
        return b.argreduce(op, x, n.form.axis, n.dtype)
    cut = b.reshape(x, (rows, long // rows))
    row = b.argreduce(op, b.reduce(op, cut, (1,)), 0, n.dtype)
    places = b.map(
        "add",
        b.argreduce(op, cut, 1, n.dtype),
        b.map("mul", b.iota((rows,), 0, n.dtype), b.const(long // rows, n.dtype, (rows,))),
    )
    here = b.map("eq", b.iota((rows,), 0, n.dtype), b.broadcast(row, (rows,), ()))
    chosen = b.select(here, places, b.const(0, n.dtype, (rows,)))
    return b.reshape(b.reduce("add", chosen, (0,)), n.shape)


def _dot(b: g.Builder, n: g.Node, x: g.Node, y: g.Node) -> g.Node | None:
    """A sum of products of two long arrays, by blocks as any sum: all cores read them."""
    cx, cy = n.form.contract
    alike = x.shape == y.shape and cx == cy == tuple(sorted(cx)) and x.dtype == y.dtype == n.dtype
    if n.size != 1 or not alike or x.size < LONG_DOT or x.dtype.kind != "f":
        return None
    products = b.map("mul", b.reshape(x, (x.size,)), b.reshape(y, (x.size,)))
    return b.reshape(_reduce_all(b, "add", products), n.shape)


def _reduce_all(b: g.Builder, op: str, x: g.Node) -> g.Node:
    """Everything to one scalar: rows of the last axis if it is long, else as one flat axis."""
    rows, last = x.size // x.shape[-1], x.shape[-1]
    if x.ndim > 1 and last >= 64 and rows >= 16:
        return _blocks(b, op, b.reduce(op, x, (x.ndim - 1,)), x.ndim - 1, last)
    return _blocks(b, op, b.reshape(x, (x.size,)), 1)


def _blocks(b: g.Builder, op: str, x: g.Node, lead: int, inner: int = 1) -> g.Node:
    """Fold the leading axes by blocks, then the blocks."""
    rows = prod(x.shape[:lead])
    rest = x.shape[lead:]
    blocks = block_count(rows, prod(rest) * inner)
    if blocks < 2 or (rows <= FEW_ROWS and prod(rest) >= MANY):
        return b.reduce(op, x, tuple(range(lead)))
    parts = b.node(BlockReduce(op, lead, blocks), (x,), (blocks, *rest), x.dtype)
    return b.reduce(op, parts, (0,))
