"""Text of arrays, files of arrays, and questions about dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx import dtypes as _dtypes
from fx.dtypes import as_dtype, finfo, iinfo, is_integer, issubdtype, promote_types, result_type
from fx.numpy.util import concrete

__all__ = [
    "array_repr",
    "array_str",
    "can_cast",
    "finfo",
    "get_printoptions",
    "iinfo",
    "isdtype",
    "issubdtype",
    "printoptions",
    "promote_types",
    "result_type",
    "save",
    "savez",
    "set_printoptions",
]

set_printoptions = np.set_printoptions
get_printoptions = np.get_printoptions
printoptions = np.printoptions


def array_repr(
    arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None
) -> str:
    """The repr of an array, `Array([1., 2.], dtype=float32)`, with NumPy's options.
    ConcretizationTypeError under jit.
    """
    return np.array_repr(concrete(arr), max_line_width, precision, suppress_small).replace(
        "array", "Array", 1
    )


def array_str(
    a: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None
) -> str:
    """The str of an array, `[1. 2.]`, with NumPy's options. ConcretizationTypeError under jit."""
    return np.array_str(concrete(a), max_line_width, precision, suppress_small)


def save(file: Any, arr: Any, allow_pickle: bool = True) -> None:
    """Write one array to a .npy file; `file` is a path or an open binary file.
    ConcretizationTypeError under jit.
    """
    np.save(file, concrete(arr), allow_pickle=allow_pickle)


def savez(file: Any, *args: Any, allow_pickle: bool = True, **kwds: Any) -> None:
    """Write several arrays to a .npz file, by position as arr_0, arr_1, ... or by keyword.
    ConcretizationTypeError under jit.
    """
    np.savez(
        file,
        *[concrete(a) for a in args],
        allow_pickle=allow_pickle,
        **{k: concrete(v) for k, v in kwds.items()},
    )


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether a conversion from a dtype or an array's dtype is allowed under a casting rule: "no",
    "equiv", "safe", "same_kind" or "unsafe", as NumPy has them.
    """
    have = core.get_aval(from_).dtype if core.is_array_value(from_) else as_dtype(from_)
    return bool(np.can_cast(have, as_dtype(to), casting))  # type: ignore[arg-type]


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: 'bool', 'signed integer', 'unsigned integer', 'integral', 'real
    floating', 'complex floating', 'numeric', a dtype, or any of a tuple of these. ValueError for
    other words.
    """
    d = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    tests = {
        "bool": lambda: d == np.bool_,
        "signed integer": lambda: is_integer(d) and not d.name.startswith("u"),
        "unsigned integer": lambda: is_integer(d) and d.name.startswith("u"),
        "integral": lambda: is_integer(d),
        "real floating": lambda: _dtypes.issubdtype(d, np.floating),
        "complex floating": lambda: d.kind == "c",
        "numeric": lambda: is_integer(d) or _dtypes.issubdtype(d, np.floating) or d.kind == "c",
    }
    if isinstance(kind, str) and kind in tests:
        return bool(tests[kind]())
    if isinstance(kind, str):
        try:
            return d == as_dtype(kind)
        except TypeError:
            raise ValueError(
                f"Unrecognized kind={kind!r}; expected one of {list(tests)} or a dtype"
            ) from None
    return d == as_dtype(kind)
