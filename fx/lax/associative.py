"""fx.lax.associative_scan: all prefixes of an associative operation in O(log n) steps.

Odd-even recursion (Blelloch, "Prefix sums and their applications", 1990): combine neighbours, scan
the half, fill in the others. The order of combination is fixed by the length, as in JAX, so
rounding agrees with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx.core import get_aval
from fx.prims import parts
from fx.prims import shape as views
from fx.tree_util import tree_flatten

__all__ = ["associative_scan"]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All partial results fn(...fn(e0, e1)..., ek) along an axis, for an associative fn.

    fn takes and returns trees like `elems` and must work on whole arrays (it combines many pairs at
    once). reverse combines from the end. Raises ValueError where leading sizes differ.

    >>> associative_scan(lambda a, b: a * b, fx.numpy.array([1.0, 2.0, 3.0]))
    Array([1., 2., 6.], dtype=float32)
    """
    if not callable(fn):
        raise TypeError("lax.associative_scan: fn argument should be callable.")
    flat, tree = tree_flatten(elems)
    ndims = [get_aval(x).ndim for x in flat]
    if any(not -n <= axis < n for n in ndims):
        raise ValueError(f"axis {axis} is out of bounds for the elements of associative_scan")
    axis = axis % ndims[0] if ndims else 0
    if reverse:
        flat = [views.rev(x, (axis,)) for x in flat]
    shapes = [get_aval(x).shape for x in flat]
    if any(s[axis] != shapes[0][axis] for s in shapes):
        raise ValueError(
            f"Array inputs to associative_scan must have the same first dimension. (saw: {shapes})"
        )

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out, out_tree = tree_flatten(fn(tree.unflatten(a), tree.unflatten(b)))
        if out_tree != tree:
            raise TypeError(
                f"associative_scan: fn must return the structure of its arguments, {tree}, got "
                f"{out_tree}"
            )
        return out

    out = _scan(combine, flat, axis)
    if reverse:
        out = [views.rev(x, (axis,)) for x in out]
    return tree.unflatten(out)


def _every_second(xs: list[Any], start: int, stop: int, axis: int) -> list[Any]:
    return [parts.slice_in_dim(x, start, max(start, stop), 2, axis) for x in xs]


def _scan(combine: Any, xs: list[Any], axis: int) -> list[Any]:
    n = get_aval(xs[0]).shape[axis] if xs else 0
    if n < 2:
        return xs
    pairs = combine(_every_second(xs, 0, n - 1, axis), _every_second(xs, 1, n, axis))
    odd = _scan(combine, pairs, axis)
    left = [parts.slice_in_dim(x, 0, (n - 1) // 2, 1, axis) for x in odd]
    if n > 2:
        even = combine(left, _every_second(xs, 2, n, axis))
        first = [parts.slice_in_dim(x, 0, 1, 1, axis) for x in xs]
        even = [parts.concatenate([a, b], axis) for a, b in zip(first, even)]
    else:
        even = [parts.slice_in_dim(x, 0, 1, 1, axis) for x in xs]
    return [_interleaved(a, b, axis) for a, b in zip(even, odd)]


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """e0 o0 e1 o1 ..., where `even` has as many elements as `odd`, or one more."""
    n_even, n_odd = get_aval(even).shape[axis], get_aval(odd).shape[axis]
    paired = parts.slice_in_dim(even, 0, n_odd, 1, axis)
    both = parts.concatenate([views.expand_dims(v, (axis + 1,)) for v in (paired, odd)], axis + 1)
    shape = list(get_aval(odd).shape)
    shape[axis] = 2 * n_odd
    out = views.reshape(both, shape)
    if n_even == n_odd:
        return out
    last = parts.slice_in_dim(even, n_odd, n_even, 1, axis)
    return parts.concatenate([out, last], axis)
