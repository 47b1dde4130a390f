"""Written: host functions that also have a stage written by hand, where sizes and device suit it.

In: an Opaque whose `stage` names what it computes, a key of `_RULES`, and its parameters. Out: its
launches, with no wait for the host, so that a loop of such steps is one task.
The items share a stack of many matrices or rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from lowering import graph as g
from lowering.emit.scope import Stage
from lowering.fuse_rules import operands
from lowering.nest import NestBuffer
from lowering.planning.places import Place, Region, result_places
from lowering.scalar_text import contraction
from lowering.templates import (
    dense,
    dense_complex,
    fourier,
    fourier_long,
    orthogonal,
    reflections,
    tridiagonal,
)

if TYPE_CHECKING:
    from lowering.planning.planner import Planner
    from lowering.profile import Profile

MOST_ROWS = 128  # of a matrix; above, LAPACK's blocked code wins, and private memory ends
MOST_PRIVATE = 1 << 16  # bytes
MOST_POINTS = 4096  # of a transform: private memory, and a table of roots in the text
MOST_SIDE = 2048  # of the sides of a longer one, as a matrix
MOST_TURNED = 32  # rows or columns that are rotated pair by pair
MOST_EIGEN = 64  # rows of a symmetric matrix
IN_LOOPS = ("eigh", "svd")  # signs of vectors are not LAPACK's: where a step of the host costs most
REFLECTIONS = ("geqrf", "ormqr", "householder")
MOST_ALONE = 32  # rows; above, blocked code on the host wins
ITEM_WORK = 20_000.0  # flops that are worth an item
TYPES = tuple(map(np.dtype, (np.float32, np.float64)))


@dataclass(frozen=True, slots=True)
class Written:
    """The text for one problem, how many there are, and the flops of each; what it calls. `result`:
    the shape of what it hands to the next stage, None for the last.
    """

    text: str
    problems: int
    work: float
    helpers: tuple[str, ...] = ()
    result: tuple[int, ...] | None = None


def planned(p: Planner, region: Region, node: g.Node) -> bool:
    """Plan the node as launches, if it has stages that suit."""
    if p.profile.schedule == "gpu" or not p.options.get("written", True):
        return False
    if p.depth == 0 and not _alone(node):
        return False
    chain = _RULES[node.form.stage[0]](node, p.profile)
    ins = operands(node)
    places = [p.place_of(region, a) for a in ins]
    buffers = [NestBuffer(a, a.dtype, a.size) for a in ins]
    for made in chain:
        if made.result is None:
            outs, results = list(node.outs or ()), result_places(p, region, node)
        else:
            outs = [(made.result, ins[0].dtype)]
            results = [Place(p.slot("temp", *outs[0]))]
        nodes = [g.Node(g.Input(-1), (), shape, dtype) for shape, dtype in outs]
        written = [NestBuffer(n, n.dtype, n.size, True) for n in nodes]
        stage = _stage(made, [*buffers, *written], p.profile, node.tag or node.form.stage[0])
        p.add_launch(region, stage, [*places, *results])
        places, buffers = results, [NestBuffer(n, n.dtype, n.size) for n in nodes]
    return bool(chain)


def _alone(node: g.Node) -> bool:
    """Whether a stage is as good as a step of the host where no loop repeats that: where signs of
    vectors are free they need not be LAPACK's, and a small matrix is done before the host begins.
    """
    name, *params = node.form.stage
    if name in REFLECTIONS:
        return max(node.args[0].shape[-2:]) <= MOST_ALONE
    if name not in IN_LOOPS:
        return True
    m, n = node.args[0].shape[-2:]
    if name == "eigh":
        return not params[1] and max(m, n) <= MOST_ALONE
    most = MOST_ALONE if params[1] else MOST_ALONE // 3  # the host, too, is quick without vectors
    return params[2] and min(m, n) ** 2 * max(m, n) <= most**3


def _stage(made: Written, buffers: list[NestBuffer], profile: Profile, label: str) -> Stage:
    share = int(min(ITEM_WORK / made.work, made.problems / (4 * profile.compute_units))) or 1
    last = f"min({made.problems}L, (item + 1) * {share})"
    head = f"  {contraction()}\n  for (long e = item * {share}; e < {last}; ++e) {{"
    items, cost = -(-made.problems // share), made.work * made.problems
    text = f"{head}{made.text}\n  }}"
    return Stage(text, buffers, [], items, 1, label, helpers=made.helpers, cost=cost)


def _fits(rows: int, columns: int, dtype: np.dtype) -> bool:
    small = min(rows, columns) > 0 and max(rows, columns) <= MOST_ROWS
    return small and dtype in TYPES and rows * columns * dtype.itemsize <= MOST_PRIVATE


def _lu(node: g.Node, profile: Profile, parts: int = 1) -> list[Written]:
    x = node.args[0]
    m, n = x.shape[-2:] if parts == 1 else x.shape[-3:-1]
    if not x.size or not _fits(m, parts * n, x.dtype):
        return []
    made = dense.lu if parts == 1 else dense_complex.lu
    text = made(m, n, x.dtype, _width(n, x.dtype, profile))
    work = 2.0 * m * n * min(m, n) + 20.0 * m * n
    return [Written(text, x.size // (parts * m * n), parts * parts * work)]


def _cholesky(node: g.Node, profile: Profile, parts: int = 1) -> list[Written]:
    x = node.args[0]
    n = x.shape[-1] if parts == 1 else x.shape[-2]
    if not x.size or not _fits(n, parts * n, x.dtype):
        return []
    made = dense.cholesky if parts == 1 else dense_complex.cholesky
    text = made(n, x.dtype, _width(n, x.dtype, profile))
    work = 1.0 * n * n * n + 20.0 * n * n
    return [Written(text, x.size // (parts * n * n), parts * parts * work)]


def _triangular(node: g.Node, profile: Profile, parts: int = 1) -> list[Written]:
    a, y = node.args
    last = a.ndim - (2 if parts == 2 else 1)
    n = a.shape[last]
    if not y.size or not _fits(n, parts * n, a.dtype):
        return []
    _, left_side, lower, transpose_a, unit_diagonal, conjugate_a = node.form.stage
    count = y.shape[last if left_side else last - 1]
    width = profile.lanes(a.dtype.itemsize)
    which = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a}
    which["unit_diagonal"] = unit_diagonal
    if parts == 1:
        text = dense.triangular(n, count, a.dtype, width, **which)
    else:
        which["conjugate_a"] = conjugate_a
        text = dense_complex.triangular(n, count, a.dtype, width, **which)
    blocks = dense.blocks(count, width)
    work = 2.0 * n * n * count / blocks + 20.0 * n
    return [Written(text, blocks * a.size // (parts * n * n), parts * parts * work)]


def _width(n: int, dtype: np.dtype, profile: Profile) -> int:
    """Lanes of a vector: no more than a row of n needs."""
    width = profile.lanes(dtype.itemsize)
    while width > 1 and width // 2 >= n:
        width //= 2
    return width


def _qr(node: g.Node, profile: Profile) -> list[Written]:
    x = node.args[0]
    (q, _), *_ = node.outs
    m, n = x.shape[-2:]
    most = max(n, q[-1]) * m * x.dtype.itemsize
    if not x.size or x.dtype not in TYPES or min(m, n) > MOST_ROWS or most > MOST_PRIVATE // 2:
        return []
    text = orthogonal.qr(m, n, q[-1], x.dtype, _width(m, x.dtype, profile))
    return [Written(text, x.size // (m * n), 2.0 * m * min(m, n) * (n + q[-1]) + 40.0 * m * n)]


def _geqrf(node: g.Node, profile: Profile) -> list[Written]:
    x = node.args[0]
    m, n = x.shape[-2:]
    if not x.size or not _fits(m, n, x.dtype):
        return []
    text = reflections.pack(m, n, x.dtype)
    return [Written(text, x.size // (m * n), 4.0 * m * n * min(m, n) + 20.0 * m * n)]


def _ormqr(node: g.Node, profile: Profile) -> list[Written]:
    a, taus, c = node.args
    _, left, transpose = node.form.stage
    m, n = c.shape[-2:]
    small = _fits(m, n, c.dtype) and _fits(a.shape[-2], a.shape[-1], a.dtype)
    if not c.size or not taus.size or not small:
        return []
    k, forward = taus.shape[-1], left == transpose
    text = reflections.multiply(m, n, a.shape[-1], k, c.dtype, left=left, forward=forward)
    return [Written(text, c.size // (m * n), 4.0 * m * n * k + 20.0 * m * n)]


def _householder(node: g.Node, profile: Profile) -> list[Written]:
    a, taus = node.args
    m, n = a.shape[-2:]
    if not taus.size or not _fits(m, n, a.dtype):
        return []
    text = reflections.gather(m, n, taus.shape[-1], a.dtype)
    return [Written(text, a.size // (m * n), 4.0 * m * n * taus.shape[-1] + 20.0 * m * n)]


def _pivots(node: g.Node, profile: Profile) -> list[Written]:
    x = node.args[0]
    if not x.size:
        return []
    (shape, _), *_ = node.outs
    text = reflections.permutation(x.shape[-1], shape[-1], x.dtype)
    return [Written(text, x.size // x.shape[-1], 10.0 * shape[-1])]


def _eigh(node: g.Node, profile: Profile) -> list[Written]:
    x = node.args[0]
    n = x.shape[-1]
    _, lower, vectors = node.form.stage
    if not x.size or x.dtype not in TYPES or n > MOST_EIGEN:
        return []
    text = orthogonal.eigh(n, lower, vectors, x.dtype, _width(n, x.dtype, profile))
    return [Written(text, x.size // (n * n), 6.0 * n * n * n + 200.0 * n * n)]


def _svd(node: g.Node, profile: Profile) -> list[Written]:
    x = node.args[0]
    m, n = x.shape[-2:]
    long, short = max(m, n), min(m, n)
    _, full, vectors, _ = node.form.stage
    columns = long if full else short
    most = (short + columns * vectors) * long * x.dtype.itemsize
    if not x.size or x.dtype not in TYPES or short > MOST_TURNED or most > MOST_PRIVATE // 2:
        return []
    text = orthogonal.svd(m, n, full, vectors, x.dtype, _width(long, x.dtype, profile))
    work = 8.0 * short * short * (long + 10.0) * 2
    return [Written(text, x.size // (m * n), work)]


def _tridiagonal(node: g.Node, profile: Profile) -> list[Written]:
    b = node.args[3]
    if not b.size or b.dtype not in TYPES:
        return []
    n, k = b.shape[-2:]
    lanes = profile.lanes(b.dtype.itemsize)
    down, up, problems, between = tridiagonal.texts(b.size // (n * k), n, k, b.dtype, lanes)
    return [Written(down, problems, 30.0 * n, (), between), Written(up, problems, 12.0 * n)]


# ---------------------------------------------------------------- Fourier transforms


def _fft(node: g.Node, profile: Profile) -> list[Written]:
    """Along each axis in turn: the last one first, but last for a real result. `axes`: None for the
    last ones.
    """
    _, kind, lengths, axes = node.form.stage
    x = node.args[0]
    (shape, _), *_ = node.outs
    if not x.size or not lengths or x.dtype not in TYPES:
        return []
    along = {"RFFT": "half", "IRFFT": "real"}.get(kind, "complex")
    inverse = kind in ("IFFT", "IRFFT")
    spectrum = shape[:-1] if kind != "IRFFT" else x.shape[:-1]  # the parts are the last axis
    last = len(spectrum) - 1
    axes = tuple(range(last + 1 - len(lengths), last + 1)) if axes is None else axes
    upright = [n for n, axis in zip(lengths, axes, strict=True) if axis != last]
    if any(n > MOST_POINTS or fourier.radices(n) is None for n in upright):
        return []
    chain = []
    if axes[-1] == last:
        chain = _rows(lengths[-1], along, inverse, spectrum, x.dtype, profile)
        if not chain:
            return []
    others = [
        _columns(spectrum, axis, inverse, x.dtype, profile)
        for axis in reversed(axes)
        if axis != last
    ]
    chain = [*others, *chain] if kind == "IRFFT" else [*chain, *others]
    chain[-1] = replace(chain[-1], result=None)
    return chain


def _columns(
    shape: tuple[int, ...], axis: int, inverse: bool, dtype: np.dtype, profile: Profile
) -> Written:
    """Along an axis that is not the last, of complex numbers in this shape."""
    n, inner, lanes = shape[axis], prod(shape[axis + 1 :]), profile.lanes(dtype.itemsize)
    text, table, blocks = fourier.columns(n, inner, inverse, dtype, lanes)
    problems, work = prod(shape[:axis]) * blocks, _fft_work(n, dtype) * inner / blocks
    return Written(text, problems, work, (table,), (*shape, 2))


def _rows(
    n: int, along: str, inverse: bool, spectrum: tuple[int, ...], dtype: np.dtype, profile: Profile
) -> list[Written]:
    """Along the last axis, in one stage or, where it is long, in several."""
    lanes, points, stack = profile.lanes(dtype.itemsize), fourier.points(n, along), spectrum[:-1]
    if fourier.radices(points) is None:
        return []
    if points <= MOST_POINTS:
        text, table = fourier.rows(n, along, inverse, dtype, lanes)
        return [Written(text, prod(stack), _fft_work(n, dtype), (table,), (*spectrum, 2))]
    sides = fourier_long.factors(points, lanes, MOST_SIDE)
    if sides is None or (along != "complex" and points == n):
        return []
    m, k = sides
    text, tables, blocks = fourier_long.crossed(m, k, inverse, dtype, lanes)
    work = (_fft_work(m, dtype) + 2.0 * m) * k / blocks
    chain = [Written(text, prod(stack) * blocks, work, tables, (*stack, points, 2))]
    chain.append(_columns((*stack, k, m), len(stack), inverse, dtype, profile))
    if along == "complex":
        return chain
    made = {"half": fourier_long.split, "real": fourier_long.join}[along]
    text, tables = made(points, dtype, lanes)
    problems = prod(stack) * fourier_long.pieces(points, lanes)
    shape = (*stack, points + 1 if along == "half" else points, 2)
    ends = Written(text, problems, 2.0 * fourier_long.PIECE, tables, shape)
    return [*chain, ends] if along == "half" else [ends, *chain]


def _fft_work(n: int, dtype: np.dtype) -> float:
    """Of one row, in the units of `schedule.work`: vectors do sixteen of its flops in the time of
    one of those.
    """
    return (5.0 * n * n.bit_length() + 10.0 * n) * dtype.itemsize / 64


_RULES = {
    "cholesky": _cholesky,
    "complex_cholesky": partial(_cholesky, parts=2),
    "complex_lu": partial(_lu, parts=2),
    "complex_triangular_solve": partial(_triangular, parts=2),
    "eigh": _eigh,
    "fft": _fft,
    "geqrf": _geqrf,
    "householder": _householder,
    "lu": _lu,
    "ormqr": _ormqr,
    "pivots": _pivots,
    "qr": _qr,
    "svd": _svd,
    "triangular_solve": _triangular,
    "tridiagonal_solve": _tridiagonal,
}
