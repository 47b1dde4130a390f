"""Shelf: what a fork of a builder makes while nobody asks the builder for anything (stock.py).

The fork has what other processes leave of the processors, and ends with its builder. What it has
made is on disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_DIES_WITH_PARENT = 1


class Shelf:
    """What is to be made, and the process that makes it."""

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = ()
        self._build: Callable[..., bytes | None] | None = None
        self._child = 0

    def take(self, build: Callable[..., bytes | None], *asked: Any) -> None:
        """What `stock.make` is to be asked for; `build` makes programs of a job and of pieces."""
        self._build, self._asked = build, asked

    def work(self, piece: Callable[[str, str], Any], others: Iterable[int]) -> None:
        """Begin to make it, by `piece`; `others` are files that must end with this process."""
        if self._asked and not self.busy:
            with contextlib.suppress(OSError):  # no more processes for this user: it goes without
                self._begin(piece, others)
            self._asked = ()

    @property
    def busy(self) -> bool:
        if self._child and os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = 0
        return self._child != 0

    def _begin(self, piece: Callable[[str, str], Any], others: Iterable[int]) -> None:
        parent = os.getpid()
        self._child = os.fork()
        if self._child:
            return
        with contextlib.suppress(BaseException):
            ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
            for file in others:
                os.close(file)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.nice(10)
            if os.getppid() == parent:
                _make((piece, self._build), *self._asked)
        os._exit(0)


def _make(builds: tuple[Any, Any], path: Sequence[str], *asked: Any) -> None:
    """`builds`: of parts, of programs; `path`: where imports are found, unknown to builders."""
    sys.path[:] = path
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from lowering.pocl import stock

    stock.make(*builds, *asked)
