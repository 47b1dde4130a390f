"""The three ways to define a primitive: `unary`, `binary` (elementwise) and `primitive` (everything else).

A definition holds the sentence, abstract evaluation, NumPy rule, jvp, transpose, batching, lowering and test cases of one
primitive. Elementwise ones derive all but the NumPy function, the derivative and the scalar operation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_floating, is_inexact
from fx.core import Primitive, UndefinedPrimal, Zero, instantiate, is_undefined, no

__all__ = ["Case", "any_dtype", "binary", "floating", "inexact", "no", "primitive", "unary"]

# ---------------------------------------------------------------- classes of dtypes


def any_dtype(dtype: np.dtype) -> bool:
    return True


def inexact(dtype: np.dtype) -> bool:
    return is_inexact(dtype)


def floating(dtype: np.dtype) -> bool:
    return is_floating(dtype)


def number(dtype: np.dtype) -> bool:
    return dtype.kind != "b"


def real(dtype: np.dtype) -> bool:
    return dtype.kind not in "bc"


def ordered(dtype: np.dtype) -> bool:
    return dtype.kind != "c"


def integer(dtype: np.dtype) -> bool:
    return dtype.kind in "iu"


def bitwise(dtype: np.dtype) -> bool:
    return dtype.kind in "biu"


# ---------------------------------------------------------------- test cases


@dataclass(frozen=True)
class Case:
    """One application for the registry-driven tests.

    `shapes`: operand shapes; `dtypes`: operand dtypes (default float32 each); `ranges`: (low, high) per operand for random
    values, or an explicit array; `params`: the primitive's parameters; `diff`: operands to differentiate by.
    """

    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[Any, ...] | None = None
    ranges: tuple[Any, ...] | None = None
    diff: tuple[int, ...] | None = None
    note: str = ""


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
    """An elementwise primitive of one operand. jvp: (x, y, t) -> tangent, "zero", or "linear" (then t -> f(t))."""
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

    jvp: "zero", "linear" (in both together), or a pair of (x, y, out, t) -> tangent, one per operand.
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
    if transpose is None:
        p.transpose = no("it is linear in neither operand")
    else:
        p.set(transpose=transpose)
    shapes = ((2, 3), (2, 3)), ((), ()), ((0, 3), (0, 3))
    p.cases = lambda: [Case(s, {}, (d, d), near) for s in shapes for d in dtypes]
    _stand(p)
    return p


def primitive(name: str, doc: str, *, multiple_results: bool = False, **rules: Any) -> Primitive:
    """Any other primitive; every rule is given, or declared missing with `no(reason)`. jvp="linear" derives the jvp."""
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


def _stand(p: Primitive) -> None:
    """Record where the entry stands."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is not None:
        p.where["entry"] = f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _elementwise_abstract(p: Primitive, accepts: Any, result: Any) -> Any:
    def abstract(*avals: ShapedArray, **params: Any) -> ShapedArray:
        first = avals[0]
        for a in avals[1:]:
            if a.shape != first.shape:
                raise TypeError(
                    f"{p.name} requires arguments to have equal shapes, got "
                    f"{', '.join(str(list(b.shape)) for b in avals)}."
                )
            if a.dtype != first.dtype:
                raise TypeError(
                    f"{p.name} requires arguments to have the same dtypes, got "
                    f"{', '.join(b.dtype.name for b in avals)}. (Tip: fx.numpy.{p.name} is a similar function "
                    "that does automatic type promotion on inputs.)"
                )
        if not accepts(first.dtype):
            raise TypeError(f"{p.name} does not accept dtype {first.dtype.name}.")
        dtype = first.dtype if result is None else np.dtype(result(first.dtype))
        weak = all(a.weak_type for a in avals) and dtype != np.bool_
        return ShapedArray(first.shape, dtype, weak)

    return abstract


def _elementwise_batch(p: Primitive) -> Any:
    def batch(axis: core.AxisData, args: Sequence[Any], dims: Sequence[Any], **params: Any) -> Any:
        return batch_elementwise(p, axis, args, dims, params)

    return batch


def batch_elementwise(
    p: Primitive, axis: Any, args: Sequence[Any], dims: Sequence[Any], params: Any
) -> Any:
    """Move every operand's mapped axis to one place (broadcasting the unmapped ones) and apply once."""
    from fx.prims import shape

    place = next(d for d in dims if d is not None)
    if all(d == place for d in dims):
        return p.bind(*args, **params), place
    moved = [
        shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
        for a, d in zip(args, dims)
    ]
    return p.bind(*moved, **params), 0


def _elementwise_lower(op: str, result: Any) -> Any:
    def lower(b: Any, *nodes: Any, **params: Any) -> Any:
        dtype = nodes[0].dtype if result is None else result(nodes[0].dtype)
        return b.map(op, *nodes, dtype=dtype)

    return lower


def _unary_jvp(p: Primitive, rule: Any) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        (x,), (t,) = primals, tangents
        y = p.bind(x, **params)
        return y, Zero.like(y) if type(t) is Zero else rule(x, y, t)

    return jvp


def _binary_jvp(p: Primitive, rules: Any) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        x, y = primals
        out = p.bind(x, y, **params)
        parts = [rule(x, y, out, t) for rule, t in zip(rules, tangents) if type(t) is not Zero]
        if not parts:
            return out, Zero.like(out)
        return out, parts[0] if len(parts) == 1 else core.add_values(*parts)

    return jvp


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
    """A transpose rule for a primitive of one linear operand from `rule(ct, aval, **params) -> ct of the operand`."""

    def transpose(ct: Any, x: Any, **params: Any) -> list[Any]:
        assert isinstance(x, UndefinedPrimal)
        return [Zero(x.aval) if type(ct) is Zero else rule(ct, x.aval, **params)]

    return transpose


def undefined_flags(args: Iterable[Any]) -> list[bool]:
    return [is_undefined(a) for a in args]
