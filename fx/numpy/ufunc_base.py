"""What elementwise functions are made of: constants, selection, the facts that families of them
share (appended to their docstrings), and makers that promote and call one lax function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fx import core, lax
from fx.dtypes import is_integer
from fx.family_docs import explained
from fx.numpy.util import (
    broadcast_value,
    check_arraylike,
    convert,
    promote,
    promote_inexact,
    promote_spread,
    promote_spread_inexact,
    value,
    wrap,
)


def dtype_of(x: Any) -> np.dtype:
    """The dtype of an array value."""
    return core.get_aval(x).dtype


def itself(x: Any) -> Any:
    """An operand as a result: scalars and NumPy's arrays are arrays."""
    if isinstance(x, (bool, int, float, complex, np.generic, np.ndarray)):
        return wrap(x, core.get_aval(x).weak_type)
    return x


def const_as(x: Any, fill: Any) -> Any:
    """The scalar `fill` with the dtype and weak type of x."""
    a = core.get_aval(x)
    return convert(fill, a.dtype, a.weak_type)


def full_as(x: Any, fill: Any) -> Any:
    """`fill` with the shape and dtype of x."""
    return broadcast_value(const_as(x, fill), core.get_aval(x).shape)


def where_(mask: Any, x: Any, y: Any) -> Any:
    """x where the mask holds, else y; scalars take the others' shape."""
    shapes = [core.get_aval(v).shape for v in (mask, x, y)]
    shape = max(shapes, key=len)
    return lax.select(*(broadcast_value(v, shape) for v in (mask, x, y)))


def as_bool(x: Any) -> Any:
    """x as booleans: not zero."""
    return x if dtype_of(x) == np.bool_ else lax.ne(x, const_as(x, 0))


ONE = "Element by element, in the shape of x. Lists raise TypeError, as all that is no array does."
_SHAPES = (
    "shapes\nthat do not match raise TypeError, ValueError where their ranks differ. Lists raise "
    "TypeError."
)
SPREAD = f"Element by element. The operands broadcast; {_SHAPES}"
TWO = f"Element by element. The operands promote to one dtype and broadcast; {_SHAPES}"
FLOATS = "Integers and booleans give floats: float64 from 64 bits, else float32."
BOOLS = "The result is boolean."
BITS = "Integers and booleans only: TypeError for floats and complex numbers."


def named(function: Any, name: str, doc: str, *facts: str) -> Any:
    """The function with its public name and docstring: its own line, then the family's facts."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "fx.numpy"
    function.__doc__ = doc
    return explained(*facts)(function)


def float_unary(name: str, op: Callable[[Any], Any], doc: str) -> Any:
    """A function of one argument, computed in floating point."""

    def f(x: Any, /) -> Any:
        return op(*promote_inexact(name, x))

    return named(f, name, doc, ONE, FLOATS)


def same_unary(name: str, op: Callable[[Any], Any], doc: str) -> Any:
    """A function of one argument that keeps its dtype."""

    def f(x: Any, /) -> Any:
        return op(*promote(name, x))

    return named(f, name, doc, ONE)


def float_binary(name: str, op: Callable[[Any, Any], Any], doc: str) -> Any:
    """A function of two arguments, computed in floating point."""

    def f(x1: Any, x2: Any, /) -> Any:
        return op(*promote_spread_inexact(name, x1, x2))

    return named(f, name, doc, TWO, FLOATS)


def same_binary(name: str, op: Callable[[Any, Any], Any], doc: str) -> Any:
    """A function of two arguments in their common dtype."""

    def f(x: Any, y: Any, /) -> Any:
        return op(*promote_spread(name, x, y))

    return named(f, name, doc, TWO)


def comparison(name: str, op: Any, doc: str) -> Any:
    """A comparison; complex numbers order by real, then imaginary part."""
    orders = name not in ("equal", "not_equal")

    def f(x: Any, y: Any, /) -> Any:
        x, y = promote_spread(name, x, y)
        if orders and dtype_of(x).kind == "c":
            real = op(lax.real(x), lax.real(y))
            return where_(lax.eq(lax.real(x), lax.real(y)), op(lax.imag(x), lax.imag(y)), real)
        return op(x, y)

    order = ["Complex numbers order by their real, then by their imaginary part."] if orders else []
    return named(f, name, doc, TWO, BOOLS, *order)


def bitwise(name: str, short: str, op: Any, doc: str) -> Any:
    """A function of the bits of integers and booleans."""

    def f(x: Any, y: Any, /) -> Any:
        for k, v in enumerate((x, y)):
            check_arraylike(name, v)
            no_floats(short, v, k)
        return op(*promote_spread(name, x, y))

    return named(f, name, doc, TWO, BITS)


def no_floats(name: str, x: Any, position: int) -> None:
    """TypeError for dtypes without bits of their own."""
    d = dtype_of(value(x))
    if d != np.bool_ and not is_integer(d):
        raise TypeError(
            f"{name} does not accept dtype {d.name} at position {position}. Accepted dtypes at "
            "position "
            f"{position} are subtypes of integer, bool."
        )


def rounding(name: str, op: Any, doc: str) -> Any:
    """A rounding function: integers stay as they are."""

    def f(x: Any, /) -> Any:
        (x,) = promote(name, x)
        d = dtype_of(x)
        if d == np.bool_ or is_integer(d):
            return itself(x)
        return op(x)

    facts = "The dtype stays; TypeError for complex numbers. The derivative is 0."
    return named(f, name, doc, ONE, facts)


def no_out(name: str, out: Any) -> None:
    """The `out` argument exists for NumPy's signature only."""
    if out is not None:
        raise NotImplementedError(f"The 'out' argument to fx.numpy.{name} is not supported.")
