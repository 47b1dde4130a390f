"""What the functions of a family have in common, said once and added to each docstring.

Called at the end of a module, or as a decorator; help() then shows the function's sentence and the
family's.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

# of functions that broadcast and promote, as those of fx.scipy.special do
ELEMENTWISE = (
    "Element by element: operands broadcast, the dtype is their common one; integers become floats."
)
REAL = "ValueError for complex operands."


def add_fact(fact: str, *functions: Callable[..., Any]) -> None:
    """Put a paragraph into each function's docstring, before its examples."""
    for f in functions:
        if f.__doc__:  # python -OO leaves none
            said, mark, examples = cleandoc(f.__doc__).partition("\n>>> ")
            f.__doc__ = f"{said.rstrip()}\n\n{fact}" + (mark and f"\n{mark}{examples}")


def explained(*facts: str) -> Callable[[_Function], _Function]:
    """A decorator that puts a paragraph of these lines into the docstring."""

    def extend(function: _Function) -> _Function:
        add_fact("\n".join(facts), function)
        return function

    return extend


def elementwise_facts(dtypes: str, result: str, *functions: Callable[..., Any]) -> None:
    """For fx.lax: which dtypes the operands may have, and the result's ("its dtype", "bool")."""
    for f in functions:
        one = f.__code__.co_posonlyargcount + f.__code__.co_argcount == 1
        shape = (
            "The result has the shape of x"
            if one
            else "Operands have one dtype and as many axes; scalars and axes of size 1 spread, a "
            "Python scalar\ntakes the other's dtype. The result has the common shape"
        )
        add_fact(f"{shape}, dtype {result}.\nRaises TypeError for dtypes other than {dtypes}.", f)
