"""Mutable arrays: a Ref is a variable that holds an array, and functions may read and write it.

Inside one trace nothing is recorded for it: a read is the value it holds. Functions that trace
others (jit, scan, while, cond, checkpoint, vmap, grad) take the values of the refs that the inner
function touches as further inputs and give the new ones back: `touched` finds them by an abstract
run, `lifted` makes the function of values. So transformations and lowering know nothing of refs.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fx import core
from fx.array import Array
from fx.avals import ShapedArray, is_key
from fx.core import state

live: set[Any] = set()  # weak references to the refs there are: where there is none, nobody looks


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.stack: list[_Scope | None] = []


class _Scope:
    """The refs from outside that a function touched: all of them, or those touched in `trace`."""

    def __init__(self, trace: Any = None):
        self.found: dict[Ref, tuple[Any, Any]] = {}  # with their value and trace before
        self.trace = trace


_scopes = _Scopes()


@dataclass(frozen=True)
class AbstractRef:
    """The type of a Ref: that of the array it holds (inner_aval), and where that lives."""

    inner_aval: ShapedArray
    memory_space: Any = None
    shape = property(lambda self: self.inner_aval.shape, doc="The shape of the array.")
    dtype = property(lambda self: self.inner_aval.dtype, doc="The dtype of the array.")
    ndim = property(lambda self: self.inner_aval.ndim, doc="The number of axes.")

    kind: Any = None

    def str_short(self, short_dtypes: bool = False, mesh_axis_types: bool = False) -> str:
        """`Ref{float32[3]}`."""
        return f"Ref{{{self.inner_aval.str_short(short_dtypes)}}}"

    def __repr__(self) -> str:
        return self.str_short()

    __str__ = __repr__


class Ref:
    """A mutable array: `ref[i]` reads, `ref[i] = x` and `ref[i] += x` write; `ref[...]` is all of
    it. Make one with `new_ref`.

    Functions under jit, vmap, grad and in loops may read and write refs that they are given or
    close over. A ref is no array: read it to compute with it.
    """

    __slots__ = ("__weakref__", "_alive", "_aval", "_trace", "_value")

    def __init__(self, value: Any):
        self._value, self._aval = _as_array(value), core.get_aval(value).strip_weak_type()
        self._trace, self._alive = state.trace, True
        live.add(weakref.ref(self, live.discard))

    aval = property(lambda self: AbstractRef(self._aval), doc="Its type, an AbstractRef.")
    shape = property(lambda self: self._aval.shape, doc="The shape, which stays.")
    dtype = property(lambda self: self._aval.dtype, doc="The dtype, which stays.")
    ndim = property(lambda self: self._aval.ndim, doc="The number of axes.")
    size = property(lambda self: self._aval.size, doc="The number of elements.")

    def __getitem__(self, idx: Any) -> Any:
        value = read(self)
        return value if idx is Ellipsis else value[idx]

    def __setitem__(self, idx: Any, value: Any) -> None:
        write(self, read(self).at[idx].set(value))

    def addupdate(self, x: Any, idx: Any = ()) -> None:
        """ref[idx] += x; repeated indices add up. ValueError for a freed ref."""
        write(self, read(self).at[idx].add(x))

    def __repr__(self) -> str:
        return "Ref" + repr(self._value).removeprefix("Array") if self._alive else "Ref(freed)"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __bool__(self) -> bool:
        raise TypeError("a Ref has no truth value: read it with ref[...]")

    __hash__ = object.__hash__


def read(ref: Ref) -> Any:
    """The value that a ref holds; ValueError if it has been freed."""
    _touch(ref)
    return ref._value


def write(ref: Ref, value: Any) -> None:
    """Let a ref hold another array of its shape and dtype."""
    _touch(ref)
    aval = core.get_aval(value)
    if (aval.shape, aval.dtype) != (ref.shape, ref.dtype):
        raise TypeError(
            f"a Ref of type {ref._aval.str_short()} cannot hold a value of type {aval.str_short()}"
        )
    if aval.weak_type:
        value = core.PRIMITIVES["convert_element_type"].bind(
            value, new_dtype=aval.dtype, weak_type=False
        )
    ref._value = _as_array(value)


def free(ref: Ref) -> Any:
    """End a ref and return what it held."""
    value = read(ref)
    ref._alive = False
    live.discard(weakref.ref(ref))
    return value


def _as_array(x: Any) -> Any:
    from fx.numpy.creation import asarray

    return asarray(x)


def _touch(ref: Ref) -> None:
    if not ref._alive:
        raise ValueError("this Ref has been frozen or freed; it holds nothing any more")
    if ref._trace is state.trace:
        return
    scope = _scopes.stack[-1] if _scopes.stack else None
    if scope is None or scope.trace not in (None, state.trace):
        raise NotImplementedError(
            f"A Ref of type {ref._aval.str_short()} made outside of {state.trace.function} is used "
            "inside of it, and this transformation does not carry refs in and out. Pass "
            "ref[...] as an argument and return the new value."
        )
    scope.found.setdefault(ref, (ref._value, ref._trace))
    ref._trace = state.trace


# ---------------------------------------------------------------- functions of values


def touched(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Ref]:
    """The refs from outside that `fun(*args, **kwargs)` touches; it is run on types only: what is
    an array among the arguments is a tracer, as when it is traced for good.
    """
    from fx.trace import eval_shape
    from fx.tree_util import tree_flatten

    leaves, tree = tree_flatten((args, kwargs))
    places = [k for k, x in enumerate(leaves) if core.is_array_value(x)]

    def run(*tracers: Any) -> Any:
        whole = list(leaves)
        for k, t in zip(places, tracers, strict=True):
            whole[k] = t
        given, named = tree.unflatten(whole)
        return _array_leaves(fun(*given, **named))

    before = {r: (r._value, r._trace) for w in list(live) if (r := w()) is not None}
    scope = _Scope()
    _scopes.stack.append(scope)
    try:
        eval_shape(run, *(leaves[k] for k in places))
    finally:
        _scopes.stack.pop()
        for ref, (value, trace) in before.items():
            ref._value, ref._trace = value, trace
            if not ref._alive:
                raise ValueError("a Ref from outside was frozen inside a transformed function")
    return [r for r in scope.found if r in before]


def _array_leaves(out: Any) -> list[Any]:
    from fx.tree_util import tree_leaves

    leaves = tree_leaves(out)
    for leaf in leaves:
        if isinstance(leaf, Ref):
            raise ValueError("a transformed function cannot return a Ref; return ref[...]")
    return [x for x in leaves if core.is_array_value(x)]


def lifted(fun: Callable[..., Any], refs: Sequence[Ref]) -> Callable[..., Any]:
    """(values of refs, *args) -> (fun(*args), new values of refs)."""

    def of_values(values: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        old = [(r._value, r._trace) for r in refs]
        _scopes.stack.append(None)
        try:
            for r, v in zip(refs, values, strict=True):
                r._value, r._trace = _as_array(v), state.trace
            out = fun(*args, **kwargs)
            return out, [r._value for r in refs]
        finally:
            _scopes.stack.pop()
            for r, (value, trace) in zip(refs, old):
                r._value, r._trace = value, trace

    return of_values


def observed(fun: Callable[..., Any], *args: Any) -> tuple[Any, dict[Ref, Any]]:
    """fun(*args), and what it leaves in the refs from outside that it touches, which hold their old
    values again: for traces that take values from outside as constants.
    """
    scope = _Scope(state.trace)
    _scopes.stack.append(scope)
    try:
        out = fun(*args)
        return out, {r: r._value for r in scope.found}
    finally:
        _scopes.stack.pop()
        for ref, (value, trace) in scope.found.items():
            ref._value, ref._trace = value, trace


def values_of(refs: Sequence[Ref]) -> list[Any]:
    """What refs hold, as operands."""
    return [read(r) for r in refs]


def store(refs: Sequence[Ref], values: Sequence[Any]) -> None:
    """Write each its new value."""
    for r, v in zip(refs, values, strict=True):
        write(r, v)


def one_of(x: Any, axis: int = 0) -> Any:
    """A value of the type of `x` without an axis, for an abstract run."""
    aval = core.get_aval(x)
    shape = list(aval.shape)
    del shape[axis]
    if is_key(aval.dtype):  # its scalars have no type of their own in NumPy
        return Array(np.zeros(shape, aval.dtype))
    return core.zeros_like_aval(aval.update(shape=tuple(shape)))


# ---------------------------------------------------------------- refs among arguments


def apart(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tree with None in the place of its refs, and a function that puts them back."""
    from fx.tree_util import tree_flatten, tree_leaves

    leaves, structure = tree_flatten(tree)
    refs = {k: x for k, x in enumerate(leaves) if isinstance(x, Ref)}
    if not refs:
        return tree, lambda bare: bare

    def put_back(bare: Any) -> Any:
        given = iter(tree_leaves(bare))
        return structure.unflatten(
            [refs[k] if k in refs else next(given) for k in range(len(leaves))]
        )

    return structure.unflatten([None if k in refs else x for k, x in enumerate(leaves)]), put_back


class Taken:
    """Arguments with their refs taken out: `values` in their place, and how to put refs back."""

    def __init__(self, args: Any):
        from fx.tree_util import tree_flatten

        leaves, self.tree = tree_flatten(args)
        self.positions = [k for k, x in enumerate(leaves) if isinstance(x, Ref)]
        self.refs: list[Ref] = [leaves[k] for k in self.positions]
        if len(set(self.refs)) < len(self.refs):
            raise ValueError(
                "only one reference to a mutable array may be passed as an argument to a function"
            )
        for k in self.positions:
            leaves[k] = read(leaves[k])
        self.args = self.tree.unflatten(leaves)

    def with_refs(self, args: Any) -> tuple[Any, list[Ref]]:
        """Arguments of the same structure, values made refs again, and those refs."""
        from fx.tree_util import tree_leaves

        leaves = tree_leaves(args)
        made = []
        for k in self.positions:
            leaves[k] = Ref(leaves[k])
            made.append(leaves[k])
        return self.tree.unflatten(leaves), made

    def check_apart(self, closed_over: Sequence[Ref]) -> None:
        """A ref may not come in twice."""
        if any(r in self.refs for r in closed_over):
            raise ValueError("a function was given a Ref as an argument that it also closes over")
