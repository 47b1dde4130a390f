"""Small launches as one task: loops over their items, and which of these are one loop."""

from __future__ import annotations

import numpy as np

from lowering import debug, graph
from lowering.compile import make_plan
from lowering.profile import AVX512
from lowering.rewrite import canon


def _loops(builder: graph.Builder, outs: list[graph.Node]) -> tuple[int, int]:
    """Launches of the plan, and loops over items in their text."""
    plan = make_plan(canon.canonicalize(builder.graph(outs)), AVX512)
    text = debug.source_text(plan)
    return sum(1 for _ in plan.walk()), text.count("for (long k = 0; k < n")


def _sums(*rows: int) -> tuple[int, int]:
    """The same of sums of the rows of so many tables."""
    b = graph.Builder()
    leaves = [b.input((n, 24), np.float32) for n in rows]
    return _loops(b, [b.reduce("add", x, (1,)) for x in leaves])


def test_leaves_of_one_shape_are_done_in_one_loop():
    assert _sums(24, 24, 24, 24, 24, 24) == (1, 1)


def test_leaves_of_two_shapes_are_done_in_a_loop_each():
    assert _sums(24, 24, 40, 40) == (1, 2)


def test_what_has_one_item_has_no_loop():
    b = graph.Builder()
    leaves = [b.input((n,), np.float32) for n in (8, 8, 12, 12)]
    assert _loops(b, [b.map("mul", x, x) for x in leaves]) == (1, 0)


def test_what_waits_for_another_has_a_loop_of_its_own():
    """Each element of a product is of all elements of the vector before."""
    b = graph.Builder()
    a, x = b.input((24, 24), np.float32), b.input((24,), np.float32)
    for _ in range(3):
        x = b.contract(a, x, ((1,), (0,)), ((), ()))
    assert _loops(b, [x]) == (1, 3)
