"""The stage of a product: register tiles over blocks of k, then the epilogue's nest on the tiles.

In: a nest that reads the tile (`product.Tile`) of a Product at the product's own index. An item
does a block of row tiles times a block of column tiles for some outer indices, a strip of column
tiles at a time: a row tile's sums stay in a private array, which the epilogue then reads. A sum
runs over k in order, in blocks whose size the shape gives, so it does not depend on who does what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from lowering import scalar, schedule
from lowering.affine import Cut
from lowering.emit.stage import Stage, _Emitter
from lowering.graph import Node
from lowering.nest import Nest, NestBuffer, Store, Value
from lowering.planning import origin
from lowering.profile import Profile
from lowering.rewrite.product import QUAD, Access, Tile
from lowering.templates import masks, micro, outline, prefetch, product_gpu, whole
from lowering.templates.access import offset
from lowering.templates.blocks import GROUP, PACKED_COLUMNS, Blocks

_PRAGMA = "#pragma OPENCL FP_CONTRACT ON"
HEAVY = 60.0  # flops of an epilogue that is not written out for each strip, nor one with gathers
SHARED_FLOPS = 1 << 16  # of a product of two matrices, from which the shared function costs nothing
OUTLINED_FLOPS = 3 << 18  # of a row tile, of which calls in loops not optimised are under 1%
ROOMS = (1 << 18, 1 << 20)  # bytes of private arrays, most of which need not be touched
HALVES = 32  # bytes of a vector; larger ones some processors take in two steps
LINE = 16  # elements: the parts of an array begin apart from what is before them


@dataclass(slots=True)
class Axes:
    """The epilogue's axes by the part of the product's index they belong to, outermost first;
    `window`: those of the rows that it folds. A tile's rows are whole windows, one after the other.
    """

    outer: list[int]
    rows: list[int]
    columns: list[int]
    window: list[int]


def stage(nest: Nest, profile: Profile) -> Stage:
    """The stage that computes the product whose tile `nest` reads, and then `nest`; Cut if it does
    not follow the tiles.
    """
    node = next(b.node for b in nest.buffers if isinstance(b.node.form, Tile)).args[0]
    loads, axes = _read_tile(node, nest, profile)
    a, b = _operands(node, nest, loads)
    found = {k: n for k, n in origin.origins(nest).items() if k not in (a, b)}
    nest = origin.moved(nest, found)
    if profile.schedule == "gpu":
        made = product_gpu.ProductEmitter(node, nest, axes, (a, b)).stage()
    else:
        width = min(profile.lanes(node.dtype.itemsize), node.form.columns)
        made = _ProductEmitter(node, nest, axes, (a, b), width, profile, loads[0]).stage()
    return origin.with_arguments(made, found)


# ---------------------------------------------------------------- the epilogue's nest


def _read_tile(node: Node, nest: Nest, profile: Profile) -> tuple[list[Value], Axes]:
    """The loads of the tile, and the axes, merged within each part; Cut where an epilogue cannot
    run tile by tile.
    """
    tiles = [k for k, buffer in enumerate(nest.buffers) if isinstance(buffer.node.form, Tile)]
    loads = [v for v in nest.values if v.op == "load" and v.attr[0] in tiles]
    if len(tiles) != 1 or len(loads) != 1 or loads[0].attr[2] or loads[0].args:
        raise Cut(node, "the product is read at several places")
    folded = schedule.folded_axes(nest)
    if any(st.partial for st in nest.stores) or (folded and profile.schedule == "gpu"):
        raise Cut(node, "what consumes the product folds it")
    index = loads[0].attr[1]
    m, n = node.shape[-2:]
    parts: list[list[int]] = [[], [], []]
    for a, c in sorted(index.terms, key=lambda t: -t[1]):
        span = c * nest.extents[a]
        parts[2 if span <= n else 1 if span <= m * n and c >= n else 0].append(a)
        if c <= 0 or (c < n and span > n) or (c < m * n and span > m * n):
            raise Cut(node, "the product's rows are read in another shape")
    live = {a for v in nest.values for a in v.mask}.union(*(st.index.axes for st in nest.stores))
    if live != index.axes or index.const or prod(nest.extents[a] for a in live) != node.size:
        raise Cut(node, "the product is read at another index than its own")
    window = [a for a in parts[1] if a in folded]
    of_rows = node.form.a.lane is None and not node.form.streamed
    whole = of_rows and node.form.rows % prod(nest.extents[a] for a in window) == 0
    if folded and not (whole and folded == frozenset(window)):
        raise Cut(node, "what consumes the product folds it")
    for group in parts:
        _merge_within(nest, group)
    return loads, Axes(parts[0], [a for a in parts[1] if a not in folded], parts[2], window)


def _merge_within(nest: Nest, group: list[int]) -> None:
    """Join neighbouring axes of one part that every index walks as one."""
    k = 0
    while k + 1 < len(group):
        a, b = group[k], group[k + 1]
        n = nest.extents[b]
        same = all((a in v.mask) == (b in v.mask) for v in nest.values)
        if same and all(e.coef(a) == e.coef(b) * n for e in schedule._indices(nest)):
            schedule._merge(nest, a, b)
            group.pop(k)
            k = max(k - 1, 0)
        else:
            k += 1


def _operands(node: Node, nest: Nest, loads: list[Value]) -> tuple[int, int]:
    """Put the product's operands among the nest's buffers in place of the tile; their numbers."""
    tile = loads[0].attr[0]
    places = [k for k in range(len(nest.buffers)) if k != tile]
    renumber = {old: new for new, old in enumerate(places)} | {tile: -1}
    for v in nest.values:
        if v.op == "load":
            v.attr = (renumber[v.attr[0]], *v.attr[1:])
    for st in nest.stores:
        st.buffer = renumber[st.buffer]
    nest.buffers = [nest.buffers[k] for k in places]
    found = []
    for x in node.args:
        known = [k for k, buffer in enumerate(nest.buffers) if buffer.node is x]
        if not known:
            nest.buffers.append(NestBuffer(x, x.dtype, x.size))
        found.append(known[0] if known else len(nest.buffers) - 1)
    nest.product = node
    return found[0], found[1]


# ---------------------------------------------------------------- text


class _ProductEmitter(_Emitter):
    """Emits tiles, and within them the nest with its rows and columns opened tile by tile."""

    def __init__(self, node, nest, axes: Axes, operands, width: int, profile: Profile, tile: Value):
        self.node, self.form, self.axes, self.operands = node, node.form, axes, operands
        self.kind = scalar.register_type(node.dtype, 1)
        self.stored_as = [nest.buffers[k].dtype for k in operands]
        self.lanes = width
        self.vectors = node.form.columns // width
        self.needed = masks.needed(nest, tile)
        self.stored = self.only_stored(nest)
        flops = 2 * prod(node.shape[-2:]) * node.form.k
        self.whole = self.stored is not None and flops >= SHARED_FLOPS
        self.blocks = (Blocks.whole if self.whole else Blocks.of)(node, profile)
        if self.whole and self.form.a.k == 1 and self.a_is_far():
            self.form = replace(self.form, a=replace(self.form.a, panel=True))
        self.last = self.last_columns(profile) if self.whole else 0
        v = axes.columns[-1] if axes.columns else None
        if len(axes.columns) > 1 and nest.extents[v] % node.form.columns:
            raise Cut(node, "its columns are split unevenly by what consumes it")
        strip = 1 if v is None else min(schedule._width(nest, v, profile), node.form.columns)
        rows = tuple(axes.rows)
        folds = tuple(axes.window)
        plan = schedule.Schedule(rows, folds, v, strip, 1, 1, 1, (1, 1), "cpu", 1)
        super().__init__(nest, plan)
        self.together = prod(nest.extents[a] for a in folds)  # rows that the epilogue folds
        self.index = tile.attr[1]
        self.ints: list[int] = []
        self.helpers: list[str] = []
        near = None not in (self.form.a.lane, self.form.a.k)  # else lists of offsets are filled
        sums = node.form.rows * self.blocks.strip * node.form.columns
        depth = min(node.form.k, self.blocks.depth)
        self.outlined = not self.whole and near and 2 * sums * depth >= OUTLINED_FLOPS
        # the last tile is moved to the left, so that it ends where the rows do
        self.shifted = not (self.form.b.packed or self.form.b.panel or self.form.streamed)

    def a_is_far(self) -> bool:
        """Whether so many columns pass A's rows that these are copied, though k is in one piece."""
        return self.blocks.columns * self.form.columns > PACKED_COLUMNS

    def last_columns(self, profile: Profile) -> int:
        """Columns of a row's last tile where it needs fewer vectors, or half of one, which takes
        half the time where a processor does 512 bits in two steps; else 0.
        """
        n, form, width = self.node.shape[-1], self.form, self.lanes
        rest = n % form.columns
        half = width // 2 if width * self.node.dtype.itemsize > HALVES else width
        last = half if rest <= half else -(-rest // width) * width
        return last if n > form.columns and rest > 0 and last < form.columns else 0

    def int(self, name: str, value: int, kind: str = "int") -> None:
        """An integer argument under a name, so that texts of different shapes are equal."""
        self.line(f"const {kind} {name} = n{len(self.ints)};")
        self.ints.append(value)

    def stage(self) -> Stage:
        form, blocks = self.form, self.blocks
        *outer, m, n = self.node.shape
        row_tiles, column_tiles, batch = -(-m // form.rows), -(-n // form.columns), prod(outer)
        row_blocks, column_blocks = -(-row_tiles // blocks.rows), -(-column_tiles // blocks.columns)
        counts = {"M": m, "N": n, "K": form.k, "RB": row_blocks, "CB": column_blocks}
        counts |= {"RT": blocks.rows * form.rows, "CT": blocks.columns * form.columns}
        counts |= {"OT": blocks.outer, "OB": batch}
        counts |= {"ST": blocks.strip * form.columns, "KB": blocks.k, "KD": blocks.depth}
        self.line(_PRAGMA)
        for name, value in counts.items():
            self.int(name, value)
        self.arrays()
        shared = self.stored if self.whole else None
        if shared is not None:
            self.shared_stage(*shared)
        else:
            self.own_loops()
        text, listed = "\n".join(self.scope.lines), shared is not None or self.outlined
        items = row_blocks * column_blocks * -(-batch // blocks.outer)
        made = Stage(text, self.nest.buffers, self.ints, items, 1, self.nest.label)
        made.head, made.helpers = "FX_LIST" if listed else "FX_STAGE", tuple(self.helpers)
        return made

    def own_loops(self) -> None:
        """The item's outer numbers and strips of columns: sums, then the epilogue."""
        self.line("const int it = item, ir = it % RB, ic = it / RB % CB, io = it / RB / CB;")
        self.line(f"const int m0 = ir * RT, m1 = {_min('M', 'm0 + RT')};")
        self.line(f"const int q0 = ic * CT, q1 = {_min('N', 'q0 + CT')};")
        scope = self.push(frozenset(self.axes.outer))
        self.outer_indices()
        inner = self.push(frozenset())
        self.strip()
        self.pop(inner, "for (int s0 = q0; s0 < q1; s0 += ST) {")
        last = _min("(io + 1) * OT", "OB")
        self.pop(scope, f"for (int o = io * OT, oe = {last}; o < oe; ++o) {{")

    def arrays(self) -> None:
        """The sums of a row tile, or of all for a depth of k, and the panels to be filled: parts of
        one array, whose size says little of the shape.
        """
        form, blocks = self.form, self.blocks
        deep = form.k > blocks.depth and not self.whole
        self.a_size = micro.panel_size(form.rows, self.lanes, blocks.depth)
        self.b_size = micro.panel_size(form.columns, self.lanes, blocks.k)
        kept = 1 if self.whole else blocks.strip
        sizes = [(blocks.rows if deep else 1) * form.rows * kept * form.columns + LINE]
        together = GROUP if self.whole else micro.together(form.rows)
        depths = blocks.depth // blocks.k
        sizes += [together * self.a_size] if form.a.panel else []
        sizes += [depths * blocks.strip * self.b_size] if form.b.panel else []
        itemsize = self.node.dtype.itemsize
        room = _room(max(sum(sizes), ROOMS[-1] // itemsize * self.whole), itemsize)
        self.line(f"{self.kind} acc[{room}] __attribute__((aligned(64)));")
        kept = str(form.rows * form.columns)
        if not self.whole:
            self.line(f"const int sums_step = K > KD ? {form.rows} * ST : 0;")
            kept = f"(K > KD ? RT : {form.rows}) * ST"
        for name, value in self.steps().items():
            self.int(name, value, "long")
        if form.a.panel or form.b.panel:  # a CPU has one memory
            end = f"({kept} + {LINE - 1}) / {LINE} * {LINE}"
            self.line(f"__global {self.kind} *ap = (__global {self.kind} *)(ulong)(acc + {end});")
        if form.b.panel:
            self.line(f"__global {self.kind} *bp = ap{f' + {together} * x_step' * form.a.panel};")

    def steps(self) -> dict[str, int]:
        """From one tile and from one block of k to the next in A (x) and B (y), in panels or in
        place; where B's last tile begins at the latest, so that it ends where the columns do; and
        the operands' strides and origins.
        """
        form, blocks = self.form, self.blocks
        a, b = form.a, form.b
        x = self.a_size if a.panel else a.tile if a.packed else form.rows * (a.lane or 0)
        y = self.b_size if b.panel else b.tile if b.packed else form.columns
        last = self.last or form.columns
        return {
            "x_step": x,
            "x_block": blocks.k * (form.rows if a.panel else a.k or 0),
            "y_step": y,
            "y_block": blocks.strip * y if b.panel else blocks.k * (b.k or 0),
            "y_last": self.node.shape[-1] - last if self.shifted else 1 << 40,
            "a_lane": a.lane or 0,
            "a_k": a.k or 0,
            "b_lane": b.lane or 0,
            "b_k": b.k or 0,
            "a_start": a.start,
            "b_start": b.start,
        }

    # ------------------------------------------------ products that are only stored

    def only_stored(
        self, nest: Nest
    ) -> tuple[Store, list[tuple[int, tuple[int, int, int]]]] | None:
        """The one store, and the outer axes as (extent, strides of A, B and the result), where
        that is all that happens, and where a function that products share can do it.
        """
        form, axes = self.form, self.axes
        first = nest.stores[0]
        if len(nest.stores) > 1 or first.dynamic is not None or first.guards:
            return None
        v = nest.values[first.value]
        if v.op != "load" or v.attr[0] != -1:
            return None
        if form.streamed or None in (form.a.lane, form.a.k) or self.needed is not None:
            return None
        if any(x != self.node.dtype for x in self.stored_as):
            return None
        if len(axes.rows) > 1 or len(axes.columns) != 1 or first.index.coef(axes.columns[0]) != 1:
            return None
        operands = zip(self.node.shape[:-2], form.a.outer, form.b.outer, strict=True)
        outer = [(n, s, t) for n, s, t in operands if n > 1]
        if len(outer) > 2 or [n for n, *_ in outer] != [nest.extents[a] for a in axes.outer]:
            return None
        found = [(n, (s, t, first.index.coef(a))) for (n, s, t), a in zip(outer, axes.outer)]
        return first, found

    def shared_stage(self, store: Store, outer: list[tuple[int, tuple[int, int, int]]]) -> None:
        """All of the stage as a call; its text is the same for all shapes, and may be on disk."""
        form = self.form
        high, low = [(1, (0, 0, 0)), (1, (0, 0, 0)), *outer][-2:]
        inner, strides = str(low[0]), ", ".join(["0"] * 6)
        if outer:
            self.int("inner", low[0])
            names = [f"{x}_{y}" for x in ("a", "b", "out") for y in ("outer", "inner")]
            for name, value in zip(names, (x for xs in zip(high[1], low[1]) for x in xs)):
                self.int(name, value, "long")
            inner, strides = "inner", ", ".join(names)
        self.int("ld", store.index.coef(self.axes.rows[0]) if self.axes.rows else 0, "long")
        self.int("start", store.index.const, "long")
        a, b = (f"b{k} + {side}_start" for k, side in zip(self.operands, "ab"))
        x, y = ("ap" if form.a.panel else "0"), ("bp" if form.b.panel else "0")
        self.line(
            f"{self.begin('whole')}, item, {a}, {b}, {x}, x_step, {y}, y_step, y_last, "
            "a_lane, a_k, b_lane, b_k, M, N, K, RB, CB, RT, CT, OT, OB, KD, "
            f"acc, {inner}, {strides}, ld, b{store.buffer} + start);"
        )

    def begin(self, first: str) -> str:
        return whole.begin(first, self.form, self.node.dtype, self.lanes, self.last)

    # ------------------------------------------------ indices

    def decode(self, flat: str, axes: list[int]) -> None:
        """The axes' indices from their flat number."""
        for k in range(len(axes) - 1, -1, -1):
            later = prod(self.nest.extents[a] for a in axes[k + 1 :])
            e = f"{flat} / {later}" if later > 1 else flat
            e = f"{e} % {self.nest.extents[axes[k]]}" if k else e
            self.line(f"const int i{axes[k]} = {e};")

    def outer_indices(self) -> None:
        """Where this outer index begins in A and B, and the epilogue's outer axes."""
        outer = self.node.shape[:-2]
        self.decode("o", self.axes.outer)
        for side, access in (("a", self.form.a), ("b", self.form.b)):
            terms = []
            for k, (n, s) in enumerate(zip(outer, access.outer)):
                later = prod(outer[k + 1 :])
                if n > 1 and s:
                    at = f"o / {later}" if later > 1 else "o"
                    terms.append(f"({at} % {n}) * {s}L" if k else f"({at}) * {s}L")
            start = " + ".join([*terms, f"{side}_start"])
            number = self.operands[0 if side == "a" else 1]
            memory = scalar.memory_type(self.nest.buffers[number].dtype)
            self.line(f"__global const {memory} *{side}_o = b{number} + {start};")

        if self.form.a.lane is None:
            self.line(f"int ro[{_room(self.blocks.rows * self.form.rows)}];")
            scope = self.push(frozenset())
            self.line(f"const int h = {_min('m0 + r', 'M - 1')};")
            self.line(f"ro[r] = {offset(self.own_row('h'), self.form.a.lanes)};")
            rounded = f"(m1 - m0 + {self.form.rows - 1}) / {self.form.rows} * {self.form.rows}"
            self.pop(scope, f"for (int r = 0, re = {rounded}; r < re; ++r) {{")

    def own_row(self, row: str) -> str:
        """A row's number in the product, where windows' rows follow each other in the tiles."""
        if not self.axes.window:
            return row
        order = [*self.axes.rows, *self.axes.window]
        self.decode(row, order)
        n = self.node.shape[-1]
        terms = [f"{self.index.coef(a) // n} * i{a}" for a in order]
        self.line(f"const int own = {' + '.join(terms)};")
        return "own"

    # ------------------------------------------------ tiles

    def strip(self) -> None:
        """A strip of column tiles: panels for some depth of k, then row tiles by their blocks of k,
        and where the sums are complete the epilogue of the row tile.
        """
        form = self.form
        self.line(f"const int s1 = {_min('s0 + ST', 'q1')};")
        deep = self.push(frozenset())
        self.line(f"const int ke = {_min('K', 'd0 + KD')};")
        if form.a.k is None:
            self.line(f"int ko[{-(-self.blocks.depth // 2048) * 2048}];")
            at = offset("(d0 + k)", form.a.ks)
            self.line(f"for (int k = 0; k < ke - d0; ++k) ko[k] = {at};")
        if form.b.panel:
            self.fill_b()
        rows = self.push(frozenset())
        if form.a.panel:
            some = micro.together(form.rows) * form.rows
            name = self.filler(0)
            self.line(
                f"if ((r0 - m0) % {some} == 0) {name}(a_o + r0 * a_lane + d0 * a_k, a_lane, a_k, "
                f"{_min('m1 - r0', str(some))}, M - r0, ke - d0, ap, x_step);"
            )
        self.line(f"{self.kind} *sums = acc + (r0 - m0) / {form.rows} * sums_step;")
        sums = len(self.scope.lines)
        self.row_sums()
        end = len(self.scope.lines)
        self.epilogue()
        regions = self.scope.lines[sums:end], self.scope.lines[end:]
        del self.scope.lines[sums:]
        around = outline.around(self.scope, self.nest, ("o", "s0", "d0", "r0"))
        for k, (name, lines) in enumerate(zip(("@sums", "@end"), regions, strict=True)):
            if self.outlined:
                text, call = outline.function(name, lines, around, _PRAGMA)
                self.helpers.append(text)
                self.line(call)
            else:
                self.scope.lines.extend(lines)
            if not k:
                self.line("if (ke < K) continue;")
        self.pop(rows, f"for (int r0 = m0; r0 < m1; r0 += {form.rows}) {{")
        self.pop(deep, "for (int d0 = 0; d0 < K; d0 += KD) {")

    def fill_b(self) -> None:
        """B's panels of the strip for a depth of k; a function that products share, or its loop."""
        dtype, stored = self.node.dtype, self.stored_as[1]
        if stored == dtype:
            self.line(
                f"{self.begin('fills')}, b_o + s0 * b_lane + d0 * b_k, b_lane, b_k, s1 - s0, "
                f"N - s0, bp, y_step, y_block, ke - d0, KB);"
            )
            return
        name = self.filler(1)
        self.line(
            f"for (int k0 = d0, kb = 0; k0 < ke; k0 += KB, ++kb) {name}(b_o + s0 * b_lane + "
            f"k0 * b_k, b_lane, b_k, s1 - s0, N - s0, {_min('ke - k0', 'KB')}, bp + kb * y_block, "
            "y_step);"
        )

    def filler(self, side: int) -> str:
        """The function that fills panels of A (0) or B (1)."""
        form, dtype, stored = self.form, self.node.dtype, self.stored_as[side]
        access, lanes = (form.b, form.columns) if side else (form.a, form.rows)
        if not form.quads:
            return micro.fill(dtype, self.lanes, lanes, access.k == 1, stored)
        along_k = access.k == QUAD and access.lane != 1
        return micro.fill_fours(self.lanes, lanes, along_k, form.quads == ("uu" if side else "ss"))

    def row_sums(self) -> None:
        """The sums of one row tile for the strip, over the depth's blocks of k."""
        form, dtype = self.form, self.node.dtype
        a = f"a_o + r0 / {form.rows} * x_step + k0 * a_k"
        if form.a.panel:
            some = micro.together(form.rows) * form.rows
            a = f"ap + kb * x_block + (r0 - m0) % {some} / {form.rows} * x_step"
        b = "t0" if form.streamed else f"t0 / {form.columns} * y_step"
        b = f"b_o + {_min('t0', 'y_last') if self.shifted else b} + k0 * b_k"
        if form.b.panel:
            b = f"bp + kb * y_block + (t0 - s0) / {form.columns} * y_step"
        block = self.push(frozenset())
        self.line(f"const int k1 = {_min('ke - k0', 'KB')};")
        columns = self.push(frozenset())
        self.ask_ahead("if (k0 + k1 == K) ")
        target = f"sums + (t0 - s0) * {form.rows}"
        if form.streamed:
            name, count = (
                micro.stream(dtype, self.lanes, form.rows, *self.stored_as),
                _min("N - t0", str(form.columns)),
            )
            rest = f"M - 1 - r0, a_k, b_k, k1, {count}, {target}, {form.columns}, k0"
        else:
            name = micro.name(form, dtype, self.lanes)
            rows = "ro + (r0 - m0)" if form.a.lane is None else "0"
            offsets = "ko + (k0 - d0)" if form.a.k is None else "0"
            rest = f"{rows}, M - 1 - r0, a_k, {offsets}, b_k, k1, {target}, {form.columns}, k0"
        test = self.test_needed("r0", f"r0 + {form.rows}", "t0", f"t0 + {form.columns}")
        self.line(f"{test}{name}({a}, {b}, a_lane, {rest});")
        self.pop(columns, f"for (int t0 = s0; t0 < s1; t0 += {form.columns}) {{")
        self.pop(block, "for (int k0 = d0, kb = 0; k0 < ke; k0 += KB, ++kb) {")

    def ask_ahead(self, test: str) -> None:
        """Requests for the lines of a tile's epilogue, before the tile."""
        wanted = prefetch.lines(self.nest, self.axes.rows, self.axes.columns)
        if (
            self.axes.window
            or not wanted
            or len(wanted) * self.form.rows > prefetch.LINES
            or self.needed is not None
        ):
            return
        rows = self.push(frozenset())
        self.decode("g", self.axes.rows)
        self.line(f"const int i{self.axes.columns[0]} = t0;")
        for buffer, index in wanted:
            self.line(f"__builtin_prefetch(b{buffer} + ({self.affine(index)}));")
        end = _min(f"r0 + {self.form.rows}", "m1")
        self.pop(rows, f"{test}for (int g = r0, ge = {end}; g < ge; ++g) {{")

    def test_needed(self, r0: str, r1: str, t0: str, t1: str) -> str:
        """`if (...) ` where the epilogue may discard the tiles of these rows and columns."""
        axes = self.axes
        if self.needed is None or len(axes.rows) > 1 or len(axes.columns) > 1:
            return ""
        blocks = [(a, f"i{a}", f"i{a}") for a in axes.outer]
        blocks += [(a, r0, f"{_min('M', r1)} - 1") for a in axes.rows]
        blocks += [(a, t0, f"{_min('N', t1)} - 1") for a in axes.columns]
        highest = masks.highest(self.needed, blocks)
        return "" if highest is None else f"if ({highest} >= 0) "

    # ------------------------------------------------ the epilogue

    def epilogue(self) -> None:
        """The nest over the row tile's finished columns, row by row, or window by window."""
        v, form = self.s.v, self.form
        each = "" if self.together == 1 else f" / {self.together}"
        rows = self.push(frozenset(self.axes.rows))
        self.decode("g", self.axes.rows)
        first = "g" if self.together == 1 else f"{self.together} * g"
        self.line(f"const {self.kind} *row = sums + ({first} - r0) * {form.columns};")
        tiles = self.push(frozenset(self.axes.columns[:-1]))
        at = _min("t0", f"N - {form.columns}") if self.shifted else "t0"
        self.line(f"const int tn = {at}, t1 = {_min(f't0 + {form.columns}', 'q1')};")
        lo, self.tile_start = "t0", "tn"
        if len(self.axes.columns) > 1:
            n = self.nest.extents[v]
            self.line(f"const int tc = t0 / {n}, ts = t0 % {n};")
            self.decode("tc", self.axes.columns[:-1])
            lo, self.tile_start = "ts", "ts"
        self.line(f"const {self.kind} *sum = row + (t0 - s0) * {form.rows};")
        self.columns(lo)
        self.pop(tiles, f"for (int t0 = s0; t0 < s1; t0 += {form.columns}) {{")
        end = _min(f"r0 + {form.rows}", "m1")
        self.pop(rows, f"for (int g = r0{each}, ge = {end}{each}; g < ge; ++g) {{")

    def columns(self, lo: str) -> None:
        """The row's columns in this tile: whole tiles without a loop, which halves the build; the
        last, narrower one in a strip if it fills one, then one by one.
        """
        width, columns, name = self.s.width, self.form.columns, f"i{self.s.v}"
        events, rest = self.store_events(), self.node.shape[-1] % self.form.columns
        steps = {index.coef(self.s.v) for index in schedule._indices(self.nest)}
        light = schedule.work(self.nest) <= HEAVY and steps <= {0, 1}

        def strips(count: int) -> None:
            if count == 1 or (count <= 8 and light):
                self.run_strip(events, width, count, f"{{ const int {name} = {lo};")
            else:
                end = f"{lo} + {count * width}"
                head = f"for (int {name} = {lo}; {name} < {end}; {name} += {width}) {{"
                self.run_strip(events, width, 1, head)

        if not rest:
            strips(columns // width)
            return
        if self.node.shape[-1] > columns:
            outer = self.push(frozenset())
            strips(columns // width)
            self.pop(outer, f"if (t1 - t0 == {columns}) {{")
            self.line("else {")
        if rest >= width:
            strips(rest // width)
        if rest % width:
            start, end = f"{lo} + {rest // width * width}", f"{lo} + {rest}"
            self.line("#pragma clang loop vectorize(disable) unroll(disable)")
            self.run_strip(events, 1, 1, f"for (int {name} = {start}; {name} < {end}; ++{name}) {{")
        if self.node.shape[-1] > columns:
            self.line("}")

    def load(self, v: Value, u: int, width: int) -> str:
        if v.attr[0] != -1:
            return super().load(v, u, width)
        out = self.fresh("x")
        kind = scalar.register_type(v.dtype, width)
        column = f"i{self.s.v} - {self.tile_start}" + (f" + {u * width}" if u else "")
        pointer = f"sum + {column}"
        for k, a in enumerate(self.axes.window):
            later = prod(self.nest.extents[b] for b in self.axes.window[k + 1 :])
            pointer += f" + {later * self.form.columns} * i{a}"
        text = scalar.load(v.dtype, width, pointer, "__private")
        self.line(f"const {kind} {out} = {text};")
        return out


def _room(count: int, itemsize: int = 4) -> int:
    """Elements of a private array that holds so many: of few sizes, so that texts are equal."""
    size = next((n for n in ROOMS if n >= count * itemsize), ROOMS[-1])
    return -(-count * itemsize // size) * size // itemsize


def _min(a: str, b: str) -> str:
    return f"({a} < {b} ? {a} : {b})"


__all__ = ["Access", "Blocks", "stage"]
