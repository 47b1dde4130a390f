"""Equal: nests that differ in their buffers' names alone are scheduled and written once.

A function of many leaves has as many nests, most of them of a few kinds; to schedule and write one
takes 0.3 ms. What a nest's text depends on is compared: nothing here looks at the graph's nodes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from lowering.emit.stage import Stage, emit
from lowering.nest import Nest
from lowering.profile import Profile
from lowering.schedule import Schedule, schedule

PLAIN = frozenset({"const", "index", "load", "guard", "map", "reduce", "alias"})
"""Operations whose attributes say all: no loops, branches, or tiles of products."""


class Texts:
    """The schedules and stages of the nests of one plan."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self._known: dict[Hashable, tuple[Schedule, Stage]] = {}

    def scheduled(self, nest: Nest) -> tuple[Schedule, Hashable]:
        """How a nest runs, and what `stage` is to be told."""
        key = _key(nest)
        known = self._known.get(key) if key is not None else None
        return schedule(nest, self._profile) if known is None else known[0], key

    def stage(self, nest: Nest, chosen: Schedule, key: Hashable) -> Stage:
        """The stage of a nest that runs so. Raises Cut as `emit` does."""
        known = self._known.get(key) if key is not None else None
        if known is not None:
            made = known[1]
            return replace(made, buffers=nest.buffers, ints=[*made.ints], label=nest.label)
        made = emit(nest, chosen)
        if key is not None:
            self._known[key] = chosen, made
        return made


def _key(nest: Nest) -> Hashable:
    """What a nest's schedule and text depend on; None where that is more than is compared here."""
    if nest.dealt is not None or nest.product is not None:
        return None
    if any(s.dynamic is not None or s.partial or s.join for s in nest.stores):
        return None
    values = []
    for v in nest.values:
        if v.op not in PLAIN:
            return None
        attr = repr(v.attr) if v.op == "const" else v.attr  # -0.0 is another text
        values.append((v.op, v.args, v.dtype, v.mask, attr))
    stores = [(s.buffer, s.index, s.value, s.guards) for s in nest.stores]
    buffers = [(b.dtype, b.size, b.written, b.lead) for b in nest.buffers]
    head = tuple(nest.extents), nest.contract_fp, nest.joins
    key = *head, tuple(values), tuple(stores), tuple(buffers)
    try:
        hash(key)
    except TypeError:
        return None
    return key
