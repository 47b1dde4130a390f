"""Conversions of traced values to Python and NumPy ones: they work where a concrete value stands
behind the tracer (forward and reverse mode outside jit) and raise JAX's concretization errors
where the value is abstract.
"""

from __future__ import annotations

import math
from operator import index
from typing import Any

import numpy as np

from fx.errors import (
    ConcretizationTypeError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    where,
)


class Conversions:
    """Base of Tracer: what bool(), int(), float(), range(), np.asarray() and friends do on a traced
    value.
    """

    __slots__ = ()

    def _concrete(self: Any, error: type[Exception], what: str) -> Any:
        from fx import core

        core.check_alive(self)
        value = self.concrete()
        if value is not None:
            return value
        raise error(concretization_message(self, what))

    def __bool__(self: Any) -> bool:
        check_truth(self.shape)
        what = "Attempted boolean conversion of traced array"
        return bool(self._concrete(TracerBoolConversionError, what))

    def __int__(self) -> int:
        return int(self._concrete(ConcretizationTypeError, "Abstract tracer value in int()"))

    def __index__(self) -> int:
        what = "A traced value was used as a Python integer"
        return index(self._concrete(TracerIntegerConversionError, what))

    def __float__(self) -> float:
        return float(self._concrete(ConcretizationTypeError, "Abstract tracer value in float()"))

    def __complex__(self) -> complex:
        return complex(self._concrete(ConcretizationTypeError, "Abstract value in complex()"))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        what = "The numpy.ndarray conversion of a traced array was asked for"
        raise TracerArrayConversionError(concretization_message(self, what))

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        what = "Abstract tracer value in tolist()"
        return np.asarray(self._concrete(ConcretizationTypeError, what)).tolist()

    def item(self, *args: Any) -> Any:
        """The value as a Python scalar."""
        what = "Abstract tracer value in item()"
        return np.asarray(self._concrete(ConcretizationTypeError, what)).item(*args)

    def __format__(self: Any, spec: str) -> str:
        value = self.concrete() if spec else None
        return repr(self) if value is None else format(value, spec)


def check_truth(shape: tuple[int, ...]) -> None:
    """ValueError unless an array of this shape is true or false: it has one element."""
    size = math.prod(shape)
    if size != 1:
        which = "an empty array" if size == 0 else "an array with more than one element"
        advice = "Use `array.size > 0`." if size == 0 else "Use a.any() or a.all()."
        raise ValueError(
            f"The truth value of {which} is ambiguous. {advice} The array's shape is {shape}."
        )


def concretization_message(x: Any, what: str) -> str:
    """What was attempted on a traced value, where the value came from, and what to do instead."""
    from fx import core

    origin, here = x.origin(), where(core.user_source())
    return (
        f"{what}: a concrete value is needed, but this is a traced value of type "
        f"{x.aval.str_short()}.{origin}{'' if here in origin else here}\n"
        "Inside jit, vmap and control flow values are abstract: use fx.numpy.where, fx.lax.cond or "
        "fx.lax.while_loop, or make the argument static (static_argnums)."
    )
