"""Stock: parts that most programs ask for, compiled before one does, while nobody waits.

A tile, a panel, the loops of a product and the functions of a team are the same in many programs
(parts.py), and more than half of what a first product takes. So a process that has built something
asks its builder once to make those that the disk has not got when it rests (shelf.py); whoever
builds next finds them there.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from lowering import ending, saved
from lowering.runtime import builders, cache, later, lean, parts
from lowering.runtime.aside import Piece

KIND = "stock"
"""Of the entry of the disk cache which says that all of them were made."""

_asked: set[tuple[Path, str]] = set()  # by this process: a place on disk, a machine


def ask(device: Any) -> None:
    """Have them made, soon, if this process has not asked yet."""
    later.do(_ask, device)


def _ask(device: Any) -> None:
    machine = lean.machine(device)
    key = cache.key_of(*machine, lean.prelude(), device.profile.key, saved.VERSIONS)
    root = cache.directory()
    if ending.over or root is None or (root, key) in _asked:
        return
    profile = {f.name: getattr(device.profile, f.name) for f in fields(device.profile)}
    if cache.has(KIND, key) or builders.tell(KIND, sys.path, str(root), key, machine, profile):
        _asked.add((root, key))


def make(
    piece: Callable[[str, str], Piece], root: str, key: str, machine: Any, profile: Any
) -> None:
    """In a process of a builder: make and keep, in the disk cache at `root`, what is not there."""
    os.environ["FX_CACHE_DIR"] = root
    for at, module, options in _modules(profile, machine):
        names = [cache.key_of(at, key) for key in module.keys]
        if not all(cache.has("piece", name) for name in names):
            made = piece(*lean.piece(module.source, options))
            for name in names:
                cache.keep("piece", name, marshal.dumps((*made, list(module.calls))))
    cache.keep(KIND, key, b"")


def _modules(profile: Any, machine: Any) -> Iterator[tuple[str, parts.Module, str]]:
    """The texts of parts, with the beginning of the disk's keys, and options."""
    from lowering.compile import make_plan
    from lowering.profile import Profile

    for graph in graphs():
        for program in make_plan(graph, Profile(**profile)).programs:
            text = parts.read(program.source)
            at = cache.key_of(*machine, lean.prelude(), program.options)
            for module in text.alone() if text is not None else ():
                yield at, module, program.options


def graphs() -> Iterator[Any]:
    """What has them: a sum in two steps; products, plain, turned, of few columns, of small
    matrices.
    """
    import numpy as np

    from lowering.graph import Builder

    b, f32 = Builder(), np.float32
    yield b.graph([b.reduce("add", b.input((1 << 22,), f32), (0,))])
    x, y, few = b.input((512, 512), f32), b.input((512, 512), f32), b.input((512, 10), f32)
    for other, axis in ((y, 0), (y, 1), (few, 0)):
        yield b.graph([b.contract(x, other, ((1,), (axis,)))])
    x, y = b.input((512, 16, 16), f32), b.input((512, 16, 16), f32)
    yield b.graph([b.contract(x, y, ((2,), (1,)), ((0,), (0,)))])
    x, y = b.input((16, 28, 28, 32), f32), b.input((3, 3, 32, 64), f32)
    images, filters = b.transpose(x, (0, 3, 1, 2)), b.transpose(y, (3, 2, 0, 1))
    same = (1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), 1
    out = b.conv(images, filters, (16, 64, 28, 28), *same, f32)
    yield b.graph([b.transpose(out, (0, 2, 3, 1))])


def _in_child() -> None:
    _asked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
