"""Later: what nobody waits for is done by a thread, when its caller has gone on.

A first call leaves a plan, bitcode and pieces for other processes: 0.4 ms a file, 1 to 3 in all.
The thread begins after a moment, so that it does not take the interpreter from who has a program to
load; to start one takes as long as a file, so it stays. At the end Python does what is left. A
forked child leaves all to its parent.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from lowering import ending

MOMENT = 0.005
"""Seconds: a program is loaded and launched by then."""

_todo: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
_called: queue.SimpleQueue[None] = queue.SimpleQueue()
_working = threading.Lock()
_thread: threading.Thread | None = None


def do(work: Callable[..., None], *args: Any) -> None:
    """`work(*args)` soon, in order; at once where no thread can begin any more, and in a thread,
    which may end with Python at any time: it is then longer out of a driver.
    """
    global _thread
    if threading.current_thread() is not threading.main_thread():
        work(*args)
        return
    _todo.append((work, args))
    if _thread is None and not ending.over:
        thread = threading.Thread(target=_run, name="fx-later", daemon=True)
        try:
            thread.start()
            _thread = thread
        except RuntimeError:  # no more threads for this user
            pass
    if _thread is None or ending.over:
        settle()
    else:
        _called.put(None)


@atexit.register
def settle() -> None:
    """Do what is left, or wait until it is done."""
    with _working:
        while _todo:
            work, args = _todo.popleft()
            work(*args)


def _run() -> None:
    global _thread
    try:
        while True:
            _called.get()
            time.sleep(MOMENT)
            settle()
    finally:
        _thread = None


def _in_child() -> None:
    global _called, _working, _thread
    _called, _working, _thread = queue.SimpleQueue(), threading.Lock(), None
    _todo.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
