"""Memory: where each value of a plan lives. Buffers that are never live together share a place in
one arena.

In: how big each temporary is and the first and last step that touches it. Out: offsets and the
arena's size. Best fit by size, largest first at equal start; the sum over live buffers is the
lower bound that `peak` is compared with.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from lowering.plan import ALIGN


@dataclass(slots=True)
class Span:
    """A temporary's bytes and the first and last step (inclusive) during which it must keep its
    contents.
    """

    nbytes: int
    first: int
    last: int


def rounded(nbytes: int, align: int = ALIGN) -> int:
    """Bytes up to the arena's alignment."""
    return -(-max(nbytes, 1) // align) * align


def place(spans: dict[int, Span], align: int = ALIGN) -> tuple[dict[int, int], int]:
    """Offset of each temporary, and the arena's bytes."""
    offsets: dict[int, int] = {}
    steps = sorted({step for s in spans.values() for step in (s.first, s.last)})
    busy = _Busy(len(steps))
    at_step = {step: k for k, step in enumerate(steps)}
    order = sorted(spans, key=lambda k: (-rounded(spans[k].nbytes), spans[k].first, k))
    end = 0
    for k in order:
        span, size = spans[k], rounded(spans[k].nbytes, align)
        first, last = at_step[span.first], at_step[span.last]
        best, best_gap, at = None, None, 0
        for begin, stop in busy.during(first, last):
            gap = begin - at
            if gap >= size and (best_gap is None or gap < best_gap):
                best, best_gap = at, gap
            at = max(at, stop)
        if best is None:
            best = at
        offsets[k] = best
        busy.add(first, last, best, best + size)
        end = max(end, best + size)
    return offsets, end


Ranges = list[tuple[int, int]]
"""Bytes [begin, stop) in order; where one ends another may begin, but none overlap."""


class _Busy:
    """The bytes that are taken, by time: a tree of halves of the steps. What touches a time span is
    found in as many nodes as the tree is deep, and ranges that meet are one: few are left, however
    many arrays live side by side.
    """

    def __init__(self, steps: int):
        self.leaves = 1 << max(0, steps - 1).bit_length()
        self.whole: dict[int, Ranges] = {}  # by node: taken during all of its steps, for its sake
        self.some: dict[int, Ranges] = {}  # taken during any of its steps

    def during(self, first: int, last: int) -> Ranges:
        """What is taken at some time between two steps, both of them included, in order."""
        found: Ranges = []
        above: set[int] = set()
        for k in self.nodes(first, last):
            found += self.some.get(k, ())
            while (k := k >> 1) and k not in above:
                above.add(k)
                found += self.whole.get(k, ())
        found.sort()
        return found

    def add(self, first: int, last: int, begin: int, stop: int) -> None:
        """Take [begin, stop) from one step to another."""
        above: set[int] = set()
        for k in self.nodes(first, last):
            _unite(self.whole.setdefault(k, []), begin, stop)
            _unite(self.some.setdefault(k, []), begin, stop)
            while (k := k >> 1) and k not in above:
                above.add(k)
                _unite(self.some.setdefault(k, []), begin, stop)

    def nodes(self, first: int, last: int) -> list[int]:
        """The largest halves of halves that make up the time from one step to another."""
        low, high, found = first + self.leaves, last + self.leaves + 1, []
        while low < high:
            if low & 1:
                found.append(low)
                low += 1
            if high & 1:
                high -= 1
                found.append(high)
            low, high = low >> 1, high >> 1
        return found


def _unite(ranges: Ranges, begin: int, stop: int) -> None:
    """Add a range to ranges in order; those that it touches become one with it."""
    low = bisect_left(ranges, (begin, 0))
    if low and ranges[low - 1][1] >= begin:
        low -= 1
    high = low
    while high < len(ranges) and ranges[high][0] <= stop:
        begin, stop = min(begin, ranges[high][0]), max(stop, ranges[high][1])
        high += 1
    ranges[low:high] = [(begin, stop)]


def lower_bound(spans: dict[int, Span]) -> int:
    """The most bytes of temporaries that are live at one step."""
    changes = [(s.first, rounded(s.nbytes)) for s in spans.values()]
    changes += [(s.last + 1, -rounded(s.nbytes)) for s in spans.values()]
    return max(accumulate(change for _, change in sorted(changes)), default=0)
