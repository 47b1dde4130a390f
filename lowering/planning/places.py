"""Places: where values stand while a plan is made: slots, parts of slots, and regions of nodes.

A slot becomes a buffer of the Plan. `planner` makes all of these; what plans a form of its own
(`singles`, `loops`, `written`, `inplace`) reads and fills them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lowering import graph as g
from lowering.groups import Fusion
from lowering.plan import Step

if TYPE_CHECKING:
    from lowering.planning.planner import Planner


@dataclass(eq=False)
class Slot:
    """A buffer to be: what it holds, and whose memory it takes over."""

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    alias: int | None = None  # input whose contents an output starts with
    own: bool = False  # a temp outside the arena (it is swapped with an output)
    spare: bool = False  # there to be written and swapped: what it then holds is of no use
    data: bytes | None = None  # of a constant that the plan brings along

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a buffer, or the part of it that belongs to a loop's current
    iteration.
    """

    slot: int
    stride: int = 0  # elements from one iteration's part to the next
    depth: int = 0  # how many loops are open inside the loop that counts, that one included


@dataclass
class Region:
    """The nodes that one step list computes, and where they stand; loops and branches have their
    own.
    """

    graph: g.Graph
    fusion: Fusion
    places: dict[int, Place] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    gets: dict[int, dict[int, g.Node]] = field(default_factory=dict)
    last_reads: dict[int, int] = field(default_factory=dict)
    position: int = 0
    depth: int = 0
    wanted: dict[int, Place] = field(default_factory=dict)  # where some nodes must be written
    owned: frozenset[int] = frozenset()  # inputs that may be overwritten after their last read


def result_places(p: Planner, region: Region, node: g.Node) -> list[Place]:
    """A place for every output; outputs that nothing reads get a scratch one."""
    gets = region.gets.get(id(node), {})
    places = []
    for i, (shape, dtype) in enumerate(node.outs or []):
        get = gets.get(i)
        known = region.places[id(get)] if get is not None else None
        places.append(known or Place(p.slot("temp", shape, dtype)))
    return places
