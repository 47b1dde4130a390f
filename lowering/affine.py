"""Affine index expressions over the axes of a nest: constant + sum of coefficient * axis.

Axes are small integers with known extents. Division by a constant is exact or it is refused: the
caller then splits an axis (`SplitNeeded`) or keeps the value in memory (`Cut`), so that no kernel
ever divides an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Affine(NamedTuple):
    """const + sum(coef * axis); terms are sorted by axis and have no zero coefficient."""

    const: int
    terms: tuple[tuple[int, int], ...] = ()

    def __add__(self, other: Affine | int) -> Affine:  # type: ignore[override]
        if isinstance(other, int):
            return Affine(self.const + other, self.terms)
        if not other.terms:
            return Affine(self.const + other.const, self.terms)
        sums = dict(self.terms)
        for axis, c in other.terms:
            sums[axis] = sums.get(axis, 0) + c
        return Affine(self.const + other.const, tuple(sorted((a, c) for a, c in sums.items() if c)))

    def __mul__(self, k: int) -> Affine:  # type: ignore[override]
        if k == 0:
            return ZERO
        return Affine(self.const * k, tuple((a, c * k) for a, c in self.terms))

    def coef(self, axis: int) -> int:
        """The coefficient of `axis`."""
        for a, c in self.terms:
            if a == axis:
                return c
        return 0

    @property
    def axes(self) -> frozenset[int]:
        return frozenset(a for a, _ in self.terms)


ZERO = Affine(0)


def axis(a: int) -> Affine:
    return Affine(0, ((a, 1),))


def bounds(e: Affine, extents: Sequence[int]) -> tuple[int, int]:
    """Smallest and largest value of `e` (both inclusive); axes of extent 0 count as one step."""
    lo = hi = e.const
    for a, c in e.terms:
        span = c * max(extents[a] - 1, 0)
        lo, hi = lo + min(span, 0), hi + max(span, 0)
    return lo, hi


class Range(NamedTuple):
    """The condition low <= index < high."""

    index: Affine
    low: int
    high: int


def decide(r: Range, extents: Sequence[int]) -> bool | None:
    """True or False where the condition holds always or never, None where it depends."""
    lo, hi = bounds(r.index, extents)
    if r.low <= lo and hi < r.high:
        return True
    if hi < r.low or lo >= r.high:
        return False
    return None


class SplitNeeded(Exception):
    """`axis` has to become (outer, inner) with `inner` of the given extent before an index can stay
    affine.
    """

    def __init__(self, axis: int, inner: int):
        super().__init__(axis, inner)
        self.axis, self.inner = axis, inner


class Cut(Exception):
    """`node` has to stand in memory before this nest can use it; `reason` is for the user."""

    def __init__(self, node: object, reason: str):
        super().__init__(reason)
        self.node, self.reason = node, reason


def divmod_affine(e: Affine, d: int, extents: Sequence[int]) -> tuple[Affine, Affine] | None:
    """(e // d, e % d) as affine expressions for a non-negative e, or None. Raises SplitNeeded where
    a split mends it.
    """
    if d == 1:
        return e, ZERO
    quotient = [(a, c // d) for a, c in e.terms if c % d == 0]
    rest = Affine(e.const % d, tuple((a, c) for a, c in e.terms if c % d))
    lo, hi = bounds(rest, extents)
    if lo >= 0 and hi < d:
        return Affine(e.const // d, tuple(quotient)), rest
    for a, c in rest.terms:
        n = extents[a]
        # c * axis crosses a multiple of d: split the axis where it does so, if that is even
        if c > 0 and d % c == 0 and c * (n - 1) >= d:
            inner = d // c
            if n % inner == 0:
                raise SplitNeeded(a, inner)
    return None


def delinearize(e: Affine, shape: Sequence[int], extents: Sequence[int]) -> list[Affine] | None:
    """The index expressions of a row-major array of `shape` whose linear index is `e`, or None."""
    out: list[Affine] = []
    for n in reversed(shape[1:]):
        pair = divmod_affine(e, n, extents) if n else (ZERO, ZERO)
        if pair is None:
            return None
        e, low = pair
        out.append(low)
    if shape:
        out.append(e)
    return out[::-1]


def strides_of(shape: Sequence[int]) -> list[int]:
    """Row-major strides in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return strides[::-1]


def linearize(index: Sequence[Affine], shape: Sequence[int]) -> Affine:
    """The row-major linear index."""
    const, sums = 0, dict[int, int]()
    for i, s in zip(index, strides_of(shape), strict=True):
        const += i.const * s
        for a, c in i.terms:
            sums[a] = sums.get(a, 0) + c * s
    return Affine(const, tuple(sorted((a, c) for a, c in sums.items() if c)))
