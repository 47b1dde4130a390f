"""fx.lax: folds of sliding windows with any monoid; pooling is this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core, tree
from fx.lax.convolution import padtype_to_pads
from fx.prims import elementwise
from fx.prims import window as folds
from fx.prims import window_extrema as extrema
from fx.prims.monoid import find_monoid
from fx.prims.reduce import highest, lowest
from fx.prims.window import Windows, dilated
from fx.typing import Array

__all__ = [
    "reduce_window",
    "reduce_window_shape_tuple",
    "select_and_gather_add",
    "select_and_scatter_add",
]


def _windows(
    shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None,
    padding: Any,
    base_dilation: Sequence[int] | None,
    window_dilation: Sequence[int] | None,
) -> Windows:
    ones = (1,) * len(shape)
    strides = tuple(window_strides) if window_strides is not None else ones
    base = tuple(base_dilation) if base_dilation is not None else ones
    spread = tuple(window_dilation) if window_dilation is not None else ones
    named = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
    for what, given in zip(named, (window_dimensions, strides, base, spread)):
        if any(k < 1 for k in given):
            raise TypeError(
                f"reduce_window {what} must have every element be positive, got {tuple(given)}."
            )
    if isinstance(padding, str) or hasattr(padding, "name"):
        reach = [dilated(k, d) for k, d in zip(window_dimensions, spread)]
        padding = padtype_to_pads(shape, reach, strides, padding)
    pads = tuple((int(lo), int(hi)) for lo, hi in padding)
    return Windows(tuple(map(int, window_dimensions)), strides, pads, base, spread)


def _identity_of(name: str, dtype: np.dtype) -> Any:
    return {"add": 0, "max": lowest(dtype), "min": highest(dtype)}[name]


_FOLDS = {
    "add": (folds.reduce_window_sum_p, elementwise.add_p),
    "max": (extrema.reduce_window_max_p, elementwise.max_p),
    "min": (extrema.reduce_window_min_p, elementwise.min_p),
}


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[..., Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Fold every window of the operand (a tree of arrays of one shape) with `computation`.

    `init_value` is folded in once a window, and should be the computation's identity. Sums and
    extrema have primitives of their own; any other associative computation is folded in
    log2(window) steps.

    Windows are given by one number an axis; output sizes are floor((n + padding - window) / stride)
    + 1, with sizes after dilation. TypeError where initial values are no scalars of the operands'
    dtypes.

    >>> import fx.lax as lax, numpy as np
    >>> x = np.float32([1, 3, 2, 5])
    >>> out = lax.reduce_window(x, -np.inf, lax.max, (2,), (2,), "VALID")
    >>> np.asarray(out).tolist()
    [3.0, 5.0]
    """
    xs, structure = tree.flatten(operand)
    inits = [elementwise.matched(i, x)[0] for i, x in zip(tree.leaves(init_value), xs, strict=True)]
    avals = [core.get_aval(x) for x in xs]
    w = _windows(
        avals[0].shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    for x, i in zip(avals, inits):
        if core.get_aval(i).dtype != x.dtype or core.get_aval(i).shape:
            raise TypeError(
                "reduce_window requires scalar init_values of the operands' dtypes, got "
                f"{core.get_aval(i).str_short()} for operand {x.str_short()}."
            )
    if len(xs) == 1 and (name := find_monoid(computation, avals[0].dtype)) in _FOLDS:
        fold, combine = _FOLDS[name]
        known = _is_identity(inits[0], name, avals[0].dtype)
        if avals[0].dtype.kind != "b":
            out = fold.bind(xs[0], **w._asdict())
            return tree.unflatten(structure, [out if known else combine.bind(out, inits[0])])

    def combine_leaves(*values: Any) -> list[Any]:
        half = len(values) // 2
        first, second = (tree.unflatten(structure, v) for v in (values[:half], values[half:]))
        return tree.leaves(computation(first, second))

    return tree.unflatten(structure, folds.reduce_window_generic(xs, inits, combine_leaves, w))


def _is_identity(init: Any, name: str, dtype: np.dtype) -> bool:
    """Whether the initial value is known to be the monoid's identity."""
    if isinstance(init, core.Tracer):
        return False
    value = np.asarray(init)
    return bool(value == np.asarray(_identity_of(name, dtype)).astype(dtype))


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The shape of reduce_window's result.

    Each size is floor((n + padding - window) / stride) + 1, n and window dilated.
    """
    w = _windows(
        operand_shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    return w.result_shape(operand_shape)


def _check_select(select: str) -> None:
    if select not in ("max", "min"):
        raise ValueError(f"select must be 'max' or 'min', got {select!r}")


def select_and_gather_add(
    tangents: Array,
    operand: Array,
    select: str,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Array:
    """For every window the tangent where the extremum ("max", "min") is first reached.

    tangents and operand have one shape; the result has one element a window.
    """
    _check_select(select)
    w = _windows(
        core.get_aval(operand).shape,
        window_dimensions,
        window_strides,
        padding,
        base_dilation,
        window_dilation,
    )._asdict()
    which = extrema.window_arg_p.bind(operand, op=select, **w)
    return extrema.window_select_p.bind(tangents, which, **w)


def select_and_scatter_add(
    source: Array,
    operand: Array,
    select: str,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> Array:
    """Adds every window's source value where the operand's extremum is first reached.

    source has one element a window; the result has the operand's shape, zeros elsewhere.
    """
    _check_select(select)
    shape = core.get_aval(operand).shape
    w = _windows(shape, window_dimensions, window_strides, padding, None, None)._asdict()
    which = extrema.window_arg_p.bind(operand, op=select, **w)
    return extrema.window_place_p.bind(source, which, sizes=shape, **w)
