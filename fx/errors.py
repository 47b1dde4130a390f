"""The error classes, and how their texts name the user's argument and line.

Classes and the first sentence follow JAX, so that a search for a message finds its explanation;
after it stand the argument's path, the shapes and dtypes, the user's line and one suggestion.
"""

from __future__ import annotations

from typing import Any

from lowering.errors import DeviceError as DeviceError
from lowering.errors import KernelBuildError as KernelBuildError
from lowering.errors import OutOfDeviceMemory as OutOfDeviceMemory


class FxTypeError(TypeError):
    """Base of the errors about abstract values that are used as concrete ones."""


class TracerArrayConversionError(FxTypeError):
    """A tracer was given to something that wants a NumPy array."""


class ConcretizationTypeError(FxTypeError):
    """An abstract tracer was used where a concrete value is needed."""


class TracerBoolConversionError(ConcretizationTypeError):
    """The truth value of an abstract tracer was asked for (`if`, `while`, `and`, `bool`)."""


class TracerIntegerConversionError(ConcretizationTypeError):
    """An abstract tracer was used as a Python integer (`range`, indexing a list, a shape)."""


class NonConcreteBooleanIndexError(IndexError):
    """A boolean mask that is traced was used as an index: the shape of the result would depend on
    data.
    """


class UnexpectedTracerError(RuntimeError):
    """A tracer outlived the transformation that made it."""


class KeyReuseError(RuntimeError):
    """A random key was used twice: what is drawn from it again is not independent; split it."""


class NoRuleError(NotImplementedError):
    """A primitive lacks a rule that a transformation needs; the message gives the declared
    reason.
    """


class NoCallbackRuleError(NoRuleError, ValueError):
    """A callback is differentiated or mapped without a rule: as in JAX a ValueError."""


class no:
    """Declares that a primitive has no such rule, and why. Falsy; calling it raises `error`
    with the reason.
    """

    def __init__(self, reason: str, error: type[NoRuleError] = NoRuleError):
        self.reason, self.error = reason, error

    def __bool__(self) -> bool:
        return False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error(self.reason)


def where(source: object) -> str:
    """The tail of a message that names the user's line, or nothing where it is unknown."""
    return f"\nIn the user's code: {source}" if source is not None else ""


# JAX's names
JAXTypeError = FxTypeError
JAXIndexError = IndexError
JaxRuntimeError = DeviceError
JaxprTypeError = TypeError
InconclusiveDimensionOperation = ConcretizationTypeError
