"""Stock: parts and programs that many ask for, compiled before one does, while nobody waits.

A tile, a panel, the loops of a product and the functions of a team are the same in many programs
(parts.py), and a sum's or a product's program in all sizes. So a process that has built something
asks its builder once to make those that the disk has not got when it rests (shelf.py); whoever
builds next finds them there. FX_STOCK=0: nobody asks.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowering import ending, saved
from lowering.plan import Program
from lowering.pocl import ahead, builders, lean, parts
from lowering.pocl.aside import Piece
from lowering.runtime import cache, later

if TYPE_CHECKING:
    import numpy as np

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
    off = os.environ.get("FX_STOCK") == "0"
    if ending.over or off or root is None or (root, key) in _asked:
        return
    profile = {f.name: getattr(device.profile, f.name) for f in fields(device.profile)}
    if cache.has(KIND, key) or builders.tell(KIND, sys.path, str(root), key, machine, profile):
        _asked.add((root, key))


def make(
    piece: Callable[[str, str], Piece],
    build: Callable[[ahead.Job, Sequence[Piece]], bytes | None],
    root: str,
    key: str,
    machine: Any,
    profile: Any,
) -> None:
    """In a process of a builder: make and keep, in the disk cache at `root`, what is not there."""
    os.environ["FX_CACHE_DIR"] = root
    for at, module, options in _modules(profile, machine):
        names = [cache.key_of(at, key) for key in module.keys]
        if not all(cache.has("piece", name) for name in names):
            made = piece(*lean.piece(module.source, options))
            for name in names:
                cache.keep("piece", name, marshal.dumps((*made, list(module.calls))))
    for program in _programs(profile, common()):
        name = cache.key_of(*machine, lean.prelude(), program.options, program.source)
        if not cache.has("bitcode", name):
            code = build(*_job(program, machine, name))
            if code is not None:
                cache.keep("bitcode", name, code)
    cache.keep(KIND, key, b"")


def _modules(profile: Any, machine: Any) -> Iterator[tuple[str, parts.Module, str]]:
    """The texts of parts, with the beginning of the disk's keys, and options."""
    for program in _programs(profile, graphs()):
        text = parts.read(program.source)
        at = cache.key_of(*machine, lean.prelude(), program.options)
        for module in text.alone() if text is not None else ():
            yield at, module, program.options


def _job(program: Program, machine: Any, name: str) -> tuple[ahead.Job, list[Piece]]:
    """A program as `Compiler.join` takes it, for many items and for few; and its parts on disk."""
    from lowering.runtime import programs

    source, known = program.source, {}
    text = parts.read(source)
    if text is not None:
        at = cache.key_of(*machine, lean.prelude(), program.options)
        known = programs.on_disk(at, text.keys.values())
        source = text.deal(known, 0)[0].source
    launches = [("fx", size, 1) for size in (1, ahead.SMALL_GRID)]
    pieces = list({piece[0]: piece for piece in known.values()}.values())
    return lean.job(source, program.options, name[:32], launches), pieces


def _programs(profile: Any, of: Iterable[Any]) -> Iterator[Program]:
    from lowering.compile import make_plan
    from lowering.profile import Profile

    for graph in of:
        yield from make_plan(graph, Profile(**profile)).programs


def common() -> Iterator[Any]:
    """What has programs that are the same for most sizes, and that libraries bring along: folds of
    all elements; products, plain and with either side turned; products of many small matrices; rows
    of up to 1024 or 2048 elements, a few and many.
    """
    import numpy as np

    from lowering.graph import Builder

    f32 = np.dtype(np.float32)
    for kind in ("add", "max", "min"):
        b = Builder()
        yield b.graph([b.reduce(kind, b.input((1 << 22,), f32), (0,))])
    for sides in ((1, 0), (1, 1), (0, 0)):
        b = Builder()
        x, y = b.input((512, 512), f32), b.input((512, 512), f32)
        yield b.graph([b.contract(x, y, ((sides[0],), (sides[1],)))])
    for n in (8, 16, 32, 64):
        b = Builder()
        x, y = b.input((1 << 11, n, n), f32), b.input((1 << 11, n, n), f32)
        yield b.graph([b.contract(x, y, ((2,), (1,)), ((0,), (0,)))])
    for kind in ("add", "max"):
        b = Builder()
        yield b.graph([b.reduce(kind, b.input((512, 1024), f32), (1,))])
    for rows in (1 << 13, 1 << 9):
        yield _softmax((rows, 1024), f32)
        yield _normalised((rows, 1024), f32)


def _softmax(shape: tuple[int, int], dtype: np.dtype) -> Any:
    from lowering.graph import Builder

    b = Builder()
    x = b.input(shape, dtype)
    shifted = b.map("sub", x, b.broadcast(b.reduce("max", x, (1,)), shape, (0,)))
    e = b.map("exp", shifted)
    total = b.broadcast(b.reduce("add", e, (1,)), shape, (0,))
    return b.graph([b.map("div", e, total)])


def _normalised(shape: tuple[int, int], dtype: np.dtype) -> Any:
    """Rows less their mean, by the root of their variance and 1e-5, scaled and moved."""
    from lowering.graph import Builder

    b = Builder()
    x, size = b.input(shape, dtype), b.const(dtype.type(shape[1]), dtype, shape[:1])
    mean = b.map("div", b.reduce("add", x, (1,)), size)
    centred = b.map("sub", x, b.broadcast(mean, shape, (0,)))
    variance = b.map("div", b.reduce("add", b.map("mul", centred, centred), (1,)), size)
    scale = b.map("rsqrt", b.map("add", variance, b.const(dtype.type(1e-5), dtype, shape[:1])))
    y = b.map("mul", centred, b.broadcast(scale, shape, (0,)))
    gain, bias = (b.broadcast(b.input(shape[1:], dtype), shape, (1,)) for _ in range(2))
    return b.graph([b.map("add", b.map("mul", y, gain), bias)])


def graphs() -> Iterator[Any]:
    """What has them: a sum in two steps; products that are only stored, plain, turned, of few
    columns, of small matrices; the same and a convolution with something done to their sums; rows
    that are moved.
    """
    import numpy as np

    from lowering.graph import Builder

    b, f32 = Builder(), np.float32
    yield b.graph([b.reduce("add", b.input((1 << 22,), f32), (0,))])
    for then in (None, "tanh"):
        for rows, columns, sides in (
            *((512, 512, sides) for sides in ((1, 0), (1, 1), (0, 0))),
            *((rows, 10, (1, 0)) for rows in (512, 64)),
        ):
            b = Builder()
            x, y = b.input((rows, 512), f32), b.input((512, columns), f32)
            out = b.contract(x, y, ((sides[0],), (sides[1],)))
            yield b.graph([b.map(then, out) if then else out])
    b = Builder()
    x, y = b.input((512, 16, 16), f32), b.input((512, 16, 16), f32)
    yield b.graph([b.contract(x, y, ((2,), (1,)), ((0,), (0,)))])
    b = Builder()
    x, y = b.input((16, 28, 28, 32), f32), b.input((3, 3, 32, 64), f32)
    images, filters = b.transpose(x, (0, 3, 1, 2)), b.transpose(y, (3, 2, 0, 1))
    same = (1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1), 1
    out = b.conv(images, filters, (16, 64, 28, 28), *same, f32)
    yield b.graph([b.transpose(out, (0, 2, 3, 1))])
    b = Builder()
    yield b.graph([b.transpose(b.input((8, 64, 8, 64), f32), (0, 2, 1, 3))])


def _in_child() -> None:
    _asked.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
