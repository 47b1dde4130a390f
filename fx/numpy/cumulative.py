"""Running sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.avals import canonicalize_dtype
from fx.dtypes import check_requested
from fx.numpy.reductions import sum_dtype, u_cast
from fx.numpy.ufunc_base import const_as, no_out
from fx.numpy.util import (
    broadcast_value,
    canonical_axis,
    promote_dtypes,
    shape_dtype,
)

__all__ = [
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
]


# ---------------------------------------------------------------- cumulative


def _cumulative(name: str, a: Any, axis: Any, dtype: Any, op: Any, widen: bool) -> Any:
    x, aval = shape_dtype(name, a)
    if axis is None:
        x = lax.reshape(x, (aval.size,))
        axis = 0
    k = canonical_axis(axis, len(core.get_aval(x).shape))
    d = aval.dtype
    if dtype is not None:
        d = check_requested(dtype, name)
    elif d == np.bool_:
        d = canonicalize_dtype(np.int64)
    elif widen:
        d = sum_dtype(d)
    if d == np.bool_:
        ones = lax.convert_element_type(u_cast(x, d), np.int32)
        return lax.ne(op(ones, k), np.int32(0))
    return op(u_cast(x, d), k)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running sum along an axis (of all elements in order if None), in the shape of what it
    runs over.

    Integers keep their dtype, unless `dtype` names another, and wrap; booleans are counted.

    >>> import fx.numpy as fnp
    >>> fnp.cumsum(fnp.array([1, 2, 3]))
    Array([1, 3, 6], dtype=int32)
    """
    no_out("cumsum", out)
    return _cumulative("cumsum", a, axis, dtype, lax.cumsum, False)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running product along an axis (of all elements in order if None). Integers keep their
    dtype, unless `dtype` names another, and wrap; booleans give int32 (int64 with x64).
    """
    no_out("cumprod", out)
    return _cumulative("cumprod", a, axis, dtype, lax.cumprod, False)


def _array_api_cumulative(
    name: str, x: Any, axis: Any, dtype: Any, include_initial: bool, op: Any, widen: bool
) -> Any:
    x, aval = shape_dtype(name, x)
    if len(aval.shape) == 0:
        raise ValueError(
            f"The input must be non-scalar to take {name}, however a scalar value or scalar array "
            "was given."
        )
    if axis is None:
        if len(aval.shape) > 1:
            raise ValueError(
                f"The input array has rank {len(aval.shape)}, however axis was not set to an "
                "explicit value."
            )
        axis = 0
    out = _cumulative(name, x, axis, dtype, op, widen)
    if include_initial:
        k = canonical_axis(axis, len(aval.shape))
        shape = tuple(1 if n == k else s for n, s in enumerate(aval.shape))
        start = broadcast_value(const_as(out, op is lax.cumprod), shape)
        out = lax.concatenate([*promote_dtypes(name, start, out)], k)
    return out


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The running sum along `axis`, which only vectors may leave out; include_initial puts a 0 in
    front, so that the axis is one longer. Integers narrower than int32 (int64 with x64) widen to
    that. ValueError for scalars.
    """
    return _array_api_cumulative(
        "cumulative_sum", x, axis, dtype, include_initial, lax.cumsum, True
    )


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The running product along `axis`, which only vectors may leave out; include_initial puts a 1
    in front, so that the axis is one longer. Integers keep their dtype, unless `dtype` names
    another, and wrap; booleans give int32 (int64 with x64). ValueError for scalars.
    """
    return _array_api_cumulative(
        "cumulative_prod", x, axis, dtype, include_initial, lax.cumprod, False
    )
