"""Callbacks: Python functions called on host memory, eagerly and from inside jitted programs (as
host steps).

pure_callback is a function of its operands and may be dropped, moved or run twice; io_callback and
debug_callback have an effect and run once for each time they are reached, ordered ones in program
order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, canonicalize_dtype, holds_keys, key_dtype
from fx.core import Zero, get_aval, is_undefined, no
from fx.errors import JaxRuntimeError, NoCallbackRuleError
from fx.jaxpr import Effect
from fx.prims import parts, shape
from fx.prims.registry import Case, primitive


class CallbackEffect(Effect):
    """Something outside the program happens."""

    def __init__(self, name: str, ordered: bool):
        self.name, self.ordered = name, ordered

    def __repr__(self) -> str:
        return self.name


io_effect = CallbackEffect("IO", False)
ordered_io_effect = CallbackEffect("OrderedIO", True)
debug_effect = CallbackEffect("Debug", False)
ordered_debug_effect = CallbackEffect("OrderedDebug", True)


def called(name: str, callback: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What the user's function returns; what it raises arrives as JaxRuntimeError, with its type
    and text in the message and itself as the cause.
    """
    try:
        return callback(*args, **kwargs)
    except JaxRuntimeError:  # of a callback inside
        raise
    except Exception as e:
        raise JaxRuntimeError(f"{name}: the callback raised {type(e).__name__}: {e}") from e


class FlatCallback:
    """A user's function on flat host arrays; checks and converts what it returns.

    Equal only to itself. keys: which arguments are typed random keys, that kernels have as
    integers.
    """

    def __init__(
        self,
        name: str,
        fun: Callable[..., Any],
        results: tuple[ShapedArray, ...],
        keys: tuple[int, ...] = (),
    ):
        self.name, self.fun, self.results, self.keys = name, fun, results, keys

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        given = [a.view(key_dtype) if k in self.keys else a for k, a in enumerate(arrays)]
        values = [core.host.from_numpy(np.array(a), False) for a in given]
        with core.set_trace(core.EVAL):
            outs = self.fun(*values)
        if len(outs) != len(self.results):
            raise JaxRuntimeError(
                f"{self.name}: the callback returned {len(outs)} arrays, result_shape_dtypes has "
                f"{len(self.results)}."
            )
        return tuple(self.checked(core.host.to_numpy(o), a) for o, a in zip(outs, self.results))

    def checked(self, out: np.ndarray, aval: ShapedArray) -> np.ndarray:
        if out.shape != aval.shape:
            raise JaxRuntimeError(
                f"{self.name}: the callback returned an array of shape {out.shape}, expected "
                f"{aval.str_short()} from result_shape_dtypes."
            )
        return np.array(out, aval.dtype)  # the function may write to what it returned later on

    def __repr__(self) -> str:
        return f"<{getattr(self.fun, '__name__', 'callback')}>"


def _abstract(*avals, callback, **params):
    return list(callback.results)


def _numpy(*arrays, callback, **params):
    return list(callback(*arrays))


def _lower(effect: bool) -> Any:
    def lower(b: Any, *nodes: Any, callback: FlatCallback, **params: Any) -> list[Any]:
        outs = [(a.shape, a.dtype) for a in callback.results]
        return list(b.opaque(("callback", callback), callback, nodes, outs, effect=effect))

    return lower


def _one_by_one(p: core.Primitive, axis: Any, args: Any, dims: Any, params: Any) -> Any:
    """Call once for each example, in order, as a scan."""
    from fx.prims.scan import scan_flat

    mapped = [d is not None for d in dims]
    xs = [shape.move_axis(x, d, 0) for x, d in zip(args, dims) if d is not None]
    fixed = [x for x, d in zip(args, dims) if d is None]

    def body(*slices: Any) -> list[Any]:
        given, same = iter(slices), iter(fixed)
        return p.bind(*(next(given) if m else next(same) for m in mapped), **params)

    outs = scan_flat(body, (), xs, axis.size)
    return outs, [0] * len(outs)


# ---------------------------------------------------------------- pure_callback


def _pure_batch(axis, args, dims, *, callback, vmap_method):
    params = {"callback": callback, "vmap_method": vmap_method}
    if vmap_method is None:
        raise NotImplementedError(
            "pure_callback can only be vmapped if vmap_method is specified: 'sequential', "
            "'sequential_unrolled', 'expand_dims', 'broadcast_all' or 'legacy_vectorized'."
        )
    if vmap_method == "sequential":
        return _one_by_one(pure_callback_p, axis, args, dims, params)
    if vmap_method == "sequential_unrolled":
        return _unrolled(axis, args, dims, params)
    wide = FlatCallback(
        callback.name,
        callback.fun,
        tuple(a.update(shape=(axis.size, *a.shape)) for a in callback.results),
        callback.keys,
    )
    moved = []
    for x, d in zip(args, dims):
        if d is not None:
            moved.append(shape.move_axis(x, d, 0))
        elif vmap_method == "broadcast_all":
            moved.append(shape.broadcast_new_axis(x, 0, axis.size))
        elif vmap_method == "expand_dims":
            moved.append(shape.expand_dims(x, (0,)))
        else:
            moved.append(x)
    outs = pure_callback_p.bind(*moved, callback=wide, vmap_method=vmap_method)
    return outs, [0] * len(outs)


def _unrolled(axis, args, dims, params):
    rows = []
    for k in range(axis.size):
        each = [
            x if d is None else shape.squeeze(parts.slice_in_dim(x, k, k + 1, axis=d), (d,))
            for x, d in zip(args, dims)
        ]
        rows.append(pure_callback_p.bind(*each, **params))
    outs = [
        parts.concatenate([shape.expand_dims(v, (0,)) for v in column], 0) for column in zip(*rows)
    ]
    return outs, [0] * len(outs)


_NO_JVP = no(
    "Pure callbacks do not support JVP. Please use `fx.custom_jvp` to use callbacks while taking "
    "gradients.",
    NoCallbackRuleError,
)


def _double(x: Any) -> list[Any]:
    return [np.real(x).astype(np.float32) * 2]


def _doubling(name: str, shape: tuple[int, ...]) -> FlatCallback:
    """For test cases."""
    return FlatCallback(name, _double, (ShapedArray(shape, np.float32),))


pure_callback_p = primitive(
    "pure_callback",
    "What a Python function without side effects returns for the operands.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_NO_JVP,
    transpose=no("a Python function is not known to be linear"),
    batch=_pure_batch,
    lower=_lower(False),
    cases=lambda: [
        Case((s,), {"callback": _doubling("pure_callback", s), "vmap_method": m})
        for s, m in (((3,), "sequential"), ((), "expand_dims"), ((0, 2), "broadcast_all"))
    ],
)


# ---------------------------------------------------------------- io_callback


def _io_batch(axis, args, dims, *, callback, ordered):
    if ordered:
        raise ValueError("Cannot `vmap` ordered IO callback")
    params = {"callback": callback, "ordered": ordered}
    return _one_by_one(io_callback_p, axis, args, dims, params)


io_callback_p = primitive(
    "io_callback",
    "What a Python function with side effects returns; called once each time it is reached.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=no(
        "IO callbacks do not support JVP. Please use `fx.custom_jvp` to use callbacks while taking "
        "gradients.",
        NoCallbackRuleError,
    ),
    transpose=no("a Python function is not known to be linear"),
    batch=_io_batch,
    lower=_lower(True),
    effects=lambda *avals, ordered, **params: frozenset(
        [ordered_io_effect if ordered else io_effect]
    ),
    cases=lambda: [
        Case((s,), {"callback": _doubling("io_callback", s), "ordered": False})
        for s in ((3,), (), (0, 2))
    ],
)


# ---------------------------------------------------------------- debug_callback


def _debug_jvp(primals, tangents, **params):
    return debug_callback_p.bind(*primals, **params), []


def _debug_transpose(cts, *args, **params):
    return [Zero(x.aval.to_tangent_aval()) if is_undefined(x) else None for x in args]


def _debug_batch(axis, args, dims, **params):
    return _one_by_one(debug_callback_p, axis, args, dims, params)


debug_callback_p = primitive(
    "debug_callback",
    "Calls a Python function for its side effect; differentiation calls it with the primal values.",
    multiple_results=True,
    abstract=_abstract,
    numpy=_numpy,
    jvp=_debug_jvp,
    transpose=_debug_transpose,
    batch=_debug_batch,
    lower=_lower(True),
    effects=lambda *avals, ordered, **params: frozenset(
        [ordered_debug_effect if ordered else debug_effect]
    ),
    limits=dict.fromkeys(("forward", "reverse", "derivative"), "it has no result"),
    cases=lambda: [
        Case(
            (s,),
            {"callback": FlatCallback("debug_callback", lambda x: [], ()), "ordered": False},
            diff=(),
        )
        for s in ((3,), (), (0, 2))
    ],
)


def places_of_keys(leaves: Sequence[Any]) -> tuple[int, ...]:
    """Which of the operands of a callback are typed random keys."""
    return tuple(k for k, x in enumerate(leaves) if holds_keys(x))


def result_avals(tree: Any) -> tuple[ShapedArray, ...]:
    """Avals of things that have a shape and a dtype."""
    found = []
    for x in tree:
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            found.append(ShapedArray(tuple(x.shape), canonicalize_dtype(x.dtype)))
        else:
            found.append(get_aval(x).strip_weak_type())
    return tuple(found)
