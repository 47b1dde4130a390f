"""Abstract values: shape, dtype and weak type, and the arithmetic on them.

`ShapedArray` is all that tracing knows of an array. The promotion lattice is JAX's: Python
scalars are weak and take the other operand's width; two strong dtypes meet at their least upper
bound. Dtypes are canonical: 64-bit ones become 32-bit unless `enable_x64` is set.
"""

from __future__ import annotations

import operator
import threading
from functools import cache, lru_cache
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

bfloat16 = np.dtype(ml_dtypes.bfloat16)
float0 = np.dtype([("float0", np.void, 0)])


class extended(np.void):
    """Scalar class of dtypes whose elements are no plain numbers, such as random keys."""


class prng_key(extended):
    """Scalar class of the dtype of typed random keys, for `issubdtype(key.dtype, prng_key)`."""


# a typed random key: two words, moved as one
key_dtype = np.dtype((prng_key, [("key<fry>", np.uint32, (2,))]))


def is_key(dtype: np.dtype) -> bool:
    """Whether arrays of this dtype hold typed random keys."""
    return dtype == key_dtype


def holds_keys(x: Any) -> bool:
    """Whether x is an array, of whatever kind, of typed random keys."""
    return hasattr(x, "dtype") and is_key(x.dtype)


def dtype_name(dtype: np.dtype) -> str:
    """A dtype's name for people; `key<fry>` for random keys."""
    return dtype.names[0] if is_key(dtype) else dtype.name  # type: ignore[index]


def storage_dtype(dtype: np.dtype) -> np.dtype:
    """What lowering and device memory see: a key is one uint64, its first word the low one."""
    return np.dtype(np.uint64) if dtype == key_dtype else dtype


class ShapedArray:
    """Shape, dtype and weak type of an array, and nothing else.

    Immutable and interned: equal ones are one object, so that hashing and comparing them runs at
    C speed (they are in the key of every jitted call).
    """

    __slots__ = ("_tangent", "dtype", "shape", "weak_type")
    shape: tuple[int, ...]
    dtype: np.dtype
    weak_type: bool

    def __new__(
        cls, shape: tuple[int, ...], dtype: Any, weak_type: bool = False, *, sharding: Any = None
    ) -> ShapedArray:
        key = (shape, dtype, weak_type)
        try:
            found = _INTERNED.get(key)
        except TypeError:  # a shape given as a list
            found = None
        if found is not None:
            return found
        key = (tuple(operator.index(d) for d in shape), np.dtype(dtype), bool(weak_type))
        found = _INTERNED.get(key)
        if found is None:
            found = object.__new__(cls)
            found.shape, found.dtype, found.weak_type = key
            found._tangent = None
            found = _INTERNED.setdefault(key, found)
        return found

    def __reduce__(self) -> Any:
        return ShapedArray, (self.shape, self.dtype, self.weak_type)

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: prod(self.shape))

    def __repr__(self) -> str:
        return f"ShapedArray({self.str_short()}{', weak_type=True' if self.weak_type else ''})"

    def __str__(self) -> str:
        return self.str_short()

    def str_short(self, short_dtypes: bool = False, mesh_axis_types: bool = False) -> str:
        """float32[2,3], as errors and printed jaxprs show it; or f32[2,3]."""
        name = self.dtype.names[0] if self.dtype.names else self.dtype.name
        if short_dtypes:
            for long, short in (
                ("bfloat", "bf"),
                ("float", "f"),
                ("complex", "c"),
                ("uint", "u"),
                ("int", "i"),
            ):
                name = name.replace(long, short)
        return f"{name}[{','.join(map(str, self.shape))}]"

    def update(self, **changes: Any) -> ShapedArray:
        """A copy with some of shape, dtype, weak_type replaced."""
        fields = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type}
        return ShapedArray(**(fields | changes))

    def strip_weak_type(self) -> ShapedArray:
        return self.update(weak_type=False) if self.weak_type else self

    def to_tangent_aval(self) -> ShapedArray:
        """The aval of a tangent: float0 for integers and booleans."""
        found = self._tangent
        if found is None:
            inexact = is_inexact(self.dtype)
            found = self if inexact else ShapedArray(self.shape, float0)
            self._tangent = found
        return found


# (shape, dtype, weak_type) -> the one ShapedArray of that description; never cleared, because
# identity is equality
_INTERNED: dict[Any, ShapedArray] = {}


# ---------------------------------------------------------------- dtypes


@cache
def is_inexact(dtype: np.dtype) -> bool:
    """Floating (bfloat16 and the 8-bit kinds included) or complex."""
    if dtype.kind in "fc":
        return True
    if dtype.kind != "V" or dtype == float0:
        return False
    try:
        ml_dtypes.finfo(dtype)
    except ValueError:
        return False
    return True


def is_floating(dtype: np.dtype) -> bool:
    """Whether a dtype is of real floating numbers, those of 8 and 16 bits among them."""
    return dtype.kind != "c" and is_inexact(dtype)


class _X64(threading.local):
    """Whether 64-bit dtypes are kept; per thread, with a process-wide default."""

    default = False
    value: bool | None = None


_x64 = _X64()


def x64_enabled() -> bool:
    return _X64.default if _x64.value is None else _x64.value


def set_x64(value: bool, *, thread_only: bool = False) -> None:
    if thread_only:
        _x64.value = value
    else:
        _X64.default = value


def swap_thread_x64(value: bool | None) -> bool | None:
    """Set this thread's override and return the old one (None = follow the default)."""
    old, _x64.value = _x64.value, value
    return old


_NARROW: dict[Any, Any] = {
    np.dtype(wide): np.dtype(narrow)
    for wide, narrow in (
        ("int64", "int32"),
        ("uint64", "uint32"),
        ("float64", "float32"),
        ("complex128", "complex64"),
    )
}


# dtypes of arrays that were seen, in the machine's byte order
_NUMBERS: set[np.dtype] = {float0, key_dtype}


def canonicalize_dtype(dtype: Any) -> np.dtype:
    """The dtype that is kept for `dtype`: 64-bit ones narrow to 32 bits unless x64 is enabled, and
    bytes stand in the machine's order. Raises TypeError for what is no dtype of numbers.
    """
    dtype = np.dtype(dtype)
    if dtype not in _NUMBERS:
        dtype = _number(dtype)
    return dtype if x64_enabled() else _NARROW.get(dtype, dtype)


def _number(dtype: np.dtype) -> np.dtype:
    native = dtype.newbyteorder("=")
    small = hasattr(ml_dtypes, native.name) and native.type is getattr(ml_dtypes, native.name)
    if not small and native.char not in "?bBhHiIlLqQefdFD":
        raise TypeError(
            f"dtype {dtype} is not a valid array type: only numbers of at most 64 bits are (128 if "
            "complex). Convert it first, for example with x.astype(np.float32)."
        )
    _NUMBERS.add(native)
    return native


def python_scalar_dtype(kind: type) -> np.dtype:
    """The dtype of a Python bool, int, float or complex."""
    return canonicalize_dtype(_PYTHON[kind])


_PYTHON = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}


# ---------------------------------------------------------------- promotion lattice

# floats of eight bits and fewer: nothing but a Python number is promoted to them
_SMALL_FLOATS = (
    ("float4_e2m1fn", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn")
    + ("float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
)  # fmt: skip

# Each node points to the nodes directly above it; i*, f*, c* are the weak (Python scalar) types.
_UP: dict[str, list[str]] = {
    "bool": ["i*"],
    "i*": ["uint8", "int8", "int4", "uint4", "int2", "uint2"],
    "int2": ["int4"],
    "uint2": ["uint4", "int4"],
    "uint4": ["uint8", "int8"],
    "int4": ["int8"],
    "uint8": ["int16", "uint16"],
    "uint16": ["int32", "uint32"],
    "uint32": ["int64", "uint64"],
    "uint64": ["f*"],
    "int8": ["int16"],
    "int16": ["int32"],
    "int32": ["int64"],
    "int64": ["f*"],
    "f*": ["c*", "float16", "bfloat16", *_SMALL_FLOATS],
    **{name: [] for name in _SMALL_FLOATS},
    "bfloat16": ["float32"],
    "float16": ["float32"],
    "float32": ["float64", "complex64"],
    "float64": ["complex128"],
    "c*": ["complex64"],
    "complex64": ["complex128"],
    "complex128": [],
}


@cache
def _above(node: str) -> frozenset[str]:
    found, todo = {node}, [node]
    while todo:
        for up in _UP.get(todo.pop(), ()):
            if up not in found:
                found.add(up)
                todo.append(up)
    return frozenset(found)


def lattice_node(dtype: np.dtype, weak: bool) -> str:
    """The lattice's node for a dtype; a weak one goes to its kind's node."""
    if weak:
        if dtype.kind in "iu":
            return "i*"
        if dtype.kind == "c":
            return "c*"
        if is_floating(dtype):
            return "f*"
    return dtype_name(dtype)


@lru_cache(maxsize=4096)
def lattice_least(nodes: frozenset[str]) -> str:
    """The least lattice node above all of `nodes`; TypeError where there is none."""
    common = frozenset.intersection(*(_above(n) for n in nodes))
    least = [n for n in common if common <= _above(n)]
    if len(least) != 1:
        raise TypeError(
            f"no implicit dtype promotion path is available for {sorted(nodes)}; "
            "convert one of them explicitly with x.astype(...)"
        )
    return least[0]


def lattice_join(dtypes_and_weak: list[tuple[np.dtype, bool]]) -> tuple[np.dtype, bool]:
    """The common dtype of operands and whether it is weak; raises TypeError where no path
    exists.
    """
    first, first_weak = dtypes_and_weak[0]
    if all(d == first and w == first_weak for d, w in dtypes_and_weak[1:]):
        return first, first_weak
    node = lattice_least(frozenset(lattice_node(d, w) for d, w in dtypes_and_weak))
    weak = node.endswith("*")
    if weak:
        name = {"i*": "int64", "f*": "float64", "c*": "complex128"}[node]
        return canonicalize_dtype(name), True
    return canonicalize_dtype(np.dtype(node)), False


# ---------------------------------------------------------------- shapes


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcast of shapes; raises ValueError that names all of them."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return tuple(first)
    rank = max(map(len, shapes))
    out = []
    for k in range(rank):
        sizes = {s[k - rank] for s in shapes if len(s) >= rank - k} - {1}
        if len(sizes) > 1:
            raise ValueError(f"Incompatible shapes for broadcasting: {[tuple(s) for s in shapes]}")
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)
