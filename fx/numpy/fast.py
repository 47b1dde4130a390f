"""Arithmetic of concrete arrays without the machinery: one NumPy call and a wrap, within about 2
µs of NumPy.

Taken only where the result is the general path's to the bit: eager evaluation, equal dtypes (or a
Python scalar of the same or a lower kind), host-visible memory, no checks. Everything else returns
MISS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core
from fx.array import Array
from fx.numpy.promotion import modes
from fx.prims.dealt import LONG

try:  # np.errstate costs 2 µs, the context variable beneath it 0.2
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    QUIET: Any = _make_extobj(all="ignore")
    begin_quiet, end_quiet = _extobj_contextvar.set, _extobj_contextvar.reset
except ImportError:
    QUIET = None

    def begin_quiet(_: Any, /) -> Any:
        """Switch floating-point warnings off; what they were."""
        return np.seterr(all="ignore")

    def end_quiet(before: Any, /) -> None:
        np.seterr(**before)


def silently(op: Any, *args: Any) -> Any:
    """op(*args) without floating-point warnings."""
    before = begin_quiet(QUIET)
    try:
        return op(*args)
    finally:
        end_quiet(before)


MISS = object()
SMALL = 1 << 21
"""Elements: more may be a kernel's (fx.numpy.large). Up to here NumPy's one thread has them in the
caches, and no kernel is much quicker."""

_FLOATS = frozenset(map(np.dtype, ("float32", "float64")))
_NUMBERS = _FLOATS | frozenset(
    map(np.dtype, ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"))
)
_STATE, _EVAL, _new = core.state, core.EVAL, object.__new__


def binary(
    op: Any, dtypes: frozenset[np.dtype], compares: bool, reverse: bool
) -> Callable[[Any, Any], Any]:
    """A function of (array, other) that gives the result or MISS."""

    def fast(x: Any, y: Any) -> Any:
        if _STATE.trace is not _EVAL or core.checker is not None:
            return MISS
        a = x._host
        if a is None:
            return MISS
        dtype = a.dtype
        if dtype not in dtypes or a.size > SMALL:
            return MISS
        kind = type(y)
        if kind is Array:
            b = y._host
            if b is None or b.dtype is not dtype:
                return MISS
            if modes.rank_promotion != "allow" and b.shape != a.shape:
                return MISS
            weak = x._weak and y._weak
        elif (kind is float and dtype in _FLOATS) or (kind is int and -_BOUND < y < _BOUND):
            b, weak = y, x._weak
            if kind is int and (dtype.itemsize < 4 or (y < 0 and dtype.kind == "u")):
                return MISS
        else:
            return MISS
        before = begin_quiet(QUIET)
        try:
            out = op(b, a) if reverse else op(a, b)
        except ValueError:
            return MISS
        finally:
            end_quiet(before)
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        return wrap(out, weak and not compares)

    return fast


def wrap(host: np.ndarray, weak: bool) -> Array:
    """Array(host, weak) in half the time."""
    x = _new(Array)
    x._host, x._weak = host, weak
    x._store = x._lease = x._device = x._event = x._known = None
    return x


_BOUND = 1 << 24  # integers below it are exact in float32

BINARY: dict[str, tuple[Any, frozenset[np.dtype], bool]] = {
    "add": (np.add, _NUMBERS, False),
    "sub": (np.subtract, _NUMBERS, False),
    "mul": (np.multiply, _NUMBERS, False),
    "truediv": (np.true_divide, _FLOATS, False),
    "lt": (np.less, _NUMBERS, True),
    "le": (np.less_equal, _NUMBERS, True),
    "gt": (np.greater, _NUMBERS, True),
    "ge": (np.greater_equal, _NUMBERS, True),
    "eq": (np.equal, _NUMBERS, True),
    "ne": (np.not_equal, _NUMBERS, True),
}
FUNCTIONS: dict[str, tuple[Any, frozenset[np.dtype], bool]] = {
    "add": BINARY["add"],
    "subtract": BINARY["sub"],
    "multiply": BINARY["mul"],
    "divide": BINARY["truediv"],
    "true_divide": BINARY["truediv"],
    "maximum": (np.maximum, _NUMBERS, False),
    "minimum": (np.minimum, _NUMBERS, False),
    "less": BINARY["lt"],
    "less_equal": BINARY["le"],
    "greater": BINARY["gt"],
    "greater_equal": BINARY["ge"],
    "equal": BINARY["eq"],
    "not_equal": BINARY["ne"],
}
"""Functions of fx.numpy that are the same."""


def unary(op: Any, dtypes: frozenset[np.dtype], small: int) -> Callable[[Any], Any]:
    """A function of an array that gives the result, in its dtype, or MISS; `small`: elements that
    it may have.
    """

    def fast(x: Any) -> Any:
        if _STATE.trace is not _EVAL or core.checker is not None:
            return MISS
        a = x._host
        if a is None or a.dtype not in dtypes or a.size > small:
            return MISS
        before = begin_quiet(QUIET)
        try:
            out = op(a)
        finally:
            end_quiet(before)
        return wrap(out if type(out) is np.ndarray else np.asarray(out), x._weak)

    return fast


negative = unary(np.negative, _NUMBERS, SMALL)

UNARY: dict[str, Callable[[Any], Any]] = {
    name: unary(getattr(np, name), _FLOATS, small)
    for names, small in (
        ("sqrt square abs absolute floor ceil", SMALL),
        ("exp exp2 expm1 log sin cos tan arcsin arccos arctan sinh cosh tanh", LONG),
        ("arcsinh arccosh arctanh", LONG),
    )
    for name in names.split()
}
"""Functions of fx.numpy whose primitive's NumPy rule is this ufunc."""


def getitem(x: Any, index: Any) -> Any:
    """x[index] of a concrete array for integers in bounds and slices: a view, or MISS."""
    if _STATE.trace is not _EVAL:
        return MISS
    a = x._host
    if a is None:
        return MISS
    items = index if type(index) is tuple else (index,)
    shape = a.shape
    if len(items) > len(shape):
        return MISS
    for item, n in zip(items, shape):
        kind = type(item)
        if kind is int:
            if not -n <= item < n:
                return MISS
        elif kind is not slice or not _plain(item):
            return MISS
    out = a[index]
    return wrap(out if type(out) is np.ndarray else np.asarray(out), x._weak)


_BOUNDS = frozenset((int, type(None)))


def _plain(s: slice) -> bool:
    return type(s.start) in _BOUNDS and type(s.stop) in _BOUNDS and type(s.step) in _BOUNDS
