"""Operators and methods of arrays and tracers, set as attributes when fx.numpy is imported.

Operators of two concrete arrays go through fx.numpy.fast first. Unknown operands give
NotImplemented, as Python wants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx.array import Array
from fx.numpy import cumulative, diagonals, fast, products, recorded, reductions, searching, sorting
from fx.numpy import manipulation as m
from fx.numpy import selection as taking
from fx.numpy import ufuncs as u
from fx.numpy import ufuncs_more as more
from fx.numpy.at import At, Updater
from fx.numpy.creation import array, astype
from fx.numpy.indexing import getitem
from fx.numpy.promotion import is_arraylike

_OPERATORS: dict[str, Any] = {
    "add": u.add,
    "sub": u.subtract,
    "mul": u.multiply,
    "truediv": u.divide,
    "floordiv": u.floor_divide,
    "mod": u.remainder,
    "divmod": u.divmod,
    "pow": u.power,
    "matmul": products.matmul,
    "and": u.bitwise_and,
    "or": u.bitwise_or,
    "xor": u.bitwise_xor,
    "lshift": u.left_shift,
    "rshift": u.right_shift,
}
_COMPARISONS: dict[str, Any] = {
    "eq": u.equal,
    "ne": u.not_equal,
    "lt": u.less,
    "le": u.less_equal,
    "gt": u.greater,
    "ge": u.greater_equal,
}
_PYTHON = frozenset((bool, int, float, complex))


def _accepts(y: Any) -> bool:
    return isinstance(y, core.Tracer) or type(y) is Array or type(y) in _PYTHON or is_arraylike(y)


def _slow(function: Callable[[Any, Any], Any], reverse: bool) -> Any:
    function = recorded.form_of(function)

    def method(self: Any, other: Any) -> Any:
        if not _accepts(other):
            return NotImplemented
        return function(other, self) if reverse else function(self, other)

    return method


def _with_fast(name: str, function: Callable[[Any, Any], Any], reverse: bool) -> Any:
    found = fast.BINARY.get(name)
    slow = _slow(function, reverse)
    if found is None:
        return slow
    quick, miss = fast.binary(*found, reverse), fast.MISS

    def method(self: Any, other: Any) -> Any:
        out = quick(self, other)
        return slow(self, other) if out is miss else out

    return method


def _neg(self: Any) -> Any:
    out = fast.negative(self)
    return u.negative(self) if out is fast.MISS else out


def _round(self: Any, ndigits: int | None = None) -> Any:
    """Python's round(x) gives integers, round(x, n) the dtype of x."""
    rounded = u.round(self, ndigits or 0)
    return rounded.astype(int) if ndigits is None else rounded


# ---------------------------------------------------------------- methods


def _as_in(function: Any) -> Callable[[Any], Any]:
    """A decorator: the docstring of the function that a method forwards to."""

    def tell(method: Any) -> Any:
        method.__doc__ = function.__doc__
        return method

    return tell


@_as_in(m.reshape)
def _reshape(
    self: Any, *args: Any, order: str = "C", copy: bool | None = None, out_sharding: Any = None
) -> Any:
    shape = args[0] if len(args) == 1 and not isinstance(args[0], (int, np.integer)) else args
    return m.reshape(self, shape, order)


@_as_in(m.transpose)
def _transpose(self: Any, *args: Any) -> Any:
    if not args or args == (None,):
        return m.transpose(self)
    axes = args[0] if len(args) == 1 and not isinstance(args[0], (int, np.integer)) else args
    return m.transpose(self, axes)


@_as_in(astype)
def _astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Any:
    return astype(self, dtype, copy=copy, device=device)


def _view(self: Any, dtype: Any = None, type: None = None) -> Any:
    """The same bytes as another dtype: the last axis grows or shrinks with the size of an element
    (ValueError where that does not fit, or there is none); booleans count as bytes. The array
    itself without one.
    """
    from fx.dtypes import check_requested

    if type is not None:
        raise NotImplementedError("`type` argument of array.view() is not supported.")
    if dtype is None:
        return self
    wanted, have = check_requested(dtype, "view"), self.dtype
    if wanted == have:
        return self
    if np.bool_ in (wanted, have):
        if wanted == have:
            return self
        small = self.astype(np.uint8) if have == np.bool_ else self
        if wanted != np.bool_:
            return _view(small, wanted)
        return u.not_equal(_view(small, np.uint8), 0)
    if have.kind == "c":
        parts = lax.concatenate(
            [
                lax.expand_dims(lax.real(self), (self.ndim,)),
                lax.expand_dims(lax.imag(self), (self.ndim,)),
            ],
            self.ndim,
        )
        flat = m.reshape(parts, (*self.shape[:-1], 2 * self.shape[-1]) if self.ndim else (2,))
        return _view(flat, wanted)
    if wanted.kind == "c":
        half = np.dtype(f"float{wanted.itemsize * 4}")
        pairs = _view(self, half)
        if pairs.shape[-1] % 2:
            raise ValueError("view: the last axis does not hold whole complex numbers")
        pairs = m.reshape(pairs, (*pairs.shape[:-1], pairs.shape[-1] // 2, 2))
        return lax.complex(pairs[..., 0], pairs[..., 1])
    if have.itemsize == wanted.itemsize:
        return lax.bitcast_convert_type(self, wanted)
    if self.ndim == 0:
        raise ValueError(
            "Changing the dtype of a 0d array is only supported if the itemsize is unchanged."
        )
    if have.itemsize > wanted.itemsize:
        out = lax.bitcast_convert_type(self, wanted)
        return m.reshape(out, (*self.shape[:-1], self.shape[-1] * out.shape[-1]))
    ratio = wanted.itemsize // have.itemsize
    if self.shape[-1] % ratio:
        raise ValueError(
            "When changing to a larger dtype, its size must be a divisor of the total size in "
            "bytes of the last axis "
            "of the array."
        )
    grouped = m.reshape(self, (*self.shape[:-1], self.shape[-1] // ratio, ratio))
    return lax.bitcast_convert_type(grouped, wanted)


@_as_in(m.ravel)
def _flatten(self: Any, order: str = "C", *, out_sharding: Any = None) -> Any:
    return m.ravel(self, order, out_sharding=out_sharding)


@_as_in(more.clip)
def _clip(self: Any, min: Any = None, max: Any = None) -> Any:
    return more.clip(self, min, max)


@_as_in(sorting.searchsorted)
def _searchsorted(
    self: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan"
) -> Any:
    return sorting.searchsorted(self, v, side, sorter, method=method)


@_as_in(searching.nonzero)
def _nonzero(self: Any, *, fill_value: Any = None, size: Any = None) -> Any:
    return searching.nonzero(self, size=size, fill_value=fill_value)


@_as_in(taking.compress)
def _compress(
    self: Any,
    condition: Any,
    axis: int | None = None,
    *,
    out: None = None,
    size: Any = None,
    fill_value: Any = 0,
) -> Any:
    return taking.compress(condition, self, axis, size=size, fill_value=fill_value)


def _copy(self: Any) -> Any:
    """A copy of the array, of its shape and dtype."""
    return array(self, copy=True)


def _iter(self: Any) -> Any:
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d array")
    return (getitem(self, k) for k in range(self.shape[0]))


def _len(self: Any) -> int:
    if self.ndim == 0:
        raise TypeError("len() of unsized object")
    return self.shape[0]


def _setitem(self: Any, index: Any, value: Any) -> None:
    raise TypeError(
        "Arrays are immutable and do not support in-place item assignment; got "
        f"{self.aval.str_short()}. Instead of "
        "x[idx] = y, use x = x.at[idx].set(y) or another .at[] method."
    )


def _to_device(self: Any, device: Any, *, stream: Any = None) -> Any:
    """The array on `device`, a Device or its name. `stream` is of the array API's signature:
    ValueError unless None.
    """
    from fx.devices import device_put

    if stream is not None:
        raise ValueError("to_device: stream must be None; launches are ordered by the device")
    return device_put(self, device)


_METHODS: dict[str, Any] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argpartition": sorting.argpartition,
    "argsort": sorting.argsort,
    "astype": _astype,
    "choose": taking.choose,
    "clip": _clip,
    "compress": _compress,
    "conj": u.conjugate,
    "conjugate": u.conjugate,
    "cumprod": cumulative.cumprod,
    "cumsum": cumulative.cumsum,
    "diagonal": diagonals.diagonal,
    "dot": products.dot,
    "flatten": _flatten,
    "max": reductions.max,
    "mean": reductions.mean,
    "min": reductions.min,
    "nonzero": _nonzero,
    "prod": reductions.prod,
    "ptp": reductions.ptp,
    "ravel": m.ravel,
    "repeat": m.repeat,
    "reshape": _reshape,
    "round": u.round,
    "searchsorted": _searchsorted,
    "sort": sorting.sort,
    "squeeze": m.squeeze,
    "std": reductions.std,
    "sum": reductions.sum,
    "swapaxes": m.swapaxes,
    "take": taking.take,
    "to_device": _to_device,
    "trace": diagonals.trace,
    "transpose": _transpose,
    "var": reductions.var,
    "view": _view,
}
_PROPERTIES: dict[str, tuple[Any, str]] = {
    "T": (m.transpose, "The array with its axes in reverse order."),
    "mT": (m.matrix_transpose, m.matrix_transpose.__doc__ or ""),
    "real": (u.real, u.real.__doc__ or ""),
    "imag": (u.imag, u.imag.__doc__ or ""),
    "at": (At, Updater.__doc__ or ""),
    "flat": (m.ravel, "All elements in one axis, row by row: an array, not an iterator."),
}


def install() -> None:
    """Set operators and methods on Array and Tracer; called once, at import."""
    quick_item = recorded.recorded(getitem)
    for name in ("astype", "clip", "flatten", "reshape", "transpose"):
        _METHODS[name] = recorded.recorded(_METHODS[name])

    def item(self: Any, index: Any) -> Any:
        out = fast.getitem(self, index)
        return quick_item(self, index) if out is fast.MISS else out

    for kind in (Array, core.Tracer):
        make = _with_fast if kind is Array else (lambda name, f, reverse: _slow(f, reverse))
        for name, function in _OPERATORS.items():
            _set(kind, f"__{name}__", _as_in(function)(make(name, function, False)))
            _set(kind, f"__r{name}__", _as_in(function)(make(name, function, True)))
        for name, function in _COMPARISONS.items():
            _set(kind, f"__{name}__", _as_in(function)(make(name, function, False)))
        _set(kind, "__neg__", _neg if kind is Array else lambda self: u.negative(self))
        _set(kind, "__pos__", lambda self: u.positive(self))
        _set(kind, "__abs__", lambda self: u.absolute(self))
        _set(kind, "__invert__", lambda self: u.invert(self))
        _set(kind, "__round__", _round)
        _set(kind, "__getitem__", item if kind is Array else lambda self, k: getitem(self, k))
        for name, function in _METHODS.items():
            setattr(kind, name, recorded.form_of(function))
        for name, (function, doc) in _PROPERTIES.items():
            setattr(kind, name, property(_getter(recorded.form_of(function)), doc=doc))
    core.Tracer.__iter__ = _iter  # type: ignore[attr-defined]
    core.Tracer.__len__ = _len  # type: ignore[attr-defined]
    core.Tracer.__setitem__ = _setitem  # type: ignore[attr-defined]
    core.Tracer.copy = _copy  # type: ignore[attr-defined]
    Array.__hash__ = None  # type: ignore[assignment]


def _getter(function: Any) -> Any:
    return lambda self: function(self)


def _set(kind: type, name: str, function: Any) -> None:
    function.__name__ = name
    function.__qualname__ = f"{kind.__name__}.{name}"
    setattr(kind, name, function)
