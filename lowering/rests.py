"""Rests: whether what strips leave of an axis may be one more strip, that begins among the lanes of
the last one and does what these have done once more.

Element by element, a rest of six was a third of what LLVM took for a padded image's stage, and half
of what its rows took.
"""

from __future__ import annotations

from lowering.nest import FOLDS, Nest

PLAIN = frozenset({"const", "index", "load", "guard", "map", "alias"})


def again(nest: Nest) -> str:
    """Whether elements along a parallel axis may be computed twice, since they are only stored: "at
    any time"; or, where something that is read stands there or may be made to
    (`inplace.overwrites`), if they are "read first", before any is stored; "columns", where some
    are folds and nothing that is read stands there; or not: "".
    """
    ops = {v.op for v in nest.values}
    if not ops <= PLAIN | FOLDS:
        return ""
    if any(st.partial or st.join or st.dynamic is not None for st in nest.stores):
        return ""
    read = [(v.attr[0], v.attr[1]) for v in nest.values if v.op == "load"]
    if any(buffer in {st.buffer for st in nest.stores} for buffer, _ in read):
        return ""
    indices = {st.index for st in nest.stores}
    here = any(index in indices for _, index in read)
    if ops & FOLDS:
        return "" if here else "columns"
    return "read first" if here else "at any time"
