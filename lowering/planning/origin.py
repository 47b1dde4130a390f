"""Origin: where a nest begins in each of its buffers, as arguments of its stage.

A function that is unrolled by hand reads x[0], x[1], ... in nests that differ in one number. With
that number as an argument they have one text, which is compiled once. The nest keeps its indices,
which tell where it may write in place; what is emitted is a copy that counts from its origins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lowering.affine import Affine, bounds
from lowering.emit.scope import Stage
from lowering.nest import LoopBody, Nest, Store, Value

Origins = dict[int, int]  # buffer -> elements before what the nest touches


def origins(nest: Nest) -> Origins:
    """The buffers of which the nest touches a part at a place that is known, and that place."""
    least: dict[int, int] = {}
    ends: dict[int, tuple[int, int]] = {}
    for buffer, index, known in accesses(nest):
        low, high = bounds(index, nest.extents) if known else (0, nest.buffers[buffer].size - 1)
        least[buffer] = min(index.const, least.get(buffer, index.const))
        lowest, highest = ends.get(buffer, (low, high))
        ends[buffer] = min(low, lowest), max(high, highest)
    parts = [k for k, (low, high) in ends.items() if low > 0 or high < nest.buffers[k].size - 1]
    return {k: least[k] for k in sorted(parts) if least[k] >= 0}


def moved(nest: Nest, found: Origins) -> Nest:
    """The nest with its indices counted from its origins."""
    if not any(found.values()):
        return nest
    values = [_moved_value(v, found) for v in nest.values]
    return replace(nest, values=values, stores=[_moved_store(s, found) for s in nest.stores])


def with_arguments(stage: Stage, found: Origins) -> Stage:
    """The stage of a moved nest, with the origins as its last arguments."""
    if not found:
        return stage
    first = len(stage.ints)
    moves = [f"  b{k} += {stage.number(first + j)};" for j, k in enumerate(found)]
    pragma, _, text = stage.text.partition("\n")
    text = "\n".join([pragma, *moves, text])
    return replace(stage, text=text, ints=[*stage.ints, *found.values()])


def accesses(nest: Nest) -> Iterator[tuple[int, Affine, bool]]:
    """Buffer and index of each load and store, and whether that is all of where it may be."""
    stores = list(nest.stores)
    for v in nest.values:
        if v.op == "load":
            buffer, index, guards, wraps = v.attr
            if buffer >= 0:  # not a product's tile
                yield buffer, index, not (v.args or guards or wraps)
        elif v.op == "loop":
            stores += v.attr.stores
    for s in stores:
        yield s.buffer, s.index, s.dynamic is None and not s.guards and s.partial is None


def _moved_value(v: Value, found: Origins) -> Value:
    if v.op == "load" and found.get(v.attr[0]):
        buffer, index, *rest = v.attr
        return replace(v, attr=(buffer, index + -found[buffer], *rest))
    if v.op == "loop" and any(found.get(s.buffer) for s in v.attr.stores):
        body: LoopBody = v.attr
        return replace(v, attr=replace(body, stores=[_moved_store(s, found) for s in body.stores]))
    return v


def _moved_store(s: Store, found: Origins) -> Store:
    start = found.get(s.buffer)
    return replace(s, index=s.index + -start) if start else s
