"""Test cases of primitives: what tests/test_registry.py applies each one to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One application for the registry-driven tests.

    `shapes`: operand shapes; `dtypes`: operand dtypes (default float32 each); `ranges`: (low,
    high) per operand for random values, an explicit array, or a function (rng, shape) -> array;
    `params`: the primitive's parameters; `diff`: operands to differentiate by; `axes`: names and
    sizes of vmaps around it, outermost first, which map every operand; `before`: what operands go
    through where it is differentiated (to be Hermitian); `after`: what results do there (to be
    free of a choice of phase); `call`: what is called in place of the primitive, which calls it;
    `order`: up to which it is differentiated.
    """

    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[Any, ...] | None = None
    ranges: tuple[Any, ...] | None = None
    diff: tuple[int, ...] | None = None
    note: str = ""
    axes: tuple[tuple[str, int], ...] = ()
    call: Callable[..., Any] | None = None
    order: int = 2
    before: Callable[..., Sequence[Any]] | None = None
    after: Callable[..., Sequence[Any]] | None = None
