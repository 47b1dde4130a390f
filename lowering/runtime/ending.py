"""The end of Python: threads that go on do so outside of drivers.

Python ends a thread that still runs when it next asks for the interpreter. Where that is on the way
back from pyopencl's C++, which has no such end, the process aborts. So at the end, threads that are
in a driver are waited for, and one that would go into one ends there and then.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

over = False
"""Whether Python ends."""

_main = threading.main_thread().ident
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
    """From now on only this thread gets into a driver; the others are out."""
    global over, _main
    over, _main = True, threading.get_ident()
    while _inside:
        time.sleep(1e-3)


def _in_child() -> None:
    global _main
    _main = threading.get_ident()
    _inside.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
