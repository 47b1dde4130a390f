"""The text of a concrete array: its values and dtype; of random keys, the words beneath."""

from __future__ import annotations

import numpy as np

from fx.avals import is_key


def array_repr(host: np.ndarray, weak: bool) -> str:
    """`Array([1., 2.], dtype=float32)`, as JAX writes it."""
    if is_key(host.dtype):
        return _keys(host)
    name = "float0" if host.dtype.kind == "V" and not host.itemsize else host.dtype.name
    tail = f"dtype={name}, weak_type=True)" if weak else f"dtype={name})"
    width = np.get_printoptions()["linewidth"]
    if host.size == 0:
        body = f"[], shape={host.shape}"
    else:
        body = np.array2string(
            host, prefix="Array(", suffix=",", separator=", ", max_line_width=width
        )
    last = len(body) - (body.rfind("\n") + 1)
    if "\n" not in body:
        last += len("Array(")
    space = " " if last + len(tail) + 2 <= width else "\n" + " " * len("Array(")
    return f"Array({body},{space}{tail}"


def array_str(host: np.ndarray) -> str:
    """The values alone; of keys the same as their repr."""
    return _keys(host) if is_key(host.dtype) else str(host)


def _keys(host: np.ndarray) -> str:
    name = host.dtype.names[0]  # type: ignore[index]
    return f"Array({host.shape}, dtype={name}) overlaying:\n{host[name]}"
