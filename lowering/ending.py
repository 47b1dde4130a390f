"""The end of Python: threads that go on do so outside of drivers and of the library.

Python ends a thread that still runs when it next asks for the interpreter. Where that is on the way
back from C++ (pyopencl's, optree's), which has no such end, the process aborts. So at the end,
threads that are in a driver are waited for, one that would go into one ends there and then, and
those that are elsewhere in the library get a SystemExit: they leave it as by any exception.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

over = False
"""Whether Python ends."""

OWN = "fx-"
"""How the names of the library's own threads begin: they call nothing that aborts."""

PATIENCE = 1000
"""Milliseconds for threads to leave the library: one that waits for another may never."""

AGAIN = 20
"""Milliseconds after which a thread is told once more: a callback of the user's may catch it."""

_here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_packages = tuple(os.path.join(_here, name, "") for name in ("fx", "lowering"))
_main = threading.main_thread().ident
_rounds, _told = PATIENCE, set[int]()
_inside: set[int] = set()  # other threads, in a driver that lets Python run elsewhere


def away(call: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """`call(*args)`, during which other Python threads run. SystemExit, of which `threading` says
    nothing, where this is not the main thread and Python ends.
    """
    me = threading.get_ident()
    if me == _main or me in _inside:
        return call(*args, **options)
    _inside.add(me)
    try:
        if over:
            raise SystemExit
        return call(*args, **options)
    finally:
        _inside.discard(me)


@atexit.register
def end() -> None:
    """From now on only this thread gets into a driver; the others are out, of the library too."""
    global over, _main, _rounds
    over, _main = True, threading.get_ident()
    while _inside:
        time.sleep(1e-3)
    while _rounds > 0 and (there := _others_in_library()):
        for thread, frame in there.items():
            if _can_leave(frame) and (_rounds % AGAIN == 0 or thread not in _told):
                _told.add(thread)
                kind = ctypes.py_object(SystemExit)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)
        _rounds -= 1
        time.sleep(1e-3)


def _others_in_library() -> dict[int, FrameType]:
    """Where the other threads are that have called the library, and are not its own."""
    mine = {t.ident for t in threading.enumerate() if t.name.startswith(OWN)} | {_main}
    frames = {k: f for k, f in sys._current_frames().items() if k not in mine}
    return {k: f for k, f in frames.items() if any(map(_ours, _stack(f)))}


def _can_leave(frame: FrameType) -> bool:
    """Not in the middle of an import, which others wait for, or of a destructor, which says what it
    is told instead of raising it.
    """
    within = [f.f_code for f in _stack(frame)]
    imports = any(code.co_filename.startswith("<frozen importlib") for code in within)
    return _ours(frame) and not imports and all(code.co_name != "__del__" for code in within)


def _ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_packages)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _in_child() -> None:
    global _main
    _main = threading.get_ident()
    _inside.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
