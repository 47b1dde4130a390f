"""Aside: pieces of a program that copies of a builder's process compile while it compiles the rest.

A fork of a builder is ready at once, its LLVM is loaded and looked up, and it shares the memory of
that. It leaves object files where the workshop's linker takes them from, which waits for them, and
ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

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


class Pieces:
    """The pieces of a program, by number: files in `folder`, some of which are there."""

    def __init__(self, folder: str, known: Sequence[Piece]):
        self._folder, self._known, self._count = folder, known, len(known)
        for k, piece in enumerate(known):
            self._keep(k, piece)
        self._children: list[int] = []
        self._made: list[Piece] | None = None

    def __enter__(self) -> Pieces:
        return self

    def __exit__(self, *_: Any) -> None:
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for name in os.listdir(self._folder):
            os.unlink(os.path.join(self._folder, name))

    def start(self, make: Callable[..., Piece], lists: Sequence[Texts]) -> None:
        """Begin to make those of each list in a process. OSError: there can be no more of them."""
        read, write = os.pipe()
        os.dup2(read, WAIT)
        os.close(read)
        try:
            for texts in lists:
                self._fork(self._make, make, texts, self._count)
                self._count += len(texts)
        finally:
            os.close(write)

    def then(self, use: Callable[[Sequence[bytes]], Any]) -> int:
        """In one more process `use` the bitcode of all, when they are there; its number."""
        return self._fork(self._use, use)

    def made(self) -> list[Piece]:
        """What `start` began, when it is there. OSError: something is not."""
        if self._made is None:
            os.read(WAIT, 1)
            numbers = range(len(self._known), self._count)
            self._made = [(self._file(k, "bc"), self._file(k, "o")) for k in numbers]
        return self._made

    def ended(self, child: int) -> bool:
        """Whether a process, which is waited for, did all."""
        self._children.remove(child)
        return os.waitpid(child, 0)[1] == 0

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
        for k, text in enumerate(texts):
            self._keep(first + k, make(*text))

    def _use(self, use: Callable[[Sequence[bytes]], Any]) -> None:
        os.read(WAIT, 1)
        use([self._file(k, "bc") for k in range(self._count)])

    def _keep(self, number: int, piece: Piece) -> None:
        for what, kind in zip(piece, ("bc", "o"), strict=True):
            with open(os.path.join(self._folder, f"{number}.{kind}"), "wb") as file:
                file.write(what)

    def _file(self, number: int, kind: str) -> bytes:
        with open(os.path.join(self._folder, f"{number}.{kind}"), "rb") as file:
            return file.read()
