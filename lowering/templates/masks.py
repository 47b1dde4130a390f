"""Masks: what an epilogue's select makes of a product's tiles -> the tiles that nobody reads.

Where causal attention selects something else for all of a tile, the tile need not be computed: the
product's value would be discarded, whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowering.affine import Affine
from lowering.nest import Nest, Value

COMPARE = {"ge": (1, 0), "gt": (1, -1), "le": (-1, 0), "lt": (-1, -1)}


def needed(nest: Nest, tile: Value) -> Affine | None:
    """An index that is at least 0 wherever the tile's value is read; None if it is read always.

    The value goes through elementwise operations, each read once, into one side of a select whose
    condition compares two indices.
    """
    users: dict[int, list[int]] = {}
    for k, v in enumerate(nest.values):
        for a in v.args:
            users.setdefault(a, []).append(k)
    stored = {st.value for st in nest.stores} | {st.dynamic for st in nest.stores}
    k = next(k for k, v in enumerate(nest.values) if v is tile)
    while len(users.get(k, ())) == 1 and k not in stored:
        user = users[k][0]
        v = nest.values[user]
        if v.op not in ("map", "alias"):
            return None
        if v.op == "map" and v.attr == "select" and v.args[0] != k:
            return _holds(nest, v.args[0], k == v.args[1])
        k = user
    return None


def _holds(nest: Nest, condition: int, wanted: bool) -> Affine | None:
    v = nest.values[condition]
    if v.op == "alias":
        return _holds(nest, v.args[0], wanted)
    if v.op == "map" and v.attr == "not":
        return _holds(nest, v.args[0], not wanted)
    if v.op != "map" or v.attr not in COMPARE:
        return None
    sides = [_index(nest, a) for a in v.args]
    if sides[0] is None or sides[1] is None:
        return None
    sign, const = COMPARE[v.attr]
    if not wanted:  # not (x >= 0) is -x - 1 >= 0
        sign, const = -sign, -const - 1
    return (sides[0] + sides[1] * -1) * sign + const


def _index(nest: Nest, k: int) -> Affine | None:
    """An integer value that is an index, or a constant."""
    v = nest.values[k]
    if v.dtype.kind not in "iu":
        return None
    if v.op == "alias" or (v.op == "map" and v.attr == "convert"):
        return _index(nest, v.args[0])
    if v.op == "index":
        return v.attr
    if v.op == "const":
        return Affine(int(v.attr))
    return None


def highest(index: Affine, blocks: Sequence[tuple[int, str, str]]) -> str | None:
    """Text of the index's highest value over axes that run from first to last; None if it varies
    over other axes.
    """
    names = {axis: (first, last) for axis, first, last in blocks}
    if not index.axes <= set(names):
        return None
    terms = [f"{c} * ({names[a][c > 0]})" for a, c in index.terms]
    return " + ".join([*terms, str(index.const)])
