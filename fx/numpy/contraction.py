"""einsum: a path from opt_einsum, then one dot_general (and a transpose) per step."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import check_requested
from fx.numpy import ufunc_base as base
from fx.numpy.selection import where
from fx.numpy.util import broadcast_value, check_arraylike, convert, join, shape_dtype

__all__ = ["einsum", "einsum_path"]


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: None = None,
    optimize: Any = "auto",
    precision: Any = None,
    preferred_element_type: Any = None,
    _dot_general: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sums of products over named axes: labels that the output lacks are summed. Without "->" the
    output has those that occur once, in alphabetical order; "..." stands for axes that broadcast;
    lists of integers after each operand may stand for the text.

    Operands promote and sums keep that dtype, or preferred_element_type. `optimize` is opt_einsum's
    order. ValueError where labels and shapes do not fit.

    >>> import fx.numpy as fnp
    >>> fnp.einsum("ij,jk->ik", fnp.ones((2, 3)), fnp.ones((3, 4))).shape
    (2, 4)
    """
    base.no_out("einsum", out)
    check_arraylike("einsum", *(o for o in operands if isinstance(subscripts, str)))
    inputs, output, arrays = _parse(subscripts, operands)
    sizes = _sizes(inputs, arrays)
    avals = [core.get_aval(a) for a in arrays]
    dtype, weak = join([(a.dtype, a.weak_type) for a in avals])
    result = (
        dtype
        if preferred_element_type is None
        else check_requested(preferred_element_type, "einsum")
    )
    work = (
        result if preferred_element_type is not None and result.itemsize > dtype.itemsize else dtype
    )
    weak = weak and preferred_element_type is None
    pending = [(term, convert(a, work, weak)) for term, a in zip(inputs, arrays)]
    for pair in _path(inputs, output, sizes, arrays, optimize):
        picked = [pending[k] for k in pair]
        pending = [p for k, p in enumerate(pending) if k not in pair]
        rest = set(output).union(*(t for t, _ in pending)) if pending else set(output)
        pending.append(_step(picked, rest, sizes, precision))
    (term, value), *more = pending
    assert not more
    term, value = _reduce_unary(term, value, set(output))
    order = tuple(term.index(c) for c in output)
    if order != tuple(range(len(order))):
        value = lax.transpose(value, order)
    return convert(value, result, weak)


def einsum_path(
    subscripts: Any, /, *operands: Any, optimize: Any = "auto"
) -> tuple[list[Any], Any]:
    """The order of contraction, a list of tuples of positions, and opt_einsum's report on it.
    Operands may be arrays of which only the shapes count.
    """
    import opt_einsum

    if isinstance(optimize, bool):
        optimize = "optimal" if optimize else [tuple(range(len(operands)))]
    if not isinstance(subscripts, str):
        inputs, output, arrays = _parse(subscripts, operands)
        subscripts, operands = ",".join(inputs) + "->" + output, tuple(arrays)
    shapes = [np.shape(o) if not isinstance(o, core.Tracer) else o.shape for o in operands]
    found = opt_einsum.contract_path(subscripts, *shapes, shapes=True, optimize=optimize)
    return list(found[0]), found[1]


# ---------------------------------------------------------------- subscripts


def _parse(subscripts: Any, operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    """Terms, output term and arrays, with ellipses spelled out by letters of their own."""
    if not isinstance(subscripts, str):
        subscripts, operands = _interleaved((subscripts, *operands))
    arrays = [shape_dtype("einsum", o)[0] for o in operands]
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(
            f"einsum: the subscripts {subscripts!r} name {len(terms)} operands, but {len(arrays)} "
            "were given"
        )
    ranks = [len(core.get_aval(a).shape) for a in arrays]
    used = set(text)
    free = iter(c for c in map(chr, range(0x1D00, 0x1F00)) if c not in used)
    extra = [r - len(t.replace("...", "")) if "..." in t else 0 for t, r in zip(terms, ranks)]
    dots = "".join(next(free) for _ in range(max([0, *extra])))
    spelled = []
    for t, n, r in zip(terms, extra, ranks):
        if ("..." in t and n < 0) or ("..." not in t and len(t) != r):
            raise ValueError(
                f"Einstein sum subscript {t!r} does not contain the correct number of indices for "
                "an operand of "
                f"{r} dimensions in {subscripts!r}."
            )
        spelled.append(t.replace("...", dots[len(dots) - n :] if n else ""))
    if arrow:
        output = right.replace("...", dots)
    else:
        joined = "".join(t.replace("...", "") for t in terms)
        output = dots + "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    for c in output:
        if output.count(c) > 1 or not any(c in t for t in spelled):
            raise ValueError(
                f"einsum: output label {c!r} of {subscripts!r} is repeated or in no operand"
            )
    return spelled, output, arrays


def _interleaved(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as letters; labels are whatever sorts."""
    arrays, lists = list(args[0:-1:2]), list(args[1::2])
    output = args[-1] if len(args) % 2 else None
    try:
        labels = sorted({i for labels in lists for i in labels if i is not Ellipsis})
    except TypeError as e:
        raise TypeError(
            "the lists of einsum must contain Ellipsis or labels that can be hashed and compared "
            f"with each other, such as int or str: {e}"
        ) from None
    letters = {i: chr(ord("a") + k if k < 26 else 0x100 + k) for k, i in enumerate(labels)}

    absent = [i for i in output or () if i is not Ellipsis and i not in letters]
    if absent:
        raise ValueError(f"einsum: output label {absent[0]!r} is in no operand")

    def spell(labels: Any) -> str:
        return "".join("..." if i is Ellipsis else letters[i] for i in labels)

    text = ",".join(spell(labels) for labels in lists)
    return text + ("" if output is None else "->" + spell(output)), tuple(arrays)


def _sizes(terms: list[str], arrays: list[Any]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for k, (t, a) in enumerate(zip(terms, arrays)):
        for c, n in zip(t, core.get_aval(a).shape):
            have = sizes.setdefault(c, n)
            if have == 1:
                sizes[c] = n
            elif n not in (1, have):
                raise ValueError(
                    f"Size of label '{c}' for operand {k} ({n}) does not match previous terms "
                    f"({have}); operands {', '.join(terms)} have shapes "
                    f"{', '.join(str(core.get_aval(x).shape) for x in arrays)}."
                )
    return sizes


def _path(
    terms: list[str], output: str, sizes: dict[str, int], arrays: list[Any], optimize: Any
) -> list[Any]:
    n = len(arrays)
    if n == 1:
        return []
    if n == 2:
        return [(0, 1)]
    if optimize is False:
        return [(0, 1)] + [(0, n - 1 - k) for k in range(1, n - 1)]
    if isinstance(optimize, (list, tuple)):
        steps = [tuple(s) for s in optimize if s != "einsum_path"]
        return [tuple(sorted(s)) for s in steps]
    import opt_einsum

    optimize = "optimal" if optimize is True else optimize
    shapes = [tuple(sizes[c] for c in t) for t in terms]
    path, _ = opt_einsum.contract_path(
        ",".join(terms) + "->" + output, *shapes, shapes=True, optimize=optimize
    )
    return [tuple(sorted(s)) for s in path]


# ---------------------------------------------------------------- one step


def _summed(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum along axes; of booleans whether any is true."""
    fold = lax.reduce_or if core.get_aval(x).dtype == np.bool_ else lax.reduce_sum
    return fold(x, axes)


def _reduce_unary(term: str, x: Any, keep: set[str]) -> tuple[str, Any]:
    """Diagonals of repeated labels, then sums over labels that nothing else needs."""
    while len(set(term)) != len(term):
        c = next(c for c in term if term.count(c) > 1)
        i, j = [k for k, d in enumerate(term) if d == c][:2]
        shape = core.get_aval(x).shape
        if shape[i] != shape[j]:
            raise ValueError(
                f"einsum: label {c!r} stands for sizes {shape[i]} and {shape[j]} of one operand"
            )
        rows = lax.broadcasted_iota(np.dtype(np.int32), shape, i)
        cols = lax.broadcasted_iota(np.dtype(np.int32), shape, j)
        x = _summed(where(lax.eq(rows, cols), x, base.const_as(x, 0)), (j,))
        term = term[:j] + term[j + 1 :]
    gone = tuple(k for k, c in enumerate(term) if c not in keep)
    if gone:
        x = _summed(x, gone)
        term = "".join(c for c in term if c in keep)
    return term, x


def _step(
    picked: list[tuple[str, Any]], rest: set[str], sizes: dict[str, int], precision: Any
) -> tuple[str, Any]:
    """Contract the picked operands one after another; labels in `rest` are needed later."""
    (t, x), *others = picked
    for k, (t2, y) in enumerate(others):
        later = rest.union(*(t3 for t3, _ in others[k + 1 :]))
        t, x = _pair(t, x, t2, y, later, sizes, precision)
    if not others:
        t, x = _reduce_unary(t, x, rest)
    return t, x


def _pair(
    ta: str, a: Any, tb: str, b: Any, keep: set[str], sizes: dict[str, int], precision: Any
) -> tuple[str, Any]:
    ta, a = _reduce_unary(ta, a, keep | set(tb))
    tb, b = _reduce_unary(tb, b, keep | set(ta))
    ta, a = _drop_ones(ta, a, tb, sizes)
    tb, b = _drop_ones(tb, b, ta, sizes)
    shared = [c for c in ta if c in tb]
    batch = [c for c in shared if c in keep]
    summed = [c for c in shared if c not in keep]
    free_a = [c for c in ta if c not in shared]
    free_b = [c for c in tb if c not in shared]
    numbers = (
        (tuple(ta.index(c) for c in summed), tuple(tb.index(c) for c in summed)),
        (tuple(ta.index(c) for c in batch), tuple(tb.index(c) for c in batch)),
    )
    return "".join(batch + free_a + free_b), lax.dot_general(a, b, numbers, precision=precision)


def _drop_ones(t: str, x: Any, other: str, sizes: dict[str, int]) -> tuple[str, Any]:
    """An axis of size one whose label is longer elsewhere broadcasts: drop it where the other
    operand has it.
    """
    shape = core.get_aval(x).shape
    ones = [k for k, c in enumerate(t) if shape[k] == 1 and sizes[c] != 1]
    drop = tuple(k for k in ones if t[k] in other)
    grow = [k for k in ones if t[k] not in other]
    if grow:
        x = broadcast_value(x, tuple(sizes[c] if k in grow else shape[k] for k, c in enumerate(t)))
    if drop:
        x = lax.squeeze(x, drop)
        t = "".join(c for k, c in enumerate(t) if k not in drop)
    return t, x
