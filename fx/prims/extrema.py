"""Extrema of two: NumPy's rules and nodes of graphs, of real and of complex numbers, with the same
bits: which of a zero and its negative it is, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowering.graph import Const


def ordered(pick_first: Any) -> Any:
    """NumPy's rule; extrema of complex numbers go by real part, then imaginary part."""

    def rule(x: Any, y: Any) -> np.ndarray:
        if x.dtype.kind != "c":
            return (np.maximum if pick_first is np.greater else np.minimum)(x, y)
        first = np.where(x.real == y.real, pick_first(x.imag, y.imag), pick_first(x.real, y.real))
        return np.where(first | np.isnan(x), x, y)

    return rule


def extremum(b: Any, op: str, x: Any, y: Any) -> Any:
    """The node. Of a zero and its negative NumPy takes the second, kernels the first (so that a
    fold asks its new element alone whether it is NaN). Of a constant nothing is asked where it is
    the second, so it stays there unless it is zero.
    """
    plain = x.dtype.kind != "f" or (isinstance(y.form, Const) and bool(y.form.value))
    return b.map(op, x, y, dtype=x.dtype) if plain else b.map(op, y, x, dtype=x.dtype)


def lowered(op: str, compare_op: str) -> Any:
    """The lowering rule, as `ordered`."""

    def lower(b: Any, x: Any, y: Any) -> Any:
        if x.dtype.kind != "c":
            return extremum(b, op, x, y)
        real = [b.map("real", v) for v in (x, y)]
        imag = [b.map("imag", v) for v in (x, y)]
        equal = b.map("eq", *real)
        first = b.select(equal, b.map(compare_op, *imag), b.map(compare_op, *real))
        nan = b.map("ne", x, x)
        return b.select(b.map("or", first, nan), x, y)

    return lower
