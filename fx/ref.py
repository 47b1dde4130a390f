"""fx.ref: mutable arrays. `ref[i]` reads, `ref[i] = x` writes, inside and outside of transformed
functions.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fx.refs import AbstractRef, Ref, free, read, write
from fx.typing import ArrayLike

__all__ = [
    "AbstractRef",
    "Ref",
    "addupdate",
    "ds",
    "empty_ref",
    "free_ref",
    "freeze",
    "get",
    "new_ref",
    "set",
    "swap",
]


def ds(start: Any, size: int | None = None, stride: int | None = None) -> Any:
    """An index of `size` places from `start` on, every `stride`-th one; `start` may be traced.

    With one argument, the first so many places; all places for None.

    >>> fx.numpy.arange(6)[ds(2, 3)]
    Array([2, 3, 4], dtype=int32)
    """
    if size is None:
        return slice(None) if start is None else slice(0, operator.index(start))
    step, size = 1 if stride is None else operator.index(stride), operator.index(size)
    if size < 0 or step < 1:
        raise ValueError(f"ds: size must be >= 0 and stride >= 1, got {size} and {step}")
    if isinstance(start, int):
        return slice(start, start + size * step, step)
    return start + step * np.arange(size, dtype=np.int32)


def new_ref(init_val: ArrayLike, *, memory_space: Any = None, kind: str | None = None) -> Ref:
    """A mutable array that holds a copy of `init_val`.

    >>> ref = new_ref(fx.numpy.arange(3))
    >>> ref[0] += 5
    >>> ref
    Ref([5, 1, 2], dtype=int32)
    """
    if isinstance(init_val, Ref):
        raise ValueError("new_ref of a Ref: give it ref[...]")
    import fx.numpy as fnp

    value = fnp.asarray(init_val)
    return Ref(fnp.array(value, value.dtype))


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A mutable array of the shape and dtype of `ty`, whose first values do not matter."""
    import fx.numpy as fnp

    return Ref(fnp.empty(ty.shape, ty.dtype))


def get(ref: Ref, idx: Any = None) -> Any:
    """`ref[idx]`, an array; all of it without an index. ValueError for a freed ref."""
    return ref[... if idx is None else idx]


def set(ref: Ref, idx: Any, value: ArrayLike) -> None:
    """`ref[idx] = value`, which broadcasts; ValueError for a freed ref."""
    ref[... if idx is None else idx] = value


def swap(ref: Ref, idx: Any, value: ArrayLike) -> Any:
    """`ref[idx] = value`, and what was there before, an array of the index's shape."""
    old = get(ref, idx)
    set(ref, idx, value)
    return old


def addupdate(ref: Ref, idx: Any, x: ArrayLike) -> None:
    """`ref[idx] += x`; repeated indices add up, x broadcasts. ValueError for a freed ref."""
    write(ref, read(ref).at[... if idx is None else idx].add(x))


def freeze(ref: Ref) -> Any:
    """End a ref and return the array that it held; using it again raises ValueError."""
    return free(ref)


def free_ref(ref: Ref) -> None:
    """End a ref, whose value is dropped; using it again raises ValueError."""
    free(ref)
