"""`name`: the identity that gives a value a name, for the policies of `checkpoint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fx.prims.registry import Case, primitive


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, name: str) -> tuple[Any, Any]:
    return name_p.bind(*primals, name=name), tangents[0]


name_p = primitive(
    "name",
    "The operand itself, known to checkpoint policies under a name.",
    abstract=lambda x, *, name: x,
    numpy=lambda x, *, name: x,
    jvp=_jvp,
    transpose=lambda ct, x, *, name: [ct],
    batch=lambda axis, args, dims, *, name: (name_p.bind(*args, name=name), dims[0]),
    lower=lambda b, x, *, name: x,
    cases=lambda: [Case((s,), {"name": "a"}) for s in ((2, 3), (), (0, 3))],
)
name_p.linear = True
