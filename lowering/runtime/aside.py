"""Aside: pieces of a program that copies of a builder's process compile while it compiles the rest.

A fork of a builder is ready at once, its LLVM is loaded and looked up, and it shares the memory of
that. It leaves object files where the workshop's linker takes them from, which waits for them, and
ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
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


def keep(folder: str, number: int, piece: Piece) -> None:
    """Put a piece where the linker finds it."""
    for what, kind in zip(piece, ("bc", "o"), strict=True):
        with open(os.path.join(folder, f"{number}.{kind}"), "wb") as file:
            file.write(what)


@contextlib.contextmanager
def pieces(
    make: Callable[..., Piece], lists: Sequence[Texts], folder: str, first: int
) -> Iterator[Callable[[], list[Piece]]]:
    """Start to make the pieces of each list in a process; what is given waits for them all. They
    are in the folder under numbers from `first` on. OSError: one could not be made.
    """
    read, write = os.pipe()
    children: list[int] = []

    def made() -> list[Piece]:
        while children:
            os.waitpid(children[-1], 0)
            children.pop()
        return [_read(folder, first + k) for k in range(sum(map(len, lists)))]

    try:
        os.dup2(read, WAIT)
        start = first
        for texts in lists:
            child = os.fork()
            if not child:
                _work(make, texts, folder, start)
            children.append(child)
            start += len(texts)
        os.close(write)
        write = -1
        yield made
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.dup2(read, WAIT)  # at its end, and waits for nothing
        for end in (read, write):
            if end >= 0:
                os.close(end)


def _work(make: Callable[..., Piece], texts: Texts, folder: str, start: int) -> Any:
    """In the child: make pieces, and end."""
    with contextlib.suppress(BaseException):
        for k, text in enumerate(texts):
            keep(folder, start + k, make(*text))
    os._exit(0)


def _read(folder: str, number: int) -> Piece:
    found = []
    for kind in ("bc", "o"):
        with open(os.path.join(folder, f"{number}.{kind}"), "rb") as file:
            found.append(file.read())
    return found[0], found[1]
