"""Host steps: primitives that run their NumPy rule on host memory inside jitted programs too
(factorisations, FFT).

In: a primitive with abstract and NumPy rules whose operands may have leading batch axes. Out: its
lower rule (one Opaque node, picklable) and its batch rule (mapped axes go in front).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx.avals import ShapedArray
from fx.core import PRIMITIVES, Primitive, as_aval, get_aval
from fx.prims import shape
from fx.prims.blas_threads import with_one_blas_thread
from fx.prims.registry import primitive


class HostStep:
    """The NumPy rule of a primitive under fixed parameters, as a function of arrays; pickles by
    name.
    """

    def __init__(self, name: str, params: dict[str, Any]):
        self.name, self.params = name, params
        self.outs: tuple[ShapedArray, ...] | None = (
            None  # a step of a plan has operands of one type
        )

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        p = PRIMITIVES[self.name]
        with np.errstate(all="ignore"):
            results = p.rule("numpy")(*arrays, **self.params)
        if self.outs is None:
            outs = p.rule("abstract")(*(get_aval(a) for a in arrays), **self.params)
            self.outs = tuple(outs) if p.multiple_results else (outs,)
        if not p.multiple_results:
            results = (results,)
        return tuple(as_aval(r, o) for r, o in zip(results, self.outs, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return HostStep, (self.name, self.params)


def lower_host(
    p_of: Callable[[], Primitive], stage: Callable[..., tuple[Any, ...]] = lambda **params: ()
) -> Any:
    """A lower rule: one host step; `stage` of the parameters: what may do it on a device."""

    def lower(b: Any, *nodes: Any, **params: Any) -> Any:
        p = p_of()
        outs = p.rule("abstract")(*(ShapedArray(n.shape, n.dtype) for n in nodes), **params)
        outs = outs if p.multiple_results else [outs]
        key = (p.name, tuple(sorted(params.items(), key=lambda kv: kv[0])))
        shapes = [(o.shape, o.dtype) for o in outs]
        found = b.opaque(key, HostStep(p.name, params), nodes, shapes, stage=stage(**params))
        return list(found) if p.multiple_results else found[0]

    return lower


def lower_small_or_host(
    small: Callable[..., Any],
    p_of: Callable[[], Primitive],
    stage: Callable[..., tuple[Any, ...]],
) -> Any:
    """A lower rule: what `small` makes of the operands, or one host step where that is None."""
    host = lower_host(p_of, stage)

    def lower(b: Any, *nodes: Any, **params: Any) -> Any:
        made = small(b, *nodes, **params)
        return host(b, *nodes, **params) if made is None else made

    return lower


def batch_in_front(p_of: Callable[[], Primitive]) -> Any:
    """A batch rule for primitives that take leading batch axes, the same for all operands. What
    one item may not be raises: a vector is no matrix, though vectors together are one.
    """

    def batch(axis: Any, args: Any, dims: Any, **params: Any) -> Any:
        p = p_of()
        p.rule("abstract")(*map(_of_one, map(get_aval, args), dims), **params)
        moved = [
            shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
            for a, d in zip(args, dims)
        ]
        out = p.bind(*moved, **params)
        return out, [0] * len(out) if p.multiple_results else 0

    return batch


def _of_one(aval: ShapedArray, d: int | None) -> ShapedArray:
    """The type of one item of what is mapped along axis d."""
    return aval if d is None else aval.update(shape=(*aval.shape[:d], *aval.shape[d + 1 :]))


def host_primitive(
    name: str, doc: str, *, multiple_results: bool = False, uses_blas: bool = True, **rules: Any
) -> Any:
    """A primitive that runs as a host step and takes leading batch axes."""
    if uses_blas:
        rules["numpy"] = with_one_blas_thread(rules["numpy"])
    rules.setdefault("lower", lower_host(lambda: p))
    rules.setdefault("batch", batch_in_front(lambda: p))
    p = primitive(name, doc, multiple_results=multiple_results, **rules)
    return p


def loop_over_batch(
    fn: Callable[..., Any], ranks: tuple[int, ...], arrays: Any, outs: list[ShapedArray]
) -> list[np.ndarray]:
    """Call `fn` on each item of the common leading axes; fn gives a tuple of arrays, one per aval
    in `outs`.
    """
    batch = arrays[0].shape[: arrays[0].ndim - ranks[0]]
    if not batch:
        return [np.asarray(r) for r in fn(*arrays)]
    results = [np.empty(o.shape, o.dtype) for o in outs]
    for i in np.ndindex(*batch):
        for out, r in zip(results, fn(*(a[i] for a in arrays)), strict=True):
            out[i] = r
    return results
