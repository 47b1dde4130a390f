"""Aside: pieces of a program that copies of a builder's process compile while it compiles the rest.

A fork of a builder is ready at once, its LLVM is loaded and looked up, and it shares the memory of
that. It leaves object files where the workshop's linker takes them from, which waits for them, and
ends. What the builder's twin can do it is asked for first (twin.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from lowering.pocl.twin import Twin

Piece = tuple[bytes, bytes]
"""What is compiled apart: bitcode, object file."""

Texts = Sequence[tuple[str, str]]
"""Texts and options of the front end, one after the other."""

PARTS = "parts"
"""Beside the folder of PoCL's files, one of object files that the linker takes along."""

WAIT = 9
"""The file from which the linker reads before it takes them: it ends when all forks have. (A shell
takes one digit.)
"""


MAIN = "main"
"""Among the pieces, the bitcode of the text with the kernel."""

LONG = 30000
"""Bytes of bitcode that is joined with others by a fork, meanwhile; by a twin, any."""

BEGIN, MAKE, JOIN = "begin", "make", "join"
"""What a twin is told: texts, numbered from one on, to bitcode; so many of these to object files;
to join all up to a number, if nobody has begun to."""

CLAIM = "claim"
"""Among the pieces, a file of who joins them."""


class Pieces:
    """The pieces of a program, by number: files in `folder`, some of which are there."""

    def __init__(self, folder: str, known: Sequence[Piece], twin: Twin | None = None):
        self._folder, self._known, self._count = folder, known, len(known)
        self._twin = twin if twin is not None and twin.able else None
        for k, piece in enumerate(known):
            keep(folder, k, piece)
        self._children: list[int] = []
        self._joins = 0  # by a twin, or the number of a fork
        self._halves: Callable[[str, int], Any] | None = None  # joins, while the twin makes pieces
        self._made: list[Piece] | None = None

    def __enter__(self) -> Pieces:
        return self

    def __exit__(self, failed: Any, *_: Any) -> None:
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if self._twin is not None and failed:
            self._twin.end()  # it would answer jobs that are given up
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))

    def start(self, make: Callable[..., Piece], lists: Sequence[Texts]) -> None:
        """Begin to make those of each list in a process. OSError: there can be no more of them."""
        read, write = os.pipe()
        os.dup2(read, WAIT)
        os.close(read)
        try:
            for k, texts in enumerate(lists):
                if k == 0 and self._twin is not None:
                    self._twin.tell(BEGIN, self._folder, self._count, texts)
                    self._twin.tell(MAKE, self._folder, self._count, len(texts))
                else:
                    self._fork(self._make, make, texts, self._count)
                self._count += len(texts)
        finally:
            os.close(write)

    def begin_to_join(self, code: bytes, join: Callable[[str, int], Any]) -> None:
        """Let another process `join` (see `codes`) the bitcode of the text with the kernel and of
        all pieces, when they are there.
        """
        with open(_path(self._folder, MAIN, "bc"), "wb") as file:
            file.write(code)
        if self._twin is not None and not self._children:
            self._twin.tell(JOIN, self._folder, self._count)
            self._joins = 1
            self._halves = join if self._count > len(self._known) else None
        elif len(code) >= LONG:
            self._joins = self._fork(self._join, join)

    def join(self, join: Callable[[str, int], Any]) -> None:
        """Return when that is done, here if nobody began it."""
        if self._joins and self._twin is not None and not self._children:
            self._twin.wait()
            return
        if self._joins:
            self._children.remove(self._joins)
            if os.waitpid(self._joins, 0)[1] == 0:
                return
        join(self._folder, self._count)

    def made(self, then: Callable[[], None] | None = None) -> list[Piece]:
        """What `start` began, when it is there; `then` is called before, if all was joined here.
        OSError: something is not.
        """
        if self._made is None:
            if self._halves is not None and self._twin is not None:
                self._twin.wait(2)  # it still makes object files: that is time to join here
                if claims(self._folder):
                    self._halves(self._folder, self._count)
                    if then is not None:
                        then()
            os.read(WAIT, 1)
            if self._twin is not None:
                self._twin.wait(1 if self._joins and not self._children else 0)
            numbers = range(len(self._known), self._count)
            files = [[load(self._folder, k, kind) for kind in ("bc", "o")] for k in numbers]
            self._made = [(code, made) for code, made in files]
        return self._made

    def _fork(self, work: Callable[..., None], *args: Any) -> int:
        child = os.fork()
        if not child:
            failed = 1
            with contextlib.suppress(BaseException):
                work(*args)
                failed = 0
            os._exit(failed)
        self._children.append(child)
        return child

    def _make(self, make: Callable[..., Piece], texts: Texts, first: int) -> None:
        make_all(make, self._folder, first, texts)

    def _join(self, join: Callable[[str, int], Any]) -> None:
        os.read(WAIT, 1)
        join(self._folder, self._count)


def make_all(make: Callable[..., Piece], folder: str, first: int, texts: Texts) -> None:
    """Make pieces, numbered from `first` on."""
    for k, text in enumerate(texts):
        keep(folder, first + k, make(*text))


def begin_all(make: Callable[..., bytes], folder: str, first: int, texts: Texts) -> None:
    """Make their bitcode."""
    for k, text in enumerate(texts):
        _keep(folder, first + k, "bc", make(*text))


def end_all(make: Callable[[bytes], bytes], folder: str, first: int, count: int) -> None:
    """Make object files of that."""
    for k in range(first, first + count):
        _keep(folder, k, "o", make(load(folder, k, "bc")))


def claims(folder: str) -> bool:
    """Whether it is for who asks to join the pieces, and not for who asked before."""
    try:
        os.close(os.open(os.path.join(folder, CLAIM), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def codes(folder: str, count: int) -> list[bytes]:
    """The bitcode of the text with the kernel and of all pieces."""
    return [load(folder, name, "bc") for name in (MAIN, *range(count))]


def keep(folder: str, number: int, piece: Piece) -> None:
    for what, kind in zip(piece, ("bc", "o"), strict=True):
        _keep(folder, number, kind, what)


def _keep(folder: str, number: int, kind: str, what: bytes) -> None:
    with open(_path(folder, number, kind), "wb") as file:
        file.write(what)


def load(folder: str, name: str | int, kind: str) -> bytes:
    with open(_path(folder, name, kind), "rb") as file:
        return file.read()


def _path(folder: str, name: str | int, kind: str) -> str:
    return os.path.join(folder, f"{name}.{kind}")
