"""Programs whose time is the call itself."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal


@row("tiny_add", "16 elements", nbytes=3 * 64, numpy=True)
def tiny_add(lib):
    return Program(lambda x, y: x + y, (normal(0, 16), normal(1, 16)))


@row("tiny_pytree", "20 leaves of 8", nbytes=2 * 20 * 32)
def tiny_pytree(lib):
    tree = {f"leaf{i}": normal(i, 8) for i in range(20)}
    return Program(lambda t: lib.tree.map(lambda x: x * np.float32(2) + np.float32(1), t), (tree,))
