"""Primitive families. Importing the package registers them, in an order that resolves."""

from fx.prims import (  # noqa: I001  the order matters: families below use those above at import
    shape,
    parts,
    convert,
    elementwise,
    compare,
    complex_,
    transcendental,
    reduce,
    cumulative,
    dot,
    index,
    sort,
    window,
    conv,
)

__all__ = [
    "compare",
    "complex_",
    "conv",
    "convert",
    "cumulative",
    "dot",
    "elementwise",
    "index",
    "parts",
    "reduce",
    "shape",
    "sort",
    "transcendental",
    "window",
]
