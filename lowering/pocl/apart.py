"""Apart: a program that a builder makes of pieces (parts.py, aside.py).

Some are known, others are made at the same time as what has the kernels. Where one cannot be had,
the program is built whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lowering.pocl.ahead import Job
from lowering.pocl.aside import Piece, Texts


class Apart:
    """What has the program's kernels, pieces that are there, and texts of those that are not.
    `otherwise`: the kernels and all that is not there, for a builder that would have to fork.
    """

    able = True
    """Whether programs can be joined: one that could not ends it for this process."""

    def __init__(
        self,
        main: Job,
        known: Sequence[Piece],
        texts: Sequence[Texts],
        otherwise: Job | None = None,
    ):
        self.job = main, known, texts, otherwise
        self.made: list[Piece] = []

    def build(self, builder: Any, whole: Job, early: Any = None) -> bytes | None:
        """The program's bitcode by a builder, as `Builder.build`; then what was made for it."""
        joined = None
        try:
            joined = builder.join(*self.job, early=early)
        finally:
            Apart.able = Apart.able and joined is not None
        if joined is None:
            return builder.build(*whole, early=early)
        code, self.made = joined
        return code
