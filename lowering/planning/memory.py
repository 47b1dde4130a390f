"""Memory: where each value of a plan lives. Buffers that are never live together share a place in
one arena.

In: how big each temporary is and the first and last step that touches it. Out: offsets and the
arena's size. Best fit by size, largest first at equal start; the sum over live buffers is the
lower bound that `peak` is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    placed: list[tuple[int, int, Span]] = []  # offset, end, span
    order = sorted(spans, key=lambda k: (-rounded(spans[k].nbytes), spans[k].first, k))
    for k in order:
        span = spans[k]
        size = rounded(span.nbytes, align)
        busy = sorted((o, e) for o, e, s in placed if s.first <= span.last and span.first <= s.last)
        best, best_gap, at = None, None, 0
        for o, e in busy:
            gap = o - at
            if gap >= size and (best_gap is None or gap < best_gap):
                best, best_gap = at, gap
            at = max(at, e)
        if best is None:
            best = at
        offsets[k] = best
        placed.append((best, best + size, span))
    return offsets, max((e for _, e, _ in placed), default=0)


def lower_bound(spans: dict[int, Span]) -> int:
    """The most bytes of temporaries that are live at one step."""
    marks = sorted({s.first for s in spans.values()})
    return max(
        (sum(rounded(s.nbytes) for s in spans.values() if s.first <= m <= s.last) for m in marks),
        default=0,
    )
