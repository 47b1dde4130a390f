"""Operands to one dtype and one shape: what every ufunc does before its primitive.

In: anything array-like. Out: values of equal dtype, weak type and shape, Python scalars as NumPy
scalars (literals in a jaxpr).
The modes are flags of fx.config: numpy_dtype_promotion ("standard", "strict"),
numpy_rank_promotion ("allow", "warn", "raise").
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, broadcast_shapes, canonicalize_dtype, is_inexact, lattice_join
from fx.config import on_change
from fx.dtypes import TypePromotionError, to_inexact

PYTHON_SCALARS = (bool, int, float, complex)
_PYTHON_SET = frozenset(PYTHON_SCALARS)


class Modes(threading.local):
    """Copies of the two flags: the class's are the process-wide values, an instance's a thread's
    own.
    """

    dtype_promotion = "standard"
    rank_promotion = "allow"


modes = Modes()


def _follow(flag: str, name: str) -> None:
    def changed(value: str, thread_only: bool) -> None:
        if not thread_only:
            setattr(Modes, name, value)
        elif value == getattr(Modes, name):
            modes.__dict__.pop(name, None)
        else:
            setattr(modes, name, value)

    on_change(flag, changed)


_follow("numpy_dtype_promotion", "dtype_promotion")
_follow("numpy_rank_promotion", "rank_promotion")


# ---------------------------------------------------------------- what counts as an array


def is_arraylike(x: Any) -> bool:
    """Whether x is an array value: an array, tracer, NumPy array or scalar, Python scalar."""
    return core.is_array_value(x) or hasattr(x, "__jax_array__") or hasattr(x, "__fx_array__")


def check_arraylike(name: str, *args: Any) -> None:
    """TypeError for lists, tuples, None and strings, as JAX has it."""
    for k, x in enumerate(args):
        if not is_arraylike(x):
            raise TypeError(
                f"{name} requires ndarray or scalar arguments, got {type(x)} at position {k}."
            )


def value(x: Any) -> Any:
    """Replace an object that can turn itself into an array by that array."""
    for method in ("__jax_array__", "__fx_array__"):
        found = getattr(x, method, None)
        if found is not None and not core.is_array_value(x):
            return found()
    return x


def operands(name: str, args: tuple[Any, ...]) -> tuple[list[Any], list[ShapedArray]]:
    """The values and avals of array-like arguments; TypeError names the function and position."""
    values, avals = [], []
    for k, x in enumerate(args):
        try:
            avals.append(core.get_aval(x))
        except TypeError:
            check_arraylike(name, *args)
            x = value(x)
            avals.append(core.get_aval(x))
        dtype = avals[k].dtype
        if dtype.kind in "SUOMm" or dtype == core.float0:
            raise TypeError(
                f"{name}: a value of dtype {dtype} at position {k} is no array of numbers."
            )
        values.append(x)
    return values, avals


# ---------------------------------------------------------------- dtypes


def join(dtypes_and_weak: list[tuple[np.dtype, bool]]) -> tuple[np.dtype, bool]:
    """lattice_join under the current dtype promotion mode."""
    if modes.dtype_promotion == "strict":
        return _strict_join(dtypes_and_weak)
    try:
        return lattice_join(dtypes_and_weak)
    except TypeError as e:
        raise TypePromotionError(str(e)) from None


_KIND_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


def _strict_join(pairs: list[tuple[np.dtype, bool]]) -> tuple[np.dtype, bool]:
    """Only Python scalars of the same or a lower kind convert implicitly."""
    strong = {d for d, weak in pairs if not weak}
    weak_kinds = [_KIND_ORDER[d.kind] for d, weak in pairs if weak]
    if len(strong) == 1:
        (dtype,) = strong
        if all(k <= _KIND_ORDER[dtype.kind] for k in weak_kinds) and (
            not weak_kinds or dtype != np.bool_
        ):
            return dtype, False
    elif not strong:
        return lattice_join(pairs)
    names = ", ".join(repr(n) for n in sorted({d.name for d, _ in pairs}))
    raise TypePromotionError(
        f"Input dtypes ({names}) have no available implicit dtype promotion path when "
        "jax_numpy_dtype_promotion=strict. Try explicitly casting inputs to the desired output "
        "type, or set "
        "jax_numpy_dtype_promotion=standard."
    )


def convert(x: Any, dtype: np.dtype, weak: bool = False) -> Any:
    """x as `dtype`; Python and NumPy scalars stay scalars (literals when traced)."""
    kind = type(x)
    if kind in _PYTHON_SET:
        if weak:
            python = _python_kind(dtype)
            return x if kind is python else python(x)
        return _scalar(x, dtype)
    if isinstance(x, np.ndarray):
        return captured(x, dtype, weak)
    if isinstance(x, np.generic):
        if weak:  # of all strong dtypes only uint64 and a signed one have a weak join
            return _python_kind(dtype)(x)
        return x if x.dtype == dtype else _scalar(x, dtype)
    aval = core.get_aval(x)
    if aval.dtype == dtype and aval.weak_type == weak:
        return x
    from fx.prims import elementwise

    return elementwise.convert(x, dtype, weak)


def captured(x: np.ndarray, dtype: np.dtype, weak: bool) -> Any:
    """A caller's array as a value: a copy, since the caller may write to it later. A trace that is
    kept takes one for all uses.
    """
    trace = core.recorder()
    if trace is None:
        return core.host.from_numpy(np.array(x, dtype), weak)
    kept = vars(trace).setdefault("captured", {})
    key = (id(x), dtype, weak)
    if key not in kept:
        kept[key] = x, core.host.from_numpy(np.array(x, dtype), weak)
    return kept[key][1]


def _python_kind(dtype: np.dtype) -> type:
    if dtype.kind == "b":
        return bool
    if dtype.kind in "iu":
        return int
    return complex if dtype.kind == "c" else float


def _scalar(x: Any, dtype: np.dtype) -> Any:
    """A NumPy scalar. A Python int has to fit the default integer, then wraps; floats overflow to
    infinity, and saturate into integers.
    """
    if type(x) is int:
        widest = canonicalize_dtype(np.int64).itemsize * 8
        high = 1 << (widest if dtype.kind == "u" else widest - 1)
        if not -(1 << (widest - 1)) <= x < high:
            raise OverflowError(f"Python int {x} too large to convert to int{widest}")
        if dtype.kind == "u" and x < 0:
            x += 1 << widest
    if type(x) is float and dtype.kind in "iu":
        from lowering import scalar_numpy

        return scalar_numpy.convert(np.asarray(x), dtype)[()]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(x).astype(dtype)[()]


# ---------------------------------------------------------------- shapes


_VALUE_ERROR = ("where", "select", "copysign")


def broadcast_shapes_checked(name: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape, under the current rank promotion mode."""
    arrays = [s for s in shapes if s] or shapes  # a scalar is of any shape
    first = arrays[0]
    if all(s == first for s in arrays):
        return first
    if modes.rank_promotion != "allow":
        _check_ranks(name, shapes)
    try:
        return broadcast_shapes(*shapes)
    except ValueError:
        equal = len({len(s) for s in shapes}) == 1 and name not in _VALUE_ERROR
        if equal:  # JAX's class where no rank differs
            raise TypeError(
                f"{name} got incompatible shapes for broadcasting: "
                f"{', '.join(str(tuple(s)) for s in shapes)}. Sizes must be equal or 1."
                f"{core.where(core.user_source()) if core.state.trace is not core.EVAL else ''}"
            ) from None
        raise ValueError(
            f"Incompatible shapes for broadcasting: shapes={[tuple(s) for s in shapes]} in {name}. "
            "Counted from the last axis, sizes must be equal or 1; x[:, None] adds an axis."
            f"{core.where(core.user_source()) if core.state.trace is not core.EVAL else ''}"
        ) from None


def _check_ranks(name: str, shapes: list[tuple[int, ...]]) -> None:
    ranks = {len(s) for s in shapes if len(s) > 0}
    if len(ranks) <= 1:
        return
    text = " ".join(map(str, shapes))
    if modes.rank_promotion == "raise":
        raise ValueError(
            f"Operands could not be broadcast together for {name} on shapes {text} and with the "
            "config option "
            "jax_numpy_rank_promotion='raise'. Reshape the operands to equal ranks."
        )
    warnings.warn(
        f"Following NumPy automatic rank promotion for {name} on shapes {text}. Set the "
        "jax_numpy_rank_promotion config option to 'allow' to disable this warning.",
        UserWarning,
        stacklevel=4,
    )


def broadcast_value(x: Any, shape: tuple[int, ...]) -> Any:
    """x broadcast to `shape` by trailing axes; no equation where the shape is that already."""
    have = np.shape(x) if not isinstance(x, core.Tracer) else x.aval.shape
    if have == shape:
        return x
    from fx import lax

    offset = len(shape) - len(have)
    return lax.broadcast_in_dim(x, shape, tuple(range(offset, len(shape))))


# ---------------------------------------------------------------- both


def promote(name: str, *args: Any) -> list[Any]:
    """Values of one dtype, weak type and shape."""
    return _promote(name, args, False)


def promote_inexact(name: str, *args: Any) -> list[Any]:
    """The same, with integers and booleans as floats."""
    return _promote(name, args, True)


def promote_numeric(name: str, *args: Any) -> list[Any]:
    """The same, with booleans as int32, in both modes."""
    out = _promote(name, args, False)
    if core.get_aval(out[0]).dtype == np.bool_:
        out = [convert(x, np.dtype(np.int32)) for x in out]
    return out


def promote_spread(name: str, *args: Any) -> list[Any]:
    """Values of one dtype and shape for one elementwise primitive: scalars stay scalars, they
    spread by themselves.
    """
    return _promote(name, args, False, True)


def promote_spread_inexact(name: str, *args: Any) -> list[Any]:
    """The same, with integers and booleans as floats."""
    return _promote(name, args, True, True)


def _promote(name: str, args: tuple[Any, ...], inexact: bool, spread: bool = False) -> list[Any]:
    values, avals = operands(name, args)
    first = avals[0]
    if len(avals) > 1 or (inexact and not is_inexact(first.dtype)):
        dtype, weak = join([(a.dtype, a.weak_type) for a in avals])
        if inexact and not is_inexact(dtype):
            dtype = to_inexact(dtype)
        values = [convert(x, dtype, weak) for x in values]
    elif isinstance(values[0], np.ndarray):
        values = [convert(values[0], first.dtype)]
    if len(avals) > 1:
        shape = broadcast_shapes_checked(name, [a.shape for a in avals])
        values = [
            x if a.shape == shape or (spread and not a.shape) else broadcast_value(x, shape)
            for x, a in zip(values, avals)
        ]
    return values


def promote_dtypes(name: str, *args: Any) -> list[Any]:
    """Values of one dtype and weak type; shapes stay."""
    values, avals = operands(name, args)
    dtype, weak = join([(a.dtype, a.weak_type) for a in avals])
    return [convert(x, dtype, weak) for x in values]


def promote_dtypes_inexact(name: str, *args: Any) -> list[Any]:
    """Values of one floating or complex dtype; shapes stay."""
    values, avals = operands(name, args)
    dtype, weak = join([(a.dtype, a.weak_type) for a in avals])
    if not is_inexact(dtype):
        dtype = to_inexact(dtype)
    return [convert(x, dtype, weak) for x in values]
