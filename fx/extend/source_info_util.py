"""`fx.extend.source_info_util`: whose lines messages name, and which lines equations remember.

An equation's `source_info` is the user's line that made it, with the labels around it. An
interpreter of jaxprs evaluates each equation inside `user_context`, so that what it makes keeps
the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fx.core import Source, hide_frames, state, user_source

SourceInfo = Source
NameStack = str


def register_exclusion(path: str) -> None:
    """Never name a line of files whose path begins with `path` as the user's."""
    hide_frames(path)


def summarize(source_info: Source | None, num_frames: int = 1) -> str:
    """`file:line (function)` of an equation's source, or `unknown`."""
    return "unknown" if source_info is None else str(source_info)


def current() -> Source | None:
    """The user's line that runs now, as an equation recorded now would keep it."""
    return user_source()


def current_name_stack() -> str:
    """The labels of `named_scope` around, joined by slashes."""
    return state.scope


def new_name_stack(name: str = "") -> str:
    """A stack of labels that holds one, or none."""
    return name


@contextmanager
def set_name_stack(name_stack: str) -> Iterator[None]:
    """Replace the labels around by others."""
    old, state.scope = state.scope, name_stack
    try:
        yield
    finally:
        state.scope = old


def reset_name_stack():
    """Take all labels away inside a `with` block."""
    return set_name_stack("")


def extend_name_stack(name: str):
    """Add a label inside a `with` block."""
    return set_name_stack(f"{state.scope}/{name}" if state.scope else name)


@contextmanager
def user_context(traceback: Source | None, *, name_stack: str | None = None) -> Iterator[None]:
    """Equations recorded in the block keep the line `traceback` (an equation's
    `source_info.traceback`); None leaves lines as they are.
    """
    old = state.source
    if traceback is not None:
        scope = traceback.scope if name_stack is None else name_stack
        state.source = traceback._replace(scope=scope)
    try:
        yield
    finally:
        state.source = old
