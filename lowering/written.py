"""Written: host functions that also have a stage written by hand, where sizes and device suit it.

In: an Opaque whose `stage` says what it computes: ("lu",), ("cholesky",) or ("triangular_solve",
its parameters). Out: its launch, with no wait for the host, so that a loop of such steps is one
task. In a stack of many matrices the items share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lowering import graph as g
from lowering.emit_scope import Stage
from lowering.fuse_rules import operands
from lowering.nest import NestBuffer
from lowering.templates import dense

if TYPE_CHECKING:
    from lowering.planner import Planner, Region
    from lowering.profile import Profile

MOST_ROWS = 128  # of a matrix; above, LAPACK's blocked code wins, and private memory ends
MOST_PRIVATE = 1 << 16  # bytes
ITEM_WORK = 20_000.0  # flops that are worth an item
TYPES = tuple(map(np.dtype, (np.float32, np.float64)))


@dataclass(frozen=True, slots=True)
class Written:
    """The text for one problem, how many there are, and the flops of each."""

    text: str
    problems: int
    work: float


def planned(p: Planner, region: Region, node: g.Node) -> bool:
    """Plan the node as a launch, if it has a stage that suits."""
    from lowering.singles import result_places

    if p.profile.schedule == "gpu" or not p.options.get("written", True):
        return False
    made = _RULES[node.form.stage[0]](node, p.profile)
    if made is None:
        return False
    ins = operands(node)
    places = [p.place_of(region, a) for a in ins] + result_places(p, region, node)
    buffers = [NestBuffer(a, a.dtype, a.size) for a in ins]
    for shape, dtype in node.outs or ():
        out = g.Node(g.Input(-1), (), shape, dtype)
        buffers.append(NestBuffer(out, dtype, out.size, True))
    share = max(1, min(int(ITEM_WORK / made.work), made.problems // (4 * p.profile.compute_units)))
    items = -(-made.problems // share)
    last = f"min({made.problems}L, (item + 1) * {share})"
    head = f"  #pragma OPENCL FP_CONTRACT ON\n  for (long e = item * {share}; e < {last}; ++e) {{"
    label = node.tag or node.form.stage[0]
    cost = made.work * made.problems
    stage = Stage(f"{head}{made.text}\n  }}", buffers, [], items, 1, label, cost=cost)
    p.add_launch(region, stage, places)
    return True


def _fits(rows: int, columns: int, dtype: np.dtype) -> bool:
    small = min(rows, columns) > 0 and max(rows, columns) <= MOST_ROWS
    return small and dtype in TYPES and rows * columns * dtype.itemsize <= MOST_PRIVATE


def _lu(node: g.Node, profile: Profile) -> Written | None:
    x = node.args[0]
    m, n = x.shape[-2:]
    if not x.size or not _fits(m, n, x.dtype):
        return None
    text = dense.lu(m, n, x.dtype, _width(n, x.dtype, profile))
    return Written(text, x.size // (m * n), 2.0 * m * n * min(m, n) + 20.0 * m * n)


def _cholesky(node: g.Node, profile: Profile) -> Written | None:
    x = node.args[0]
    n = x.shape[-1]
    if not x.size or not _fits(n, n, x.dtype):
        return None
    text = dense.cholesky(n, x.dtype, _width(n, x.dtype, profile))
    return Written(text, x.size // (n * n), 1.0 * n * n * n + 20.0 * n * n)


def _triangular(node: g.Node, profile: Profile) -> Written | None:
    a, y = node.args
    n = a.shape[-1]
    if not y.size or not _fits(n, n, a.dtype):
        return None
    _, left_side, lower, transpose_a, unit_diagonal = node.form.stage
    count = y.shape[-1 if left_side else -2]
    width = profile.lanes(a.dtype.itemsize)
    text = dense.triangular(
        n,
        count,
        a.dtype,
        width,
        left_side=left_side,
        lower=lower,
        transpose_a=transpose_a,
        unit_diagonal=unit_diagonal,
    )
    parts = dense.blocks(count, width)
    return Written(text, parts * a.size // (n * n), 2.0 * n * n * count / parts + 20.0 * n)


def _width(n: int, dtype: np.dtype, profile: Profile) -> int:
    """Lanes of a vector: no more than a row of n needs."""
    width = profile.lanes(dtype.itemsize)
    while width > 1 and width // 2 >= n:
        width //= 2
    return width


_RULES = {"lu": _lu, "cholesky": _cholesky, "triangular_solve": _triangular}
