"""Loops of a product's own: small products, streams, fours of 8-bit integers, and the like.

The stage is seven loops in each other: outer numbers, strips of columns, depths of k, row tiles,
blocks of k, tiles, and then the epilogue's. All that is known of the product is in its text, which
costs less in a call than functions that products share, and more in a build.
"""

from __future__ import annotations

from math import prod

from lowering import scalar
from lowering.profile import Profile
from lowering.rewrite.product import QUAD
from lowering.templates import masks, micro
from lowering.templates.access import offset
from lowering.templates.epilogue import least
from lowering.templates.item import DEPTHS, Item, Read, room


class OwnLoops(Item):
    """The emitter of such a stage."""

    @staticmethod
    def serves(read: Read) -> bool:
        return True

    def __init__(self, read: Read, profile: Profile):
        super().__init__(read, profile)
        self.needed = masks.needed(read.nest, read.tile)

    def write(self, counts: dict[str, int]) -> None:
        for name, value in counts.items():
            self.int(name, value)
        self.arrays()
        self.line("const int it = item, ir = it % RB, ic = it / RB % CB, io = it / RB / CB;")
        self.line(f"const int m0 = ir * RT, m1 = {least('M', 'm0 + RT')};")
        self.line(f"const int q0 = ic * CT, q1 = {least('N', 'q0 + CT')};")
        scope = self.push(frozenset(self.axes.outer))
        self.outer_indices()
        inner = self.push(frozenset())
        self.strip()
        self.pop(inner, "for (int s0 = q0; s0 < q1; s0 += ST) {")
        last = least("(io + 1) * OT", "OB")
        self.pop(scope, f"for (int o = io * OT, oe = {last}; o < oe; ++o) {{")

    def arrays(self) -> None:
        """The sums of a row tile, or of all for a depth of k, and the panels."""
        form, blocks = self.form, self.blocks
        deep, together = form.k > blocks.depth, micro.together(form.rows)
        kept = (blocks.rows if deep else 1) * form.rows * blocks.strip * form.columns
        self.array(kept, together)
        self.line(f"const int sums_step = K > KD ? {form.rows} * ST : 0;")
        for name, value in self.steps().items():
            self.int(name, value, "long")
        self.panels(f"(K > KD ? RT : {form.rows}) * ST", together)

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
            self.line(f"int ro[{room(self.blocks.rows * self.form.rows)}];")
            scope = self.push(frozenset())
            self.line(f"const int h = {least('m0 + r', 'M - 1')};")
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

    def strip(self) -> None:
        """A strip of column tiles: panels for some depth of k, then row tiles by their blocks of k,
        and where the sums are complete the epilogue of the row tile.
        """
        form = self.form
        self.line(f"const int s1 = {least('s0 + ST', 'q1')};")
        deep = self.push(frozenset())
        self.line(f"const int ke = {least('K', 'd0 + KD')};")
        if form.a.k is None:
            self.line(f"int ko[{-(-self.blocks.depth // DEPTHS) * DEPTHS}];")
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
                f"{least('m1 - r0', str(some))}, M - r0, ke - d0, ap, x_step);"
            )
        self.line(f"{self.kind} *sums = acc + (r0 - m0) / {form.rows} * sums_step;")
        self.row_sums()
        self.line("if (ke < K) continue;")
        self.epilogue(least(f"r0 + {form.rows}", "m1"), f"@ * {form.columns}")
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
            f"k0 * b_k, b_lane, b_k, s1 - s0, N - s0, {least('ke - k0', 'KB')}, bp + kb * y_block, "
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
        b = f"b_o + {least('t0', 'y_last') if self.shifted else b} + k0 * b_k"
        if form.b.panel:
            b = f"bp + kb * y_block + (t0 - s0) / {form.columns} * y_step"
        block = self.push(frozenset())
        self.line(f"const int k1 = {least('ke - k0', 'KB')};")
        columns = self.push(frozenset())
        if self.needed is None:
            self.ask_for_tile("if (k0 + k1 == K) ", least(f"r0 + {form.rows}", "m1"))
        target = f"sums + (t0 - s0) * {form.rows}"
        if form.streamed:
            name, count = (
                micro.stream(dtype, self.lanes, form.rows, *self.stored_as),
                least("N - t0", str(form.columns)),
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

    def test_needed(self, r0: str, r1: str, t0: str, t1: str) -> str:
        """`if (...) ` where the epilogue may discard the tiles of these rows and columns."""
        axes = self.axes
        if self.needed is None or len(axes.rows) > 1 or len(axes.columns) > 1:
            return ""
        blocks = [(a, f"i{a}", f"i{a}") for a in axes.outer]
        blocks += [(a, r0, f"{least('M', r1)} - 1") for a in axes.rows]
        blocks += [(a, t0, f"{least('N', t1)} - 1") for a in axes.columns]
        highest = masks.highest(self.needed, blocks)
        return "" if highest is None else f"if ({highest} >= 0) "
