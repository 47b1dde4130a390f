"""Fuse: which nodes are computed together. One backward sweep over the graph with a cost test.

In: a canonical graph. Out: groups in execution order, each the roots that one nest writes and the
space it runs over, and single steps for the forms that are no nest. A node is computed inside its
consumers' group unless that repeats costly work, breaks a row, or makes a cycle; then it is kept
in memory, and the reason is stored for `explain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from math import prod

from lowering import graph as g
from lowering.build import turns
from lowering.build.group import BlockReduce, Root
from lowering.fuse_rules import (
    CHEAP,
    FOLDS,
    MAX_NODES,
    MOST_COLUMNS,
    MOST_PATHS,
    MOST_PIECES,
    REPEATED,
    SHORT,
    SINGLE,
    VIEWS,
    DimMap,
    column_dims,
    cone_cost,
    cone_to,
    describe,
    flat,
    is_index,
    is_view,
    leaves,
    operand_dims,
    operands,
    own_cost,
    path_costs,
    read_elsewhere,
    read_in_place,
    root_dims,
    root_space,
    runs_elsewhere,
    spreads,
    spreads_or_renames,
    strip_of,
    trailing,
    windows_of_rows,
)
from lowering.groups import Fusion, Group, block_lead, column_axis, ordered, runs_along
from lowering.pieces import Piece, pieces_of
from lowering.reads import Reads
from lowering.rewrite.deal import Dealt
from lowering.rewrite.product import Packed, Product
from lowering.walk import renamed, users_of

LOOK = 64
"""Groups that read what a root reads, from the nearest on, that it may join: a weight of a loop
that was unrolled is read by each of its turns."""

DEAR, DEARER = 4.0, 10.0
"""Flops of what is not computed again along all of an outer axis, and not even four times."""

Homes = dict[int, tuple[Group, DimMap]]  # by group: where a node's axes lie in its space


def fuse(
    graph: g.Graph,
    *,
    enabled: bool = True,
    keep: Iterable[tuple[g.Node, str]] = (),
    columns: bool = True,
) -> Fusion:
    """Partition the graph. `keep` are nodes that must stand in memory (found by an earlier
    attempt); `columns`: whether kernels fold columns that they use, and windows of a product.
    """
    return _Fuser(graph, enabled, keep, columns).run()


class _Fuser:
    def __init__(self, graph: g.Graph, enabled: bool, keep: Iterable, columns: bool):
        self.graph, self.enabled, self.columns = graph, enabled, columns
        self.order = graph.nodes()
        self.users = users_of(self.order)
        self.costs = path_costs(self.order)
        self.follows = self.after_products()
        self.reads = Reads()
        self.stored: set[int] = set()
        self.picked: set[int] = set()  # what is read at any index, or a reshape of it is
        self.reasons: list[tuple[str, str]] = []
        self.groups: list[Group] = []
        self.reading: dict[int, dict[int, Group]] = {}  # node -> groups that read it, newest last
        self.homes: dict[int, dict[int, tuple[Group, DimMap]]] = {}  # node -> groups computing it
        self.group_of: dict[int, Group] = {}  # stored node -> the group that writes it
        self.kept = {id(n): r for n, r in keep}
        self.pieces: dict[int, dict[int, list[Group]]] = {}  # stored concatenation, operand -> who
        self.between: set[int] = set()  # views and concatenations below a stored one: not computed

    # ------------------------------------------------ the sweep

    def run(self) -> Fusion:
        for n in self.graph.outputs:
            self.stored.add(id(n))
        for n in reversed(self.order):
            self.reads.stands(n)
            if isinstance(n.form, g.Gather | g.DynamicSlice):
                self.picked.add(id(n.args[0]))
            if isinstance(n.form, g.Input | g.Const) or id(n) in self.between:
                if isinstance(n.form, g.Const) and id(n) in self.stored:
                    self.root(n)
                continue
            if isinstance(n.form, SINGLE):
                self.single(n)
            elif isinstance(n.form, g.Get) and isinstance(n.args[0].form, SINGLE):
                self.stored.add(id(n))
            else:
                self.place(n)
        groups = ordered(
            [x for x in self.groups if x.into is None], self.order, self.group_of, self.stored
        )
        return Fusion(groups, self.stored, self.reasons)

    def single(self, n: g.Node) -> None:
        group = self.new(Group((), single=n))
        self.group_of[id(n)] = group
        if n.outs is None:
            self.stored.add(id(n))
        for user in self.users.get(id(n), ()):
            if isinstance(user.form, g.Get):
                self.group_of[id(user)] = group
        self.feed(group, n)
        for a in operands(n):
            if not isinstance(a.form, g.Const):
                self.stored.add(id(a))

    def place(self, n: g.Node) -> None:
        """Inline n into the groups of its users, or make it a root."""
        if id(n) in self.stored:
            self.root(n)
            return
        homes = self.user_homes(n)
        if self.enabled and len(homes) > 1 and cone_cost(n) > CHEAP and id(n) not in self.kept:
            homes = self.joined(n, homes)
        why = self.kept.get(id(n)) or self.why_store(n, homes)
        if why is not None:
            self.reads.stands(n)
            self.note(n, why)
            self.stored.add(id(n))
            self.root(n)
            return
        if id(n) in self.picked:
            self.picked.add(id(n.args[0]))
        self.homes[id(n)] = homes
        self.read(n, [group for group, _ in homes.values()])
        for group, dims in homes.values():
            group.add(n, dims)

    def read(self, n: g.Node, groups: Sequence[Group]) -> None:
        """Note that these groups compute n, and so read its operands."""
        for a in n.args:
            reading = self.reading.setdefault(id(a), {})
            for group in reversed(groups):
                reading.pop(id(group), None)
                reading[id(group)] = group

    def user_homes(self, n: g.Node) -> dict[int, tuple[Group, DimMap]]:
        """The groups that compute n's users, with n's axes in each group's space."""
        homes: dict[int, tuple[Group, DimMap]] = {}
        for user in self.users.get(id(n), ()):
            for group, dims in self.homes_of_operand(user, n):
                mapped = group.columns.get(id(user)) or operand_dims(user, n, dims)
                old = homes.get(id(group))
                if old is not None and old[1] != mapped:
                    mapped = tuple(a if a == b else None for a, b in zip(old[1], mapped))
                homes[id(group)] = (group, mapped)
        return homes

    def homes_of_operand(self, user: g.Node, n: g.Node) -> list[tuple[Group, DimMap]]:
        """The groups in which `user` reads n; of a stored concatenation those of n's pieces."""
        pieces = self.pieces.get(id(user))
        if pieces is None:
            return list(self.homes.get(id(user), {}).values())
        return [(p.found(), tuple(range(n.ndim))) for p in pieces[id(n)]]

    def joined(self, n: g.Node, homes: Homes) -> Homes:
        """Make one group of those that would all compute n, where they run over one space."""
        groups = [group for group, _ in homes.values()]
        first = groups[0]
        for other in groups[1:]:
            if not self.alike(first, other):
                return homes
        marks = 0
        for group in groups:
            marks |= group.mark
        if any(group.below & marks for group in groups):
            return homes
        for other in groups[1:]:
            self.absorb(first, other)
        return self.user_homes(n)

    def alike(self, a: Group, b: Group) -> bool:
        """Whether two groups can be one nest."""
        if a.space != b.space or (None not in (a.blocks, b.blocks) and a.blocks != b.blocks):
            return False
        if a.shares(b.lead, b.running) or a.strays(b.strips):
            return False
        special = any(
            x.closed
            or x.single is not None
            or x.product is not None
            or x.after is not None
            or isinstance(x.roots[0].node.form, Packed)
            for x in (a, b)
        )
        return (
            not special
            and len(a.nodes | b.nodes) < MAX_NODES
            and min(len(a.roots), len(b.roots)) <= 12
        )

    def absorb(self, a: Group, b: Group) -> None:
        """Everything that b computes, a computes."""
        a.absorb(b)
        for k in b.nodes:
            places = self.homes.get(k)
            if places is not None and id(b) in places:
                _, dims = places.pop(id(b))
                old = places.get(id(a))
                if old is not None and old[1] != dims:
                    dims = tuple(x if x == y else None for x, y in zip(old[1], dims))
                places[id(a)] = (a, dims)
        for r in b.roots:
            self.group_of[id(r.node)] = a

    # ------------------------------------------------ decisions

    def why_store(self, n: g.Node, homes: dict[int, tuple[Group, DimMap]]) -> str | None:
        """None if n may be computed inside all of its users' groups."""
        if not self.enabled and not isinstance(n.form, (*VIEWS, g.Iota, g.Get)):
            return "fusion is switched off"
        users = self.users.get(id(n), ())
        if isinstance(n.form, g.Transpose) and n.form.stored:
            return "its columns lie side by side for lanes that read one each"
        if id(n) in self.picked and renamed(n) is None:
            return "it is read at indices that come from data"
        for user in users:
            if isinstance(user.form, g.DynamicUpdate | Dealt) and user.args[0] is n:
                return "it is updated in place"
            if isinstance(user.form, g.Contract | g.Conv) and not is_view(n):
                return "a product reads each element many times"
            if isinstance(user.form, Product):
                return "a product reads it tile by tile"
            part = isinstance(user.form, g.Slice) and cone_cost(n) > CHEAP
            if part and any(turns.of(u) is not None for u in self.users.get(id(user), ())):
                return "it is read at an index that goes round"
            folded = isinstance(user.form, g.Window) and cone_cost(n) > CHEAP
            if folded and self.pooled(user) is None:
                return "overlapping windows would repeat it"
        at = self.reads.inside(n, users)
        if at > 1 and at * self.costs[id(n)] > MOST_PATHS and not isinstance(n.form, VIEWS):
            return "it is read at several places and costs too much to repeat there"
        if isinstance(n.form, g.Concat) and is_index(n, users):
            return None  # each component is computed where it is used
        if turns.of(n) is not None:
            return None  # read where it stands
        if isinstance(n.form, g.Concat) and read_in_place(n, users, homes):
            return None
        if isinstance(n.form, Dealt):
            return "its rows are joined in memory"
        if isinstance(n.form, g.Concat | g.DynamicUpdate) or spreads(n):
            return "its pieces are written side by side"
        ends = isinstance(n.form, g.Map) and id(n) in self.follows
        if ends and any(group.folds and not self.pools(group) for group, _ in homes.values()):
            return "the kernel of the product before it computes it"
        repeated = spreads_or_renames(n) or self.better_repeated(n, homes)
        if len(homes) > 1 and cone_cost(n) > CHEAP and not repeated:
            return f"{len(homes)} kernels need it and it costs too much to repeat"
        for group, dims in homes.values():
            most = 2 * MAX_NODES if isinstance(n.form, VIEWS) else MAX_NODES  # a view is no work
            if len(group.nodes) > most:
                return f"the kernel has {MAX_NODES} operations already"
            why = self.why_not_inside(n, group, dims)
            if why is not None:
                return why
        return None

    def why_not_inside(self, n: g.Node, group: Group, dims: DimMap) -> str | None:
        """Whether computing n over the group's space repeats costly work."""
        if isinstance(n.form, Product):
            return self.why_not_epilogue(n, group)
        first = group.roots[0].node.form
        if isinstance(n.form, FOLDS) and (group.product or isinstance(first, Packed | Dealt)):
            return f"the kernel is a {'scatter' if isinstance(first, Dealt) else 'product'}'s"
        covered = {d for d in dims if d is not None}
        if isinstance(n.form, FOLDS) and group.shares(0, runs_along(n, dims, group.space)):
            return "items fold blocks of what one would fold from end to end"
        if group.strays((strip_of(n),)):
            return "the kernel folds rows of another length"
        whole = all(d in covered for d in range(len(group.space)) if group.space[d] > 1)
        prefix = all(d in covered for d in range(max(covered, default=-1) + 1))
        if isinstance(
            n.form, g.Reduce | g.ArgReduce | g.Contract | g.Conv | g.Window | BlockReduce
        ):
            if isinstance(n.form, BlockReduce):
                return "its blocks are combined by a second kernel"
            if isinstance(n.form, g.Contract | g.Conv):
                small = whole and None not in dims and n.size <= 4096
                return None if small else "it is a product of its own"
            if isinstance(n.form, g.Window):
                return None if whole else "its windows would be folded again and again"
            axes = g.fold_axes(n)
            x = n.args[0]
            trailing = all(k in axes for k in range(x.ndim) if k >= min(axes))
            short = prod(x.shape[k] for k in axes) <= SHORT and whole and None not in dims
            columns = column_dims(n, group.space, dims) if self.columns else None
            if columns is not None and not group.shares(0, column_axis(n, columns)):
                group.columns[id(n)] = columns
                return None
            if not trailing and x.size > 1024 and not short:
                return "it folds an axis that is not the last"
            if not (whole or prefix) or (None in dims and n.size > 1):
                return "its rows do not lie along the kernel's rows"
            if not whole and not short and runs_elsewhere(n, group.space[len(covered) :]):
                return "the kernel would fold it again for each of its strips"
            return None
        if isinstance(n.form, g.CumScan):
            if not whole or None in dims:
                return "a running fold is read out of order"
            return None if n.form.axis == n.ndim - 1 else "a running fold along an outer axis"
        if not whole and not prefix and self.costs[id(n)] >= DEAR:
            repeats = prod(group.space[d] for d in range(len(group.space)) if d not in covered)
            if repeats > 4 and (own_cost(n) >= DEARER or prod(group.space) > 16 * n.size):
                return f"broadcasting it would compute it {repeats} times"
        return None

    def why_not_epilogue(self, n: g.Node, group: Group) -> str | None:
        """Whether the group can run on the product's tiles: it follows the product element by
        element.
        """
        if group.product is not None and group.product is not n:
            return "the kernel computes another product"
        if self.pools(group) is n:
            return None
        if group.folds or isinstance(group.roots[0].node.form, Packed | BlockReduce | Dealt):
            return "what consumes the product folds, packs or scatters it"
        written = [r.node if r.piece is None else r.piece.x for r in group.roots]
        if prod(group.space) != n.size or any(x.size != n.size for x in written):
            return "what consumes the product has another size"
        return None

    def pools(self, group: Group) -> g.Node | None:
        """The product whose rows a group folds, window by window, and nothing else."""
        if len(group.roots) != 1 or not group.folds:
            return None
        above = cone_to(group.roots[0].node, g.Window)
        return self.pooled(above[0]) if above else None

    def pooled(self, w: g.Node) -> g.Node | None:
        """The product that windows side by side are of, with what follows it element by element,
        where nothing else reads that and a tile holds whole windows of its rows.
        """
        cone = cone_to(w.args[0], Product) if self.columns else []
        if not cone or not windows_of_rows(w, cone[0]):
            return None
        inside = {id(w), *map(id, cone)}
        alone = all(id(u) in inside for n in cone for u in self.users[id(n)])
        return cone[0] if alone and not any(id(n) in self.stored for n in cone) else None

    def better_repeated(self, n: g.Node, homes: Homes) -> bool:
        """Whether two kernels should both compute n from one product's result: an activation and
        its derivative share several values, and one array is read for all of them.
        """
        if len(homes) > 2 or not isinstance(n.form, g.Map) or n.dtype.kind == "b":
            return False  # a mask is a quarter of what it is made of
        cost, found, todo, seen = 0.0, None, [n], {id(n)}
        while todo:
            x = todo.pop()
            cost += own_cost(x)
            if cost > REPEATED:
                return False
            for a in x.args:
                if id(a) in seen or a.size * 8 <= n.size or isinstance(a.form, g.Const):
                    continue
                seen.add(id(a))
                if isinstance(a.form, g.Map | g.Reshape | g.Broadcast):
                    todo.append(a)
                elif found is None and isinstance(a.form, Product) and a.size == n.size:
                    found = a
                else:
                    return False
        return found is not None

    def after_products(self) -> set[int]:
        """Nodes that follow a product element by element, through nodes that nothing else reads."""
        found: set[int] = set()
        stored = set(map(id, self.graph.outputs))
        for n in self.order:
            if not isinstance(n.form, g.Map | g.Reshape):
                continue
            for a in n.args:
                if a.size != n.size or len(self.users[id(a)]) > 1 or id(a) in stored:
                    continue
                if isinstance(a.form, Product) or id(a) in found:
                    found.add(id(n))
        return found

    # ------------------------------------------------ roots and groups

    def root(self, n: g.Node) -> None:
        """Give a stored node to a group: one that already reads it over the same space, a sibling,
        or a new one.
        """
        if found := pieces_of(n, self.users if self.enabled else {}, self.stored):
            self.piecewise(n, found)
            return
        if isinstance(n.form, g.DynamicUpdate | Dealt):
            x, update = n.args[:2]
            if not (isinstance(n.form, Dealt) and isinstance(x.form, g.Const)):
                self.stored.add(id(x))
            group = self.new(Group(update.shape, closed=True))
            self.add_root(n, group, tuple(range(update.ndim)))
            return
        if spreads(n):
            group = self.new(Group(n.args[0].shape, closed=True))
            self.add_root(n, group, tuple(range(n.ndim)))
            return
        space, blocks = root_space(n)
        alone = isinstance(n.form, Packed) or (isinstance(n.form, Product) and id(n) in self.kept)
        alone = (
            alone
            or id(n) in self.kept
            or (isinstance(n.form, g.CumScan) and n.form.axis != n.ndim - 1)
        )
        if self.enabled and not alone:
            homes, after = self.user_homes(n), 0
            for x in self.readers(n):
                after |= x.below
            for group in self.candidates(n, homes):
                if group.mark & after:
                    continue  # it would come before and after another one
                dims = self.joins(n, group, blocks, homes)
                if dims is not None:
                    self.add_root(n, group, dims)
                    return
        group = self.new(Group(space, blocks=blocks, closed=alone))
        self.add_root(n, group, root_dims(n))

    def new(self, group: Group) -> Group:
        """The group as one of those to come."""
        group.mark = 1 << len(self.groups)
        self.groups.append(group)
        return group

    def piecewise(self, n: g.Node, found: list[Piece]) -> None:
        """A concatenation in memory: one group a piece, in order, each writing its range; one group
        in all where they have the same shape and are not computed tile by tile.
        """
        shapes = {p.x.shape for p in found}
        tiles = any(cone_to(flat(p.x), Product) for p in found)
        columns = len(shapes) == 1 and found[0].x.shape[-1:] == (1,)
        most = MOST_COLUMNS if columns else MOST_PIECES
        if len(shapes) == 1 and len(found) <= most and not tiles:
            group = self.new(Group(found[0].x.shape))
            group.roots = [Root(n, tuple(range(p.x.ndim)), p) for p in found]
            groups = [group] * len(found)
            self.feed(group, n)
        else:
            groups = []
            for p in found:
                root = Root(n, tuple(range(p.x.ndim)), p)
                group = self.new(Group(p.x.shape, [root], closed=True))
                group.after = groups[-1] if groups else None
                groups.append(group)
            self.feed(groups[-1], n)
            # in reverse, so that each hears once of all after it
            for first, second in reversed(list(pairwise(groups))):
                first.feed([second])
        for p, group in zip(found, groups):
            known = self.pieces.setdefault(id(p.path[0][0]), {}).setdefault(id(p.x), [])
            if group not in known:
                known.append(group)
            self.between.update(id(view) for view, _ in p.path if view is not n)
        self.group_of[id(n)] = groups[-1]

    def add_root(self, n: g.Node, group: Group, dims: tuple[int, ...] | None) -> None:
        group.roots.append(Root(n, dims))
        group.add(n, dims)
        self.feed(group, n)
        self.read(n, [group])
        self.group_of[id(n)] = group
        if isinstance(n.form, BlockReduce):
            group.blocks = n.form.blocks
            inner: DimMap = tuple(range(len(group.space)))
            self.homes.setdefault(id(n), {})[id(group)] = (group, (None,) + inner[n.form.lead :])
            return
        mapped: DimMap = dims if dims is not None else (None,) * n.ndim
        self.homes.setdefault(id(n), {})[id(group)] = (group, mapped)

    def candidates(self, n: g.Node, homes: Homes) -> list[Group]:
        """Groups that read n, and groups that read what n reads, those near it first."""
        found = {k: group for k, (group, _) in homes.items()}
        for a in leaves(n, self.stored):
            near = reversed(self.reading.get(id(a), {}).values())
            found.update((id(x), x) for x in (y.found() for y in islice(near, LOOK)))
        return [
            x
            for x in found.values()
            if not x.closed and x.single is None and len(x.nodes) < MAX_NODES
        ]

    def joins(
        self, n: g.Node, group: Group, blocks: int | None, homes: Homes
    ) -> tuple[int, ...] | None:
        """How n lies in the group's space, or None. The space may grow to n's if all roots are rows
        of it.
        """
        space, _ = root_space(n)
        if blocks is not None and group.blocks not in (None, blocks):
            return None
        if group.shares(block_lead(n), runs_along(n, root_dims(n), space)):
            return None
        if prod(space) == 0 or prod(group.space) == 0 or group.strays((strip_of(n),)):
            return None
        if isinstance(n.form, Product) and self.why_not_epilogue(n, group) is not None:
            return None
        if group.product is not None and (isinstance(n.form, FOLDS) or space != group.space):
            return None
        at = homes[id(group)][1] if id(group) in homes else None  # where the group reads n
        if at is not None and read_elsewhere(n, at):
            return None
        if space == group.space:
            return root_dims(n)
        k = len(n.shape)
        rows = isinstance(n.form, g.Map | g.Reduce | g.ArgReduce | g.Broadcast | g.Reshape)
        if blocks is None and rows and n.shape == group.space[:k] and space == n.shape:
            along = tuple(range(k))
            if at is not None and any(d not in (None, p) for d, p in zip(at, along)):
                return None  # a row as long as a column: read along columns
            return along if k else None
        grows = group.space and group.space == space[: len(group.space)] and trailing(n)
        plain = (r.dims == tuple(range(len(r.dims or ()))) != () for r in group.roots)
        if grows and all(plain) and all(r.piece is None for r in group.roots):
            group.space = space
            return root_dims(n)
        return None

    def readers(self, n: g.Node) -> Iterable[Group]:
        """The groups that read n. All of its users have been placed."""
        for user in self.users.get(id(n), ()):
            if id(user) in self.homes or id(user) in self.pieces:
                yield from (group for group, _ in self.homes_of_operand(user, n))
                if is_view(user) and id(user) not in self.stored:  # what is no nest reads past it
                    yield from self.readers(user)
            elif isinstance(user.form, g.Get) and id(user) in self.group_of:
                yield from self.readers(user)
            elif id(user) in self.group_of:
                yield self.group_of[id(user)]

    def feed(self, group: Group, n: g.Node) -> None:
        """Note who reads n, which the group writes."""
        group.feed(self.readers(n))

    def note(self, n: g.Node, why: str) -> None:
        self.reasons.append((describe(n), why))
