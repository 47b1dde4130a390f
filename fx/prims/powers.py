"""Powers whose exponents are halves, as roots and products: x^-1.5 = (1 / sqrt(x)) / x.

In: two nodes of a graph. Out: the power. A general one takes five times as long. The results are
those of `pow` within 2.5 ulp, at zeros and infinities too. docs/why/half-powers.md
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowering import graph as g
from lowering import scalar

FOLDED = ("add", "sub", "mul", "neg", "convert")  # of constants, when an exponent is looked for


def power(b: g.Builder, x: g.Node, y: g.Node) -> g.Node:
    """x to the power y, of one floating dtype and shape."""
    c = _constant(y) if x.dtype.kind == "f" else None
    if c is None or c not in _RULES:
        return b.map("pow", x, y, dtype=x.dtype)
    infinite = b.map("eq", x, b.const(-np.inf, x.dtype, x.shape))
    end = b.const(np.inf if c > 0 else 0.0, x.dtype, x.shape)
    return b.select(infinite, end, b.map("abs", _RULES[c](b, x)))


def _constant(y: g.Node) -> Any:
    """The number that all elements of y are, or None."""
    if isinstance(y.form, g.Const):
        return y.form.value
    if isinstance(y.form, g.Broadcast | g.Reshape):
        return _constant(y.args[0])
    if not isinstance(y.form, g.Map) or y.form.op not in FOLDED:
        return None
    parts = [_constant(a) for a in y.args]
    if any(p is None for p in parts):
        return None
    arrays = (np.array(p, a.dtype) for p, a in zip(parts, y.args))
    return scalar.numpy(y.form.op, *arrays, dtype=y.dtype).item()


def _root(b: g.Builder, x: g.Node) -> g.Node:
    return b.map("sqrt", x)


def _over(b: g.Builder, x: g.Node, times: int) -> g.Node:
    r = b.map("rsqrt", x)
    for _ in range(times):
        r = b.map("div", r, x)
    return r


_RULES: dict[float, Any] = {
    0.5: _root,
    1.5: lambda b, x: b.map("mul", x, _root(b, x)),
    2.5: lambda b, x: b.map("mul", x, b.map("mul", x, _root(b, x))),
    -0.5: lambda b, x: _over(b, x, 0),
    -1.5: lambda b, x: _over(b, x, 1),
    -2.5: lambda b, x: _over(b, x, 2),
}
