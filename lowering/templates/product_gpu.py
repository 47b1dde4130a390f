"""The stage of a product on a GPU: tiles through local memory, a small register tile per item.

In: a Product node, and a nest that reads its tile at the product's own index. Out: a Stage. A
group of 16 x 16 items does one tile; slabs of K_SLAB k pass through local memory, loaded along
whichever stride is 1. An item holds every 16th row and column, so that neighbours store side by
side, and then runs the epilogue's nest on its elements. Sums run over k in order.
"""

from __future__ import annotations

from math import prod

from lowering import scalar
from lowering.emit.gpu import BARRIER, GpuEmitter
from lowering.emit.scope import Stage
from lowering.graph import Node
from lowering.nest import Nest, Store, Value
from lowering.rewrite.product import K_SLAB, SIDE, Access, Product
from lowering.scalar_text import contraction
from lowering.schedule import Schedule
from lowering.templates.access import offset


class ProductEmitter(GpuEmitter):
    """Writes the tile, and then the nest with its axes opened element by element."""

    def __init__(self, node: Node, nest: Nest, axes, operands: tuple[int, int]):
        super().__init__(
            nest, Schedule((), (), None, 1, 1, 1, 1, (1, 1), "gpu", SIDE * SIDE, "flat")
        )
        self.node, self.form, self.axes, self.operands = node, node.form, axes, operands
        self.form: Product
        self.kind = scalar.register_type(node.dtype, 1)

    def stage(self) -> Stage:
        form = self.form
        *outer, m, n = self.node.shape
        row_tiles, column_tiles = -(-m // form.rows), -(-n // form.columns)
        self.line(contraction())
        numbers = {"M": m, "N": n, "K": form.k, "RB": row_tiles, "CB": column_tiles}
        for side, access in (("a", form.a), ("b", form.b)):
            numbers |= {f"{side}_start": access.start}
            numbers |= {f"{side}_lane": access.lane or 0, f"{side}_k": access.k or 0}
        for name, value in numbers.items():
            self.line(f"const long {name} = {self.int_argument(value)};")
        self.line("const long ic = item % CB, ir = item / CB % RB, io = item / CB / RB;")
        self.line(f"const int lid = get_local_id(0), tx = lid % {SIDE}, ty = lid / {SIDE};")
        self.line(f"__local {self.kind} la[{K_SLAB}][{form.rows + 1}];")
        self.line(f"__local {self.kind} lb[{K_SLAB}][{form.columns + 1}];")
        self.operand("a", form.a, self.operands[0])
        self.operand("b", form.b, self.operands[1])
        self.tile()
        self.epilogue()
        text = "\n".join(self.scope.lines)
        items = row_tiles * column_tiles * prod(outer)
        stage = Stage(text, self.nest.buffers, self.ints, items, SIDE * SIDE, self.nest.label)
        stage.alone = True
        return stage

    # ------------------------------------------------ the tile

    def operand(self, side: str, access: Access, buffer: int) -> None:
        """A pointer to the operand's part for this outer index."""
        outer = self.node.shape[:-2]
        terms = [f"{side}_start"]
        for k, (n, stride) in enumerate(zip(outer, access.outer)):
            later = prod(outer[k + 1 :])
            if n > 1 and stride:
                terms.append(f"io / {later} % {n} * {stride}L")
        memory = scalar.memory_type(self.nest.buffers[buffer].dtype)
        self.line(f"__global const {memory} *{side} = b{buffer} + {' + '.join(terms)};")

    def tile(self) -> None:
        """Sums over k, a slab at a time."""
        rows, columns = self.form.rows // SIDE, self.form.columns // SIDE
        self.line(f"{self.kind} c[{rows}][{columns}];")
        self.line(f"for (int r = 0; r < {rows}; ++r)")
        self.line(f"  for (int j = 0; j < {columns}; ++j) c[r][j] = 0;")
        outer = self.push(frozenset())
        self.slab("a", self.form.rows, self.form.a, self.operands[0], ("ir", "M"))
        self.slab("b", self.form.columns, self.form.b, self.operands[1], ("ic", "N"))
        self.line(BARRIER)
        self.line(f"for (int k = 0; k < {K_SLAB}; ++k) {{")
        self.line(f"  {self.kind} x[{rows}], y[{columns}];")
        for name, count, t in (("x", rows, "ty"), ("y", columns, "tx")):
            array = "la" if name == "x" else "lb"
            self.line("  #pragma unroll")
            read = f"{name}[r] = {array}[k][{t} + {SIDE} * r];"
            self.line(f"  for (int r = 0; r < {count}; ++r) {read}")
        self.line("  #pragma unroll")
        self.line(f"  for (int r = 0; r < {rows}; ++r) {{")
        self.line("    #pragma unroll")
        self.line(f"    for (int j = 0; j < {columns}; ++j) c[r][j] = x[r] * y[j] + c[r][j];")
        self.line("  }")
        self.line("}")
        self.line(BARRIER)
        self.pop(outer, f"for (long k0 = 0; k0 < K; k0 += {K_SLAB}) {{")

    def slab(self, side: str, width: int, access: Access, buffer: int, where) -> None:
        """K_SLAB x width elements into local memory; 0 beyond the edges."""
        along_k = access.k == 1 and access.lane != 1
        lane, k = f"e / {K_SLAB}", f"e % {K_SLAB}"
        if not along_k:
            lane, k = f"e % {width}", f"e / {width}"
        dtype = self.nest.buffers[buffer].dtype
        first, end = where
        along = f"h * {side}_lane" if access.lane is not None else offset("(int)h", access.lanes)
        step = f"d * {side}_k" if access.k is not None else offset("(int)d", access.ks)
        at = f"{side} + {along} + {step}"
        self.line(f"for (int e = lid; e < {width * K_SLAB}; e += {SIDE * SIDE}) {{")
        self.line(f"  const int p = {lane}, q = {k};")
        self.line(f"  {self.kind} t = 0;")
        self.line(f"  const long h = {first} * {width} + p, d = k0 + q;")
        self.line(f"  if (h < {end} && d < K) t = {scalar.load(dtype, 1, at)};")
        self.line(f"  l{side}[q][p] = t;")
        self.line("}")

    # ------------------------------------------------ the epilogue

    def epilogue(self) -> None:
        """The nest on the item's elements."""
        rows, columns = self.form.rows // SIDE, self.form.columns // SIDE
        outermost = self.push(frozenset(self.axes.outer))
        self.decode("io", tuple(self.axes.outer))
        outer = self.push(frozenset(self.axes.rows))
        self.line(f"const int m = ir * {self.form.rows} + ty + {SIDE} * r;")
        self.line("if (m >= M) continue;")
        self.decode("m", tuple(self.axes.rows))
        inner = self.push(frozenset(self.axes.columns))
        self.line(f"const int n = ic * {self.form.columns} + tx + {SIDE} * j;")
        self.line("if (n >= N) continue;")
        self.decode("n", tuple(self.axes.columns))
        self.body(self.store_events())
        self.pop(inner, f"#pragma unroll\nfor (int j = 0; j < {columns}; ++j) {{")
        self.pop(outer, f"#pragma unroll\nfor (int r = 0; r < {rows}; ++r) {{")
        self.pop(outermost, "{")

    def load(self, v: Value, u: int, width: int) -> str:
        return "c[r][j]" if v.attr[0] == -1 else super().load(v, u, width)

    def store_tests(self, st: Store) -> list[str]:
        return []
