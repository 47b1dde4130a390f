"""Prefetch: what a product's epilogue reads and writes is asked for while the tile is computed.

A row tile's part of each array is a few lines of several rows, far from each other: too short for
the cores to fetch ahead by themselves, and all of them waited for in the epilogue. A request before
each tile costs a few instructions, and the tile's sums take longer than memory.
"""

from __future__ import annotations

from lowering.affine import Affine
from lowering.nest import Nest

LEAST_BYTES = 1 << 19  # of an array that is asked for: smaller ones are near by themselves
LINES = 48  # that are asked for before a tile at most


def lines(nest: Nest, rows: list[int], columns: list[int]) -> list[tuple[int, Affine]]:
    """The buffers and indices of the epilogue that walk its rows, and its columns one by one."""
    found: list[tuple[int, Affine]] = []
    for v in nest.values:
        if v.op == "load" and v.attr[0] >= 0 and not v.args and not v.attr[2] and not v.attr[3]:
            found.append((v.attr[0], v.attr[1]))
    found += [(st.buffer, st.index) for st in nest.stores if st.dynamic is None and not st.guards]
    if len(columns) != 1 or not rows:
        return []

    def far(k: int, index: Affine) -> bool:
        buffer = nest.buffers[k]
        large = buffer.size * buffer.node.dtype.itemsize >= LEAST_BYTES
        return large and index.coef(columns[0]) == 1 and any(index.coef(a) for a in rows)

    return list(dict.fromkeys(pair for pair in found if far(*pair)))
