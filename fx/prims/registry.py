"""The three ways to define a primitive: `unary` and `binary` (elementwise), `primitive` (the rest).

A definition holds the sentence, abstract evaluation, NumPy rule, jvp, transpose, batching, lowering
and test cases of one primitive. Elementwise ones derive all but the NumPy function, the derivative
and the scalar operation.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, dtype_name, is_floating, is_inexact, is_key
from fx.case import Case
from fx.core import Primitive, UndefinedPrimal, Zero, instantiate, no

__all__ = [
    "Case",
    "any_dtype",
    "arithmetic",
    "binary",
    "floating",
    "inexact",
    "no",
    "primitive",
    "unary",
]

# ---------------------------------------------------------------- classes of dtypes
# Their docstrings are what an error calls them.


def any_dtype(dtype: np.dtype) -> bool:
    """every dtype"""
    return True


def arithmetic(dtype: np.dtype) -> bool:
    """numbers and booleans"""
    return not is_key(dtype)


def inexact(dtype: np.dtype) -> bool:
    """floats and complex numbers"""
    return is_inexact(dtype)


def floating(dtype: np.dtype) -> bool:
    """floats"""
    return is_floating(dtype)


def number(dtype: np.dtype) -> bool:
    """numbers"""
    return dtype.kind != "b" and not is_key(dtype)


def real(dtype: np.dtype) -> bool:
    """integers and floats"""
    return dtype.kind not in "bc" and not is_key(dtype)


def ordered(dtype: np.dtype) -> bool:
    """integers, floats and booleans"""
    return dtype.kind != "c" and not is_key(dtype)


def integer(dtype: np.dtype) -> bool:
    """integers"""
    return dtype.kind in "iu"


def bitwise(dtype: np.dtype) -> bool:
    """integers and booleans"""
    return dtype.kind in "biu"


def check_dtype(name: str, dtype: np.dtype, accepts: Callable[[np.dtype], bool]) -> None:
    """TypeError where a primitive does not take the dtype."""
    if not accepts(dtype):
        raise TypeError(
            f"{name} does not accept dtype {dtype_name(dtype)}: it takes {accepts.__doc__}."
        )


# ---------------------------------------------------------------- elementwise


def unary(
    name: str,
    accepts: Callable[[np.dtype], bool],
    doc: str,
    *,
    numpy: Callable[..., Any],
    jvp: Any,
    scalar: str,
    result: Callable[[np.dtype], Any] | None = None,
    near: tuple[float, float] = (-2.0, 2.0),
    transpose: Any = None,
    dtypes: Sequence[Any] = (np.float32,),
) -> Primitive:
    """An elementwise primitive of one operand.

    jvp: (x, y, t) -> tangent, "zero", or "linear" (then t -> f(t)).
    """
    p = Primitive(name, doc=doc)
    p.elementwise = True
    p.set(
        abstract=_elementwise_abstract(p, accepts, result),
        numpy=numpy,
        batch=_elementwise_batch(p),
        lower=_elementwise_lower(scalar, result),
    )
    if jvp == "zero":
        p.set(jvp=_zero_jvp(p))
        p.transpose = no("its derivative is zero everywhere")
    elif jvp == "linear":
        p.linear = True
        p.set(jvp=_linear_jvp(p), transpose=transpose)
    elif isinstance(jvp, no):
        p.jvp = jvp
        p.transpose = no("it is not linear")
    else:
        p.set(jvp=_unary_jvp(p, jvp))
        _note(p, "jvp", jvp)
        p.transpose = no("it is not linear")
    shapes = ((2, 3),), ((),), ((0, 3),)
    p.cases = lambda: [Case(s, {}, (d,), (near,)) for s in shapes for d in dtypes]
    _stand(p)
    return p


def binary(
    name: str,
    accepts: Callable[[np.dtype], bool],
    doc: str,
    *,
    numpy: Callable[..., Any],
    jvp: Any,
    scalar: str,
    result: Callable[[np.dtype], Any] | None = None,
    near: tuple[Any, Any] = ((-2.0, 2.0), (-2.0, 2.0)),
    transpose: Any = None,
    dtypes: Sequence[Any] = (np.float32,),
) -> Primitive:
    """An elementwise primitive of two operands of equal shape and dtype.

    jvp: "zero", "linear" (in both together), or a pair of (x, y, out, t) -> tangent.
    """
    p = Primitive(name, doc=doc)
    p.elementwise = True
    p.set(
        abstract=_elementwise_abstract(p, accepts, result),
        numpy=numpy,
        batch=_elementwise_batch(p),
        lower=_elementwise_lower(scalar, result),
    )
    if jvp == "zero":
        p.set(jvp=_zero_jvp(p))
    elif jvp == "linear":
        p.linear = True
        p.set(jvp=_linear_jvp(p))
    elif isinstance(jvp, no):
        p.jvp = jvp
    else:
        p.set(jvp=_binary_jvp(p, jvp))
        _note(p, "jvp", jvp[0])
    if transpose is None:
        p.transpose = no("it is linear in neither operand")
    else:
        p.set(transpose=transpose)
    shapes = ((2, 3), (2, 3)), ((), ()), ((0, 3), (0, 3))
    p.cases = lambda: [Case(s, {}, (d, d), near) for s in shapes for d in dtypes]
    _stand(p)
    return p


def primitive(name: str, doc: str, *, multiple_results: bool = False, **rules: Any) -> Primitive:
    """Any other primitive; a rule is given or declared missing with `no(reason)`.

    jvp="linear" and jvp="zero" derive the jvp.
    """
    if rules.get("jvp") == "linear":
        rules.pop("jvp")
        p = Primitive(name, multiple_results, doc=doc, **rules)
        p.linear = True
        p.set(jvp=_linear_jvp(p))
    else:
        if rules.get("jvp") == "zero":
            rules.pop("jvp")
            p = Primitive(name, multiple_results, doc=doc, **rules)
            p.set(jvp=_zero_jvp(p))
        else:
            p = Primitive(name, multiple_results, doc=doc, **rules)
    _stand(p)
    return p


def _note(p: Primitive, rule: str, written: Any) -> None:
    """Let the card name the line where the author wrote the rule, not the wrapper around it."""
    code = getattr(written, "__code__", None)
    if code is not None:
        p.where[rule] = f"{code.co_filename}:{code.co_firstlineno}"


def _stand(p: Primitive) -> None:
    """Record where the entry stands: the statement of a module, or of a user's function."""
    frame = inspect.currentframe()
    here = os.path.dirname(__file__)
    while frame is not None and frame.f_code.co_name != "<module>":
        if os.path.dirname(frame.f_code.co_filename) != here:
            break
        frame = frame.f_back
    if frame is not None:
        p.where["entry"] = f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _elementwise_abstract(p: Primitive, accepts: Any, result: Any) -> Any:
    def abstract(*avals: ShapedArray, **params: Any) -> ShapedArray:
        shape = elementwise_shape(p.name, avals)
        first = avals[0]
        if any(a.dtype != first.dtype for a in avals):
            raise TypeError(
                f"lax.{p.name} requires arguments to have the same dtypes, got "
                f"{', '.join(dtype_name(a.dtype) for a in avals)}. (The functions of fx.numpy "
                "promote their arguments; x.astype converts one.)"
            )
        check_dtype(p.name, first.dtype, accepts)
        dtype = first.dtype if result is None else np.dtype(result(first.dtype))
        weak = all(a.weak_type for a in avals) and dtype != np.bool_
        return ShapedArray(shape, dtype, weak)

    return abstract


def elementwise_shape(name: str, avals: Sequence[ShapedArray]) -> tuple[int, ...]:
    """The one shape of the operands of an elementwise primitive, scalars aside, which spread."""
    shapes = [a.shape for a in avals if a.shape]
    if not shapes:
        return ()
    given = ", ".join(str(a.shape) for a in avals)
    if any(len(s) != len(shapes[0]) for s in shapes):
        raise TypeError(f"{name}: arrays must have same number of dimensions, got {given}.")
    if any(s != shapes[0] for s in shapes):
        raise TypeError(f"{name} got incompatible shapes for broadcasting: {given}.")
    return shapes[0]


def _elementwise_batch(p: Primitive) -> Any:
    def batch(axis: core.AxisData, args: Sequence[Any], dims: Sequence[Any], **params: Any) -> Any:
        return batch_elementwise(p, axis, args, dims, params)

    return batch


def batch_elementwise(
    p: Primitive, axis: Any, args: Sequence[Any], dims: Sequence[Any], params: Any
) -> Any:
    """Move mapped axes to one place, broadcast unmapped operands, and apply once."""
    from fx.prims import shape

    ranks = [core.get_aval(a).ndim - (d is not None) for a, d in zip(args, dims)]
    rank = max(ranks)
    place = next(d for d in dims if d is not None)
    if all((r == rank and d == place) or (r == 0 and d is None) for r, d in zip(ranks, dims)):
        return p.bind(*args, **params), place
    full, at = next((a, d) for a, r, d in zip(args, ranks, dims) if r == rank)
    each = [n for k, n in enumerate(core.get_aval(full).shape) if k != at]
    moved = []
    for a, r, d in zip(args, ranks, dims):
        if r == rank:
            a = shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
        elif d is not None:
            a = shape.broadcast_in_dim(a, (axis.size, *each), (0,))
        moved.append(a)
    return p.bind(*moved, **params), 0


def spread(x: Any, like: Any) -> Any:
    """A scalar broadcast to the shape of `like`; anything else as it is."""
    from fx.prims import shape

    if core.get_aval(x).shape == core.get_aval(like).shape:
        return x
    return shape.broadcast_in_dim(x, core.get_aval(like).shape, ())


def unspread(ct: Any, aval: ShapedArray) -> Any:
    """The transpose of `spread`: the cotangent summed where the operand was a scalar."""
    from fx.prims import reduce

    shape = core.get_aval(ct).shape
    return ct if shape == aval.shape else reduce.reduce_sum(ct, tuple(range(len(shape))))


def _elementwise_lower(op: str, result: Any) -> Any:
    def lower(b: Any, *nodes: Any, **params: Any) -> Any:
        dtype = nodes[0].dtype if result is None else result(nodes[0].dtype)
        return b.map(op, *nodes, dtype=dtype)

    return lower


def _unary_jvp(p: Primitive, rule: Any) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        (x,), (t,) = primals, tangents
        x = array_value(x)
        y = p.bind(x, **params)
        return y, Zero.like(y) if type(t) is Zero else rule(x, y, t)

    return jvp


def _binary_jvp(p: Primitive, rules: Any) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        x, y = map(array_value, primals)
        out = p.bind(x, y, **params)
        parts = [
            spread(rule(x, y, out, t), out)
            for rule, t in zip(rules, tangents)
            if type(t) is not Zero
        ]
        if not parts:
            return out, Zero.like(out)
        return out, parts[0] if len(parts) == 1 else core.add_values(*parts)

    return jvp


def array_value(x: Any) -> Any:
    """A NumPy value as an Array of its own memory, so that operators in rules mean ours (dtypes, no
    warnings). A scalar stays a literal where a jaxpr is recorded.
    """
    if not isinstance(x, np.ndarray | np.generic):
        return x
    array = core.host.from_numpy(np.array(x, core.get_aval(x).dtype), False)
    if isinstance(x, np.generic) and (trace := core.recorder()) is not None:
        trace.write_out(array, x)
    return array


def _zero_jvp(p: Primitive) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = p.bind(*primals, **params)
        return out, [Zero.like(o) for o in out] if p.multiple_results else Zero.like(out)

    return jvp


def _linear_jvp(p: Primitive) -> Any:
    """Linear in all operands together: the tangent is the primitive of the tangents."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = p.bind(*primals, **params)
        if all(type(t) is Zero for t in tangents):
            return out, [Zero.like(o) for o in out] if p.multiple_results else Zero.like(out)
        return out, p.bind(*map(instantiate, tangents), **params)

    return jvp


def transpose_linear_operand(rule: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The transpose rule of one linear operand, from `rule(ct, aval, **params) -> its ct`."""

    def transpose(ct: Any, x: Any, **params: Any) -> list[Any]:
        assert isinstance(x, UndefinedPrimal)
        return [Zero(x.aval) if type(ct) is Zero else rule(ct, x.aval, **params)]

    return transpose
