"""Networks: sorts of few elements become minima and maxima, each a Map over all rows at once.

In: a Sort or TopK whose axis has at most `MOST` elements. Out: its results as Maps on slices of the
operand. Elements are compared as whole numbers of the same order; where places are wanted, a
number holds the element above and its place below, so that ties keep their order. The comparisons
are Batcher's odd-even merge sort (Batcher 1968, Sorting networks and their applications).
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g
from lowering.rewrite import views
from lowering.templates.sorting import place_dtype

MOST = 16  # elements of a row: what comparisons gain beyond, their builds take longer and longer
FEW = 8  # elements of a row whose network is built as quickly as anything else
WORTH = 1 << 12  # elements of all rows from which longer networks are worth their builds
SIGN = {32: -(2**31), 64: -(2**63)}
NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
FLOATS = ("float16", "bfloat16", "float32", "float64")
PLACE_BITS = 5  # of a number with a place: four for it, and the lowest for the sign of a zero


def rewrite(
    b: g.Builder, n: g.Node, args: tuple[g.Node, ...], repeated: bool
) -> tuple[g.Node, ...] | None:
    """The results of a Sort or TopK node, None where it stays what it is; `repeated`: in a loop,
    which its network lets be one kernel.
    """
    x, f, top = args[0], n.form, isinstance(n.form, g.TopK)
    dim, kept = (x.ndim - 1, f.k) if top else (f.dim, x.shape[f.dim])
    places = np.dtype(np.int32) if top else None
    if not top and (f.num_keys != 1 or len(args) > 2):
        return None
    if len(args) == 2 and (places := place_dtype(args[1], dim)) is None:
        return None
    most = MOST if repeated or x.size >= WORTH else FEW
    if not 2 <= x.shape[dim] <= most or not kept or not x.size or not _known(x.dtype, places):
        return None
    elements = [views.element(b, x, dim, k) for k in range(x.shape[dim])]
    if places is None:
        ranked = _ranked(b, [_key(b, e) for e in elements])
        return (b.concat([_value(b, key, x.dtype) for key in ranked], dim),)
    ranked = _ranked(b, [_placed(b, e, k, top) for k, e in enumerate(elements)])[:kept]
    values = b.concat([_value_of_placed(b, w, x.dtype, top) for w in ranked], dim)
    return values, b.concat([_place(b, w, places) for w in ranked], dim)


def comparisons(n: int) -> list[tuple[int, int]]:
    """The pairs (low, high) of n places that are put in order, one after another."""
    pairs, width = [], 1
    while width < n:
        step = width
        while step:
            for start in range(step % width, n - step, 2 * step):
                for low in range(start, min(start + step, n - step)):
                    if low // (2 * width) == (low + step) // (2 * width):
                        pairs.append((low, low + step))
            step //= 2
        width *= 2
    return pairs


def _known(dtype: np.dtype, places: np.dtype | None) -> bool:
    """Whether elements have keys, and room for a place beside them."""
    return dtype.name in (*NUMBERS, *FLOATS) and (places is None or dtype.itemsize <= 4)


def _ranked(b: g.Builder, xs: list[g.Node]) -> list[g.Node]:
    """Numbers in ascending order."""
    for low, high in comparisons(len(xs)):
        xs[low], xs[high] = b.map("min", xs[low], xs[high]), b.map("max", xs[low], xs[high])
    return xs


# ---------------------------------------------------------------- an element as a number


def _turned(b: g.Builder, raw: g.Node) -> g.Node:
    """A float's bits as a number of the same order, and such a number as a float's bits."""
    bits = 8 * raw.dtype.itemsize
    fill = b.map("shr", raw, b.const(bits - 1, raw.dtype))
    return b.map("xor", raw, b.map("and", fill, b.const(~SIGN[bits], raw.dtype)))


def _wide(dtype: np.dtype) -> tuple[np.dtype, np.dtype]:
    """The dtype that an element's bits are read as, and that of its key."""
    if dtype.name in FLOATS:
        double = dtype.itemsize == 8
        return np.dtype(np.float64 if double else np.float32), np.dtype(f"i{8 if double else 4}")
    return dtype, np.dtype(np.int8) if dtype.name == "bool" else dtype


def _key(b: g.Builder, x: g.Node) -> g.Node:
    """The number of an element; NaN's is the largest, and -0.0 precedes 0.0."""
    wide, number = _wide(x.dtype)
    if x.dtype.name not in FLOATS:
        return b.convert(x, number)
    x = b.convert(x, wide)
    key = _turned(b, b.bitcast(x, number))
    return b.select(b.map("is_nan", x), b.const(~SIGN[8 * number.itemsize], number), key)


def _value(b: g.Builder, key: g.Node, dtype: np.dtype) -> g.Node:
    """The element whose number is `key`."""
    wide, _ = _wide(dtype)
    if dtype.name not in FLOATS:
        return b.convert(key, dtype)
    return b.convert(b.bitcast(_turned(b, key), wide), dtype)


# ---------------------------------------------------------------- with its place


def _placed(b: g.Builder, x: g.Node, k: int, descending: bool) -> g.Node:
    """The number of element k, and below it k; 0.0 and -0.0 differ in the lowest bit alone."""
    key, minus = _key(b, x), None
    if x.dtype.name in FLOATS:
        minus = b.map("eq", key, b.const(-1, key.dtype))  # the key of -0.0
        key = b.select(minus, b.const(0, key.dtype), key)
    word = b.convert(key, np.int64)
    word = b.map("not", word) if descending else word
    word = b.map("shl", word, b.const(PLACE_BITS, np.int64))
    word = b.map("or", word, b.const(2 * k, np.int64))
    return word if minus is None else b.map("or", word, b.convert(minus, np.int64))


def _value_of_placed(b: g.Builder, word: g.Node, dtype: np.dtype, descending: bool) -> g.Node:
    _, number = _wide(dtype)
    key = b.map("shr", word, b.const(PLACE_BITS, np.int64))
    key = b.convert(b.map("not", key) if descending else key, number)
    if dtype.name in FLOATS:
        minus = b.convert(b.map("and", word, b.const(1, np.int64)), number)
        key = b.map("sub", key, minus)  # only 0 has that bit, and -1 is the key of -0.0
    return _value(b, key, dtype)


def _place(b: g.Builder, word: g.Node, dtype: np.dtype) -> g.Node:
    place = b.map(
        "shr", b.map("and", word, b.const(2**PLACE_BITS - 1, np.int64)), b.const(1, np.int64)
    )
    return b.convert(place, dtype)
