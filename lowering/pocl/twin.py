"""Twin: a fork of a builder that stays, and compiles beside it whatever comes.

A fork for one program takes a millisecond, and both processes then copy each page that they write:
5 ms of a builder's next 14. So a builder that has nothing to do forks once, and both build once
more what was built last, after which each has pages of its own. A twin reads what it is told
(marshal) from a pipe, says a byte for each, and ends with its builder.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

_DONE = b"+"


class Twin:
    """The other process, as its builder sees it; `able` until it fails."""

    def __init__(self, work: Callable[..., None], others: Iterable[int]):
        """It does `work(*words)` for the words of each `tell`; `others` are files of the builder
        that must end with it. OSError: there can be no more processes.
        """
        read, told = os.pipe()
        self._answers, say = os.pipe()
        try:
            self._child = os.fork()
        except OSError:
            for file in (read, told, self._answers, say):
                os.close(file)
            raise
        if not self._child:
            with contextlib.suppress(BaseException):
                for file in (told, self._answers, *others):
                    os.close(file)
                _serve(work, read, say)
            os._exit(0)
        os.close(read)
        os.close(say)
        self._told = os.fdopen(told, "wb")
        self._owed = 0
        self.able = True

    def tell(self, *words: Any) -> None:
        """Let it do something; OSError: it is dead."""
        self._owed += 1
        with self._or_not():
            marshal.dump(words, self._told)
            self._told.flush()

    def wait(self, but: int = 0) -> None:
        """Return when it has done all that it was told but so many; OSError: it could not."""
        with self._or_not():
            while self._owed > but:
                if os.read(self._answers, 1) != _DONE:
                    raise OSError("the twin failed")
                self._owed -= 1

    @contextlib.contextmanager
    def _or_not(self) -> Any:
        try:
            yield
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End it, if it has not ended."""
        if self.able:
            self.able = False
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            os.close(self._answers)
            with contextlib.suppress(OSError):  # what was not sent cannot be any more
                self._told.close()


def _serve(work: Callable[..., None], told: int, say: int) -> None:
    """What fails, or that nothing can be read any more, ends it."""
    with os.fdopen(told, "rb") as file:
        while True:
            work(*marshal.load(file))
            os.write(say, _DONE)
