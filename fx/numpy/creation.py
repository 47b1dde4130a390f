"""Arrays from nothing or from Python data: array, zeros, full, arange, linspace, eye and their
kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import canonicalize_dtype, float0, python_scalar_dtype
from fx.dtypes import as_dtype, check_requested, is_integer
from fx.numpy.fast import silently
from fx.numpy.util import (
    broadcast_value,
    canonical_shape,
    check_arraylike,
    convert,
    join,
    value,
    wrap,
)

__all__ = [
    "array",
    "asarray",
    "astype",
    "copy",
    "empty",
    "empty_like",
    "from_dlpack",
    "frombuffer",
    "fromfile",
    "fromfunction",
    "fromiter",
    "fromstring",
    "full",
    "full_like",
    "load",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def place(x: Any, device: Any) -> Any:
    """x on a device, if one is given."""
    if device is None:
        return x
    import fx

    return fx.device_put(x, device)


# ---------------------------------------------------------------- from data


def array(
    object: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """An array from a scalar, NumPy array, buffer or nested sequence; a copy unless copy=False.

    Python integers become int32, floats float32, 64-bit arrays 32-bit ones (x64 keeps 64 bits); a
    Python scalar alone is weakly typed. OverflowError for integers that do not fit, TypeError for
    text and objects, ValueError for None and ragged lists.

    >>> import fx.numpy as fnp
    >>> fnp.array([1, 2.5]).dtype
    dtype('float32')
    """
    if order not in ("K", "C", None):
        raise NotImplementedError(f"array: only order='K' or 'C' is kept, got {order!r}")
    wanted = None if dtype is None else check_requested(dtype, "array")
    out = _from_object(object, wanted, dtype, copy)
    ndim = len(core.get_aval(out).shape)
    if ndmin > ndim:
        from fx import lax

        out = lax.expand_dims(out, tuple(range(ndmin - ndim)))
    return place(out, device)


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The same as array, without a copy of what nobody can write to: a NumPy array is copied."""
    plain = copy is None and order is None and device is None and dtype is None
    if plain and isinstance(a, core.Tracer):
        return a
    return array(a, dtype=dtype, copy=bool(copy), order=order, device=device)


def _from_object(obj: Any, wanted: np.dtype | None, asked: Any, copy: bool) -> Any:
    if type(obj) in (list, tuple) and obj and (kinds := set(map(type, obj))) <= _NUMBERS:
        return _from_numbers(obj, kinds, wanted)
    obj = value(obj)
    if getattr(obj, "dtype", None) == np.dtype(object) and isinstance(obj, np.ndarray):
        raise TypeError(
            f"Value {obj!r:.60} with dtype object is not a valid array type. Only arrays of "
            "numeric types are supported."
        )
    if core.is_array_value(obj):
        return _from_value(obj, wanted, asked, copy)
    if hasattr(obj, "aval") and hasattr(obj, "__array__"):
        obj = np.asarray(obj)
    if isinstance(obj, Sequence) and not (isinstance(obj, (list, tuple, str)) or _is_buffer(obj)):
        obj = list(obj)  # ranges, deques, the user's own
    leaves = _leaves(obj)
    if isinstance(obj, (list, tuple)) and leaves and (kinds := set(map(type, leaves))) <= _NUMBERS:
        return _from_numbers(obj, kinds, wanted)
    if any(
        isinstance(x, core.Tracer) or (not isinstance(x, np.generic) and _is_fx(x)) for x in leaves
    ):
        return _from_nested(obj, leaves, wanted)
    if obj is None or any(x is None for x in leaves):
        raise ValueError("None is not a valid value for array")
    a = np.asarray(obj) if isinstance(obj, (list, tuple)) or _is_buffer(obj) else None
    if a is None:
        raise TypeError(f"Unexpected input type for array: {type(obj)}")
    if a.size == 0 and isinstance(obj, (list, tuple)) and wanted is None and not leaves:
        a = a.astype(np.float32) if a.dtype == np.float64 else a
    return _from_numpy(a, wanted)


_PYTHON = [bool, int, float, complex]
_NUMBERS = frozenset(_PYTHON)


def _is_fx(x: Any) -> bool:
    return core.is_array_value(x) and not isinstance(
        x, (bool, int, float, complex, np.ndarray, np.generic)
    )


def _is_buffer(x: Any) -> bool:
    if isinstance(x, str):
        raise TypeError(
            f"Value {x!r} with dtype {np.asarray(x).dtype} is not a valid array type. Only arrays "
            "of numeric "
            "types are supported."
        )
    if hasattr(x, "__array__") or hasattr(x, "__array_interface__"):
        return True
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for item in x for leaf in _leaves(item)]
    return [value(x)]


def _from_numbers(obj: Any, kinds: set[type], wanted: np.dtype | None) -> Any:
    """A list or tuple, perhaps nested, of Python numbers of these types."""
    kind = max(kinds, key=_PYTHON.index)
    dtype = wanted if wanted is not None else python_scalar_dtype(kind)
    _check_complex(kind, dtype)
    return _from_numpy(_checked_integers(obj, dtype), dtype)


def _check_complex(kind: type, dtype: np.dtype) -> None:
    """No imaginary part of a Python number is dropped; those of arrays are, with `astype`."""
    if kind is complex and dtype.kind not in "cb":
        raise TypeError(f"A Python complex number cannot be converted to {dtype.name}: take .real")


def _checked_integers(obj: Any, dtype: np.dtype) -> np.ndarray:
    a = np.asarray(obj)
    if is_integer(dtype) and a.dtype.kind in "iuO" and a.size:
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        if limits is not None and (a.max() > limits.max or a.min() < limits.min):
            worst = int(a.max() if a.max() > limits.max else a.min())
            raise OverflowError(f"Python int {worst} too large to convert to {dtype.name}")
    return a


def _from_numpy(a: np.ndarray, wanted: np.dtype | None) -> Any:
    if a.dtype == float0 and wanted is None:
        return a
    dtype = wanted if wanted is not None else canonicalize_dtype(a.dtype)
    if a.dtype.kind in "SUOMm":
        raise TypeError(
            f"Value {a.tolist()!r:.60} with dtype {a.dtype} is not a valid array type. Only arrays "
            "of numeric types "
            "are supported."
        )
    return core.host.from_numpy(_cast(a, dtype), False)


def _cast(a: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if a.dtype.kind == "c" and dtype.kind not in "cb":
        a = np.real(a)
    return silently(np.array, a, dtype)


def _from_value(x: Any, wanted: np.dtype | None, asked: Any, copy: bool) -> Any:
    aval = core.get_aval(x)
    if getattr(aval.dtype, "is_extended", False) or aval.dtype == float0:
        return x
    if type(x) in _PYTHON:
        weak = wanted is None and type(x) is not bool
        dtype = wanted if wanted is not None else aval.dtype
        if isinstance(x, int) and dtype.kind in "iu":
            _checked_integers(x, dtype)
        _check_complex(type(x), dtype)
        return core.host.from_numpy(_cast(np.asarray(x), dtype), weak)
    dtype = wanted if wanted is not None else aval.dtype
    if isinstance(x, (np.ndarray, np.generic)):
        return _from_numpy(np.asarray(x), dtype)
    weak = aval.weak_type and wanted is None
    if dtype == aval.dtype and weak == aval.weak_type:
        if copy and not isinstance(x, core.Tracer):
            return core.host.from_numpy(np.array(core.host.to_numpy(x)), weak)
        return x
    return to_dtype(x, dtype, weak)


def to_dtype(x: Any, dtype: np.dtype, weak: bool = False) -> Any:
    """Conversion that may drop an imaginary part."""
    from fx import lax

    if core.get_aval(x).dtype.kind == "c" and dtype.kind not in "cb":
        x = lax.real(x)
    return convert(x, dtype, weak)


def _from_nested(obj: Any, leaves: list[Any], wanted: np.dtype | None) -> Any:
    """A nested sequence that holds arrays or tracers: stack level by level."""
    from fx.numpy.joining import stack

    if wanted is None:
        pairs = [core.get_aval(x) for x in leaves]
        dtype = join([(a.dtype, a.weak_type) for a in pairs])[0]
    else:
        dtype = wanted

    def build(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            if not x:
                return zeros((0,), dtype)
            return stack([build(item) for item in x])
        return (
            _from_value(x, dtype, None, False) if type(x) in _PYTHON else convert(value(x), dtype)
        )

    return build(obj)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Any:
    """x converted to dtype (None: float), its shape kept. To booleans: whether not zero. Floats to
    integers round towards zero and stop at the ends of the range; complex to real drops the
    imaginary part with a ComplexWarning. TypeError for lists and for dtypes that are not of
    numbers.
    """
    check_arraylike("astype", x)
    x = value(x)
    have = core.get_aval(x).dtype
    wanted = check_requested(np.float64 if dtype is None else dtype, "astype")
    if dtype is None:
        wanted = canonicalize_dtype(np.float64)
    if getattr(have, "is_extended", False) or getattr(wanted, "is_extended", False):
        if have == wanted:
            return x
        raise ValueError(f"cannot convert {have} to {wanted}")
    if have.kind == "c" and wanted.kind not in "cb":
        import warnings

        warnings.warn(
            "Casting from complex to real dtypes discards the imaginary part; take .real first.",
            np.exceptions.ComplexWarning,
            stacklevel=2,
        )
    if isinstance(x, (np.ndarray, np.generic, bool, int, float, complex)):
        x = wrap(x)
        have = core.get_aval(x).dtype
    if wanted == np.bool_ and have != np.bool_:
        from fx.numpy.ufuncs import not_equal

        return place(not_equal(x, 0), device)
    return place(array(to_dtype(x, wanted), copy=copy), device)


def copy(a: Any, order: str | None = None) -> Any:
    """A copy of an array, of its shape and dtype. TypeError for lists; `array` takes them."""
    check_arraylike("copy", a)
    return array(a, copy=True, order=order)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array over the memory of a DLPack exporter, without a copy on devices that share the
    host's memory.
    """
    from fx import dlpack

    return dlpack.from_dlpack(x, device=device, copy=copy)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Any:
    """A 1-D array of `count` elements (-1: all) from a buffer's bytes behind `offset`; 64 bits
    narrow to 32 without x64. ValueError where the bytes do not make whole elements.
    """
    return asarray(np.frombuffer(buffer, dtype=as_dtype(dtype), count=count, offset=offset))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Any:
    """A 1-D array of the numbers in a text that `sep` separates, as `dtype` (float): `count` of
    them, or all for -1.
    """
    return asarray(np.fromstring(string, dtype=as_dtype(dtype), count=count, sep=sep))


def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0) -> Any:
    """A 1-D array of the numbers in a file, as `numpy.fromfile` reads them."""
    return asarray(np.fromfile(file, as_dtype(dtype), count, sep, offset))


def fromiter(iter: Any, dtype: Any, count: int = -1) -> Any:
    """A 1-D array of `count` (-1: all) numbers that an iterable gives."""
    return asarray(np.fromiter(iter, as_dtype(dtype), count))


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any
) -> Any:
    """function(i, j, ...) mapped over the index grid of `shape` by nested vmap: it sees scalars of
    `dtype` (float), and what it returns has the axes of the grid in front.
    """
    import fx

    shape = canonical_shape(shape)
    for k in range(len(shape)):
        in_axes: list[Any] = [None] * len(shape)
        in_axes[len(shape) - 1 - k] = 0
        function = fx.vmap(function, in_axes=tuple(in_axes))
    from fx.numpy.ranges import arange

    grids = [arange(s, dtype=dtype) for s in shape]
    return function(*grids, **kwargs)


def load(file: Any, *args: Any, **kwargs: Any) -> Any:
    """np.load of a file or path as an array (archives as NumPy gives them); bfloat16 that NumPy
    wrote as raw bytes is recognised.
    """
    out = np.load(file, *args, **kwargs)
    if isinstance(out, np.ndarray):
        if out.dtype == np.dtype("V2"):
            out = out.view(as_dtype("bfloat16"))
        return asarray(out)
    return out


# ---------------------------------------------------------------- constant arrays


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """An array of `shape` filled with fill_value, which broadcasts (TypeError else), in its dtype
    unless one is given. A Python scalar's result is weakly typed. TypeError for traced sizes and
    for Python complex numbers in real arrays, ValueError for negative sizes.
    """
    check_arraylike("full", fill_value)
    shape = canonical_shape(shape)
    fill_value = value(fill_value)
    aval = core.get_aval(fill_value)
    wanted = aval.dtype if dtype is None else check_requested(dtype, "full")
    weak = dtype is None and aval.weak_type
    if getattr(wanted, "is_extended", False):
        return broadcast_value(fill_value, shape)
    return place(_filled(shape, fill_value, wanted, weak), device)


def _filled(shape: tuple[int, ...], fill: Any, dtype: np.dtype, weak: bool = False) -> Any:
    """Eagerly a NumPy array at once; traced, a broadcast scalar."""
    _check_complex(type(fill), dtype)
    if isinstance(fill, float) and dtype.kind in "iu":
        fill = convert(float(fill), dtype)  # saturates
    if type(fill) in (bool, int, float, complex) or isinstance(fill, np.generic):
        if core.state.trace is core.EVAL:
            return core.host.from_numpy(np.full(shape, _cast(np.asarray(fill), dtype)), weak)
        if weak and not shape:
            return wrap(_cast(np.asarray(fill), dtype), True)
        scalar = convert(fill, dtype, weak)
        return broadcast_value(scalar if shape else wrap(scalar, weak), shape)
    fill = to_dtype(asarray(fill), dtype, weak)
    return broadcast_value(fill, shape)


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Zeros of `shape`: float32 (float64 with x64) unless `dtype` says otherwise. TypeError for
    traced sizes, ValueError for negative ones.
    """
    wanted = canonicalize_dtype(np.float64) if dtype is None else check_requested(dtype, "zeros")
    return place(_filled(canonical_shape(shape), 0, wanted), device)


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Ones of `shape`: float32 (float64 with x64) unless `dtype` says otherwise. TypeError for
    traced sizes, ValueError for negative ones.
    """
    wanted = canonicalize_dtype(np.float64) if dtype is None else check_requested(dtype, "ones")
    return place(_filled(canonical_shape(shape), 1, wanted), device)


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """An array of the given shape, float unless a dtype is given, for a program that fills it.

    The same as zeros: no array holds undefined values. TypeError for traced sizes, ValueError for
    negative ones.
    """
    return zeros(shape, dtype, device=device)


def _like(name: str, a: Any, dtype: Any, shape: Any) -> tuple[tuple[int, ...], np.dtype, bool]:
    if hasattr(a, "shape") and hasattr(a, "dtype") and not core.is_array_value(a):
        have_shape, have, weak = a.shape, canonicalize_dtype(a.dtype), False
    else:
        check_arraylike(name, a)
        aval = core.get_aval(value(a))
        have_shape, have, weak = aval.shape, aval.dtype, aval.weak_type
    out = have_shape if shape is None else canonical_shape(shape)
    if dtype is None:
        return tuple(out), have, weak
    return tuple(out), check_requested(dtype, name), False


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """fill_value with the shape and dtype of `a`, unless given; fill_value is converted and
    broadcasts. TypeError for lists.
    """
    shape, dtype, weak = _like("full_like", a, dtype, shape)
    check_arraylike("full_like", fill_value)
    return place(_filled(shape, value(fill_value), dtype, weak), device)


def zeros_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Zeros with the shape, dtype and weak type of `a`, unless given. TypeError for lists."""
    shape, dtype, weak = _like("zeros_like", a, dtype, shape)
    return place(_filled(shape, 0, dtype, weak), device)


def ones_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Ones with the shape, dtype and weak type of `a`, unless given. TypeError for lists."""
    shape, dtype, weak = _like("ones_like", a, dtype, shape)
    return place(_filled(shape, 1, dtype, weak), device)


def empty_like(prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """An array like prototype in shape and dtype, unless these are given, to be filled.

    The same as zeros_like: no array holds undefined values. TypeError for lists.
    """
    return zeros_like(prototype, dtype, shape, device=device)
