"""Inside: strips that touch no edge. In: what a loop over v reads and writes, with guards and turns
along v. Out: one condition a strip under which most of them hold for all its lanes, and what need
not be asked below it.

A stencil of five points asked five times in each strip whether it crosses an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lowering.affine import Range, bounds
from lowering.build.turns import Wrap
from lowering.nest import Nest

LEAST_ASKED = 2  # questions that one replaces
PART = 0.75  # of its axes where a guard holds, at least
MOST_VALUES = 150  # in a strip: its text is written twice
FAR = 2**30


class Inside(NamedTuple):
    """`holds`: guards that hold, and turns that have (True) or have not (False) gone round, for
    lanes of v from `low` to below `high`; `rows` are guards on other axes to be asked.
    """

    low: int
    high: int
    rows: tuple[Range, ...]
    holds: dict[Range | Wrap, bool]


Questions = list[Range | Wrap]


def of_strip(
    nest: Nest, v: int, step: int, opened: frozenset[int], asked: list[Questions]
) -> Inside | None:
    """What to ask of a strip of `step` lanes of v; `asked` are the questions of each access."""
    n = nest.extents[v]
    low, high = 0, n
    holds: dict[Range | Wrap, bool] = {}
    rows: list[Range] = []
    for q in dict.fromkeys(q for qs in asked for q in qs):
        if not q.index.axes <= opened | {v}:
            continue
        for r, answer in _answers(q):
            span = _span(r, v, n) if r.index.axes == {v} else None
            if span is not None and min(high, span[1]) - max(low, span[0]) >= max(
                PART * n, 2 * step
            ):
                low, high = max(low, span[0]), min(high, span[1])
                holds[q] = answer
                break
            if v not in r.index.axes and answer and isinstance(q, Range) and _mostly(nest, r):
                holds[q] = True
                rows.append(r)
                break
    along = [qs for qs in asked if any(q in holds and v in q.index.axes for q in qs)]
    return Inside(low, high, tuple(rows), holds) if len(along) >= LEAST_ASKED else None


def _answers(q: Range | Wrap) -> Iterator[tuple[Range, bool]]:
    """Where the answer to a question is which."""
    if isinstance(q, Range):
        yield q, True
    else:
        yield Range(q.index, -FAR, q.limit), False
        yield Range(q.index, q.limit, FAR), True


def _span(r: Range, v: int, n: int) -> tuple[int, int]:
    """The part of v where a condition on v alone holds."""
    c, k = r.index.coef(v), r.index.const
    least, most = (r.low - k, r.high - 1 - k) if c > 0 else (k - r.high + 1, k - r.low)
    c = abs(c)
    return max(0, -(-least // c)), min(n, most // c + 1)


def _mostly(nest: Nest, r: Range) -> bool:
    """Whether a condition on one other axis holds along most of it."""
    if len(r.index.axes) != 1:
        return False
    (a,) = r.index.axes
    low, high = _span(r, a, nest.extents[a])
    return high - low >= PART * nest.extents[a]


def questions(
    nest: Nest, reach: Iterable[int], guards: Iterable[tuple[Range, ...]]
) -> list[Questions] | None:
    """What each load, guard and store asks; None where the text is too long to be written twice."""
    found: list[Questions] = [list(g) for g in guards]
    count = 0
    for k in reach:
        v = nest.values[k]
        count += 1
        if v.op == "load":
            found.append([*v.attr[2], *v.attr[3]])
        elif v.op == "guard":
            found.append(list(v.attr))
    near = all(_near(nest, q) for qs in found for q in qs)
    return found if count <= MOST_VALUES and near else None


def _near(nest: Nest, q: Range | Wrap) -> bool:
    low, high = bounds(q.index, nest.extents)
    return low > -FAR and high < FAR
