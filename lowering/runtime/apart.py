"""Apart: jobs of builders whose programs call functions that are compiled apart (parts.py).

A program goes to machine code when the pieces it calls are there: from disk, or from a builder that
makes them at the same time. Where one cannot be had, the program is built whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from lowering.runtime.ahead import Job, Piece


class Group(NamedTuple):
    """A text of functions, its options, and the keys of the functions."""

    source: str
    front: str
    keys: frozenset[str]


class Apart:
    """For some jobs the same programs without their parts, and where the parts come from."""

    able = True
    """Whether programs can be joined: one that could not ends it for this process."""

    def __init__(
        self,
        mains: Sequence[Job | None],
        calls: Sequence[Sequence[str]],
        known: dict[str, Piece],
        groups: Sequence[Group],
    ):
        """`mains` and `calls` (keys) are by job; `known`: pieces by key; `groups`: to be made."""
        self.mains, self.calls, self.known, self.groups = mains, calls, known, groups
        self.made: list[Future[Piece | None]] = [Future() for _ in groups]

    def make(self, number: int, builder: Any) -> None:
        """Let a builder make a group; None where it cannot, and whoever waits goes on."""
        source, front, _ = self.groups[number]
        piece = None
        try:
            piece = builder.piece(source, front) if builder is not None else None
        finally:
            self.made[number].set_result(piece)

    def build(self, number: int, builder: Any, job: Job) -> bytes | None:
        """A job by a builder: in pieces, or whole."""
        main = self.mains[number]
        if main is not None:
            source, front, back, launches = main
            code = builder.front(source, front)
            pieces = self._pieces(self.calls[number])
            if code is not None and pieces is not None:
                whole = None
                try:
                    whole = builder.join(code, back, launches, pieces)
                finally:
                    Apart.able = Apart.able and whole is not None
                if whole is not None:
                    return whole
        return builder.build(*job)

    def _pieces(self, keys: Sequence[str]) -> list[Piece] | None:
        """The pieces with these functions, each once."""
        found: dict[bytes, Piece] = {}
        for key in keys:
            group = next((g for g, x in enumerate(self.groups) if key in x.keys), None)
            piece = self.known.get(key) if group is None else self.made[group].result()
            if piece is None:
                return None
            found[piece[0]] = piece
        return list(found.values())
