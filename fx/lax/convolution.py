"""fx.lax: convolutions in every layout, their transposes, patches and unshared kernels.

Strings such as "NCHW" name the axes; padding is "SAME", "SAME_LOWER", "VALID" or pairs. Everything
becomes one conv_general_dilated.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fx import core
from fx.avals import canonicalize_dtype
from fx.prims import conv as convs
from fx.prims import shape as views
from fx.prims.conv import ConvDimensionNumbers
from fx.prims.dot import dot_general
from fx.prims.window import Windows, dilated
from fx.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "ConvDimensionNumbers",
    "ConvGeneralDilatedDimensionNumbers",
    "conv",
    "conv_dimension_numbers",
    "conv_general_dilated",
    "conv_general_dilated_local",
    "conv_general_dilated_patches",
    "conv_general_permutations",
    "conv_general_shape_tuple",
    "conv_shape_tuple",
    "conv_transpose",
    "conv_transpose_shape_tuple",
    "conv_with_general_padding",
    "padtype_to_pads",
]

ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """The axes that dimension numbers name: None, three strings, or three tuples.

    None means (N, C, space), (O, I, space), (N, C, space). TypeError where ranks differ or strings
    name other axes.

    >>> import fx.lax as lax
    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), ("NHWC", "HWIO", "NHWC")).rhs_spec
    (3, 2, 0, 1)
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if len(lhs_shape) != len(rhs_shape):
        raise TypeError(
            "convolution requires lhs and rhs ndim to be equal, got "
            f"{len(lhs_shape)} and {len(rhs_shape)}."
        )
    if dimension_numbers is None:
        return convs.canonical_numbers(len(lhs_shape))
    if not isinstance(dimension_numbers, (list, tuple)):
        raise TypeError(
            "convolution dimension_numbers must be tuple/list or None, got "
            f"{type(dimension_numbers)}."
        )
    if len(dimension_numbers) != 3:
        raise TypeError(
            "convolution dimension_numbers list/tuple must be of length 3, got "
            f"{len(dimension_numbers)}."
        )
    if not all(isinstance(s, str) for s in dimension_numbers):
        return ConvDimensionNumbers(*map(tuple, dimension_numbers))
    for name, spec in zip(("lhs", "rhs", "out"), dimension_numbers):
        if len(spec) != len(lhs_shape):
            raise TypeError(
                f"convolution dimension_numbers element for {name} must have length equal to the "
                f"ndim {len(lhs_shape)}, got {spec!r}."
            )
    return _from_strings(*dimension_numbers)


def _from_strings(lhs: str, rhs: str, out: str) -> ConvDimensionNumbers:
    """Spatial axes stand in the order in which the kernel's string names them."""
    for spec, (first, second) in ((lhs, "NC"), (rhs, "OI"), (out, "NC")):
        if spec.count(first) != 1 or spec.count(second) != 1 or len(set(spec)) != len(spec):
            raise TypeError(
                "convolution dimension_numbers elements must contain the characters "
                f"{first} and {second} once each and distinct others, got {spec!r}."
            )
    space = [c for c in rhs if c not in "OI"]
    if sorted(c for c in lhs if c not in "NC") != sorted(space) or sorted(
        c for c in out if c not in "NC"
    ) != sorted(space):
        raise TypeError(
            "convolution dimension_numbers elements must each have the same set of spatial "
            f"characters, got {(lhs, rhs, out)}."
        )
    return ConvDimensionNumbers(
        tuple(map(lhs.index, ("N", "C", *space))),
        tuple(map(rhs.index, ("O", "I", *space))),
        tuple(map(out.index, ("N", "C", *space))),
    )


def padtype_to_pads(
    in_shape: Sequence[int],
    window_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
) -> list[tuple[int, int]]:
    """The pairs that "SAME", "SAME_LOWER" or "VALID" mean; SAME keeps ceil(size / stride).

    One (low, high) an axis; of an odd total SAME puts the larger part high, SAME_LOWER low.
    RuntimeError for other names, TypeError for strides that are not positive.
    """
    if any(s < 1 for s in window_strides):
        raise TypeError(f"window_strides must have every element be positive, got {window_strides}")
    name = getattr(padding, "name", padding)
    if not isinstance(name, str):
        return [(int(lo), int(hi)) for lo, hi in padding]
    name = name.upper()
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    if name not in ("SAME", "SAME_LOWER"):
        raise RuntimeError(f"Unknown padding type: {padding}; use 'SAME', 'SAME_LOWER' or 'VALID'.")
    pads = []
    for n, k, s in zip(in_shape, window_shape, window_strides):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if name == "SAME" else (more, less))
    return pads


def _space(aval: Any, spec: Sequence[int]) -> list[int]:
    return [aval.shape[k] for k in spec[2:]]


def conv_general_dilated(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: Any = None,
) -> Array:
    """Correlation of `lhs` with the kernel `rhs`: out[n, o, s] = sum lhs[n, i, s + k] rhs[o, i, k].

    lhs_dilation puts holes between elements (a transposed convolution), rhs_dilation between taps
    of the kernel. Groups of features (or of the batch) see groups of the kernel's outputs only.
    `precision` has no effect.

    The dtype is preferred_element_type, or that of both operands, which must agree (TypeError).
    Sizes of space are floor((n + padding - k) / stride) + 1. ValueError where features and groups
    or the lengths of strides and padding do not fit, or negative padding takes away more than
    there is.

    >>> import fx.lax as lax, numpy as np
    >>> x, w = np.float32([[[1, 2, 3, 4]]]), np.float32([[[1, 0, -1]]])
    >>> np.asarray(lax.conv_general_dilated(x, w, (1,), "VALID")).tolist()
    [[[-2.0, -2.0]]]
    """
    x, w = core.get_aval(lhs), core.get_aval(rhs)
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    rank = x.ndim - 2
    holes = _dilation(lhs_dilation, rank)
    gaps = _dilation(rhs_dilation, rank)
    if isinstance(padding, str) and any(d != 1 for d in holes):
        raise ValueError(
            "String padding is not implemented for transposed convolution using this op. "
            "Please either exactly specify the required padding or use conv_transpose."
        )
    window = [dilated(k, d) for k, d in zip(_space(w, numbers.rhs_spec), gaps)]
    pads = _pairs(_space(x, numbers.lhs_spec), window, window_strides, padding)
    held = tuple(dilated(n, d) for n, d in zip(_space(x, numbers.lhs_spec), holes))
    if any(n + low + high < 0 for n, (low, high) in zip(held, pads)):
        raise ValueError(
            f"conv_general_dilated: padding {tuple(pads)} takes away more than there is of {held}"
        )
    dtype = None if preferred_element_type is None else canonicalize_dtype(preferred_element_type)
    return convs.conv(
        lhs,
        rhs,
        numbers,
        tuple(window_strides),
        pads,
        holes,
        gaps,
        feature_group_count,
        batch_group_count,
        dtype,
    )


def _dilation(given: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    return (1,) * rank if given is None else tuple(given)


def _pairs(
    space: list[int], window: list[int], strides: Sequence[int], padding: Any
) -> list[tuple[int, int]]:
    """Checked strides, and padding as pairs."""
    rank = len(space)
    if len(strides) != rank:
        raise ValueError(
            "conv_general_dilated window and window_strides must have the same number of "
            f"dimensions, got {rank} and {len(strides)}."
        )
    if not isinstance(padding, str) and len(padding) != rank:
        raise ValueError(
            "padding argument to conv_general_dilated should be a string or a sequence of (low, "
            f"high) pairs, one for each of {rank} spatial axes, got {padding}."
        )
    return padtype_to_pads(space, window, strides, padding)


def conv(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Correlation in (N, C, space) with (O, I, space), padding by name.

    dtypes and errors as in `conv_general_dilated`.
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """Correlation in (N, C, space) with (O, I, space), any padding and dilation.

    dtypes and errors as in `conv_general_dilated`.
    """
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        preferred_element_type=preferred_element_type,
    )


def _transpose_padding(k: int, s: int, padding: str) -> tuple[int, int]:
    """What makes the result as large as the operand of the convolution that is transposed."""
    if padding == "SAME":
        total = k + s - 2
        low = k - 1 if s > k - 1 else -(-total // 2)
    else:
        total = k + s - 2 + max(k - s, 0)
        low = k - 1
    return low, total - low


def conv_transpose(
    lhs: ArrayLike,
    rhs: ArrayLike,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
    use_consistent_padding: bool = False,
) -> Array:
    """Convolution with fractional strides: `lhs` is spread by `strides`, then correlated.

    With transpose_kernel it is the transpose of the forward convolution of the same kernel
    (flipped, input and output features exchanged), as deep-learning libraries have it. Padding
    pairs are those of the spread array, or with use_consistent_padding those of the forward one.

    By default axes are (N, space, C), (space, I, O). ValueError for padding by other names, and for
    more than three axes of space without dimension_numbers.

    >>> import fx.lax as lax, numpy as np
    >>> x, w = np.float32([[[1, 2]]]), np.float32([[[1, 0, -1]]])
    >>> out = lax.conv_transpose(x, w, (1,), "VALID", dimension_numbers=("NCH", "OIH", "NCH"))
    >>> np.asarray(out).tolist()
    [[[-1.0, -2.0, 1.0, 2.0]]]
    """
    x, w = core.get_aval(lhs), core.get_aval(rhs)
    rank = x.ndim - 2
    if dimension_numbers is None:
        if rank > 3 or rank < 1:
            raise ValueError("No 4+ dimensional dimension_number defaults.")
        space = "HWD"[:rank]
        dimension_numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    gaps = _dilation(rhs_dilation, rank)
    kernel = [dilated(k, d) for k, d in zip(_space(w, numbers.rhs_spec), gaps)]
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise ValueError(f"`padding` must be 'VALID' or 'SAME'. Passed: {padding}.")
        pads = [_transpose_padding(k, s, padding) for k, s in zip(kernel, strides)]
    elif use_consistent_padding:
        pads = [(k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(kernel, padding)]
    else:
        pads = list(padding)
    if transpose_kernel:
        out_at, in_at, *space_at = numbers.rhs_spec
        rhs = views.rev(rhs, space_at)
        numbers = numbers._replace(rhs_spec=(in_at, out_at, *space_at))
    return conv_general_dilated(
        lhs,
        rhs,
        (1,) * rank,
        pads,
        tuple(strides),
        rhs_dilation,
        numbers,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_patches(
    lhs: ArrayLike,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
) -> Array:
    """The patches that a convolution sees ("im2col"): features become (C, *filter) flattened.

    It is a convolution with one-hot kernels; places in the padding give 0.

    >>> import fx.lax as lax, numpy as np
    >>> out = lax.conv_general_dilated_patches(np.float32([[[1, 2, 3]]]), (2,), (1,), "VALID")
    >>> np.asarray(out).tolist()
    [[[1.0, 2.0], [2.0, 3.0]]]
    """
    x = core.get_aval(lhs)
    filter_shape = tuple(filter_shape)
    numbers = conv_dimension_numbers(x.shape, (1,) * x.ndim, dimension_numbers)
    channels, taps = x.shape[numbers.lhs_spec[1]], prod(filter_shape)
    # one-hot kernels, one a tap, for each channel: (C * taps, 1, *filter)
    row = views.iota(np.int32, (taps, taps), 0)
    column = views.iota(np.int32, (taps, taps), 1)
    from fx.prims import compare
    from fx.prims.convert import convert

    eye = convert(compare.eq(row, column), x.dtype)
    kernel = views.broadcast_in_dim(
        views.reshape(eye, (taps, *filter_shape)),
        (channels, taps, 1, *filter_shape),
        (1, *range(3, 3 + len(filter_shape))),
    )
    kernel = views.reshape(kernel, (channels * taps, 1, *filter_shape))
    order = [numbers.rhs_spec.index(k) for k in range(x.ndim)]
    return conv_general_dilated(
        lhs,
        views.transpose(kernel, order),
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        feature_group_count=channels,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_local(
    lhs: ArrayLike,
    rhs: ArrayLike,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Array:
    """A convolution whose kernel differs from place to place: rhs is (O, C * taps, *out space).

    The taps are prod(filter_shape); features of the patches run as in
    `conv_general_dilated_patches`.
    """
    x = core.get_aval(lhs)
    w = core.get_aval(rhs)
    numbers = conv_dimension_numbers(x.shape, w.shape, dimension_numbers)
    patches = conv_general_dilated_patches(
        lhs,
        filter_shape,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers._replace(out_spec=numbers.lhs_spec),
    )
    lhs_spec, rhs_spec, out_spec = numbers
    contract = ((lhs_spec[1],), (rhs_spec[1],))
    batch = (tuple(lhs_spec[2:]), tuple(rhs_spec[2:]))
    product = dot_general(patches, rhs, contract, batch)  # space, N, O
    rank = x.ndim - 2
    places = (rank, rank + 1, *range(rank))
    return views.transpose(product, [places[out_spec.index(k)] for k in range(x.ndim)])


def conv_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    strides: Sequence[int],
    pads: str | Sequence[tuple[int, int]],
    batch_group_count: int = 1,
) -> tuple[int, ...]:
    """The result's shape of a convolution in (N, C, space) with (O, I, space).

    Nothing is checked or computed but sizes.
    """
    pads = padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
    ones = (1,) * len(strides)
    windows = Windows(tuple(rhs_shape[2:]), tuple(strides), tuple(pads), ones, ones)
    space = windows.result_shape(lhs_shape[2:])
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *space)


def conv_general_permutations(dimension_numbers: tuple[str, str, str]) -> tuple[Any, Any, Any]:
    """The axes of (batch, feature, space), of (out, in, space) for the kernel, by name.

    Three tuples: positions in the three strings. TypeError for strings that do not name the same
    axes of space.
    """
    numbers = _from_strings(*dimension_numbers)
    return numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec


def _permuted(sizes: Sequence[int], spec: Sequence[int]) -> tuple[int, ...]:
    return tuple(sizes[k] for k in spec)


def conv_general_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    dimension_numbers: tuple[str, str, str],
) -> tuple[int, ...]:
    """The result's shape of a convolution whose axes are named.

    Axes stand as the third string says.
    """
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    shape = conv_shape_tuple(
        _permuted(lhs_shape, lhs), _permuted(rhs_shape, rhs), window_strides, padding
    )
    return tuple(shape[out.index(k)] for k in range(len(out)))


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int],
    rhs_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    dimension_numbers: tuple[str, str, str],
) -> tuple[int, ...]:
    """The result's shape of a transposed convolution whose axes are named.

    Each size of space is (n - 1) stride - k + 2 + padding.
    """
    lhs, rhs, out = conv_general_permutations(dimension_numbers)
    x, w = _permuted(lhs_shape, lhs), _permuted(rhs_shape, rhs)
    pads = padding
    if isinstance(pads, str):
        pads = [_transpose_padding(k, s, pads) for k, s in zip(w[2:], window_strides)]
    space = (
        (n - 1) * s - k + 2 + lo + hi
        for n, k, s, (lo, hi) in zip(x[2:], w[2:], window_strides, pads)
    )
    shape = (x[0], w[0], *space)
    return tuple(shape[out.index(k)] for k in range(len(out)))
