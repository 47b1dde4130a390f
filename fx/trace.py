"""What a user does with traces: make_jaxpr, eval_shape, saved_residuals, used_inputs,
ensure_compile_time_eval.

Tracing runs the function once on abstract values; nothing is computed and no device is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, canonicalize_dtype
from fx.core import ClosedJaxpr, DebugInfo, Literal, Var
from fx.core import ensure_compile_time_eval as ensure_compile_time_eval
from fx.flatten import check_callable, flatten_call, index_tuple, name_of, wraps
from fx.linearize import linearize_flat
from fx.passes import cse_jaxpr, dce_closed
from fx.tree_util import tree_flatten


class ShapeDtypeStruct:
    """Shape and dtype of an array that need not exist; what eval_shape returns and
    jit.lower takes.
    """

    __slots__ = ("dtype", "shape", "sharding", "weak_type")

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        *,
        sharding: Any = None,
        weak_type: bool = False,
        manual_axis_type: Any = None,
        is_ref: bool = False,
    ):
        if is_ref:
            raise ValueError("ShapeDtypeStruct: is_ref=True is not supported; pass a Ref itself.")
        if dtype is None:
            raise ValueError("ShapeDtypeStruct: dtype must be specified.")
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.sharding = sharding
        self.weak_type = weak_type

    ndim = property(lambda self: len(self.shape), doc="The number of axes.")
    size = property(lambda self: int(np.prod(self.shape)), doc="The number of elements.")
    aval = property(
        lambda self: ShapedArray(self.shape, canonicalize_dtype(self.dtype), self.weak_type)
    )

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """A copy with some of shape, dtype, sharding, weak_type replaced."""
        fields = {k: getattr(self, k) for k in self.__slots__} | changes
        return ShapeDtypeStruct(fields.pop("shape"), fields.pop("dtype"), **fields)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self!r} has no value: it cannot be computed with, nor be a result.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (
            (self.shape, self.dtype, self.weak_type) == (other.shape, other.dtype, other.weak_type)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"


core.register_aval(ShapeDtypeStruct, lambda s: s.aval)


def _aval(x: Any) -> ShapedArray:
    if not core.is_array_value(x) and hasattr(x, "shape") and hasattr(x, "dtype"):
        return ShapedArray(tuple(x.shape), canonicalize_dtype(x.dtype))
    return core.get_aval(x)


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
    abstracted_axes: Any = None,
) -> Callable[..., Any]:
    """A function that returns the jaxpr of `fun` at its arguments (arrays or ShapeDtypeStructs).

    With return_shape it returns (jaxpr, tree of ShapeDtypeStructs of the outputs).

    >>> make_jaxpr(lambda x: x)(1.0)
    { lambda ; a:f32[]. let  in (a,) }
    """
    check_callable(fun)
    nums = index_tuple(static_argnums, "static_argnums")

    @wraps(fun)
    def jaxpr_maker(*args: Any, **kwargs: Any) -> Any:
        static = {n % len(args) for n in nums}
        flat_fun, leaves, names, out = flatten_call(fun, static, args, kwargs)
        info = DebugInfo(name_of(fun), names)
        with core.named_axes(axis_env or ()):
            jaxpr, consts = core.trace_to_jaxpr(flat_fun, [_aval(x) for x in leaves], names, info)
        core.check_leaks()
        closed = ClosedJaxpr(jaxpr, consts)
        if return_shape:
            return closed, out.tree.unflatten(map(_struct, closed.out_avals))
        return closed

    return jaxpr_maker


def _struct(aval: ShapedArray) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of fun(*args, **kwargs), without computing it.

    >>> eval_shape(lambda x: x, ShapeDtypeStruct((2, 3), "float32"))
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    flat_fun, leaves, names, out = flatten_call(fun, (), args, kwargs)
    info = DebugInfo(name_of(fun), names)
    jaxpr, _ = core.trace_to_jaxpr(flat_fun, [_aval(x) for x in leaves], names, info)
    return out.tree.unflatten(_struct(a.aval) for a in jaxpr.outvars)


# ---------------------------------------------------------------- questions about a function


def used_inputs(fun: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """A function that says which arguments the output of `fun` depends on: one bool (or tree of
    bools) each.

    >>> used_inputs(lambda x, y: y)(1.0, 2.0)
    (False, True)
    """

    @wraps(fun)
    def used(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        closed = make_jaxpr(fun)(*args, **kwargs)
        flags = dce_closed(closed)[1]
        leaves, tree = tree_flatten(args)
        found: Any = tree.unflatten(flags[: len(leaves)])
        return found

    return used


def saved_residuals(
    fun: Callable[..., Any], *args: Any, **kwargs: Any
) -> list[tuple[ShapedArray, str]]:
    """The arrays that reverse mode keeps between the forward and the backward pass, and where each
    comes from.

    >>> saved_residuals(lambda x: x, 1.0)
    []
    """
    flat_fun, leaves, names, _ = flatten_call(fun, (), args, kwargs)
    found: list[Any] = []

    def residuals(*flat: Any) -> list[Any]:
        lin = linearize_flat(flat_fun, flat)
        found[:] = lin.consts
        return [*lin.consts]

    jaxpr, _ = core.trace_to_jaxpr(residuals, [_aval(x) for x in leaves], names)
    made_by = {v: e for e in jaxpr.eqns for v in e.outvars}
    inputs = dict(zip(jaxpr.invars, names))
    result, seen = [], set()
    for a in jaxpr.outvars:
        if isinstance(a, Literal) or a in seen:
            continue
        seen.add(a)
        result.append((a.aval, _origin(a, inputs, made_by)))
    return result


def _origin(v: Var, inputs: dict[Var, str], made_by: dict[Var, Any]) -> str:
    if v in inputs:
        return f"from the argument {inputs[v]}"
    eqn = made_by.get(v)
    if eqn is None:
        return "from a constant"
    if eqn.primitive.name == "name":
        return f"named '{eqn.params['name']}' from {eqn.source}"
    return f"output of {eqn.primitive.name} from {eqn.source}"


def simplified(closed: ClosedJaxpr) -> ClosedJaxpr:
    """A closed jaxpr without dead code and with common subexpressions computed once."""
    closed, _ = dce_closed(closed, None, True)
    return ClosedJaxpr(cse_jaxpr(closed.jaxpr), closed.consts)
