"""At how many places of a node's result one element of its readers reads it.

A kernel computes a node once for each of these places, if it computes it inside its readers: a
stencil of a stencil reads what it is of at all sums of their distances. Told backwards, from the
readers that stand in memory; what lies between them and the node only shifts what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from lowering import graph as g
from lowering.fuse_rules import FOLDS

MOST = 1024
"""Places of one node that are told apart."""

Place = tuple[tuple[int, ...], int]  # distance along each axis; by which other views it is read


class Reads:
    """The places of each node, in the order of its readers. Every reader is told before."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Place, ...]] = {}
        self._views: dict[tuple[int, Place], int] = {}

    def stands(self, n: g.Node) -> None:
        """n is in memory: what it reads is counted from its own elements."""
        self._places[id(n)] = (((0,) * n.ndim, 0),)

    def inside(self, n: g.Node, users: Iterable[g.Node]) -> int:
        """n is computed inside these readers: at how many places."""
        found = dict[Place, None]()
        for user in users:
            found.update(dict.fromkeys(self._through(user, n)))
            if len(found) > MOST:
                break
        self._places[id(n)] = tuple(found)[:MOST]
        return len(found)

    def _through(self, user: g.Node, n: g.Node) -> Iterable[Place]:
        """Where n is read at the places where `user` is."""
        places, form = self._places.get(id(user), ()), user.form
        if isinstance(form, g.Map) and user.ndim == n.ndim:
            return places
        if isinstance(form, FOLDS):  # goes over all elements, wherever it is used
            return [((0,) * n.ndim, 0)]
        if user.args[0] is n and isinstance(form, g.Slice) and set(form.strides) <= {1}:
            return [(_moved(at, form.starts, 1), view) for at, view in places]
        if user.args[0] is n and isinstance(form, g.Pad) and not any(form.interior):
            return [(_moved(at, form.low, -1), view) for at, view in places]
        start, views = (0,) * n.ndim, self._views
        view = 0 if isinstance(form, g.Reshape | g.Broadcast) else id(user)  # the same elements
        return [(start, views.setdefault((view, p), len(views) + 1)) for p in places]


def _moved(at: tuple[int, ...], by: Iterable[int], sign: int) -> tuple[int, ...]:
    return tuple(a + sign * b for a, b in zip(at, by))
