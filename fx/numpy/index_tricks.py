"""mgrid, ogrid, r_, c_, s_ and index_exp: arrays from slice notation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.numpy.creation import array
from fx.numpy.joining import concatenate, stack
from fx.numpy.manipulation import atleast_1d, expand_dims, moveaxis
from fx.numpy.ranges import arange, linspace, meshgrid
from fx.numpy.util import concrete, is_concrete

__all__ = ["c_", "index_exp", "mgrid", "ogrid", "r_", "s_"]


def _known(x: Any) -> Any:
    if isinstance(x, core.Tracer) and not is_concrete(x):
        concrete(x, "slice start of fx.numpy.mgrid")
    return x


def _line(s: slice) -> Any:
    """start:stop:step as arange, or with an imaginary step a linspace of that many points."""
    start = 0 if s.start is None else _known(s.start)
    stop, step = _known(s.stop), 1 if s.step is None else _known(s.step)
    if isinstance(step, (complex, np.complexfloating)):
        return linspace(start, stop, int(abs(step)))
    return arange(start, stop, step)


class Grid:
    """mgrid (dense) and ogrid (open): indexed with slices the coordinate grid of arange(start,
    stop, step), or of a linspace of n points with an imaginary step n * 1j. mgrid gives one array
    [axes, ...], ogrid a list, of a single slice both a vector; bounds must be concrete.
    """

    def __init__(self, sparse: bool):
        self.sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _line(key)
        out = meshgrid(*(_line(k) for k in key), indexing="ij", sparse=self.sparse)
        return out if self.sparse else stack(out, 0)


class Joiner:
    """r_ and c_: indexed with slices, scalars and arrays, which they join along the first axis, or
    as columns along the last. NotImplementedError for matrices.
    """

    def __init__(self, axis: int, ndmin: int, trans1d: int):
        self.axis, self.ndmin, self.trans1d = axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        axis, ndmin, trans1d, as_matrix = self.axis, self.ndmin, self.trans1d, False
        if items and isinstance(items[0], str):
            text, items = items[0], items[1:]
            if text in ("r", "c"):
                as_matrix = True
            else:
                numbers = [int(v) for v in text.split(",")]
                axis = numbers[0]
                ndmin = numbers[1] if len(numbers) > 1 else ndmin
                trans1d = numbers[2] if len(numbers) > 2 else trans1d
        if as_matrix:
            raise NotImplementedError("r_ and c_ make no matrices: leave out the 'r' or 'c'")
        return concatenate([self._member(i, ndmin, trans1d) for i in items], axis=axis)

    @staticmethod
    def _member(item: Any, ndmin: int, trans1d: int) -> Any:
        x = _line(item) if isinstance(item, slice) else atleast_1d(array(item))
        missing = ndmin - x.ndim
        if missing <= 0:
            return x
        if trans1d < 0:
            trans1d += ndmin
        have = x.ndim
        x = expand_dims(x, tuple(range(missing)))
        if trans1d >= 0:
            x = moveaxis(x, tuple(range(missing, ndmin)), tuple(range(trans1d, trans1d + have)))
        return x


class Expression:
    """s_ and index_exp: indexed with an index the index itself, always as a tuple by index_exp."""

    def __init__(self, always_tuple: bool):
        self.always_tuple = always_tuple

    def __getitem__(self, key: Any) -> Any:
        return (key,) if self.always_tuple and not isinstance(key, tuple) else key


mgrid, ogrid = Grid(False), Grid(True)
r_, c_ = Joiner(0, 1, -1), Joiner(-1, 2, 0)
s_, index_exp = Expression(False), Expression(True)
