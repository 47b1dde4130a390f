"""Messages to and from a builder, which may be stopped at any time: nothing waits for it for ever.

A builder works as long as it uses processor time; one that uses none, or is stopped, is given up.
"""

from __future__ import annotations

import marshal
import os
import select
from typing import Any

PATIENCE = 20
"""Seconds without processor time after which a process is taken for one that will never answer."""

STOPPED = 2
"""The same for one that the system says is stopped: a moment, since Ctrl-Z stops all there are."""


def send(pipe: Any, message: Any, pid: int) -> None:
    """Write a message behind its length."""
    text = marshal.dumps(message)
    rest = memoryview(len(text).to_bytes(8, "little") + text)
    os.set_blocking(pipe.fileno(), False)
    while rest:
        _await([], [pipe], pid)
        rest = rest[os.write(pipe.fileno(), rest) :]


def receive(pipe: Any, pid: int) -> Any:
    """A message that the process wrote behind its length. EOFError: there is none any more."""
    size = int.from_bytes(_read(pipe, 8, pid), "little")
    return marshal.loads(_read(pipe, size, pid))


def _read(pipe: Any, size: int, pid: int) -> bytes:
    data = b""
    while len(data) < size:
        _await([pipe], [], pid)
        some = os.read(pipe.fileno(), size - len(data))
        if not some:
            raise EOFError
        data += some
    return data


def _await(reading: list[Any], writing: list[Any], pid: int) -> None:
    """Return when a pipe is ready; TimeoutError where the process does nothing."""
    before, quiet = None, 0
    while not any(select.select(reading, writing, [], 1.0)):
        state, used = _work_of(pid)
        quiet = quiet + 1 if used == before else 0
        before = used
        if used is not None and quiet >= (STOPPED if state in "Tt" else PATIENCE):
            raise TimeoutError(f"process {pid} does nothing")


def _work_of(pid: int) -> tuple[str, tuple[str, ...] | None]:
    """The state of a process, and the processor time of it and of what it has run, where the
    system tells.
    """
    try:
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
    except OSError:
        return "?", None
    return words[0], tuple(words[11:15])
